/** Every token and every cent: exact where the provider told them, marked where it did not, never a silent zero. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { type AttemptRow, startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
let recordings: string;

/** An answer that wrote to both of Anthropic's caches. */
const cacheWriter = {
  response: {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'writer',
      content: [{ type: 'text', text: 'Hello' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: 7,
        cache_read_input_tokens: 11,
        cache_creation_input_tokens: 30,
        cache_creation: { ephemeral_5m_input_tokens: 13, ephemeral_1h_input_tokens: 17 },
        output_tokens: 19,
      },
    },
  },
};

beforeAll(async () => {
  recordings = mkdtempSync(join(tmpdir(), 'sluice-recordings-'));
  writeFileSync(join(recordings, 'writer.json'), JSON.stringify(cacheWriter));
  provider = await startFakeProvider({ recordings });
  provider.script('cached', 'usage:input=1000,cached=400,output=70,reasoning=30');
  provider.script('written', 'usage:input=1000,cached=400,written=100,output=70');
  provider.script(
    'claude-sonnet-4-5',
    'usage:input=200000,cached=150000,output=1000',
    'usage:input=200001,output=1000',
  );
  provider.script('fraction', 'usage:input=1,output=0');
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
  anthropic: { url: "${provider.base}", key: up }
models:
  fast: oa/echo
  second: { fallback: [oa/status:500, an/echo] }
prices:
  oa/cached: { input: 3, output: 15, cached: 0.3 }
  an/written: { input: 3, output: 15, cached: 0.3, cache_write: 3.75, cache_write_1h: 6 }
  an/replay:writer.json: { input: 3, output: 15, cached: 0.3, cache_write: 3.75, cache_write_1h: 6 }
  oa/fraction: { input: 0.0005, output: 1 }
  oa/no-usage: { input: 1, output: 2 }
  an/no-usage: { input: 1, output: 2 }
  "oa/echo:delay=20ms,chunks=500": { input: 1, output: 2 }
  "an/echo:delay=20ms,chunks=500": { input: 1, output: 2 }
  oa/delay:1m: { input: 1, output: 2 }
  oa/free: { input: 0, output: 0 }
  oa/echo: { input: 1, output: 2 }
  an/echo: { input: 1, output: 2, request: 0.01 }
keys:
  - { name: test, key: sk-test-key }
  - { name: other, key: sk-other }
`);
  provider.script('free', 'usage:input=100,output=100');
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  rmSync(recordings, { recursive: true, force: true });
});

const messages = [{ role: 'user' as const, content: 'Hello, how do you do?' }];
const paths = { openai: '/v1/chat/completions', anthropic: '/v1/messages' } as const;
const clients = ['openai', 'anthropic'] as const;

interface Paid {
  row: AttemptRow;
  cost: string | null;
  text: string;
  headers: Headers;
}

/** Asks, hears to the end and looks up the one attempt it took. */
async function pay(
  client: keyof typeof paths,
  model: string,
  rest: object = {},
  headers: Record<string, string> = {},
): Promise<Paid> {
  const response = await gateway.post(paths[client], { model, messages, max_tokens: 1000, ...rest }, headers);
  const text = await response.text();
  expect(response.status).toBe(200);
  const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
  expect(rows.filter(({ final }) => final === 1)).toHaveLength(1);
  return {
    row: rows.at(-1)!,
    cost: response.headers.get('x-sluice-cost-usd'),
    text,
    headers: response.headers,
  };
}

describe.each(clients)('to the nano-dollar, for a client of %s', (client) => {
  test.each([false, true])('cached reads (stream: %p)', async (stream) => {
    const { row, cost } = await pay(client, 'oa/cached', { stream });
    // 600 × 3 + 400 × 0.3 + 70 × 15 USD per million.
    expect(row).toMatchObject({
      input: 1000,
      cache_read: 400,
      output: 70,
      reasoning: 30,
      nano_usd: 2_970_000,
      estimated: 0,
    });
    expect(row.price_source).toBe('config');
    expect(cost).toBe(stream ? null : '0.00297');
  });

  test.each([false, true])('cache writes (stream: %p)', async (stream) => {
    const { row } = await pay(client, 'an/written', { stream });
    // 500 × 3 + 400 × 0.3 + 100 × 3.75 + 70 × 15.
    expect(row).toMatchObject({
      input: 1000,
      cache_read: 400,
      cache_write_5m: 100,
      output: 70,
      nano_usd: 3_045_000,
    });
  });

  test('cache writes that last an hour', async () => {
    const { row, cost } = await pay(client, 'an/replay:writer.json');
    expect(row).toMatchObject({
      input: 48,
      cache_read: 11,
      cache_write_5m: 13,
      cache_write_1h: 17,
      output: 19,
    });
    // 7 × 3 + 11 × 0.3 + 13 × 3.75 + 17 × 6 + 19 × 15 = 460.05 millionths.
    expect(row.nano_usd).toBe(460_050);
    expect(cost).toBe('0.00046005');
  });

  test('less than a nano-dollar is rounded half up', async () => {
    expect((await pay(client, 'oa/fraction')).row.nano_usd).toBe(1);
  });

  test('a charge for each call', async () => {
    const { row } = await pay(client, 'an/echo');
    expect(row.nano_usd).toBe(10_000_000 + row.input * 1000 + row.output * 2000);
  });

  test('what costs nothing is priced', async () => {
    const { row, cost } = await pay(client, 'oa/free');
    expect(row).toMatchObject({ input: 100, nano_usd: 0, price_source: 'config' });
    expect(cost).toBe('0');
  });
});

test('prices of the catalogue, with its tiers for long prompts', async () => {
  const short = await pay('anthropic', 'anthropic/claude-sonnet-4-5');
  expect(short.row.nano_usd).toBe(50_000 * 3000 + 150_000 * 300 + 1000 * 15_000);
  expect(short.row.price_source).toStartWith('genai-prices@');
  const long = await pay('anthropic', 'anthropic/claude-sonnet-4-5');
  expect(long.row.nano_usd).toBe(200_001 * 6000 + 1000 * 22_500);
});

test('a model without a price is marked, and shows up', async () => {
  const { row, cost } = await pay('openai', 'oa/echo:as=unpriced');
  expect(row).toMatchObject({ nano_usd: null, price_source: '' });
  expect(row.input).toBeGreaterThan(0);
  expect(cost).toBeNull();
  const usage = await gateway.usage('target');
  expect(usage.find(({ target }) => target === 'oa/echo:as=unpriced')).toMatchObject({
    calls: 1,
    unpriced: 1,
    usd: '0',
  });
});

describe('an answer without usage is counted, and marked as estimated', () => {
  const cases = clients.flatMap((client) =>
    ['oa', 'an'].flatMap((up) => [false, true].map((stream) => [client, up, stream] as const)),
  );
  test.each(cases)('%s client, provider %s, stream: %p', async (client, up, stream) => {
    const { row, cost } = await pay(client, `${up}/no-usage`, { stream });
    expect(row).toMatchObject({ outcome: 'ok', estimated: 1 });
    // "Hello, how do you do?" has seven tokens; what stands around it may count too.
    expect(row.output).toBe(7);
    expect(row.input).toBeGreaterThanOrEqual(7);
    expect(row.input).toBeLessThan(12);
    expect(row.nano_usd).toBe(row.input * 1000 + row.output * 2000);
    if (!stream) expect(cost).not.toBeNull();
  });
});

describe('a client that goes away', () => {
  const cases = clients.flatMap((client) => ['oa', 'an'].map((up) => [client, up] as const));

  test.each(cases)(
    'in the middle of a stream (%s client, provider %s): the provider is stopped, what passed is counted',
    async (client, up) => {
      const { aborted } = provider.mock.counters;
      const away = new AbortController();
      const model = `${up}/echo:delay=20ms,chunks=500`;
      const response = await fetch(gateway.url + paths[client], {
        method: 'POST',
        headers: { authorization: 'Bearer sk-test-key' },
        body: JSON.stringify({ model, messages, max_tokens: 1000, stream: true }),
        signal: away.signal,
      });
      const id = response.headers.get('x-request-id');
      const reader = response.body!.getReader();
      for (let i = 0; i < 5; i++) await reader.read();
      const left = performance.now();
      away.abort();
      await provider.until(() => provider.mock.counters.aborted > aborted);
      expect(performance.now() - left).toBeLessThan(1000);
      const rows = await settled(id);
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({ outcome: 'cancelled', client_status: 499, final: 1, estimated: 1 });
      expect(rows[0]!.output).toBeGreaterThan(0);
      expect(rows[0]!.output).toBeLessThan(200);
      expect(rows[0]!.input).toBeGreaterThan(0);
      expect(rows[0]!.nano_usd).toBe(rows[0]!.input * 1000 + rows[0]!.output * 2000);
      expect(gateway.app.gateway.inflight.count).toBe(0);
    },
  );

  test('before the answer: the provider is stopped, and nobody else is asked', async () => {
    const { aborted } = provider.mock.counters;
    const before = (await gateway.attempts()).length;
    const away = new AbortController();
    const asked = provider.requests.length;
    const answer = gateway.openai.chat.completions.create(
      { model: 'oa/delay:1m', messages },
      { signal: away.signal },
    );
    const outcome = answer.catch((error: Error) => error);
    await provider.until(() => provider.requests.length > asked);
    away.abort();
    expect(await outcome).toBeInstanceOf(Error);
    await provider.until(() => provider.mock.counters.aborted > aborted);
    await provider.until(() => gateway.app.gateway.inflight.count === 0);
    const rows = await gateway.attempts();
    expect(rows).toHaveLength(before + 1);
    expect(rows.at(-1)).toMatchObject({
      target: 'oa/delay:1m',
      outcome: 'cancelled',
      client_status: 499,
      final: 1,
    });
  });
});

/** The attempts of a call, once it has ended. */
async function settled(id: string | null): Promise<AttemptRow[]> {
  await provider.until(() => gateway.app.gateway.inflight.count === 0);
  return gateway.attemptsOf(id);
}

test('usage by model, key, provider and tag adds up to the attempts', async () => {
  const tags = { 'x-sluice-tags': 'team=search, stage=prod' };
  await pay('openai', 'fast', {}, tags);
  await pay('openai', 'fast', {}, { 'x-sluice-tags': 'stage=test', authorization: 'Bearer sk-other' });
  await pay('anthropic', 'second', {}, tags);
  const rows = await gateway.attempts();
  const sum = (of: AttemptRow[]) => of.reduce((total, row) => total + (row.nano_usd ?? 0), 0);
  for (const by of ['model', 'key', 'provider', 'target', 'team', 'day'] as const) {
    const usage = await gateway.usage(by);
    expect(usage.reduce((total, { usd }) => total + Math.round(Number(usd) * 1e9), 0)).toBe(sum(rows));
    expect(usage.reduce((total, { attempts }) => total + attempts, 0)).toBe(rows.length);
    expect(usage.reduce((total, { calls }) => total + calls, 0)).toBe(
      rows.filter(({ final }) => final === 1).length,
    );
    expect(usage.reduce((total, each) => total + each.input_tokens, 0)).toBe(
      rows.reduce((total, row) => total + row.input, 0),
    );
  }
  expect((await gateway.usage('key')).find(({ key }) => key === 'other')).toMatchObject({
    calls: 1,
    attempts: 1,
  });
  // As the client named it: what stands behind is shown by target.
  expect((await gateway.usage('model')).find(({ model }) => model === 'second')).toMatchObject({
    calls: 1,
    attempts: 2,
  });
  const tagged = Object.fromEntries((await gateway.usage('tag')).map((row) => [row.tag, row.calls]));
  expect(tagged).toEqual({ 'team=search': 2, 'stage=prod': 2, 'stage=test': 1 });
});

test('session and end user stand with the attempt', async () => {
  const { row } = await pay('openai', 'fast', {}, { 'x-sluice-session': 's-1', 'x-sluice-end-user': 'ann' });
  expect(row).toMatchObject({
    session: 's-1',
    end_user: 'ann',
    model: 'fast',
    target: 'oa/echo',
    provider: 'oa',
    key: 'test',
  });
});

test('x-sluice-lost names the hints the provider was not told', async () => {
  const hints = { seed: 7, logit_bias: { 50256: -100 }, presence_penalty: 0.5, temperature: 0.5 };
  const { headers, row } = await pay('openai', 'an/echo', hints);
  const lost = headers.get('x-sluice-lost')?.split(',') ?? [];
  expect(lost).toEqual(expect.arrayContaining(['seed', 'logit_bias', 'presence_penalty']));
  expect(lost).not.toContain('temperature');
  expect(row.lost.split('\n')).toEqual(lost);
  const topK = await pay('anthropic', 'oa/echo', { top_k: 5 });
  expect(topK.headers.get('x-sluice-lost')).toBe('top_k');
  expect((await pay('openai', 'oa/echo', hints)).headers.get('x-sluice-lost')).toBeNull();
});
