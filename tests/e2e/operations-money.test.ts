/** What operations beside chat cost: to the nano-dollar, each in its own unit, never free by accident. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { type AttemptRow, startGateway, type TestGateway } from './gateway.ts';
import { type FakeHost, startHost } from './host.ts';

let host: FakeHost;
let gateway: TestGateway;

beforeAll(async () => {
  host = startHost();
  gateway = await startGateway(`
providers:
  openai: { url: "${host.url}/v1", key: up }
  acme: { speaks: openai-chat, url: "${host.url}/v1", key: up }
prices:
  acme/painter: { image: 0.05, images: { large: 0.5, small/1x1: 0.001 } }
  acme/ear: { second: 0.002 }
  acme/mouth: { character: 100 }
  acme/judge: { search: 0.25 }
  acme/flat: { request: 0.125 }
  acme/free: { input: 0, output: 0 }
  acme/both: { input: 1, output: 1, image: 0.01 }
keys:
  - { name: test, key: sk-test-key }
  - { name: poor, key: sk-poor, limits: [{ usd: 0.01, per: day }] }
  - { name: small, key: sk-small, limits: [{ tokens: 100, per: day }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await host.stop();
});

function answer(body: unknown): void {
  host.answer = () => Response.json(body);
}

async function rowOf(response: Response): Promise<AttemptRow> {
  await response.arrayBuffer();
  const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
  return row!;
}

const money = ({ nano_usd, estimated, units }: AttemptRow) => ({
  nano_usd,
  estimated,
  units: units === '' ? {} : (JSON.parse(units) as object),
});

/** One second of silence a thousand bytes long. */
function wave(bytes: number): Uint8Array {
  const file = Buffer.alloc(44 + bytes);
  file.write('RIFF....WAVEfmt ', 0, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt32LE(1000, 28);
  file.write('data', 36);
  file.writeUInt32LE(bytes, 40);
  return file;
}

/** The official SDK's form, as fetch sends it. */
async function transcribe(model: string, file: Uint8Array, format = 'json'): Promise<Response> {
  const form = new FormData();
  form.append('model', model);
  form.append('response_format', format);
  form.append('file', new File([file as Uint8Array<ArrayBuffer>], 'a.wav'));
  const headers = { authorization: 'Bearer sk-test-key' };
  return await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', headers, body: form });
}

describe('audio that is heard, by the second', () => {
  test.each([
    ['what the answer bills', { text: 'Hi', usage: { type: 'duration', seconds: 3 } }, 3000, 300_000],
    ['what a long answer tells', { text: 'Hi', duration: 2.95, segments: [] }, 2950, 295_000],
    ['as text', { text: 'Hi', duration: '4.5' }, 4500, 450_000],
    ['what the file says, where the answer says nothing', { text: 'Hi' }, 1500, 150_000],
  ])('%s', async (_, body, millisecond, nano) => {
    answer(body);
    const response = await transcribe('openai/whisper-1', wave(1500));
    expect(response.headers.get('x-sluice-cost-usd')).toBe((nano / 1e9).toFixed(9).replace(/0+$/, ''));
    expect(money(await rowOf(response))).toEqual({ nano_usd: nano, estimated: 0, units: { millisecond } });
  });

  test('also of subtitles', async () => {
    host.answer = () => new Response('WEBVTT\n', { headers: { 'content-type': 'text/vtt' } });
    const row = await rowOf(await transcribe('openai/whisper-1', wave(1234), 'vtt'));
    expect(money(row)).toEqual({ nano_usd: 123_400, estimated: 0, units: { millisecond: 1234 } });
  });

  test('is estimated where neither the answer nor the file says how long it is', async () => {
    answer({ text: 'Hi' });
    const row = await rowOf(await transcribe('openai/whisper-1', new Uint8Array(8000)));
    expect(money(row)).toEqual({ nano_usd: 100_000, estimated: 1, units: { millisecond: 1000 } });
  });

  test('by tokens where the model is sold so', async () => {
    answer({
      text: 'Hi',
      usage: {
        type: 'tokens',
        input_tokens: 114,
        input_token_details: { text_tokens: 14, audio_tokens: 100 },
        output_tokens: 10,
        total_tokens: 124,
      },
    });
    const row = await rowOf(await transcribe('openai/gpt-4o-transcribe', wave(10)));
    // 14 × $2.50 + 100 × $6 + 10 × $10, per million
    expect(money(row)).toEqual({ nano_usd: 735_000, estimated: 0, units: {} });
    expect(row).toMatchObject({ input: 114, audio_input: 100, output: 10 });
  });

  test('by tokens that are not told, estimated', async () => {
    answer({ text: 'Hi' });
    const row = await rowOf(await transcribe('openai/gpt-4o-transcribe', wave(10_000)));
    // Ten seconds: 100 tokens heard at $6, 50 written at $10, per million
    expect(row).toMatchObject({
      input: 100,
      audio_input: 100,
      output: 50,
      estimated: 1,
      nano_usd: 1_100_000,
    });
  });
});

describe('speech, by the character', () => {
  const speak = (model: string, input: string, more: object = {}) => {
    host.answer = () => new Response(new Uint8Array(5000), { headers: { 'content-type': 'audio/mpeg' } });
    return gateway.post('/v1/audio/speech', { model, input, voice: 'alloy', ...more });
  };

  test.each([
    ['openai/tts-1', 'Hello', 5, 75_000],
    ['openai/tts-1-hd', 'Hello', 5, 150_000],
    ['openai/tts-1', 'Grüße 🌍', 7, 105_000],
    ['acme/mouth', 'x'.repeat(1000), 1000, 100_000_000],
  ])('%s: %p', async (model, input, character, nano_usd) => {
    const row = await rowOf(await speak(model, input));
    expect(money(row)).toEqual({ nano_usd, estimated: 0, units: { character } });
  });

  test('by tokens where the model is sold so: estimated, for sound does not tell', async () => {
    const row = await rowOf(
      await speak('openai/gpt-4o-mini-tts', 'Hello, world', { instructions: 'Softly.' }),
    );
    expect(row).toMatchObject({ estimated: 1, output: Math.ceil(12 * 1.4) });
    expect(row.nano_usd).toBe(row.input * 600 + row.output * 12_000);
  });
});

describe('images', () => {
  const draw = (model: string, more: object = {}) =>
    gateway.post('/v1/images/generations', { model, prompt: 'A cat', ...more });

  test.each([
    ['openai/dall-e-3', {}, 1, 40_000_000],
    ['openai/dall-e-3', { quality: 'hd', size: '1024x1792' }, 1, 120_000_000],
    ['openai/dall-e-3', { quality: 'standard', size: '1792x1024' }, 2, 160_000_000],
    ['openai/dall-e-2', { size: '256x256' }, 3, 48_000_000],
    ['acme/painter', {}, 1, 50_000_000],
    ['acme/painter', { quality: 'large', size: '9x9' }, 1, 500_000_000],
    ['acme/painter', { quality: 'small', size: '1x1' }, 2, 2_000_000],
  ])('%s %j: %d cost %d nano-dollars', async (model, more, n, nano_usd) => {
    answer({ created: 1, data: Array.from({ length: n }, () => ({ b64_json: 'A'.repeat(50_000) })) });
    const row = await rowOf(await draw(model, { n, ...more }));
    expect(money(row)).toMatchObject({ nano_usd, estimated: 0, units: { image: n } });
  });

  test('that were not made are not paid for', async () => {
    answer({ created: 1, data: [{ url: 'https://x/1' }] });
    expect(money(await rowOf(await draw('openai/dall-e-2', { n: 4 })))).toMatchObject({
      nano_usd: 20_000_000,
    });
  });

  test('by tokens, those of images at their own price', async () => {
    const usage = {
      input_tokens: 350,
      output_tokens: 4160,
      total_tokens: 4510,
      input_tokens_details: { text_tokens: 27, image_tokens: 323 },
    };
    answer({ created: 1, data: [{ b64_json: 'aGk=' }], usage });
    // 27 × $5 + 323 × $10 + 4160 × $40, per million
    expect(money(await rowOf(await draw('openai/gpt-image-1')))).toMatchObject({
      nano_usd: 169_765_000,
      estimated: 0,
    });
    // 27 × $5 + 323 × $8 + 4160 × $32, per million
    expect(money(await rowOf(await draw('openai/gpt-image-1.5')))).toMatchObject({ nano_usd: 135_839_000 });
  });

  test('by tokens and each, where both are sold', async () => {
    answer({ data: [{ url: 'u' }], usage: { input_tokens: 10, output_tokens: 90 } });
    expect(money(await rowOf(await draw('acme/both')))).toMatchObject({ nano_usd: 10_100_000 });
  });

  test('of a stream: each that was completed', async () => {
    const done = (i: number) => ({
      type: 'image_generation.completed',
      b64_json: 'aGk=',
      i,
      quality: 'large',
      size: 'x',
    });
    host.answer = () =>
      new Response([1, 2].map((i) => `data: ${JSON.stringify(done(i))}\n\n`).join(''), {
        headers: { 'content-type': 'text/event-stream' },
      });
    const row = await rowOf(await draw('acme/painter', { stream: true, n: 2 }));
    expect(money(row)).toMatchObject({ nano_usd: 1_000_000_000, estimated: 0, units: { image: 2 } });
  });
});

describe('texts', () => {
  test('embeddings cost their tokens', async () => {
    answer({ data: [{ embedding: [1] }], usage: { prompt_tokens: 1000, total_tokens: 1000 } });
    const response = await gateway.post('/v1/embeddings', {
      model: 'openai/text-embedding-3-small',
      input: 'x',
    });
    expect(response.headers.get('x-sluice-cost-usd')).toBe('0.00002');
    expect(await rowOf(response)).toMatchObject({
      input: 1000,
      output: 0,
      nano_usd: 20_000,
      estimated: 0,
      units: '',
    });
  });

  test('what a host does not count is counted here', async () => {
    answer({ data: [{ embedding: [1] }] });
    const input = ['Hello, world', 'Hello again'];
    const row = await rowOf(
      await gateway.post('/v1/embeddings', { model: 'openai/text-embedding-3-small', input }),
    );
    expect(row).toMatchObject({ input: 6, estimated: 1, nano_usd: 120 });
    const ids = await gateway.post('/v1/embeddings', {
      model: 'openai/text-embedding-3-small',
      input: [[1, 2, 3], [4]],
    });
    expect(await rowOf(ids)).toMatchObject({ input: 4, estimated: 1, nano_usd: 80 });
  });

  test('moderation is free, and known to be', async () => {
    answer({ id: 'm', results: [] });
    const response = await gateway.post('/v1/moderations', {
      model: 'openai/omni-moderation-latest',
      input: 'Hi',
    });
    expect(response.headers.get('x-sluice-cost-usd')).toBe('0');
    expect(await rowOf(response)).toMatchObject({ nano_usd: 0 });
  });

  test.each([
    ['what is billed', { meta: { billed_units: { search_units: 3 } } }, 750_000_000, 0],
    ['else one for every hundred documents', {}, 500_000_000, 1],
  ])('searches: %s', async (_, told, nano_usd, estimated) => {
    answer({ results: [], ...told });
    const documents = Array.from({ length: 101 }, () => 'x');
    const row = await rowOf(await gateway.post('/v1/rerank', { model: 'acme/judge', query: 'q', documents }));
    expect(row).toMatchObject({ nano_usd, estimated });
  });
});

describe('prices', () => {
  test('a price per call holds for everything, and free is free', async () => {
    answer({ results: [] });
    const ask = (model: string) => gateway.post('/v1/rerank', { model, query: 'q', documents: ['x'] });
    expect(await rowOf(await ask('acme/flat'))).toMatchObject({ nano_usd: 125_000_000 });
    expect(await rowOf(await ask('acme/free'))).toMatchObject({ nano_usd: 0 });
  });

  test('in another unit than what was used are no prices: the call is unpriced', async () => {
    answer({ data: [{ embedding: [1] }], usage: { prompt_tokens: 5, total_tokens: 5 } });
    const response = await gateway.post('/v1/embeddings', { model: 'acme/painter', input: 'x' });
    expect(response.headers.get('x-sluice-cost-usd')).toBeNull();
    expect(await rowOf(response)).toMatchObject({ input: 5, nano_usd: null });
    answer({ data: [{ url: 'u' }] });
    expect(
      await rowOf(await gateway.post('/v1/images/generations', { model: 'acme/ear', prompt: 'x' })),
    ).toMatchObject({
      nano_usd: null,
    });
  });

  test('that nobody knows are loud', async () => {
    answer({ text: 'Hi', duration: 2 });
    expect(money(await rowOf(await transcribe('acme/unknown', wave(1))))).toEqual({
      nano_usd: null,
      estimated: 0,
      units: { millisecond: 2000 },
    });
    const usage = await gateway.usage('target');
    expect(usage.find(({ target }) => target === 'acme/unknown')).toMatchObject({
      calls: 1,
      unpriced: 1,
      usd: '0',
    });
  });

  test('usage is told by operation', async () => {
    const rows = await gateway.usage('operation');
    expect(rows.find(({ operation }) => operation === 'speech')).toMatchObject({ usd: '0.1005376' });
    expect(rows.map(({ operation }) => operation)).toContain('transcriptions');
  });
});

describe('limits', () => {
  const poor = { authorization: 'Bearer sk-poor' };

  test('in USD hold what a call may cost before it is sent', async () => {
    const before = host.requests.length;
    const body = { model: 'openai/tts-1', input: 'x'.repeat(4000), voice: 'alloy' };
    const response = await gateway.post('/v1/audio/speech', body, poor);
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ error: { code: 'insufficient_quota' } });
    const images = await gateway.post(
      '/v1/images/generations',
      { model: 'openai/dall-e-3', prompt: 'x' },
      poor,
    );
    expect(images.status).toBe(429);
    expect(host.requests).toHaveLength(before);
  });

  test('in USD let through what is paid, and book it', async () => {
    host.answer = () => new Response(new Uint8Array(10), { headers: { 'content-type': 'audio/mpeg' } });
    const speak = async () => {
      const body = { model: 'openai/tts-1', input: 'x'.repeat(300), voice: 'alloy' };
      const response = await gateway.post('/v1/audio/speech', body, poor);
      await response.arrayBuffer();
      return response.status;
    };
    // 4.5 thousandths each of ten thousandths
    expect([await speak(), await speak(), await speak()]).toEqual([200, 200, 429]);
  });

  test('in USD keep away from what has no price in the unit that is used', async () => {
    for (const model of ['acme/unknown', 'acme/ear', 'acme/mouth']) {
      const response = await gateway.post('/v1/embeddings', { model, input: 'x' }, poor);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: 'model_unpriced' } });
    }
  });

  test('in tokens count those of texts', async () => {
    answer({ data: [{ embedding: [1] }], usage: { prompt_tokens: 80, total_tokens: 80 } });
    const embed = (input: string) =>
      gateway.post('/v1/embeddings', { model: 'acme/free', input }, { authorization: 'Bearer sk-small' });
    expect((await embed('x'.repeat(1000))).status).toBe(429);
    expect((await embed('x')).status).toBe(200);
    expect((await embed('x'.repeat(100))).status).toBe(429);
  });
});

test('what a killed gateway had reserved is in the journal: the operation, the price', async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  host.answer = async () => {
    ask();
    await Bun.sleep(300);
    return Response.json({ data: [{ url: 'u' }] });
  };
  const pending = gateway.openai.images.generate({ model: 'openai/dall-e-3', prompt: 'x', n: 2 });
  await asked;
  const texts = readdirSync(`${gateway.dataDir}/journal`).map((name) =>
    readFileSync(`${gateway.dataDir}/journal/${name}`, 'utf8'),
  );
  expect(texts.join('')).toMatch(/,"images","","[0-9a-f]{12}",0\]\n/);
  expect(texts.join('')).toMatch(/\["d",.*,80000000\]\n/);
  await pending;
});
