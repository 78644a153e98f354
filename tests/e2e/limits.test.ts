/** Limits of keys, teams and organisations: bounds that hold, said clearly, freed in time, remembered after a restart. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway, until } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
let yaml: string;
let dataDir: string;

beforeAll(async () => {
  provider = await startFakeProvider();
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  yaml = `
drain: 2s
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up, timeout: { first_byte: 30s, idle: 30s } }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up, timeout: { first_byte: 30s, idle: 30s } }
prices:
  "oa/usage:input=1000,output=0": { input: 1, output: 1 }
  oa/echo: { input: 1, output: 1 }
  "oa/stall:3": { input: 0, output: 0 }
keys:
  - { name: free, key: free }
  - { name: requests, key: requests, limits: [{ requests: 2, per: month }] }
  - { name: tokens, key: tokens, limits: [{ tokens: 100, per: month }] }
  - { name: usd, key: usd, limits: [{ usd: 0.0015, per: month }] }
  - { name: one, key: one, limits: [{ concurrency: 1 }] }
  - { name: two, key: two, limits: [{ concurrency: 1 }] }
  - { name: mates1, key: mates1, team: mates }
  - { name: mates2, key: mates2, team: mates }
  - { name: red, key: red, team: red }
  - { name: blue, key: blue, team: blue }
  - { name: failing, key: failing, limits: [{ requests: 5, per: month }, { tokens: 100, per: month }] }
  - { name: lasting, key: lasting, limits: [{ requests: 3, per: month }] }
  - { name: spender, key: spender, limits: [{ usd: 0.0015, per: month }] }
teams:
  mates: { limits: [{ requests: 2, per: month }] }
  red: { organisation: club }
  blue: { organisation: club }
organisations:
  club: { limits: [{ usd: 0.0015, per: month }, { concurrency: 2 }] }
`;
  gateway = await startGateway(yaml, { dataDir });
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const messages = [{ role: 'user' as const, content: 'Hello' }];
const openai = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const anthropic = (apiKey: string) => new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 });
const ask = (key: string, model = 'oa/echo') =>
  openai(key).chat.completions.create({ model, messages, max_tokens: 20 });

type RateLimitError = InstanceType<typeof OpenAI.RateLimitError>;

/** The refusal, as each of the two SDKs hears it. */
async function refusal(key: string, model = 'oa/echo'): Promise<RateLimitError> {
  const asked = provider.requests.length;
  const heard: unknown = await ask(key, model).catch((error: unknown) => error);
  expect(heard).toBeInstanceOf(OpenAI.RateLimitError);
  const other: unknown = await anthropic(key)
    .messages.create({ model, messages, max_tokens: 20 })
    .catch((error: unknown) => error);
  expect(other).toBeInstanceOf(Anthropic.RateLimitError);
  const error = other as InstanceType<typeof Anthropic.RateLimitError>;
  expect(error.error).toMatchObject({ type: 'error', error: { type: 'rate_limit_error' } });
  expect((heard as RateLimitError).headers?.get('x-request-id')).toBeString();
  // Asked one after the other: the second may already have a second less to wait.
  const later = waitOf(heard as RateLimitError) - Number(error.headers?.get('retry-after') ?? Number.NaN);
  expect(later).toBeWithin(0, 3);
  // Refused before anything was sent.
  expect(provider.requests).toHaveLength(asked);
  return heard as RateLimitError;
}

const waitOf = (error: RateLimitError): number => Number(error.headers?.get('retry-after') ?? Number.NaN);
const month = 31 * 86_400;

describe('a key', () => {
  test('of two requests gets two answers', async () => {
    await ask('requests');
    await ask('requests');
    const error = await refusal('requests');
    expect(error.code).toBe('rate_limit_exceeded');
    expect(error.message).toInclude('The key "requests" is limited to 2 requests per month: 2 used');
    expect(waitOf(error)).toBeGreaterThan(0);
    expect(waitOf(error)).toBeLessThanOrEqual(month);
    await ask('free');
  });

  test('of a hundred tokens gets no more', async () => {
    await ask('tokens', 'oa/usage:input=80,output=5');
    const error = await refusal('tokens');
    expect(error.message).toInclude('100 tokens per month: 85 used');
    expect(error.code).toBe('rate_limit_exceeded');
  });

  test('cannot ask for more at once than it may have at all', async () => {
    const error: unknown = await openai('failing')
      .chat.completions.create({ model: 'oa/echo', messages, max_tokens: 1000 })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect((error as Error).message).toInclude('ask for less');
  });

  test('of a budget stops when it is spent', async () => {
    // The second one looks as if it fits: what it costs is known when it has ended.
    for (let i = 0; i < 2; i++) await ask('usd', 'oa/usage:input=1000,output=0');
    const error = await refusal('usd', 'oa/usage:input=1000,output=0');
    expect(error.code).toBe('insufficient_quota');
    expect(error.message).toInclude('0.0015 USD per month: 0.002 used');
    expect(waitOf(error)).toBeLessThanOrEqual(month);
  });
});

test('keys of a team share its limits', async () => {
  await ask('mates1');
  await ask('mates2');
  expect((await refusal('mates1')).message).toInclude('The team "mates" is limited to 2 requests per month');
  expect((await refusal('mates2')).message).toInclude('The team "mates"');
});

test('teams of an organisation share its limits', async () => {
  const held = [await hold('red'), await hold('blue')];
  expect((await refusal('red')).message).toInclude('The organisation "club" is limited to 2 calls at once');
  for (const stream of held) stream.controller.abort();
  await eventually(() => ask('blue'));
});

test('what never reached an answer costs a request and nothing else', async () => {
  for (let i = 0; i < 3; i++) await ask('failing', 'oa/status:500').catch(() => {});
  // Three requests are gone, and no tokens.
  await ask('failing', 'oa/usage:input=60,output=5');
  expect((await refusal('failing', 'oa/status:500')).message).toInclude('65 used');
});

/** A call that hangs in the middle of its answer, until it is aborted. */
async function hold(key: string) {
  const ask = { model: 'oa/stall:3', messages, max_tokens: 20, stream: true as const };
  const stream = await eventually(() => openai(key).chat.completions.create(ask));
  await stream[Symbol.asyncIterator]().next();
  return stream;
}

/** What was held is given back within moments: asks until it is. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  let value: T | undefined;
  await until(async () => {
    value = await attempt().catch(() => undefined);
    return value !== undefined;
  });
  return value!;
}

describe('a key of one call at a time', () => {
  test('is refused a second, and told to come back soon', async () => {
    const held = await hold('one');
    const error = await refusal('one');
    expect(error.message).toInclude('1 call at once');
    expect(waitOf(error)).toBe(1);
    held.controller.abort();
  });

  test('is free again when the client has gone away', async () => {
    const held = await hold('one');
    await refusal('one');
    const { aborted } = provider.mock.counters;
    held.controller.abort();
    await provider.until(() => provider.mock.counters.aborted > aborted);
    await eventually(() => ask('one'));
  });

  test('is free again when the answer has ended', async () => {
    for (let i = 0; i < 3; i++) await ask('two');
    for (let i = 0; i < 3; i++) {
      const stream = await openai('two').chat.completions.create({
        model: 'oa/echo',
        messages,
        stream: true,
      });
      expect((await Array.fromAsync(stream)).length).toBeGreaterThan(0);
    }
  });

  test('is free again after every kind of failure', async () => {
    const failing = [
      'oa/status:400',
      'oa/status:500',
      'oa/nonsense',
      'an/status:529',
      'oa/malformed',
      'oa/reset',
    ];
    for (const model of [...failing, 'unknown', 'oa/cut:0']) {
      expect(await ask('two', model).catch((error: { status: number }) => error.status)).not.toBe(429);
      const stream = openai('two').chat.completions.create({ model, messages, stream: true });
      await stream
        .then((chunks) => Array.fromAsync(chunks))
        .catch((error: { status?: number }) => expect(error.status).not.toBe(429));
    }
    await ask('two');
  });
});

test('what was used is remembered when the gateway starts again', async () => {
  await ask('lasting');
  await ask('lasting');
  for (let i = 0; i < 2; i++) await ask('spender', 'oa/usage:input=1000,output=0');
  await gateway.stop();
  gateway = await startGateway(yaml, { dataDir });
  expect((await refusal('requests')).message).toInclude('2 used');
  expect((await refusal('spender', 'oa/usage:input=1000,output=0')).message).toInclude('0.002 used');
  await ask('lasting');
  await refusal('lasting');
});

test('a limit that slides, lasts for good or has a calendar of its own is remembered as well', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const windows = [
    'per: day, sliding: true',
    'per: hour, sliding: true',
    'per: lifetime',
    'per: week, time_zone: Asia/Kolkata',
    'per: month, time_zone: Asia/Kathmandu',
  ];
  const config = (max: number) => `
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
keys:
${windows.map((window, i) => `  - { name: w${i}, key: w${i}, limits: [{ requests: ${max}, ${window} }] }`).join('\n')}
`;
  const statusOf = async (of: TestGateway, secret: string) =>
    (
      await of.post(
        '/v1/chat/completions',
        { model: 'oa/echo', messages },
        { authorization: `Bearer ${secret}` },
      )
    ).status;
  const all = async (of: TestGateway) => await Promise.all(windows.map((_, i) => statusOf(of, `w${i}`)));
  try {
    const first = await startGateway(config(2), { dataDir });
    expect(await all(first)).toEqual([200, 200, 200, 200, 200]);
    await first.stop();
    const second = await startGateway(config(2), { dataDir });
    expect(await all(second)).toEqual([200, 200, 200, 200, 200]);
    expect(await all(second)).toEqual([429, 429, 429, 429, 429]);
    await second.stop();
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
