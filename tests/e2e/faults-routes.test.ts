/** Faults that depend on more than one answer: on the route, on time, on what was asked, on what came before. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { JsonObject } from '../../src/core/json.ts';
import { Deadlines } from '../../src/gateway/deadlines.ts';
import {
  type FaultyProvider,
  failureOf,
  partsOf,
  refusalOf,
  type Spoken,
  said,
  spoken,
  startFaultyProvider,
  type Visit,
  wholeOf,
  words,
} from '../faulty-provider.ts';
import type { Way } from './fault-table.ts';
import { type AttemptRow, startGateway, type TestGateway } from './gateway.ts';
import { type Heard, listen } from './hearing.ts';

const ways = ['whole', 'streamed'] as const;
/** Every client, both ways, with a provider of its dialect and with one of another. */
const all = spoken.flatMap((client) =>
  ways.flatMap((way) => spoken.slice(0, 2).map((speaks) => [client, way, speaks] as const)),
);
const secret = 'sk-proj-abcdefghijklmnopqrstuvwxyz0123456789';
const answerType = (visit: Visit): string => (visit.stream ? 'text/event-stream' : 'application/json');

function answerBytes(visit: Visit): Buffer {
  const { opening, pieces, rest } = partsOf(visit.dialect, words);
  return Buffer.from(
    visit.stream ? [...opening, ...pieces, ...rest].join('') : JSON.stringify(wholeOf(visit.dialect, said)),
  );
}

const encoders: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};

const refuse = (visit: Visit, status: number, type: string, headers: Record<string, string> = {}): void =>
  visit.answer(status, refusalOf(visit.dialect, status, type, 'It does not work just now.'), headers);

/** A whole answer or a stream that says nothing and has ended as told. */
function silence(visit: Visit, stop: 'stop' | 'length' | 'content_filter'): void {
  const reasons: Readonly<Record<string, string>> = {
    stop: 'stop',
    length: 'length',
    content_filter: 'content_filter',
  };
  const choice = { index: 0, finish_reason: reasons[stop]!, logprobs: null };
  const usage = { prompt_tokens: 7, completion_tokens: 0, total_tokens: 7 };
  const shell = { id: 'answer-1', created: 1, model: 'm', usage };
  if (!visit.stream) {
    const message = { role: 'assistant', content: '' };
    visit.answer(200, { ...shell, object: 'chat.completion', choices: [{ ...choice, message }] });
    return;
  }
  const chunk = {
    ...shell,
    object: 'chat.completion.chunk',
    choices: [{ ...choice, delta: { role: 'assistant' } }],
  };
  visit.events();
  visit.chunk(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
  visit.end();
}

let turns = 0;
const plays: Readonly<Record<string, (visit: Visit) => void | Promise<void>>> = {
  mute: () => {},
  late: (visit) => {
    visit.events();
    void visit.keepOn(50, () => visit.chunk(': keep-alive\n\n'));
  },
  endless: async (visit) => {
    const { opening, pieces } = partsOf(visit.dialect, words);
    visit.events();
    visit.chunk(opening.join(''));
    await visit.keepOn(20, () => visit.chunk(pieces.at(-1)!));
  },
  seconds: (visit) => refuse(visit, 429, 'rate_limit_error', { 'retry-after': '30' }),
  date: (visit) =>
    refuse(visit, 429, 'rate_limit_error', { 'retry-after': new Date(Date.now() + 600_000).toUTCString() }),
  absent: (visit) => refuse(visit, 429, 'rate_limit_error'),
  'gpt-4': (visit) => refuse(visit, 400, 'context_length_exceeded'),
  'gpt-4-0613': (visit) => refuse(visit, 400, 'context_length_exceeded'),
  filter: (visit) => refuse(visit, 400, 'content_filter'),
  filtered: (visit) => silence(visit, 'content_filter'),
  silent: (visit) => silence(visit, 'stop'),
  used_up: (visit) => silence(visit, 'length'),
  queued: (visit) => visit.answer(200, { ...wholeOf(visit.dialect, ''), status: 'queued' }),
  one: (visit) => refuse(visit, 500, 'server_error'),
  two: (visit) => visit.reset(),
  three: (visit) => refuse(visit, 503, 'server_error'),
  flapping: (visit) => (++turns % 2 === 1 ? refuse(visit, 503, 'server_error') : visit.fine()),
  telling: async (visit) => {
    const { opening, pieces } = partsOf(visit.dialect, words.slice(0, 9));
    visit.events();
    visit.chunk([...opening, ...pieces].join(''));
    await visit.shown;
    visit.chunk(failureOf(visit.dialect, `The key ${secret} is spent.`));
    visit.end();
  },
  /** Fine words, one at a time: a frame a second by the clock of the test. */
  trickle: async (visit) => {
    const { opening, pieces } = partsOf(visit.dialect, words);
    visit.events();
    visit.chunk(opening.join(''));
    await visit.keepOn(50, () => visit.chunk(pieces.at(-1)!));
  },
  /** Many at a time, for as long as three windows of it last. */
  flow: async (visit) => {
    const { opening, pieces, rest } = partsOf(visit.dialect, words);
    visit.events();
    visit.chunk(opening.join(''));
    for (let i = 0; i < 30; i++) {
      visit.chunk(pieces.at(-1)!.repeat(100));
      await Bun.sleep(50);
    }
    visit.chunk(rest.join(''));
    visit.end();
  },
  ...Object.fromEntries(
    Object.entries(encoders).map(([name, encode]) => [
      name,
      (visit: Visit) =>
        visit.answer(200, encode(answerBytes(visit)), {
          'content-type': answerType(visit),
          'content-encoding': name,
        }),
    ]),
  ),
};

/** Targets of its own for each client: how often they have failed before is no matter of the others. */
const downFor = (name: Spoken): string[] => [
  `openai-chat/one~${name}`,
  `good/two~${name}`,
  `openai-chat/three~${name}`,
];

let provider: FaultyProvider;
let gateway: TestGateway;
let slow: TestGateway;
let mute: Server;

beforeAll(async () => {
  provider = await startFaultyProvider((visit) => {
    const play = plays[visit.model.split('~')[0]!];
    if (play === undefined) visit.fine();
    else void play(visit);
  });
  mute = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as { port: number };
  const url = JSON.stringify(provider.base);
  const own = (speaks: string) => `{ speaks: ${speaks}, url: ${url}, key: up }`;
  gateway = await startGateway(`
providers:
  openai-chat: ${own('openai-chat')}
  anthropic-messages: ${own('anthropic-messages')}
  responses: ${own('openai-responses')}
  good: ${own(`[${spoken.join(', ')}]`)}
  sized: { like: openai, speaks: openai-chat, url: ${url}, key: up }
  hung: { speaks: openai-chat, url: "https://127.0.0.1:${port}/v1", key: up }
  s: ${own('openai-chat')}
  d: ${own('openai-chat')}
  a: ${own('openai-chat')}
models:
  hurried: { fallback: [openai-chat/mute, good/fine], timeout: { first_byte: 400ms } }
  impatient: { fallback: [{ fallback: [openai-chat/late], timeout: { first_byte: 400ms } }, good/fine] }
  connecting: { fallback: [hung/m, good/fine], timeout: { connect: 400ms } }
  finite: { fallback: [openai-chat/endless], timeout: { total: 500ms } }
  larger: { fallback: [sized/gpt-4, sized/gpt-4-0613, sized/gpt-4.1, good/fine] }
  no_larger: { fallback: [sized/gpt-4, sized/gpt-4-0613] }
  filter: { fallback: [openai-chat/filter, good/fine] }
  filter_on: { fallback: [openai-chat/filter, good/fine], on: [content_filter] }
  filtered: { fallback: [openai-chat/filtered, good/fine] }
  filtered_on: { fallback: [openai-chat/filtered, good/fine], on: [content_filter] }
  silent: { fallback: [openai-chat/silent, good/fine] }
  used_up: { fallback: [openai-chat/used_up, good/fine] }
  queued: { fallback: [responses/queued, good/fine] }
${spoken.map((name) => `  down_${name}: { fallback: [${downFor(name).join(', ')}] }`).join('\n')}
  flapping: { fallback: [anthropic-messages/flapping, good/fine] }
prices:
${spoken
  .flatMap(downFor)
  .map((id) => `  ${id}: { input: 1, output: 1 }`)
  .join('\n')}
`);
  slow = await startGateway(`
providers:
${spoken.map((name) => `  ${name}: { speaks: ${name}, url: ${url}, key: up, timeout: { min_rate: 1000 } }`).join('\n')}
`);
  // Twenty seconds of it pass in one: what takes ten is over in half a second.
  slow.app.gateway.deadlines = new Deadlines(() => performance.now() * 20);
});

afterAll(async () => {
  await Promise.all([gateway.stop(), slow.stop()]);
  provider.stop();
  mute.close();
});

const ask = (client: Spoken, way: Way, model: string, members?: JsonObject, at = gateway): Promise<Heard> =>
  listen(at, provider, client, way, model, members);

async function rowsOf({ headers }: Heard, at = gateway): Promise<AttemptRow[]> {
  const rows = await at.attemptsOf(headers.get('x-request-id'));
  return rows.filter(({ outcome }) => outcome !== 'upstream_stale');
}

const fine = { status: 200, text: said, ended: true, error: undefined };

describe('a compressed answer nobody asked for', () => {
  test.concurrent.each(Object.keys(encoders))('is read: %s', async (encoding) => {
    for (const [client, way, speaks] of all)
      expect([client, way, await ask(client, way, `${speaks}/${encoding}`)]).toMatchObject([
        client,
        way,
        fine,
      ]);
  });
});

describe('time-outs of a route', () => {
  test.concurrent.each(['hurried', 'impatient', 'connecting'])('hold for its targets: %s', async (model) => {
    const heard = await Promise.all(spoken.map((client) => ask(client, 'streamed', model)));
    for (const each of heard) {
      expect(each).toMatchObject(fine);
      expect((await rowsOf(each)).map(({ outcome }) => outcome)).toEqual(['upstream_timeout', 'ok']);
    }
  });

  test.concurrent('end an answer that has no end', async () => {
    for (const client of spoken) {
      const heard = await ask(client, 'streamed', 'finite');
      expect(heard).toMatchObject({ status: 200, ended: false });
      expect(heard.text).not.toBe('');
      expect(heard.error).toMatch(/kept the gateway waiting/);
      expect((await rowsOf(heard)).map(({ outcome }) => outcome)).toEqual(['upstream_timeout']);
    }
  });
});

describe('a stream below the least rate', () => {
  test.concurrent.each(spoken)('is cut: %s', async (client) => {
    for (const speaks of [client, client === 'openai-chat' ? 'gemini' : 'openai-chat'] as const) {
      const heard = await ask(client, 'streamed', `${speaks}/trickle`, {}, slow);
      expect(heard).toMatchObject({ status: 200, ended: false });
      expect(heard.text).not.toBe('');
      expect(heard.error).toMatch(/bytes in 10 s/);
      expect((await rowsOf(heard, slow)).map(({ outcome }) => outcome)).toEqual(['upstream_timeout']);
    }
  });

  test.concurrent.each(spoken)('is told from one that flows: %s', async (client) => {
    expect(await ask(client, 'streamed', `${client}/flow`, {}, slow)).toMatchObject({
      ended: true,
      error: undefined,
    });
  });
});

describe('a rate limit', () => {
  test.each([
    ['s/seconds', 25, 31],
    ['d/date', 590, 602],
    ['a/absent', 1, 61],
  ] as const)('sets the key aside for as long as it says: %s', async (model, untilS, fromS) => {
    const route = gateway.app.gateway.snapshot().resolve(model)!;
    const isHealthy = (inS: number) =>
      route.type === 'target' && gateway.app.gateway.sight.isHealthy(route.target, Date.now() + inS * 1000);
    expect(isHealthy(0)).toBe(true);
    const heard = await ask('openai-chat', 'whole', model);
    expect(heard.status).toBe(429);
    if (model !== 'a/absent') expect(Number(heard.headers.get('retry-after'))).toBeGreaterThan(untilS);
    expect([isHealthy(0), isHealthy(untilS), isHealthy(fromS)]).toEqual([false, false, true]);
  });
});

describe('a prompt that is too long', () => {
  test.each(all)('goes to the next model that is larger: %s, %s (%s)', async (client, way) => {
    const heard = await ask(client, way, 'larger');
    expect(heard).toMatchObject(fine);
    expect((await rowsOf(heard)).map(({ target, outcome }) => [target, outcome])).toEqual([
      ['sized/gpt-4', 'context_length'],
      ['sized/gpt-4.1', 'ok'],
    ]);
  });

  test('is refused where none is', async () => {
    const heard = await ask('anthropic-messages', 'whole', 'no_larger');
    expect(heard).toMatchObject({ status: 400 });
    expect(heard.error).toMatch(/prompt is too long/);
    expect(await rowsOf(heard)).toHaveLength(1);
  });
});

describe('what a provider will not say', () => {
  test.each(all)('moves a call only where the route says so: %s, %s (%s)', async (client, way) => {
    const refused = await ask(client, way, 'filter');
    expect(refused.status).toBe(400);
    expect((await rowsOf(refused)).map(({ outcome }) => outcome)).toEqual(['upstream_content_filter']);
    expect(await ask(client, way, 'filtered')).toMatchObject({ status: 200, text: '', error: undefined });
    for (const model of ['filter_on', 'filtered_on']) {
      const heard = await ask(client, way, model);
      expect(heard).toMatchObject(fine);
      const outcomes = (await rowsOf(heard)).map(({ outcome }) => outcome);
      expect(outcomes).toEqual(['upstream_content_filter', 'ok']);
    }
  });
});

describe('an answer without a word', () => {
  const user = { role: 'user', content: 'call-0' };
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
  const result = { role: 'tool', tool_call_id: 'c', content: 'done' };
  const asked = { role: 'assistant', content: null, tool_calls: [call] };
  test.each(ways)('may be meant (%s)', async (way) => {
    const quiet = { status: 200, text: '', error: undefined, ended: true };
    const meant: [string, JsonObject][] = [
      ['silent', { messages: [user, asked, result] }],
      ['silent', { messages: [user, { role: 'assistant', content: 'And so' }] }],
      ['silent', { stop: ['x'] }],
      ['used_up', {}],
    ];
    for (const [model, members] of meant) {
      const heard = await ask('openai-chat', way, model, members);
      expect(heard).toMatchObject(quiet);
      expect(await rowsOf(heard)).toHaveLength(1);
    }
    expect(await ask('openai-chat', way, 'silent')).toMatchObject(fine);
  });

  test('may be still to come', async () => {
    const heard = await ask('openai-responses', 'whole', 'queued');
    expect(heard).toMatchObject({ status: 200, text: '' });
    expect(await rowsOf(heard)).toHaveLength(1);
  });
});

test.each(spoken)(
  'when all targets are down, the last one is heard, and nothing charged: %s',
  async (client) => {
    for (const way of ways) {
      const heard = await ask(client, way, `down_${client}`);
      expect(heard.status).toBe(client === 'anthropic-messages' ? 529 : 503);
      expect(heard.error).toBeString();
      const rows = await rowsOf(heard);
      expect(rows.map(({ target }) => target)).toEqual(downFor(client));
      expect(rows.map(({ nano_usd }) => Number(nano_usd))).toEqual([0, 0, 0]);
      expect(rows.map(({ final }) => final)).toEqual([0, 0, 1]);
    }
  },
);

test('a provider that flaps fails nobody', async () => {
  for (let i = 0; i < 24; i++) {
    const client = spoken[i % spoken.length]!;
    expect(await ask(client, ways[(i >> 2) % 2]!, 'flapping')).toMatchObject(fine);
  }
  expect(turns).toBeGreaterThan(10);
});

test('what a provider reports in a stream tells no secrets', async () => {
  for (const client of spoken) {
    for (const speaks of ['openai-chat', 'anthropic-messages']) {
      const heard = await ask(client, 'streamed', `${speaks}/telling`);
      expect(heard.text).not.toBe('');
      expect(heard.error).toMatch(/^The key .* is spent\.$/);
      expect(heard.error).not.toContain(secret);
    }
  }
});
