/** When operations beside chat go wrong: clients hear it in OpenAI's shape, other targets are asked, nothing is lost. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import OpenAI, { toFile } from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway, until } from './gateway.ts';
import { type Asked, type FakeHost, startHost } from './host.ts';

let host: FakeHost;
let fake: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  host = startHost();
  fake = await startFakeProvider();
  gateway = await startGateway(`
body_limit: 1mb
providers:
  oa: { speaks: openai-chat, url: "${host.url}/v1", key: up, timeout: { first_byte: 900ms, idle: 900ms } }
  pool: { speaks: openai-chat, url: "${host.url}/pool", keys: [dead, alive] }
  fake: { speaks: openai-chat, url: "${fake.base}", key: up }
  locked: { speaks: openai-chat, url: "${host.url}/v1", key: up }
  an: { speaks: anthropic-messages, url: "${host.url}", key: up }
models:
  safe: { fallback: [oa/first, fake/echo] }
  spoken: { fallback: [oa/voice, fake/echo] }
  can: { fallback: [an/claude, oa/cannot, fake/echo] }
prices:
  oa/voice: { character: 15 }
  fake/cut: { character: 15 }
  fake/echo: { input: 1, output: 1 }
keys:
  - { name: test, key: ${key} }
  - { name: narrow, key: sk-narrow, models: [safe] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await fake.stop();
  await host.stop();
});

beforeEach(() => {
  host.requests.length = 0;
  host.answer = undefined;
});

const embed = (model: string, headers: Record<string, string> = {}) =>
  gateway.post('/v1/embeddings', { model, input: 'Hello' }, headers);

const errorOf = async (response: Response) =>
  ((await response.json()) as { error: Record<string, unknown> }).error;

async function postForm(
  fill: (form: FormData) => void,
  path = '/v1/audio/transcriptions',
): Promise<Response> {
  const form = new FormData();
  fill(form);
  const headers = { authorization: `Bearer ${key}` };
  return await fetch(gateway.url + path, { method: 'POST', headers, body: form });
}

describe('a request that is none', () => {
  test.each([
    ['/v1/embeddings', '{"input":"x"}', 400, 'model'],
    ['/v1/embeddings', '{"model":"oa/m","model":"oa/n","input":"x"}', 400, 'model'],
    ['/v1/embeddings', '{"model":5,"input":"x"}', 400, 'model'],
    ['/v1/embeddings', 'nonsense', 400, null],
    ['/v1/embeddings', '[]', 400, null],
    ['/v1/audio/transcriptions', '{"model":"oa/m"}', 400, null],
    ['/v1/images/generations', '{"model":"oa/m","prompt":"x","n":-1}', 400, 'n'],
  ])('%s %s', async (path, body, status, param) => {
    const response = await gateway.post(path, body);
    expect(response.status).toBe(status);
    expect(await errorOf(response)).toMatchObject({ type: 'invalid_request_error', param });
    expect(host.requests).toEqual([]);
  });

  test('a form without a model, with two, with one as a file, or broken', async () => {
    const file = new File(['x'], 'a.wav');
    const forms: ((form: FormData) => void)[] = [
      (form) => form.append('file', file),
      (form) => {
        form.append('model', 'oa/m');
        form.append('model', 'oa/n');
      },
      (form) => form.append('model', new File(['oa/m'], 'm.txt')),
    ];
    for (const fill of forms) {
      const response = await postForm(fill);
      expect(response.status).toBe(400);
      expect(await errorOf(response)).toMatchObject({ param: 'model' });
    }
    const type = { 'content-type': 'multipart/form-data; boundary=b' };
    for (const body of ['', '--b\r\n', '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\noa/m']) {
      const response = await gateway.post('/v1/audio/transcriptions', body, type);
      expect(response.status).toBe(400);
      expect((await errorOf(response)).message).toContain('must be a form');
    }
    expect((await gateway.post('/v1/embeddings', '', type)).status).toBe(400);
    expect(host.requests).toEqual([]);
  });

  test('of another method, without a key, of an unknown model, of one the key may not use, too large', async () => {
    const get = await fetch(`${gateway.url}/v1/embeddings`, { headers: { authorization: `Bearer ${key}` } });
    expect(get.status).toBe(405);
    expect((await embed('oa/m', { authorization: 'Bearer wrong' })).status).toBe(401);
    const unknown = await embed('nobody/x');
    expect(unknown.status).toBe(404);
    expect(await errorOf(unknown)).toMatchObject({ code: 'model_not_found' });
    const forbidden = await gateway.openai.embeddings
      .create({ model: 'oa/m', input: 'x' }, { headers: { authorization: 'Bearer sk-narrow' } })
      .catch((error: unknown) => error);
    expect(forbidden).toBeInstanceOf(OpenAI.PermissionDeniedError);
    const large = await postForm((form) => {
      form.append('model', 'oa/m');
      form.append('file', new File([new Uint8Array(2_000_000)], 'a.wav'));
    });
    expect(large.status).toBe(413);
    expect(host.requests).toEqual([]);
  });
});

describe('a provider that refuses', () => {
  const refusal = {
    error: { message: 'No such size.', type: 'invalid_request_error', param: 'size', code: 'bad' },
  };

  test('is heard word for word, its refusal of our key is not', async () => {
    host.answer = () => Response.json(refusal, { status: 400 });
    const response = await embed('oa/m');
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual(refusal);
    host.answer = () => Response.json({ error: { message: 'Incorrect API key sk-abc' } }, { status: 401 });
    const auth = await embed('locked/m');
    expect(auth.status).toBe(502);
    expect(await errorOf(auth)).toMatchObject({ code: 'upstream_auth' });
  });

  const failures: [what: string, answer: (asked: Asked) => Response][] = [
    ['an error', () => new Response('oops', { status: 500 })],
    ['not to know the path', () => Response.json({ error: { message: 'Not found' } }, { status: 404 })],
    ['an error with a good status', () => Response.json({ error: { message: 'Overloaded', code: 503 } })],
    ['an empty object', () => Response.json({})],
    ['broken JSON', () => new Response('{"data":[', { headers: { 'content-type': 'application/json' } })],
    ['a page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['nothing', () => new Response('', { headers: { 'content-type': 'audio/mpeg' } })],
    [
      'an error as an event',
      () =>
        new Response('event: error\ndata: {"error":{"message":"Overloaded"}}\n\n', {
          headers: { 'content-type': 'text/event-stream' },
        }),
    ],
    ['an empty stream', () => new Response('', { headers: { 'content-type': 'text/event-stream' } })],
  ];
  test.each(failures)('by %s: the next target answers', async (_, answer) => {
    const fresh = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${host.url}/v1", key: up }
  fake: { speaks: openai-chat, url: "${fake.base}", key: up }
models: { safe: { fallback: [oa/first, fake/echo] } }
`);
    try {
      host.answer = answer;
      const response = await fresh.post('/v1/embeddings', { model: 'safe', input: 'Hello' });
      expect(response.status).toBe(200);
      expect(response.headers.get('x-sluice-target')).toBe('fake/echo');
      expect(response.headers.get('x-sluice-attempts')).toBe('2');
      const rows = await fresh.attemptsOf(response.headers.get('x-request-id'));
      expect(rows.map(({ outcome, final, operation }) => [outcome, final, operation])).toEqual([
        [expect.stringContaining('upstream'), 0, 'embeddings'],
        ['ok', 1, 'embeddings'],
      ]);
    } finally {
      await fresh.stop();
    }
  });

  test('a target that speaks no dialect with it is passed over', async () => {
    host.answer = () => Response.json({ error: { message: 'Unknown path' } }, { status: 404 });
    const response = await embed('can');
    expect(response.status).toBe(200);
    expect(response.headers.get('x-sluice-target')).toBe('fake/echo');
    expect(host.requests.map(({ path }) => path)).toEqual(['/v1/embeddings']);
  });

  test('a form is sent to the next target as it came', async () => {
    host.answer = () => new Response('', { status: 503 });
    const bytes = new Uint8Array(50_000).map((_, i) => (i * 7) & 255);
    const { text } = await gateway.openai.audio.transcriptions.create({
      model: 'safe',
      file: await toFile(bytes, 'a.mp3'),
    });
    expect(text).toBe('[audio a.mp3 50000 bytes]');
    const { text: sent, model } = fake.requests.at(-1)!;
    expect(model).toBe('echo');
    expect(Buffer.from(sent, 'latin1').includes(Buffer.from(bytes))).toBe(true);
  });

  test('another key of the pool is tried where one is dead', async () => {
    host.answer = ({ headers }) =>
      headers.get('authorization') === 'Bearer dead'
        ? Response.json({ error: { message: 'Invalid API key', code: 'invalid_api_key' } }, { status: 401 })
        : Response.json({ data: [{ embedding: [1] }] });
    for (let i = 0; i < 4; i++) expect((await embed('pool/m')).status).toBe(200);
    const keys = host.requests.map(({ headers }) => headers.get('authorization'));
    expect(keys.filter((each) => each === 'Bearer dead')).toHaveLength(1);
  });

  test('by silence', async () => {
    host.answer = () => Bun.sleep(3000).then(() => Response.json({}));
    const response = await embed('oa/silent');
    expect(response.status).toBe(504);
    expect(await errorOf(response)).toMatchObject({ code: 'timeout' });
  });
});

describe('speech that ends early', () => {
  /** Sends one part, then does `after`. */
  const speaking = (after: () => Promise<void>): void => {
    host.answer = () =>
      new Response(
        (async function* () {
          yield new Uint8Array(1000);
          await after();
        })() as unknown as ReadableStream,
        { headers: { 'content-type': 'audio/mpeg' } },
      );
  };
  const speak = (model: string) =>
    gateway.post('/v1/audio/speech', { model, input: 'Hello', voice: 'alloy' });

  test('in the middle is no speech: the connection breaks, and it is paid for', async () => {
    const response = await speak('fake/cut');
    expect(response.status).toBe(200);
    const read = await response.arrayBuffer().catch((error: unknown) => error);
    expect(read).toBeInstanceOf(Error);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'upstream_network', estimated: 1, nano_usd: 75_000, final: 1 });
  });

  test('by silence', async () => {
    speaking(() => Bun.sleep(3000));
    const response = await speak('oa/voice');
    expect(await response.arrayBuffer().catch((error: unknown) => error)).toBeInstanceOf(Error);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'upstream_timeout', nano_usd: 75_000 });
  });

  test('before it has begun costs nothing, and the next target speaks', async () => {
    host.answer = () => new Response('', { headers: { 'content-type': 'audio/mpeg' } });
    const response = await speak('spoken');
    expect(response.status).toBe(200);
    expect(response.headers.get('x-sluice-target')).toBe('fake/echo');
    await response.arrayBuffer();
    const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(rows).toMatchObject([{ outcome: 'upstream_invalid', nano_usd: 0 }, { outcome: 'ok' }]);
  });

  test('because its client left: the provider is told, and it is paid for', async () => {
    let left = false;
    host.answer = () =>
      new Response(
        new ReadableStream({
          pull: async (controller) => {
            controller.enqueue(new Uint8Array(1000));
            await Bun.sleep(20);
          },
          cancel: () => {
            left = true;
          },
        }),
        { headers: { 'content-type': 'audio/mpeg' } },
      );
    const response = await speak('oa/voice');
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await until(() => left);
    await until(async () => (await gateway.attemptsOf(response.headers.get('x-request-id'))).length > 0);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'cancelled', client_status: 499, nano_usd: 75_000, estimated: 1 });
    expect(gateway.app.gateway.inflight.count).toBe(0);
  });
});

describe('events that end early', () => {
  const partial =
    'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image"}\n\n';
  const events = (...parts: string[]): void => {
    host.answer = () =>
      new Response(
        (async function* () {
          for (const part of parts) {
            yield part;
            await Bun.sleep(20);
          }
        })() as unknown as ReadableStream,
        { headers: { 'content-type': 'text/event-stream' } },
      );
  };
  const draw = () =>
    gateway.post('/v1/images/generations', { model: 'oa/painter', prompt: 'x', stream: true });

  test('end in an error event', async () => {
    events(partial, partial);
    const response = await draw();
    const text = await response.text();
    expect(text).toStartWith(partial + partial);
    expect(JSON.parse(text.slice(text.lastIndexOf('data: ') + 6))).toMatchObject({
      error: { code: 'upstream_invalid' },
    });
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'upstream_invalid', estimated: 1 });
  });

  test('with a failure of the provider’s pass it on, and nothing after it', async () => {
    const failure =
      'event: error\ndata: {"type":"error","error":{"message":"Safety","code":"moderation_blocked"}}\n\n';
    events(partial, failure);
    const response = await draw();
    expect(await response.text()).toBe(partial + failure);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row!.outcome).not.toBe('ok');
  });
});

test('a client that leaves before an answer pays for what was read', async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  host.answer = async () => {
    ask();
    await Bun.sleep(2000);
    return Response.json({});
  };
  const leaving = new AbortController();
  const call = gateway.openai.embeddings
    .create({ model: 'oa/first', input: 'Hello there' }, { signal: leaving.signal })
    .catch((error: unknown) => error);
  await asked;
  leaving.abort();
  expect(await call).toBeInstanceOf(OpenAI.APIUserAbortError);
  await until(async () =>
    (await gateway.attempts()).some(({ outcome, input }) => outcome === 'cancelled' && input === 2),
  );
});

test('every failure of the mock reaches the SDK as what it is', async () => {
  const file = await toFile(new Uint8Array(10), 'a.wav');
  const { openai } = gateway;
  for (const [model, kind] of [
    ['fake/error:rate_limit', OpenAI.RateLimitError],
    ['fake/error:bad_request', OpenAI.BadRequestError],
    ['fake/status:500', OpenAI.InternalServerError],
    ['fake/nobody', OpenAI.NotFoundError],
  ] as const) {
    for (const call of [
      () => openai.embeddings.create({ model, input: 'x' }),
      () => openai.images.generate({ model, prompt: 'x' }),
      () => openai.audio.speech.create({ model, input: 'x', voice: 'alloy' }),
      () => openai.audio.transcriptions.create({ model, file }),
      () => openai.moderations.create({ model, input: 'x' }),
    ]) {
      expect(await call().catch((error: unknown) => error)).toBeInstanceOf(kind);
    }
  }
});
