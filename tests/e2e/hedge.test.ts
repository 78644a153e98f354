/** Two targets asked against lateness: who is heard, who is stopped, what both cost, and how often it happens. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { type AttemptRow, startGateway, type TestGateway, until } from './gateway.ts';

let slow: FakeProvider;
let quick: FakeProvider;
let gateway: TestGateway;
/** The slow provider behind doors: what is asked at `/first` or `/second` is answered when that one is open. */
let doors: Bun.Server<undefined>;
const open = { first: Promise.withResolvers<void>(), second: Promise.withResolvers<void>() };
/** Targets whose failure was reported to health, one after another. */
const failed: string[] = [];

const paths = { openai: '/v1/chat/completions', anthropic: '/v1/messages' } as const;
const clients = ['openai', 'anthropic'] as const;
type Client = (typeof clients)[number];
const messages = [{ role: 'user' as const, content: 'Hello, world: this is a text of several pieces.' }];
const said = messages[0]!.content;

/** Whoever is late never answers at all: then it depends on no clock who is first. */
const never = 'delay:1m';

beforeAll(async () => {
  slow = await startFakeProvider();
  quick = await startFakeProvider();
  doors = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const url = new URL(request.url);
      const [, door, ...path] = url.pathname.split('/');
      await open[door as keyof typeof open].promise;
      return slow.mock.fetch(new Request(`${url.origin}/${path.join('/')}`, request));
    },
  });
  const hedge = (name: string, first: string, second: string, rest = 'after: 40ms, share: 1') =>
    `  ${name}: { hedge: ["${first}", "${second}"], ${rest} }`;
  gateway = await startGateway(`
providers:
  slow_oa: { speaks: openai-chat, url: "${slow.base}", key: up }
  deepseek: { url: "${slow.base}", key: up }
  slow_an: { speaks: anthropic-messages, url: "${slow.base}", key: up }
  first: { speaks: openai-chat, url: "${doors.url.origin}/first/v1", key: up }
  second: { speaks: anthropic-messages, url: "${doors.url.origin}/second/v1", key: up }
  oa: { speaks: openai-chat, url: "${quick.base}", key: up }
  an: { speaks: anthropic-messages, url: "${quick.base}", key: up }
  both: { speaks: [openai-chat, anthropic-messages], url: "${quick.base}", key: up }
models:
${hedge('late_openai_openai', `slow_oa/${never}`, 'oa/echo')}
${hedge('late_openai_anthropic', `slow_oa/${never}`, 'an/echo')}
${hedge('late_anthropic_openai', `slow_an/${never}`, 'oa/echo')}
${hedge('late_anthropic_anthropic', `slow_an/${never}`, 'an/echo')}
${hedge('headers_only', 'slow_an/first:1m', 'oa/echo')}
${hedge('begun', 'slow_an/stall:1,delay=1ms', 'oa/echo')}
${hedge('paid', `slow_oa/${never}`, 'an/usage:input=1000,output=100')}
${hedge('first_wins', 'first/echo', `oa/${never}`)}
${hedge('on_time', 'slow_oa/on-time', 'oa/not-needed', 'after: 1m, share: 1')}
${hedge('unknown', 'slow_oa/unknown', 'oa/not-needed', 'share: 1')}
${hedge('learned', 'slow_oa/learned', 'oa/echo', 'share: 1')}
${hedge('capped', 'slow_oa/echo:before=50ms', 'oa/capped', 'after: 1ms, share: 0.1')}
${hedge('second_fails', 'first/echo', 'oa/status:500')}
${hedge('first_fails', 'first/status:503', 'second/echo')}
${hedge('never_twice', 'slow_oa/status:500,as=at-once', 'oa/echo', 'after: 1m, share: 1')}
${hedge('left', `slow_oa/${never},as=left`, `oa/${never},as=left`)}
${hedge('dear', `slow_oa/echo:before=150ms,as=dear`, 'oa/dear')}
${hedge('several', 'slow_an/echo:before=100ms,as=several', 'oa/never-asked')}
${hedge('formed', 'deepseek/echo:before=100ms,as=formed', 'oa/never-asked')}
${hedge('second_formed', 'slow_oa/echo:before=100ms,as=formed', 'deepseek/never-asked')}
${hedge('embedded', 'slow_oa/echo:before=100ms,as=embedded', 'oa/never-asked')}
  mended: { fallback: [{ hedge: ["slow_oa/${never}", "oa/cut:3,delay=20ms"], after: 40ms, share: 1 }, both/echo], resume: continue }
  both_fail: { fallback: [{ hedge: [first/status:503, second/status:500], after: 40ms, share: 1 }, both/echo] }
${hedge('all_fail', 'first/status:503', 'oa/status:500')}
prices:
  "slow_oa/${never}": { input: 1, output: 2 }
  an/usage:input=1000,output=100: { input: 3, output: 15 }
  "slow_oa/echo:before=150ms,as=dear": { input: 1, output: 1 }
  oa/dear: { input: 1000, output: 1000 }
keys:
  - { name: test, key: sk-test-key }
  - { name: poor, key: sk-poor, limits: [{ usd: 0.01, per: day }] }
`);
  const { health } = gateway.app.gateway;
  const report = health.report.bind(health);
  health.report = (target, key, outcome, ...times) => {
    if (outcome !== 'ok' && outcome.kind !== 'cancelled') failed.push(target.id);
    report(target, key, outcome, ...times);
  };
});

afterAll(async () => {
  await gateway.stop();
  await doors.stop(true);
  await Promise.all([slow.stop(), quick.stop()]);
});

beforeEach(() => {
  failed.length = 0;
  open.first = Promise.withResolvers();
  open.second = Promise.withResolvers();
});

/** How often `target` was asked because another was late. */
const seconds = async (target: string) => await metric(`sluice_hedges_total{target="${target}"}`);

interface Heard {
  text: string;
  headers: Headers;
  rows: AttemptRow[];
}

/** Asks with the official client, hears to the end, and looks up the attempts. */
async function hear(client: Client, stream: boolean, model: string, rest: object = {}): Promise<Heard> {
  const { text, headers } = await (client === 'openai' ? hearOpenai : hearAnthropic)(stream, model, rest);
  const rows = await gateway.attemptsOf(headers.get('x-request-id'));
  expect(rows.filter(({ final }) => final === 1)).toHaveLength(1);
  expect(headers.get('x-sluice-attempts')).toBe(String(rows.length));
  return { text, headers, rows: rows.filter(({ outcome }) => outcome !== 'upstream_stale') };
}

async function hearOpenai(stream: boolean, model: string, rest: object) {
  const { completions } = gateway.openai.chat;
  if (!stream) {
    const { data, response } = await completions.create({ model, messages, ...rest }).withResponse();
    return { text: data.choices[0]?.message.content ?? '', headers: response.headers };
  }
  const { data, response } = await completions
    .create({ model, messages, stream: true, ...rest })
    .withResponse();
  let text = '';
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
  return { text, headers: response.headers };
}

async function hearAnthropic(stream: boolean, model: string, rest: object) {
  const ask = { model, messages, max_tokens: 1000, ...rest };
  if (!stream) {
    const { data, response } = await gateway.anthropic.messages.create(ask).withResponse();
    const [block] = data.content;
    return { text: block?.type === 'text' ? block.text : '', headers: response.headers };
  }
  const { data, response } = await gateway.anthropic.messages.create({ ...ask, stream: true }).withResponse();
  let text = '';
  for await (const event of data) {
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
  }
  return { text, headers: response.headers };
}

/** Who was asked, how it ended, and whether it was the answer. */
const fates = (rows: readonly AttemptRow[]) =>
  rows.map(({ target, outcome, final, client_status }) => [target, outcome, final, client_status]);

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

const ways = clients.flatMap((client) =>
  [false, true].flatMap((stream) =>
    clients.flatMap((first) => clients.map((second) => [client, stream, first, second] as const)),
  ),
);

describe('a first target that is late', () => {
  test.each(ways)('%s client (stream: %p), %s late, %s beside it', async (client, stream, first, second) => {
    const [aborted, begun] = [slow.mock.counters.aborted, slow.mock.counters.calls];
    const { text, headers, rows } = await hear(client, stream, `late_${first}_${second}`);
    const [late, beside] = [
      `slow_${first === 'openai' ? 'oa' : 'an'}/${never}`,
      `${second.slice(0, 1) + (second === 'openai' ? 'a' : 'n')}/echo`,
    ];
    expect(text).toBe(said);
    expect(headers.get('x-sluice-target')).toBe(beside);
    expect(fates(rows)).toEqual([
      [late, 'cancelled', 0, 0],
      [beside, 'ok', 1, 200],
    ]);
    expect(rows.map(({ why }) => why)).toEqual(['hedge 1', 'hedge 2']);
    // It was asked, and heard that nobody waits any more.
    expect(slow.mock.counters.calls).toBe(begun + 1);
    await until(() => slow.mock.counters.aborted === aborted + 1);
    expect(rows[0]).toMatchObject({ estimated: 1, output: 0 });
    expect(rows[0]?.input).toBeGreaterThan(0);
  });

  test.each([false, true])('is late also with its headers out (stream: %p)', async (stream) => {
    const { text, rows } = await hear('openai', stream, 'headers_only');
    expect(text).toBe(said);
    expect(rows.map(({ outcome }) => outcome)).toEqual(['cancelled', 'ok']);
    expect(rows[0]?.upstream_status).toBe(200);
  });

  test('is late while its stream has said nothing yet; what it told of its usage counts', async () => {
    const { text, rows } = await hear('openai', true, 'begun');
    expect(text).toBe(said);
    expect(rows.map(({ outcome }) => outcome)).toEqual(['cancelled', 'ok']);
    expect(rows[0]?.input).toBe(rows[1]!.input);
  });

  test.each([false, true])('both are charged (stream: %p)', async (stream) => {
    const { headers, rows } = await hear('anthropic', stream, 'paid');
    const [late, beside] = rows;
    expect(late?.nano_usd).toBe(late!.input * 1000);
    expect(beside?.nano_usd).toBe(1000 * 3000 + 100 * 15_000);
    const both = late!.nano_usd! + beside!.nano_usd!;
    if (!stream) expect(Number(headers.get('x-sluice-cost-usd'))).toBeCloseTo(both / 1e9, 12);
  });

  test('counts neither for it nor against it', async () => {
    for (let i = 0; i < 8; i++) await hear('openai', false, 'late_openai_openai');
    // Still healthy: still asked first.
    const { rows } = await hear('openai', false, 'late_openai_openai');
    expect(rows[0]?.target).toBe(`slow_oa/${never}`);
  });
});

test('an answer that won and then breaks off is resumed as any other', async () => {
  const { rows } = await hear('openai', true, 'mended');
  expect(rows.map(({ target, outcome, final }) => [target, outcome, final])).toEqual([
    [`slow_oa/${never}`, 'cancelled', 0],
    ['oa/cut:3,delay=20ms', 'upstream_invalid', 0],
    ['both/echo', 'ok', 1],
  ]);
});

describe('the first target', () => {
  test.each([false, true])('wins where it is faster after all (stream: %p)', async (stream) => {
    const [aborted, asked] = [quick.mock.counters.aborted, await seconds(`oa/${never}`)];
    const won = `sluice_hedges_won_total{target="oa/${never}"}`;
    const wonBefore = await metric(won);
    const hearing = hear('openai', stream, 'first_wins');
    await until(async () => (await seconds(`oa/${never}`)) > asked);
    open.first.resolve();
    const { text, headers, rows } = await hearing;
    expect(text).toBe(said);
    expect(headers.get('x-sluice-target')).toBe('first/echo');
    expect(fates(rows)).toEqual([
      ['first/echo', 'ok', 1, 200],
      [`oa/${never}`, 'cancelled', 0, 0],
    ]);
    await until(() => quick.mock.counters.open === 0 && quick.mock.counters.aborted >= aborted);
    expect(await metric(won)).toBe(wonBefore);
  });

  test('answers alone where it is not late', async () => {
    slow.script('on-time', 'echo');
    const { rows } = await hear('openai', true, 'on_time');
    expect(rows.map(({ target }) => target)).toEqual(['slow_oa/on-time']);
    expect(quick.callsOf('not-needed')).toBe(0);
  });

  test('answers alone where nobody knows what is late', async () => {
    slow.script('unknown', 'echo:before=150ms');
    const { rows } = await hear('openai', false, 'unknown');
    expect(rows.map(({ target }) => target)).toEqual(['slow_oa/unknown']);
  });

  test('is late by what was learned of it', async () => {
    const { sight } = gateway.app.gateway;
    const { lateFirstTokenMs } = sight;
    sight.lateFirstTokenMs = ({ id }) => (id === 'slow_oa/learned' ? 60 : undefined);
    try {
      slow.script('learned', never);
      const { rows } = await hear('openai', false, 'learned');
      expect(rows.map(({ outcome }) => outcome)).toEqual(['cancelled', 'ok']);
    } finally {
      sight.lateFirstTokenMs = lateFirstTokenMs;
    }
  });

  test('fails at once: the next is asked as a fallback does, not beside it', async () => {
    const started = await seconds('oa/echo');
    const { text, rows } = await hear('openai', false, 'never_twice');
    expect(text).toBe(said);
    expect(rows.map(({ outcome }) => outcome)).toEqual(['upstream_unavailable', 'ok']);
    expect(await seconds('oa/echo')).toBe(started);
  });
});

describe('one of both fails', () => {
  test.each([false, true])('the second: the first goes on (stream: %p)', async (stream) => {
    const hearing = hear('anthropic', stream, 'second_fails');
    await until(() => failed.includes('oa/status:500'));
    open.first.resolve();
    const { text, rows } = await hearing;
    expect(text).toBe(said);
    expect(fates(rows)).toEqual([
      ['first/echo', 'ok', 1, 200],
      ['oa/status:500', 'upstream_unavailable', 0, 0],
    ]);
  });

  test.each([false, true])('the first: the second goes on (stream: %p)', async (stream) => {
    const asked = await seconds('second/echo');
    const hearing = hear('openai', stream, 'first_fails');
    await until(async () => (await seconds('second/echo')) > asked);
    open.first.resolve();
    await until(() => failed.includes('first/status:503'));
    open.second.resolve();
    const { text, rows } = await hearing;
    expect(text).toBe(said);
    expect(fates(rows)).toEqual([
      ['first/status:503', 'upstream_overloaded', 0, 0],
      ['second/echo', 'ok', 1, 200],
    ]);
  });

  test.each([false, true])('both: the next of the route answers (stream: %p)', async (stream) => {
    const asked = await seconds('second/status:500');
    const hearing = hear('anthropic', stream, 'both_fail');
    await until(async () => (await seconds('second/status:500')) > asked);
    open.first.resolve();
    await until(() => failed.includes('first/status:503'));
    open.second.resolve();
    const { text, headers, rows } = await hearing;
    expect(text).toBe(said);
    expect(headers.get('x-sluice-target')).toBe('both/echo');
    expect(fates(rows)).toEqual([
      ['first/status:503', 'upstream_overloaded', 0, 0],
      ['second/status:500', 'upstream_unavailable', 0, 0],
      ['both/echo', 'ok', 1, 200],
    ]);
    // Each failure was told once.
    expect(failed).toEqual(['first/status:503', 'second/status:500']);
  });

  test('both, and there is no other: the client hears the last', async () => {
    const answering = gateway.post(paths.openai, { model: 'all_fail', messages });
    await until(() => failed.includes('oa/status:500'));
    open.first.resolve();
    const answer = await answering;
    expect(answer.status).toBe(503);
    expect(answer.headers.get('x-sluice-target')).toBe('first/status:503');
    expect(fates(await gateway.attemptsOf(answer.headers.get('x-request-id')))).toEqual([
      ['first/status:503', 'upstream_overloaded', 1, 503],
      ['oa/status:500', 'upstream_unavailable', 0, 0],
    ]);
  });
});

describe('a client that leaves', () => {
  test.each([false, true])('stops both (stream: %p)', async (stream) => {
    const before = [slow, quick].map(({ mock }) => mock.counters.aborted);
    const asked = quick.requests.length;
    const leave = new AbortController();
    const answer = fetch(gateway.url + paths.openai, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-test-key', 'x-sluice-session': `left-${stream}` },
      body: JSON.stringify({ model: 'left', messages, stream }),
      signal: leave.signal,
    }).catch(() => {});
    await until(() => quick.requests.length > asked);
    leave.abort();
    await answer;
    await until(() => [slow, quick].every(({ mock }, i) => mock.counters.aborted === before[i]! + 1));
    const rows = async () => (await gateway.attempts()).filter(({ session }) => session === `left-${stream}`);
    await until(async () => (await rows()).length === 2);
    expect((await rows()).map(({ outcome }) => outcome)).toEqual(['cancelled', 'cancelled']);
    expect((await rows()).map(({ client_status }) => client_status).sort()).toEqual([0, 499]);
    expect(gateway.app.gateway.inflight.count).toBe(0);
  });
});

describe('what bounds it', () => {
  test('its share of calls, however many are late', async () => {
    const calls = 200;
    const started = await seconds('oa/capped');
    quick.script('capped', 'echo:before=200ms');
    for (let i = 0; i < calls; i += 10)
      await Promise.all(
        Array.from({ length: 10 }, () =>
          gateway.post(paths.openai, { model: 'capped', messages }).then((answer) => answer.text()),
        ),
      );
    const second = (await seconds('oa/capped')) - started;
    expect(second).toBeLessThanOrEqual(calls * 0.1);
    expect(second).toBeGreaterThan(calls * 0.05);
    expect(quick.callsOf('capped')).toBe(second);
  });

  test('limits, which have to bear both', async () => {
    const ask = (token: string) =>
      gateway.post(
        paths.openai,
        { model: 'dear', messages, max_tokens: 100 },
        { authorization: `Bearer ${token}` },
      );
    expect((await ask('sk-poor')).headers.get('x-sluice-attempts')).toBe('1');
    expect(quick.callsOf('dear')).toBe(0);
    const rich = await ask('sk-test-key');
    expect(rich.headers.get('x-sluice-attempts')).toBe('2');
  });

  test('several answers and checked ones are asked for as by a fallback', async () => {
    const asked = async (model: string, rest: object) =>
      new Set((await hear('openai', false, model, rest)).rows.map(({ target }) => target));
    expect(await asked('several', { n: 2 })).toEqual(new Set(['slow_an/echo:before=100ms,as=several']));
    const asks = [{ role: 'user', content: '{"a":"b"}' }];
    const response_format = {
      type: 'json_schema',
      json_schema: { name: 'x', schema: { type: 'object', properties: { a: { type: 'string' } } } },
    };
    expect(await asked('formed', { response_format, messages: asks })).toEqual(
      new Set(['deepseek/echo:before=100ms,as=formed']),
    );
    // Where only the second would have to be told in words, it stays the next one after a failure.
    const first = new Set(['slow_oa/echo:before=100ms,as=formed']);
    expect(await asked('second_formed', { response_format, messages: asks })).toEqual(first);
    for (const { callsOf } of [slow, quick]) expect(callsOf('never-asked')).toBe(0);
  });

  test('other operations are asked for as by a fallback', async () => {
    const answer = await gateway.post('/v1/embeddings', { model: 'embedded', input: 'x' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-sluice-attempts')).toBe('1');
  });
});
