/** Realtime sessions: opened by whoever may, held with whoever can, passed on unchanged, and ended in good order. */
import { afterAll, beforeAll, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import OpenAI from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { RealtimeClientEvent } from 'openai/resources/realtime/realtime';
import { acceptKey } from '../../src/wire/websocket/handshake.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway, until } from './gateway.ts';
import {
  Client,
  connectTo,
  knock,
  makeCertificate,
  startTlsFront,
  startUpstream,
  type Upstream,
  usageOf,
} from './realtime-peers.ts';

let mock: FakeProvider;
let upstream: Upstream;
let spare: Upstream;
let gateway: TestGateway;

const bearer = { authorization: `Bearer ${key}` };

beforeAll(async () => {
  mock = await startFakeProvider({ key: 'up' });
  upstream = startUpstream();
  spare = startUpstream();
  gateway = await startGateway(`
body_limit: 256kb
drain: 200ms
providers:
  mock:
  fake: { speaks: openai-chat, url: "${mock.base}", key: up, timeout: { first_byte: 1s, idle: 10s } }
  rt: { speaks: openai-responses, url: "${upstream.url}/v1", key: sk-rt-secret }
  spare: { speaks: openai-chat, url: "${spare.url}/v1", keys: [dead, alive], timeout: { first_byte: 500ms } }
  short: { speaks: openai-chat, url: "${upstream.url}/v1", key: up, timeout: { idle: 1s } }
  brief: { speaks: openai-chat, url: "${upstream.url}/v1", key: up, timeout: { total: 400ms } }
  claude: { speaks: anthropic-messages, url: "${upstream.url}/v1", key: up }
  closed: { speaks: openai-chat, url: "http://127.0.0.1:9/v1", key: up }
  dated: { like: azure, url: "${upstream.url}", key: az, api_version: 2025-04-01-preview }
  undated: { like: azure, url: "${upstream.url}", key: az }
models:
  voice: rt/gpt-realtime
  chain: { fallback: [claude/x, closed/x, fake/status:503, spare/gpt, rt/gpt] }
  keys: spare/keyed
  none: { fallback: [fake/status:503, "fake/status:429,retry_after=7"] }
  slow: { fallback: [spare/slow, rt/gpt] }
  odd: { fallback: [spare/odd, rt/gpt] }
  only-claude: claude/x
prices:
  rt/gpt: { input: 1, output: 1 }
keys:
  - { name: test, key: ${key} }
  - { name: narrow, key: narrow, models: [voice] }
  - { name: one, key: one, limits: [{ concurrency: 1 }] }
  - { name: two, key: two, limits: [{ requests: 2, per: month }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await mock.stop();
  await upstream.stop();
  await spare.stop();
});

beforeEach(() => {
  upstream.refuse = undefined;
  spare.refuse = undefined;
});

const at = (query: string): string => `${gateway.url}/v1/realtime${query}`;
const dial = (model: string, headers: Record<string, string> = bearer) =>
  Client.dial(at(`?model=${encodeURIComponent(model)}`), { headers });
/** A session with `rt`, and the provider's side of it. */
async function hold(model = 'voice', headers: Record<string, string> = bearer) {
  const before = upstream.held.length;
  const client = await dial(model, headers);
  await until(() => upstream.held.length > before);
  return { client, provider: upstream.last() };
}

describe('the official SDK', () => {
  const say: RealtimeClientEvent = {
    type: 'conversation.item.create',
    item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello, gateway' }] },
  };

  test('talks through a browser’s WebSocket, its key among the protocols', async () => {
    const client = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1` });
    const session = new OpenAIRealtimeWebSocket(
      {
        model: 'mock/echo',
        dangerouslyAllowBrowser: true,
        // It knows wss only.
        onURL: (url) => {
          url.protocol = 'ws:';
        },
      },
      client,
    );
    const failed = Promise.withResolvers<never>();
    session.on('error', failed.reject);
    const done = Promise.withResolvers<{ text: string; total: number | undefined }>();
    let text = '';
    session.on('session.created', () => {
      session.send(say);
      session.send({ type: 'response.create' });
    });
    session.on('response.output_text.delta', ({ delta }) => {
      text += delta;
    });
    session.on('response.done', ({ response }) =>
      done.resolve({ text, total: response.usage?.total_tokens }),
    );
    expect(await Promise.race([done.promise, failed.promise])).toEqual({ text: 'Hello, gateway', total: 8 });
    session.close();
  });

  test('talks through a server’s WebSocket, its key in a header', async () => {
    // It knows wss only.
    await using front = await startTlsFront(gateway.url);
    const client = new OpenAI({ apiKey: key, baseURL: `${front.url}/v1` });
    const session = new OpenAIRealtimeWS(
      { model: 'fake/echo', options: { rejectUnauthorized: false } },
      client,
    );
    const done = Promise.withResolvers<string>();
    session.on('error', (error) => done.reject(error));
    session.on('session.created', () => {
      session.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['audio'] } });
      session.send(say);
      session.send({ type: 'response.create' });
    });
    session.on('response.output_audio_transcript.done', ({ transcript }) => done.resolve(transcript));
    expect(await done.promise).toBe('Hello, gateway');
    session.close();
  });
});

describe('a session is opened', () => {
  test.each<[string, Record<string, string>, string, string[] | undefined]>([
    ['a bearer token', bearer, '', undefined],
    ['x-api-key', { 'x-api-key': key }, '', undefined],
    ['the query', {}, `&key=${key}`, undefined],
    ['a protocol', {}, '', ['realtime', `openai-insecure-api-key.${key}`]],
    [
      'a protocol that comes first',
      {},
      '',
      [`openai-insecure-api-key.${key}`, 'realtime', 'openai-beta.realtime-v1'],
    ],
  ])('with the key in %s', async (_, headers, query, protocols) => {
    const options = protocols === undefined ? { headers } : { headers, protocols };
    const client = await Client.dial(at(`?model=mock/echo${query}`), options);
    expect(client.socket.protocol).toBe(protocols === undefined ? '' : 'realtime');
    expect(await client.event('session.created')).toMatchObject({ session: { model: 'echo' } });
    await client.end();
  });

  test('without repeating a key that was offered alone', async () => {
    const offered = { 'sec-websocket-protocol': `openai-insecure-api-key.${key}` };
    const { status, headers } = await knock(gateway.url, '/v1/realtime?model=mock/echo', offered);
    expect(status).toBe(101);
    expect(headers.get('sec-websocket-protocol')).toBeNull();
  });

  test('and says by whom', async () => {
    const { status, headers } = await knock(gateway.url, '/v1/realtime?model=voice', bearer);
    expect(status).toBe(101);
    expect(headers.get('x-sluice-target')).toBe('rt/gpt-realtime');
    expect(headers.get('x-sluice-attempts')).toBe('1');
    expect(headers.get('x-request-id')).toBeString();
  });

  test('with the model and the key of the provider, and nothing else that the client says', async () => {
    const headers = {
      ...bearer,
      'openai-beta': 'realtime=v1',
      'openai-safety-identifier': 'user-1',
      'openai-organization': 'org-x',
      'x-forwarded-host': 'evil.example',
      cookie: 'a=b',
    };
    const query = '?model=voice&call_id=rtc_1&host=evil.example&intent=nothing';
    const client = await Client.dial(at(query), { headers });
    const { path, headers: seen } = upstream.last();
    expect(path).toBe('/v1/realtime?model=gpt-realtime');
    const { host, 'sec-websocket-key': _, ...rest } = Object.fromEntries(seen);
    expect(host).toBe(new URL(upstream.url).host);
    expect(rest).toEqual({
      authorization: 'Bearer sk-rt-secret',
      connection: 'Upgrade',
      'openai-beta': 'realtime=v1',
      'openai-safety-identifier': 'user-1',
      'sec-websocket-version': '13',
      upgrade: 'websocket',
      'user-agent': 'sluice',
    });
    await client.end();
  });

  test('where Azure holds them, with and without a dated version', async () => {
    const dated = await dial('dated/my-voice');
    expect(upstream.last().path).toBe('/openai/realtime?api-version=2025-04-01-preview&deployment=my-voice');
    expect(upstream.last().headers.get('api-key')).toBe('az');
    const undated = await dial('undated/my-voice');
    expect(upstream.last().path).toBe('/openai/v1/realtime?model=my-voice');
    await dated.end();
    await undated.end();
  });

  test('to transcribe only, without a model in the address', async () => {
    const client = await Client.dial(at('?model=rt/gpt-4o-transcribe&intent=transcription'), {
      headers: bearer,
    });
    expect(upstream.last().path).toBe('/v1/realtime?intent=transcription');
    upstream.last().say({
      type: 'session.updated',
      session: { type: 'transcription', audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } } },
    });
    await client.event('session.updated');
    // Which model writes is the client's to say, but not another one than it was let in for.
    upstream.last().say({
      type: 'session.updated',
      session: { type: 'transcription', audio: { input: { transcription: { model: 'whisper-1' } } } },
    });
    expect(await client.event('error')).toMatchObject({ error: { code: 'model_not_allowed' } });
    expect((await client.gone()).code).toBe(1008);
  });
});

describe('a session is refused', () => {
  const refusal = async (query: string, headers: Record<string, string> = bearer) => {
    const { status, body, headers: answered } = await knock(gateway.url, `/v1/realtime${query}`, headers);
    expect(answered.get('x-request-id')).toBeString();
    return { status, ...body.error };
  };

  test.each<[string, string, Record<string, string>, number, string | null, string]>([
    ['without a key', '?model=voice', {}, 401, 'invalid_api_key', 'No API key was sent'],
    [
      'with a wrong key',
      '?model=voice',
      { authorization: 'Bearer nope' },
      401,
      'invalid_api_key',
      'not known here',
    ],
    [
      'a model that the key may not use',
      '?model=mock/echo',
      { authorization: 'Bearer narrow' },
      403,
      'model_not_allowed',
      'may not use',
    ],
    ['an unknown model', '?model=nonsense', bearer, 404, 'model_not_found', 'not known here'],
    ['no model', '', bearer, 400, null, '"model" is missing'],
    ['an empty model', '?model=', bearer, 400, null, '"model" is missing'],
    ['a model that is too long', `?model=${'m'.repeat(300)}`, bearer, 400, null, 'longer than 256'],
    [
      'a provider that does not speak it',
      '?model=only-claude',
      bearer,
      400,
      'unsupported',
      'cannot hold realtime sessions',
    ],
    ['wrong tags', '?model=voice', { ...bearer, 'x-sluice-tags': '=' }, 400, null, 'x-sluice-tags'],
    [
      'a request that is no upgrade',
      '?model=voice',
      { ...bearer, upgrade: 'h2c' },
      426,
      'upgrade_required',
      'WebSocket',
    ],
    [
      'another version of the protocol',
      '?model=voice',
      { ...bearer, 'sec-websocket-version': '8' },
      426,
      'upgrade_required',
      'WebSocket',
    ],
  ])('%s', async (_, query, headers, status, code, message) => {
    // biome-ignore format: a line each
    const refused = await refusal(query, headers);
    expect(refused).toMatchObject({ status, code });
    expect(refused.message).toInclude(message);
  });

  test('when it is asked for in another way', async () => {
    const posted = await fetch(at('?model=voice'), { method: 'POST', headers: bearer, body: '{}' });
    expect(posted.status).toBe(405);
    const got = await fetch(at('?model=voice'), { headers: bearer });
    expect(got.status).toBe(426);
    expect(await got.json()).toMatchObject({ error: { code: 'upgrade_required' } });
  });

  test('a second one, by a key of one call at a time, until the first is over', async () => {
    const one = { authorization: 'Bearer one' };
    const { client } = await hold('voice', one);
    expect(await refusal('?model=voice', one)).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    await client.end();
    const again = await dial('voice', one);
    await again.end();
  });

  test('after as many sessions as a key may have requests, however long they talk', async () => {
    const two = { authorization: 'Bearer two' };
    for (let i = 0; i < 2; i++) {
      const { client, provider } = await hold('rt/gpt', two);
      for (let k = 0; k < 3; k++) provider.answer(usageOf(1, 1));
      await client.event('response.done', 3);
      await client.end();
    }
    expect(await refusal('?model=rt/gpt', two)).toMatchObject({ status: 429 });
  });

  test('when a message to begin with is not well-formed, though all else is', async () => {
    const { status, body } = await knock(gateway.url, '/v1/realtime?model=voice', {
      ...bearer,
      'sec-websocket-key': 'short',
    });
    expect(status).toBe(400);
    expect(body.error.message).toInclude('not well-formed');
    await until(() => upstream.last().closed !== undefined);
  });
});

describe('targets are tried until one holds the session', () => {
  test('past those that cannot, are down, or refuse', async () => {
    let refused = 0;
    spare.refuse = () => {
      refused++;
      return Response.json({ error: { message: 'no such model', code: 'model_not_found' } }, { status: 404 });
    };
    const { status, headers } = await knock(gateway.url, '/v1/realtime?model=chain', {
      ...bearer,
      'x-sluice-session': 'chain',
    });
    expect(status).toBe(101);
    expect(headers.get('x-sluice-target')).toBe('rt/gpt');
    // One that does not speak the language was not even asked.
    expect(headers.get('x-sluice-attempts')).toBe('4');
    expect(refused).toBe(1);
    await until(async () => (await rowsOf('chain')).some(({ final }) => final === 1));
    expect(
      (await rowsOf('chain')).map(({ target, outcome, upstream_status }) => [
        target,
        outcome,
        upstream_status,
      ]),
    ).toEqual([
      ['closed/x', 'upstream_network', 0],
      ['fake/status:503', 'upstream_overloaded', 503],
      ['spare/gpt', 'upstream_not_found', 404],
      ['rt/gpt', 'ok', 101],
    ]);
  });

  test('with the next key where one is dead, which is then set aside', async () => {
    const asked: (string | null)[] = [];
    spare.refuse = (_, headers) => {
      asked.push(headers.get('authorization'));
      return headers.get('authorization') === 'Bearer dead'
        ? Response.json({ error: { message: 'Incorrect API key provided' } }, { status: 401 })
        : undefined;
    };
    for (let i = 0; i < 3; i++) {
      const client = await dial('keys');
      await client.end();
    }
    expect(asked.filter((value) => value === 'Bearer dead')).toHaveLength(1);
    expect(asked.filter((value) => value === 'Bearer alive')).toHaveLength(3);
  });

  test('past one that takes too long', async () => {
    spare.refuse = (model) => (model === 'slow' ? Bun.sleep(2000).then(() => undefined) : undefined);
    const { client, provider } = await hold('slow');
    expect(provider.path).toInclude('model=gpt');
    await client.end();
  });

  test.each(['spare/slow', 'mock/delay:10s'])(
    'until the client leaves, also in the middle of asking %s',
    async (model) => {
      spare.refuse = () => Bun.sleep(2000).then(() => undefined);
      const { port } = new URL(gateway.url);
      const session = `left-${model}`;
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(
        `GET /v1/realtime?model=${model} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\nx-sluice-session: ${session}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      );
      await Bun.sleep(100);
      socket.destroy();
      await until(async () => (await rowsOf(session)).length > 0);
      expect(await rowsOf(session)).toMatchObject([
        { outcome: 'cancelled', final: 1, client_status: 499, nano_usd: 0 },
      ]);
    },
  );

  test.each([
    ['is no WebSocket server', () => new Response('hello')],
    ['leads elsewhere', () => Response.redirect('http://127.0.0.1:1/', 302)],
  ])('past one that %s', async (_, answer) => {
    spare.refuse = (model) => (model === 'odd' ? answer() : undefined);
    const { client } = await hold('odd');
    await client.end();
  });

  test('but none that cannot prove who it is', async () => {
    let asked = 0;
    const server = Bun.serve({
      port: 0,
      tls: makeCertificate(),
      fetch: () => {
        asked++;
        return new Response('hello');
      },
    });
    const own = await startGateway(
      `providers: { untrusted: { speaks: openai-chat, url: "https://localhost:${server.port}/v1", key: up } }`,
    );
    const { status, body } = await knock(own.url, '/v1/realtime?model=untrusted/m', bearer);
    expect(status).toBe(502);
    expect(body.error.message).toInclude('could not prove who it is');
    expect(asked).toBe(0);
    await own.stop();
    await server.stop(true);
  });

  test('and what the last one said is the answer where none does', async () => {
    const { status, headers, body } = await knock(gateway.url, '/v1/realtime?model=none', bearer);
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('7');
    expect(headers.get('x-sluice-attempts')).toBe('2');
    expect(body.error.code).toBe('rate_limit_exceeded');
  });

  test('but a provider that refuses our key is not the client’s business', async () => {
    upstream.refuse = () =>
      Response.json({ error: { message: 'Incorrect API key: sk-rt-secret' } }, { status: 401 });
    const { status, body } = await knock(gateway.url, '/v1/realtime?model=voice', bearer);
    expect(status).toBe(502);
    expect(JSON.stringify(body)).not.toInclude('sk-rt-secret');
  });
});

async function rowsOf(session: string) {
  return (await gateway.attempts()).filter((row) => row.session === session);
}

describe('messages pass', () => {
  const odd = [
    '{"type":"x","big":12345678901234567890,"dup":1,"dup":2, "s":"\\u00e9 é 👋"}',
    '',
    'no JSON at all',
    `{"type":"input_audio_buffer.append","audio":"${'A'.repeat(100_000)}"}`,
  ];

  test('unchanged and in their order, both ways', async () => {
    const { client, provider } = await hold();
    const all = [...odd, ...Array.from({ length: 300 }, (_, i) => `{"type":"n","i":${i}}`)];
    const bytes = crypto.getRandomValues(new Uint8Array(5000));
    for (const text of all) {
      client.send(text);
      provider.say(text);
    }
    client.send(bytes);
    provider.say(bytes);
    await until(() => provider.heard.length > all.length && client.heard.length > all.length);
    for (const heard of [provider.heard, client.heard]) {
      expect(heard.slice(0, -1)).toEqual(all);
      expect(Buffer.from(heard.at(-1) as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
    }
    await client.end();
  });

  test('with pings, which each side gets an answer to', async () => {
    const { client, provider } = await hold();
    let pongs = 0;
    client.socket.addEventListener('pong', () => void pongs++);
    (client.socket as unknown as { ping(data: string): void }).ping('hey');
    provider.socket.ping('ho');
    await until(() => provider.pings === 1 && client.pings === 1 && pongs === 1);
    await client.end();
  });

  test.each([
    [4001, 'enough', { code: 4001, reason: 'enough' }],
    [1000, '', { code: 1000, reason: '' }],
  ])('and so does a good-bye of the client: %p', async (code, reason, expected) => {
    const { client, provider } = await hold();
    await client.end(code, reason);
    await until(() => provider.closed !== undefined);
    expect(provider.closed).toEqual(expected);
  });

  test('and so does a good-bye of the provider', async () => {
    const { client, provider } = await hold();
    provider.socket.close(4002, 'session_expired');
    expect(await client.gone()).toEqual({ code: 4002, reason: 'session_expired' });
  });

  test('as long as they are not too large: one of the client’s ends the session', async () => {
    const { client, provider } = await hold();
    client.send('x'.repeat(300_000));
    expect((await client.gone()).code).toBe(1009);
    await until(() => provider.closed !== undefined);
    expect(provider.heard).toEqual([]);
  });

  test('nor one of the provider’s, of which the client is told', async () => {
    const { client, provider } = await hold();
    provider.say('x'.repeat(300_000));
    const { error } = (await client.event('error')) as unknown as { error: { message: string } };
    expect(error.message).toInclude('larger than 262144 bytes');
    expect((await client.gone()).code).toBe(1011);
    await until(() => provider.closed?.code === 1009);
  });
});

describe('nobody is waited for without bounds', () => {
  test('a client that does not read makes the provider wait, and misses nothing', async () => {
    // Bun's client reads whatever comes: this one is slow.
    const { port } = new URL(gateway.url);
    const before = upstream.held.length;
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      `GET /v1/realtime?model=voice HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    await new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.pause();
    await until(() => upstream.held.length > before);
    const slow = upstream.last();
    const messages = 1500;
    const one = 'y'.repeat(99_996);
    for (let i = 0; i < messages; i++) slow.say(String(i).padStart(4, '0') + one);
    await Bun.sleep(300);
    // What the provider cannot get rid of waits there: the gateway holds a few megabytes of 150.
    const waiting = slow.socket.getBufferedAmount();
    expect(waiting).toBeGreaterThan(messages * 100_000 - 16_000_000);
    let size = 0;
    const numbers: string[] = [];
    let rest = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      size += bytes.length;
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 10 + 100_000) {
        numbers.push(rest.subarray(10, 14).toString());
        rest = rest.subarray(10 + 100_000);
      }
    });
    socket.resume();
    await until(() => numbers.length === messages);
    expect(numbers).toEqual(Array.from({ length: messages }, (_, i) => String(i).padStart(4, '0')));
    expect(size).toBe(messages * (100_000 + 10));
    socket.destroy();
    await until(() => slow.closed !== undefined);
  }, 30_000);

  test('a provider that does not read is left, and the client is told to try again', async () => {
    const stuck = await startStuckProvider();
    const own = await startGateway(`
body_limit: 1mb
providers: { stuck: { speaks: openai-chat, url: "${stuck.url}/v1", key: up } }
`);
    const client = await Client.dial(`${own.url}/v1/realtime?model=stuck/m`, { headers: bearer });
    for (let i = 0; i < 60 && client.closed === undefined; i++) {
      client.send('z'.repeat(900_000));
      await Bun.sleep(1);
    }
    expect(await client.event('error')).toMatchObject({ error: { code: 'overloaded' } });
    expect((await client.gone()).code).toBe(1013);
    await own.stop();
    stuck.stop();
  }, 20_000);

  test('silence on both sides ends a session', async () => {
    const { client, provider } = await hold('short/m', { ...bearer, 'x-sluice-session': 'silent' });
    for (let i = 0; i < 4; i++) {
      await Bun.sleep(400);
      if (i % 2 === 0) client.send('{"type":"still.here"}');
      else provider.socket.ping();
    }
    expect(client.closed).toBeUndefined();
    expect(await client.event('error')).toMatchObject({ error: { code: 'timeout' } });
    expect((await client.gone()).code).toBe(1011);
    await until(() => provider.closed !== undefined);
    // Nobody's fault: nothing was under way.
    expect((await rowsOf('silent')).map(({ outcome, final }) => [outcome, final])).toEqual([['ok', 1]]);
  });

  test('and so does its time', async () => {
    const { client } = await hold('brief/m');
    const chatter = setInterval(() => client.send('{"type":"still.here"}'), 50);
    const { error } = (await client.event('error')) as unknown as { error: { message: string } };
    clearInterval(chatter);
    expect(error.message).toInclude('as long as sessions may');
  });
});

/** Opens sessions and reads nothing from then on. */
async function startStuckProvider(): Promise<{ url: string; stop(): void }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('data', (bytes) => {
      const asked = /sec-websocket-key: (\S+)/i.exec(bytes.toString())?.[1] ?? '';
      socket.pause();
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${acceptKey(asked)}\r\n\r\n`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('what cannot be written down is not passed on, and ends the session', async () => {
  const { client, provider } = await hold('rt/gpt', { ...bearer, 'x-sluice-session': 'unwritten' });
  provider.say('{"type":"fine"}');
  await client.event('fine');
  const { journal } = gateway.app.gateway;
  const full = spyOn(journal, 'dispatched').mockImplementation(() => {
    throw new Error('no space left on device');
  });
  provider.answer(usageOf(100, 50));
  expect(await client.event('error')).toMatchObject({ error: { code: 'unavailable' } });
  expect((await client.gone()).code).toBe(1011);
  full.mockRestore();
  expect(client.events.map(({ type }) => type)).toEqual(['fine', 'response.created', 'error']);
  // The answer that was given is the last attempt, and charged.
  await until(async () => (await rowsOf('unwritten')).length > 0);
  expect(await rowsOf('unwritten')).toMatchObject([
    { final: 1, outcome: 'ok', input: 100, nano_usd: 150_000 },
  ]);
});

describe('a gateway that is to stop', () => {
  test('opens no session any more, and closes those that are open when its time is over', async () => {
    const own = await startGateway(`
drain: 1s
providers: { rt: { speaks: openai-chat, url: "${upstream.url}/v1", key: up } }
`);
    const url = `${own.url}/v1/realtime?model=rt/gpt`;
    const client = await Client.dial(url, { headers: { ...bearer, 'x-sluice-session': 'drained' } });
    await until(() => upstream.last().path === '/v1/realtime?model=gpt');
    const provider = upstream.last();
    const kept = connectTo(own.url);
    await once(kept, 'connect');
    const stopped = own.app.stop();
    await expect(fetch(`${own.url}/healthz`)).rejects.toThrow();
    const { status, body } = await knock(own.url, '/v1/realtime?model=rt/gpt', bearer, kept);
    expect([status, body.error.code]).toEqual([503, 'draining']);
    client.send('{"type":"still.talking"}');
    await until(() => provider.heard.length === 1);
    expect(client.closed).toBeUndefined();
    expect(await client.event('error')).toMatchObject({ error: { code: 'draining' } });
    expect((await client.gone()).code).toBe(1012);
    await stopped;
    await until(() => provider.closed !== undefined);
  });
});
