/** What realtime sessions use: each answer charged once, at its own rates, before the client hears of it, and within limits. */
import { afterAll, beforeAll, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway, until } from './gateway.ts';
import { Client, type Held, knock, startUpstream, type Upstream, usageOf } from './realtime-peers.ts';

let mock: FakeProvider;
let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  mock = await startFakeProvider();
  upstream = startUpstream();
  gateway = await startGateway(`
providers:
  fake: { speaks: openai-chat, url: "${mock.base}", key: up }
  rt: { speaks: openai-chat, url: "${upstream.url}/v1", key: up, timeout: { idle: 30m } }
prices:
  rt/gpt: { input: 1, output: 2, cached: 0.5, audio_input: 10, audio_output: 20 }
  rt/stt: { input: 3, output: 4, audio_input: 6 }
  rt/whisper: { second: 0.0001 }
  rt/timed: { second: 0.01 }
keys:
  - { name: test, key: ${key} }
  - { name: budget, key: budget, limits: [{ usd: 0.1, per: month }] }
  - { name: holder, key: holder, limits: [{ usd: 0.03, per: month }] }
  - { name: tokens, key: tokens, limits: [{ tokens: 3000, per: month }] }
  - { name: timed, key: timed, limits: [{ usd: 1.25, per: month }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await mock.stop();
  await upstream.stop();
});

let named = 0;
let session = '';
beforeEach(() => {
  session = `session-${named++}`;
});

const rows = async () => (await gateway.attempts()).filter((row) => row.session === session);

/** What of the rows matters: which model, how it ended, whether it was the last, whether it was guessed, and what it cost. */
async function settled() {
  await until(async () => (await rows()).some(({ final }) => final === 1));
  const found = await rows();
  // One call, numbered without a gap, of which only the last attempt is final.
  expect(new Set(found.map(({ call }) => call)).size).toBe(1);
  expect(found.map(({ attempt }) => attempt)).toEqual(found.map((_, i) => i + 1));
  expect(found.map(({ final }) => final)).toEqual(found.map((_, i) => (i === found.length - 1 ? 1 : 0)));
  return found.map((row) => ({
    target: row.target,
    outcome: row.outcome,
    estimated: row.estimated,
    nanoUsd: row.nano_usd,
  }));
}

async function hold(model = 'rt/gpt', secret = key): Promise<{ client: Client; provider: Held }> {
  const before = upstream.held.length;
  const client = await Client.dial(`${gateway.url}/v1/realtime?model=${encodeURIComponent(model)}`, {
    headers: { authorization: `Bearer ${secret}`, 'x-sluice-session': session },
  });
  await until(() => upstream.held.length > before);
  return { client, provider: upstream.last() };
}

const nothing = { target: 'rt/gpt', outcome: 'ok', estimated: 0, nanoUsd: 0 };

describe('an answer', () => {
  test('is charged by itself, audio and cached tokens at their rates', async () => {
    const { client, provider } = await hold();
    provider.answer(usageOf(100, 50));
    provider.answer(usageOf(200, 60, { audioIn: 120, audioOut: 40, cachedText: 20, cachedAudio: 100 }));
    await client.event('response.done', 2);
    await client.end();
    expect(await settled()).toEqual([
      { ...nothing, nanoUsd: (100 * 1 + 50 * 2) * 1000 },
      // 60 text, 20 audio, 120 cached; 20 text and 40 audio out.
      { ...nothing, nanoUsd: (60 * 1 + 20 * 10 + 120 * 0.5 + 20 * 2 + 40 * 20) * 1000 },
      nothing,
    ]);
    const [, second] = await rows();
    expect(second).toMatchObject({
      input: 200,
      output: 60,
      audio_input: 120,
      audio_output: 40,
      cache_read: 120,
    });
    expect(second).toMatchObject({
      operation: 'realtime',
      upstream_status: 101,
      client_status: 0,
      stream: 1,
    });
    expect((await rows()).at(-1)).toMatchObject({ client_status: 101 });
  });

  test('is in the journal before the client hears that it is done', async () => {
    const { client, provider } = await hold();
    provider.answer(usageOf(10, 5));
    await client.event('response.done');
    expect(await rows()).toMatchObject([{ outcome: 'ok', nano_usd: 20_000, final: 0 }]);
    await client.end();
    expect(await settled()).toHaveLength(2);
  });

  test('took as long as it took, not as long as the session was silent before', async () => {
    const { client, provider } = await hold();
    await Bun.sleep(1000);
    provider.say({ type: 'response.created', response: { id: 'r' } });
    await Bun.sleep(60);
    provider.say({ type: 'response.output_text.delta', delta: 'Hi' });
    provider.say({ type: 'response.done', response: { id: 'r', status: 'completed', usage: usageOf(1, 1) } });
    await client.event('response.done');
    const [first] = await rows();
    expect(first!.duration_ms).toBeWithin(50, 900);
    expect(first!.first_byte_ms).toBeWithin(50, 900);
    await client.end();
  });

  test('that was interrupted is charged what it used; one that failed, as a failure', async () => {
    const { client, provider } = await hold();
    provider.answer(usageOf(10, 3), { status: 'cancelled', status_details: { reason: 'turn_detected' } });
    provider.answer(undefined, {
      status: 'failed',
      status_details: { type: 'failed', error: { type: 'server_error', message: 'oh' } },
    });
    await client.event('response.done', 2);
    await client.end();
    expect(await settled()).toEqual([
      { ...nothing, nanoUsd: 16_000 },
      { ...nothing, outcome: 'upstream_unavailable' },
      nothing,
    ]);
  });

  test('without usage is counted from what passed', async () => {
    const { client, provider } = await hold();
    client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(480_000).toString('base64') });
    await until(() => provider.heard.length === 1);
    provider.say({ type: 'response.created', response: { id: 'r' } });
    provider.say({ type: 'response.output_audio.delta', delta: Buffer.alloc(96_000).toString('base64') });
    provider.say({ type: 'response.done', response: { id: 'r', status: 'completed', usage: null } });
    await client.event('response.done');
    await client.end();
    const [first, last] = await settled();
    expect(first).toMatchObject({ estimated: 1, outcome: 'ok' });
    // Ten seconds heard are a hundred tokens, two seconds said are forty.
    expect(first!.nanoUsd! / 1000).toBeWithin(100 * 10 + 40 * 20, 104 * 10 + 42 * 20);
    expect(last).toEqual(nothing);
  });

  test('of the built-in mock costs what its usage says', async () => {
    const client = await Client.dial(
      `${gateway.url}/v1/realtime?model=fake/usage:input=1000,output=10,cached=400`,
      {
        headers: { authorization: `Bearer ${key}`, 'x-sluice-session': session },
      },
    );
    client.ask('Hello');
    expect(await client.event('response.done')).toMatchObject({
      response: { usage: { input_tokens: 1000, output_tokens: 10 } },
    });
    await client.end();
    await settled();
    expect((await rows())[0]).toMatchObject({ input: 1000, cache_read: 400, output: 10 });
  });
});

describe('a transcript', () => {
  const transcribed = (usage: object | undefined) => ({
    type: 'conversation.item.input_audio_transcription.completed',
    item_id: 'item_1',
    transcript: 'Hello there',
    usage,
  });
  const use = (model: string) => ({
    type: 'session.updated',
    session: { audio: { input: { transcription: { model } } } },
  });

  test('is charged as the work of the model that wrote it', async () => {
    const { client, provider } = await hold();
    provider.say(use('stt'));
    provider.say(transcribed({ type: 'tokens', ...usageOf(100, 10, { audioIn: 90 }) }));
    provider.answer(usageOf(10, 5));
    provider.say(use('whisper'));
    provider.say(transcribed({ type: 'duration', seconds: 12.5 }));
    provider.say(use('mystery'));
    provider.say(transcribed({ type: 'tokens', ...usageOf(7, 1) }));
    await client.event('conversation.item.input_audio_transcription.completed', 3);
    await client.end();
    expect(await settled()).toEqual([
      { ...nothing, target: 'rt/stt', nanoUsd: (10 * 3 + 90 * 6 + 10 * 4) * 1000 },
      { ...nothing, nanoUsd: 20_000 },
      { ...nothing, target: 'rt/whisper', nanoUsd: 12.5 * 100_000 },
      // Loud, never a silent zero.
      { ...nothing, target: 'rt/mystery', nanoUsd: null },
      nothing,
    ]);
  });

  test('does not end the answer that is under way', async () => {
    const { client, provider } = await hold();
    provider.say(use('stt'));
    provider.say({ type: 'response.created', response: { id: 'r' } });
    provider.say(transcribed({ type: 'tokens', ...usageOf(10, 1) }));
    provider.say({
      type: 'response.done',
      response: { id: 'r', status: 'completed', usage: usageOf(20, 4) },
    });
    await client.event('response.done');
    await client.end();
    expect((await settled()).map(({ target, nanoUsd }) => [target, nanoUsd])).toEqual([
      ['rt/stt', 34_000],
      ['rt/gpt', 28_000],
      ['rt/gpt', 0],
    ]);
  });

  test('by a model without a price ends a session that has a budget', async () => {
    const { client, provider } = await hold('rt/gpt', 'budget');
    provider.say(use('mystery'));
    const { error } = (await client.event('error')) as unknown as {
      error: { message: string; code: string };
    };
    expect(error.message).toInclude('No price is known for rt/mystery');
    expect((await client.gone()).code).toBe(1008);
    expect(await settled()).toEqual([nothing]);
  });

  test('of the mock, by the second or by the token', async () => {
    const url = `${gateway.url}/v1/realtime?model=fake/echo`;
    const headers = { authorization: `Bearer ${key}`, 'x-sluice-session': session };
    const client = await Client.dial(url, { headers });
    for (const model of ['whisper-1', 'gpt-4o-transcribe']) {
      client.send({ type: 'session.update', session: { audio: { input: { transcription: { model } } } } });
      client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(144_000).toString('base64') });
      client.send({ type: 'input_audio_buffer.commit' });
    }
    await client.event('conversation.item.input_audio_transcription.completed', 2);
    await client.end();
    await settled();
    expect((await rows()).map(({ target, input }) => [target, input])).toEqual([
      ['fake/whisper-1', 0],
      ['fake/gpt-4o-transcribe', 30],
      ['fake/echo', 0],
    ]);
  });
});

describe('a budget', () => {
  test('ends the session when it is used up, after the answer that did it', async () => {
    const { client, provider } = await hold('rt/gpt', 'budget');
    // 0.04 USD each: after two of them there is no room for a third.
    const usage = usageOf(0, 2000, { audioOut: 2000 });
    for (let i = 0; i < 4 && client.closed === undefined; i++) {
      provider.answer(usage);
      await Bun.sleep(20);
    }
    expect(await client.event('error')).toMatchObject({
      error: { type: 'insufficient_quota', code: 'budget_exceeded' },
    });
    expect(await client.gone()).toEqual({ code: 1008, reason: 'budget_exceeded' });
    expect(client.events.filter(({ type }) => type === 'response.done')).toHaveLength(2);
    expect(await settled()).toEqual([
      { ...nothing, nanoUsd: 40_000_000 },
      { ...nothing, nanoUsd: 40_000_000 },
    ]);
    await until(() => provider.closed !== undefined);
    const again = await knock(gateway.url, '/v1/realtime?model=rt/gpt', { authorization: 'Bearer budget' });
    expect([again.status, again.body.error.code]).toEqual([429, 'insufficient_quota']);
  });

  test('is held for what comes next while the session runs, and free again when it is over', async () => {
    const { client } = await hold('rt/gpt', 'holder');
    const second = await knock(gateway.url, '/v1/realtime?model=rt/gpt', { authorization: 'Bearer holder' });
    expect(second.status).toBe(429);
    await client.end();
    await settled();
    const { client: again } = await hold('rt/gpt', 'holder');
    await again.end();
  });

  test('cannot hold where the price is not known', async () => {
    const { status, body } = await knock(gateway.url, '/v1/realtime?model=rt/mystery', {
      authorization: 'Bearer holder',
    });
    expect([status, body.error.code]).toEqual([400, 'model_unpriced']);
  });
});

test('a limit of tokens ends the session, which may be opened again later', async () => {
  const { client, provider } = await hold('rt/gpt', 'tokens');
  provider.answer(usageOf(1500, 500));
  await client.event('response.done');
  expect(await client.event('error')).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  expect((await client.gone()).code).toBe(1013);
  expect(await settled()).toEqual([{ ...nothing, nanoUsd: 2_500_000 }]);
});

test('a key that has expired talks no further', async () => {
  const expiresAt = Date.now() + 3000;
  const own = await startGateway(`
providers: { rt: { speaks: openai-chat, url: "${upstream.url}/v1", key: up } }
keys: [{ name: expiring, key: expiring, expires: "${new Date(expiresAt).toISOString()}" }]
`);
  const headers = { authorization: 'Bearer expiring' };
  const client = await Client.dial(`${own.url}/v1/realtime?model=rt/expiring`, { headers });
  await until(() => upstream.last().path.endsWith('expiring'));
  const provider = upstream.last();
  provider.answer(usageOf(10, 5));
  await client.event('response.done');
  expect(client.closed).toBeUndefined();
  await until(() => Date.now() > expiresAt);
  provider.answer(usageOf(10, 5));
  expect(await client.event('error')).toMatchObject({ error: { code: 'invalid_api_key' } });
  expect((await client.gone()).code).toBe(1008);
  await own.stop();
});

describe('a session that is sold by its time', () => {
  test('is charged for all of it, part by part', async () => {
    const beganMs = performance.now();
    const { client, provider } = await hold('rt/timed');
    await Bun.sleep(100);
    provider.answer(null as never);
    await client.event('response.done');
    await Bun.sleep(100);
    await client.end();
    const tookMs = performance.now() - beganMs;
    const found = await settled();
    expect(found).toHaveLength(2);
    // A millisecond costs 10,000 nano-dollars.
    const totalMs = found.reduce((sum, { nanoUsd }) => sum + nanoUsd!, 0) / 10_000;
    expect(totalMs).toBeWithin(190, tookMs + 1);
    for (const { nanoUsd } of found) expect(nanoUsd! / 10_000).toBeGreaterThan(90);
  });

  test('also while nobody says anything, until the budget is used up', async () => {
    const { client } = await hold('rt/timed', 'timed');
    const real = performance.now.bind(performance);
    let skippedMs = 0;
    const clock = spyOn(performance, 'now').mockImplementation(() => real() + skippedMs);
    try {
      // A minute is 0.6 USD: there is room for another one, but not for a third.
      skippedMs = 60_500;
      await until(async () => (await rows()).length === 1);
      expect(client.closed).toBeUndefined();
      skippedMs += 60_500;
      expect(await client.event('error')).toMatchObject({ error: { code: 'budget_exceeded' } });
    } finally {
      clock.mockRestore();
    }
    const found = await settled();
    expect(found.map(({ nanoUsd }) => Math.round(nanoUsd! / 1e7))).toEqual([61, 61]);
  });
});

describe('an answer that is broken off is charged by guess, once', () => {
  /** An answer of which two seconds of audio have passed. */
  async function middle(): Promise<{ client: Client; provider: Held }> {
    const both = await hold();
    both.provider.say({ type: 'response.created', response: { id: 'r' } });
    both.provider.say({
      type: 'response.output_audio.delta',
      delta: Buffer.alloc(96_000).toString('base64'),
    });
    await both.client.event('response.output_audio.delta');
    return both;
  }
  const guessed = { ...nothing, estimated: 1, nanoUsd: expect.any(Number) };
  const expectGuess = (nanoUsd: number | null) => expect(nanoUsd! / 1000).toBeWithin(800, 850);

  test.each([
    ['says good-bye', (client: Client) => client.socket.close(1000)],
    ['is gone', (client: Client) => (client.socket as unknown as { terminate(): void }).terminate()],
  ])('when the client %s', async (_, leave) => {
    const { client, provider } = await middle();
    leave(client);
    await until(() => provider.closed !== undefined);
    const found = await settled();
    expect(found).toEqual([{ ...guessed, outcome: 'cancelled' }]);
    expectGuess(found[0]!.nanoUsd);
    expect((await rows())[0]).toMatchObject({ client_status: 499 });
  });

  test.each([
    ['breaks off', (provider: Held) => provider.socket.terminate(), 'upstream_network', 1011],
    ['closes', (provider: Held) => provider.socket.close(1000, 'done'), 'upstream_unavailable', 1000],
    [
      'closes with an error',
      (provider: Held) => provider.socket.close(1011, 'oops'),
      'upstream_unavailable',
      1011,
    ],
    [
      'speaks another language',
      (provider: Held) => provider.say('x'.repeat(40_000_000)),
      'upstream_network',
      1011,
    ],
  ])('when the provider %s', async (_, leave, outcome, code) => {
    const { client, provider } = await middle();
    leave(provider);
    expect((await client.gone()).code).toBe(code);
    const found = await settled();
    expect(found).toEqual([{ ...guessed, outcome }]);
    expectGuess(found[0]!.nanoUsd);
    // Where the provider has said nothing itself, the client hears what happened.
    expect(client.events.some(({ type }) => type === 'error')).toBe(outcome === 'upstream_network');
  });

  test('also in the middle of an answer of the mock', async () => {
    const client = await Client.dial(
      `${gateway.url}/v1/realtime?model=${encodeURIComponent('fake/cut:after=5,delay=10ms,chunks=20')}`,
      { headers: { authorization: `Bearer ${key}`, 'x-sluice-session': session } },
    );
    client.ask('All work and no play makes Jack a dull boy');
    await client.event('response.output_text.delta');
    expect(await client.event('error')).toMatchObject({ error: { code: 'upstream_unavailable' } });
    expect((await client.gone()).code).toBe(1011);
    await settled();
    expect(await rows()).toMatchObject([{ outcome: 'upstream_network', estimated: 1 }]);
  });

  test('and a session that breaks off between answers costs nothing more', async () => {
    const { client, provider } = await hold();
    provider.answer(usageOf(10, 5));
    await client.event('response.done');
    provider.socket.terminate();
    expect((await client.gone()).code).toBe(1011);
    expect(await settled()).toEqual([
      { ...nothing, nanoUsd: 20_000 },
      { ...nothing, outcome: 'upstream_network' },
    ]);
  });
});

test('sessions are counted as calls, their answers as attempts', async () => {
  const before = (await gateway.usage('target')).find(({ target }) => target === 'rt/gpt')!;
  const { client, provider } = await hold();
  for (let i = 0; i < 3; i++) provider.answer(usageOf(10, 5));
  await client.event('response.done', 3);
  await client.end();
  await settled();
  const after = (await gateway.usage('target')).find(({ target }) => target === 'rt/gpt')!;
  expect(after.calls - before.calls).toBe(1);
  expect(after.attempts - before.attempts).toBe(4);
  expect(after.input_tokens - before.input_tokens).toBe(30);
  expect(gateway.app.gateway.inflight.sessions.size).toBe(0);
  expect(gateway.app.gateway.inflight.count).toBe(0);
});
