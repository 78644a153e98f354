/** Whatever clients and providers do, every call ends: nothing stays in flight, nothing stays held, nothing dies. */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { forced, key, relayOnly, startGateway, type TestGateway, until } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
/** A provider of a few bytes, written by each test. */
let raw: ReturnType<typeof startRaw>;

function startRaw() {
  const state: { answer: (socket: import('bun').Socket<undefined>) => void; asked: number } = {
    answer: () => {},
    asked: 0,
  };
  const server = Bun.listen<undefined>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, bytes) {
        if (Buffer.from(bytes).includes('POST ')) state.asked++;
        state.answer(socket);
      },
    },
  });
  return { state, server, base: `http://127.0.0.1:${server.port}/v1` };
}

beforeAll(async () => {
  provider = await startFakeProvider();
  raw = startRaw();
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
  raw: { speaks: openai-chat, url: "${raw.base}", key: up, timeout: { first_byte: 5s, idle: 1s } }
prices:
  raw/priced: { input: 10000, output: 10000 }
keys:
  - { name: test, key: ${key} }
  - { name: small, key: small, limits: [{ tokens: 2000, per: day }] }
  - { name: poor, key: poor, limits: [{ usd: 5, per: day }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  raw.server.stop(true);
  await provider.stop();
});

afterEach(() => until(() => gateway.app.gateway.inflight.count === 0));

interface Answer {
  choices?: { message: { content: string } }[];
  error?: { message: string };
}

const odd = [{ role: 'weird', content: 'x' }];
const hello = [{ role: 'user', content: 'Hello' }];
const events = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n';
const chunk = (data: unknown) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
const delta = (content: string, finish: string | null = null) => ({
  choices: [{ index: 0, delta: { content }, finish_reason: finish }],
});

/** Sends a request over a bare socket. */
async function connect(body: string | Uint8Array, headers = ''): Promise<import('bun').Socket<undefined>> {
  const { host, hostname, port } = new URL(gateway.url);
  const socket = await Bun.connect({ hostname, port: Number(port), socket: { data() {} } });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${key}\r\n${headers}` +
      `content-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  return socket;
}

relayOnly('a client that leaves in the middle of a stream that only its provider understands', async () => {
  raw.state.answer = (socket) => void socket.write(events + chunk(delta('Hi')));
  const socket = await connect(JSON.stringify({ model: 'raw/x', stream: true, messages: odd }));
  await until(() => gateway.app.gateway.inflight.count === 1);
  await Bun.sleep(50);
  socket.terminate();
  await until(() => gateway.app.gateway.inflight.count === 0);
  const rows = (await gateway.attempts()).filter((row) => row.target === 'raw/x');
  expect(rows).toMatchObject([{ outcome: 'cancelled', final: 1, estimated: 1 }]);
  expect(rows[0]!.input).toBeGreaterThan(0);
});

relayOnly('an answer without usage to a request only its provider understands', async () => {
  raw.state.answer = (socket) => {
    const body = JSON.stringify({
      choices: [{ index: 0, message: { role: 'assistant', content: 'Yes, sir' } }],
    });
    socket.write(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  };
  const answer = await gateway.post('/v1/chat/completions', { model: 'raw/y', messages: odd });
  expect(answer.status).toBe(200);
  expect(((await answer.json()) as Answer).choices?.[0]?.message.content).toBe('Yes, sir');
  expect((await gateway.attempts()).filter((row) => row.target === 'raw/y')).toMatchObject([
    { outcome: 'ok', estimated: 1 },
  ]);
});

test('more losses than a header or a journal could bear', async () => {
  const content = Array.from({ length: 60_000 }, () => ({
    type: 'text',
    text: 'x',
    cache_control: { type: 'ephemeral' },
  }));
  const answer = await gateway.post('/v1/messages', {
    model: 'oa/echo',
    max_tokens: 10,
    messages: [{ role: 'user', content }],
  });
  if (!forced) expect(answer.headers.get('x-sluice-lost')).toInclude('more');
  await answer.text();
  const next = await gateway.post('/v1/chat/completions', { model: 'oa/echo', messages: hello });
  expect(next.status).toBe(200);
});

test.each([1e15, 1e300])('usage beyond all reason (%p)', async (tokens) => {
  const usage = { prompt_tokens: tokens, completion_tokens: tokens, total_tokens: tokens };
  raw.state.answer = (socket) => {
    socket.write(events + chunk(delta('Hi', 'stop')) + chunk({ choices: [], usage }) + chunk('[DONE]'));
    socket.end();
  };
  const answer = await gateway.post('/v1/chat/completions', {
    model: 'raw/priced',
    stream: true,
    messages: hello,
  });
  expect(await answer.text()).toEndWith('data: [DONE]\n\n');
  const row = (await gateway.attempts()).filter((each) => each.target === 'raw/priced').at(-1)!;
  expect(row).toMatchObject({ outcome: 'ok', final: 1 });
  expect(Number.isSafeInteger(row.nano_usd)).toBe(true);
});

test('a client that leaves while its request is still being read', async () => {
  const before = provider.requests.length;
  const big = gzipSync(
    JSON.stringify({
      model: 'oa/echo',
      stream: true,
      messages: [{ role: 'user', content: 'x'.repeat(2e7) }],
    }),
  );
  const socket = await connect(big, 'content-encoding: gzip\r\n');
  await until(() => gateway.app.gateway.inflight.count === 1);
  socket.terminate();
  await until(() => gateway.app.gateway.inflight.count === 0);
  expect(provider.requests.length).toBe(before);
});

test('a provider that says its last word and then nothing, or breaks off', async () => {
  for (const after of ['silence', 'reset']) {
    raw.state.answer = (socket) => {
      socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n' +
          [delta('Hi'), delta('', 'stop'), '[DONE]']
            .map((each) => chunk(each))
            .map((text) => `${text.length.toString(16)}\r\n${text}\r\n`)
            .join(''),
      );
      socket.flush();
      if (after === 'reset') setTimeout(() => socket.terminate(), 20);
    };
    const answer = await gateway.post('/v1/chat/completions', {
      model: 'raw/z',
      stream: true,
      messages: hello,
    });
    const text = await answer.text();
    expect(text).toEndWith('data: [DONE]\n\n');
    expect(text).not.toInclude('error');
  }
});

test('a call that a closed connection swallowed is made again, and both are written down', async () => {
  const whole = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 92\r\n\r\n';
  const body = JSON.stringify({
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  });
  let answers = 0;
  raw.state.answer = (socket) => {
    if (++answers === 2) socket.terminate();
    else socket.write(whole.replace('92', String(body.length)) + body);
  };
  const asked = raw.state.asked;
  for (const attempts of ['1', '2']) {
    const answer = await gateway.post('/v1/chat/completions', { model: 'raw/again', messages: hello });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-sluice-attempts')).toBe(attempts);
    await answer.text();
  }
  expect(raw.state.asked - asked).toBe(3);
  expect(
    (await gateway.attempts()).filter((row) => row.target === 'raw/again').map((row) => row.outcome),
  ).toEqual(['ok', 'upstream_stale', 'ok']);
});

test('a client that reads slowly is not taken for a provider that is silent', async () => {
  const text = 'y'.repeat(16 * 1024);
  raw.state.answer = (socket) => {
    let sent = 0;
    const piece = Buffer.from(chunk(delta(text)));
    const pour = () => {
      while (sent < 400) {
        sent++;
        if (socket.write(piece) < piece.length) return void setTimeout(pour, 5);
      }
      socket.write(chunk(delta('', 'stop')) + chunk('[DONE]'));
      socket.end();
    };
    socket.write(events);
    pour();
  };
  const answer = await gateway.post('/v1/chat/completions', {
    model: 'raw/slow',
    stream: true,
    messages: hello,
  });
  const reader = answer.body!.getReader();
  await reader.read();
  await Bun.sleep(1500);
  let last = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    last = (last + new TextDecoder().decode(part.value)).slice(-200);
  }
  expect(last).not.toInclude('kept the gateway waiting');
}, 20_000);

test('a stream of comments without end', async () => {
  raw.state.answer = (socket) => {
    socket.write(events);
    for (let i = 0; i < 40; i++) socket.write(`: ${'z'.repeat(64 * 1024)}\n\n`);
  };
  const answer = await gateway.post('/v1/chat/completions', {
    model: 'raw/noise',
    stream: true,
    messages: hello,
  });
  expect(answer.status).toBe(502);
});

test.each([
  ['the larger of two limits counts', '"max_tokens":1,"max_completion_tokens":500000'],
  ['also where one is written twice', '"max_tokens":1,"max_tokens":500000'],
  ['as often as answers are wanted', '"max_tokens":100,"n":100'],
])('%s', async (_what, members) => {
  const body = `{"model":"oa/echo","messages":${JSON.stringify(hello)},${members}}`;
  const answer = await gateway.post('/v1/chat/completions', body, { authorization: 'Bearer small' });
  expect(answer.status).toBe(429);
});

test('a limit no model has is a mistake of the request', async () => {
  const answer = await gateway.post('/v1/chat/completions', {
    model: 'oa/echo',
    messages: hello,
    max_tokens: 1e15,
  });
  expect(answer.status).toBe(400);
});

test('what has no price is not called on a budget', async () => {
  const answer = await gateway.post(
    '/v1/chat/completions',
    { model: 'oa/echo', messages: hello },
    { authorization: 'Bearer poor' },
  );
  expect(answer.status).toBe(400);
  expect(((await answer.json()) as Answer).error?.message).toInclude('No price is known for oa/echo');
});

test.each([
  ['/v1/messages', 'an', '"max_tokens":10,"messages":MESSAGES'],
  ['/v1/chat/completions', 'oa', '"messages":MESSAGES'],
  ['/v1/responses', 'oa', '"input":"Hello"'],
])('%s: another model cannot be had by a member named like the prototype', async (path, host, members) => {
  // Thoughts that nobody has signed have the request written anew, member by member.
  const thoughts = '{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""}]},';
  const messages = `[{"role":"user","content":"x"},${host === 'an' ? thoughts : ''}{"role":"user","content":"y"}]`;
  const hidden = '"__proto__":{"model":"dear","max_tokens":99999,"max_completion_tokens":99999}';
  const body = `{"model":"${host}/echo","unknown":1,${hidden},${members.replace('MESSAGES', messages)}}`;
  const answer = await gateway.post(path, body);
  await answer.text();
  expect(answer.status).toBe(200);
  const sent = provider.requests.at(-1)!;
  expect(sent.model).toBe('echo');
  expect(sent.body?.max_tokens ?? sent.body?.max_completion_tokens ?? 10).toBe(10);
});

relayOnly(
  "what a refusal tells of the provider's account stays here, the rest passes as it was",
  async () => {
    const refusal = (organisation: string, address: string) => ({
      error: {
        message: `Quota of ${organisation} at ${address} reached; "quoted" \\ \n words.`,
        type: 'invalid_request_error',
        param: null,
        code: 'odd_code',
      },
      more: { kept: 1 },
    });
    raw.state.answer = (socket) => {
      const body = JSON.stringify(refusal('org-AbCdEf0123456789', 'http://10.1.2.3:8080/v1'));
      socket.end(
        `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    };
    const answer = await gateway.post('/v1/chat/completions', { model: 'raw/told', messages: hello });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual(refusal('[redacted]', '[internal address]'));
  },
);

test.each(['Model', 'MODEL', 'mod\\u0045l'])(
  'a second model, as %s, is a mistake of the request',
  async (name) => {
    for (const path of ['/v1/chat/completions', '/v1/messages']) {
      const asked = provider.requests.length;
      const body = `{"model":"oa/echo","${name}":"dear","max_tokens":9,"messages":${JSON.stringify(hello)}}`;
      expect((await gateway.post(path, body)).status).toBe(400);
      expect(provider.requests.length).toBe(asked);
    }
  },
);
