/** What a gateway learns of its providers over real sockets, and what it does about it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { HealthReport } from '../../src/core/health.ts';
import { Probes } from '../../src/gateway/probes.ts';
import { RetryBudget } from '../../src/routing/retry-budget.ts';
import { type Answer, startAnswering, well } from './answering.ts';
import { startGateway, type TestGateway, until } from './gateway.ts';

const upstream = startAnswering();
const { asked, answers } = upstream;
let gateway: TestGateway;

const refusing =
  (status: number, headers: Record<string, string> = {}): Answer =>
  () =>
    Response.json({ error: { message: 'not now', type: 'server_error' } }, { status, headers });

/** An answer that says something in its headers. */
const saying =
  (headers: Record<string, string>): Answer =>
  async (each) => {
    const response = await well(each);
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    return response;
  };

beforeAll(async () => {
  const { provider } = upstream;
  gateway = await startGateway(`
providers:
${['breaks', 'spare', 'single', 'out1', 'out2', 'fall1', 'fall2', 'again', 'later', 'leaves', 'final', 'held', 'empty1', 'empty2', 'new1', 'new2', 'first', 'unheard', 'answering', 'rounds'].map((name) => provider(name)).join('\n')}
${provider('pool', 'keys: [one, two]')}
${provider('limited', 'keys: [one, two]')}
${provider('keys', 'keys: [one, two]')}
${provider('probed', 'key: secret, probe: 50ms')}
models:
  breaking: { fallback: [breaks/m, spare/m] }
  saving: { fallback: [single/m, spare/m] }
  outage: { fallback: [out1/m, out2/m] }
  fall: { fallback: [fall1/m, fall2/m] }
  again: { fallback: [again/m], retries: 2 }
  later: { fallback: [later/m], retries: 1 }
  leaves: { fallback: [leaves/m], retries: 1 }
  final: { fallback: [final/m], retries: 2 }
  empty: { fallback: [empty1/m, empty2/m] }
  held: { fallback: [held/m], retries: 2 }
  unasked: { fallback: [new1/m, new2/m] }
  sound: { fallback: [first/m, unheard/m, answering/m] }
  rounds: { fallback: [rounds/m], retries: 1 }
`);
});

afterAll(async () => {
  await gateway.stop();
  await upstream.stop();
});

beforeEach(() => {
  asked.length = 0;
});

const call = (model: string, init: { signal?: AbortSignal } = {}) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test-key', 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
    ...init,
  });

const report = (): HealthReport => gateway.app.gateway.health.describe(Date.now());
const stateOf = (id: string) => report().targets.find((target) => target.id === id)?.state;
const asksOf = (name: string) => asked.filter(({ path }) => path.startsWith(`${name}/`));
const metrics = async () => (await fetch(`${gateway.url}/metrics`)).text();

describe('a target that fails', () => {
  test('gets no calls, then one that finds out, and all of them when that went well', async () => {
    answers.set('breaks', refusing(500));
    for (let i = 0; i < 5; i++) expect((await call('breaking')).headers.get('x-sluice-attempts')).toBe('2');
    expect(asksOf('breaks')).toHaveLength(5);
    const counted = await metrics();
    expect(counted).toContain('sluice_target_opened_total{target="breaks/m"} 1');
    expect(counted).toMatch(/sluice_target_state\{target="breaks\/m"\} [12]\n/);
    const held = Promise.withResolvers<void>();
    answers.set('breaks', async (each) => {
      await held.promise;
      return well(each);
    });
    await until(() => stateOf('breaks/m') === 'half-open');
    const finding = call('breaking');
    await until(() => asksOf('breaks').length === 6);
    for (let i = 0; i < 3; i++) {
      const { headers } = await call('breaking');
      expect([headers.get('x-sluice-target'), headers.get('x-sluice-attempts')]).toEqual(['spare/m', '1']);
    }
    expect(asksOf('breaks')).toHaveLength(6);
    held.resolve();
    expect((await finding).headers.get('x-sluice-target')).toBe('breaks/m');
    expect(stateOf('breaks/m')).toBe('closed');
    expect((await call('breaking')).headers.get('x-sluice-target')).toBe('breaks/m');
  });
});

describe('headers that say nothing is left', () => {
  test('let the next key go first, before the provider has to refuse', async () => {
    const spent = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '50s' };
    answers.set('pool', (each) => (each.key === 'Bearer one' ? saying(spent) : well)(each));
    for (let i = 0; i < 5; i++) expect((await call('pool/m')).status).toBe(200);
    const keys = asksOf('pool').map(({ key }) => key);
    expect(keys.filter((key) => key === 'Bearer one')).toHaveLength(1);
    const pool = report().providers.find(({ name }) => name === 'pool');
    expect(
      pool?.keys.map(({ id, state, limited }) => [id, state, limited?.[0]?.model, limited?.[0]?.why]),
    ).toEqual([
      ['pool#1', 'live', 'm', 'used_up'],
      ['pool#2', 'live', undefined, undefined],
    ]);
    expect(await metrics()).toContain('sluice_keys_aside{provider="pool",why="used_up"} 1');
  });

  test('let the next provider go first, where there is one, and change nothing where there is none', async () => {
    answers.set(
      'single',
      saying({
        'anthropic-ratelimit-tokens-remaining': '0',
        'anthropic-ratelimit-tokens-reset': inAMinute(),
      }),
    );
    expect((await call('saving')).headers.get('x-sluice-target')).toBe('single/m');
    const { headers } = await call('saving');
    expect([headers.get('x-sluice-target'), headers.get('x-sluice-attempts')]).toEqual(['spare/m', '1']);
    expect((await call('single/m')).status).toBe(200);
  });
});

describe('a general outage', () => {
  test.each([
    ['whom nobody has asked before', 'outage', 'out1', 'out2', false],
    ['who were well until then', 'fall', 'fall1', 'fall2', true],
  ])('of targets %s is not made worse by more than a tenth and a few to begin with', async (...given) => {
    const [, model, first, second, wereWell] = given;
    if (wereWell) for (const name of [first, second]) expect((await call(`${name}/m`)).status).toBe(200);
    asked.length = 0;
    answers.set(first, refusing(503));
    answers.set(second, refusing(503));
    const startMs = performance.now();
    const calls = 300;
    const atOnce = 10;
    const attempts: number[] = [];
    for (let i = 0; i < calls; i += atOnce) {
      const answered = await Promise.all(Array.from({ length: atOnce }, () => call(model)));
      for (const { status, headers } of answered) {
        expect(status).toBe(503);
        attempts.push(Number(headers.get('x-sluice-attempts')));
      }
    }
    const passedMinutes = (performance.now() - startMs) / 60_000;
    const made = asksOf(first).length + asksOf(second).length;
    expect(attempts.reduce((sum, each) => sum + each)).toBe(made);
    expect(attempts.slice(0, 5)).toEqual([2, 2, 2, 2, 2]);
    // Those that run when it begins may all ask one who has just been well, and so may those that find out.
    const sooner = wereWell ? atOnce + 1 + Math.ceil(passedMinutes * 60) : 0;
    // Calls of the tests above have saved up a few.
    expect(made).toBeLessThanOrEqual(calls * 1.1 + 20 + 20 * passedMinutes + 5 + sooner);
    expect(made).toBeGreaterThan(calls + 40);
    const heldBack = /^sluice_retries_held_back_total (\d+)$/m.exec(await metrics());
    expect(Number(heldBack?.[1])).toBeGreaterThan(200);
  });

  test('is one of its own model: calls of others fail over to whom nobody has asked before', async () => {
    answers.set('new1', refusing(503));
    for (let i = 0; i < 3; i++) {
      const { status, headers } = await call('unasked');
      expect([status, headers.get('x-sluice-attempts')]).toEqual([200, '2']);
    }
  });
});

describe('an empty retry budget', () => {
  test.each([
    ['another target', 'empty', 'empty1', 503],
    ['another key', 'limited/m', 'limited', 429],
    ['another round', 'held', 'held', 503],
  ])(
    'bears no attempt with %s: the client hears the failure at once',
    async (_what, model, provider, status) => {
      answers.set('empty1', refusing(503));
      answers.set('limited', refusing(429));
      answers.set('held', refusing(503, { 'retry-after': '7' }));
      const usual = gateway.app.gateway.retries;
      gateway.app.gateway.retries = Object.assign(new RetryBudget(), { take: () => false });
      try {
        const response = await call(model);
        expect([response.status, response.headers.get('x-sluice-attempts')]).toEqual([status, '1']);
        expect(asked).toHaveLength(1);
        expect(asksOf(provider)).toHaveLength(1);
      } finally {
        gateway.app.gateway.retries = usual;
      }
    },
  );

  test('bears every attempt at a target that is well and has answered of late, whoever stands before it', async () => {
    answers.set('first', refusing(503));
    answers.set('unheard', refusing(503));
    expect((await call('answering/m')).status).toBe(200);
    const { retries: usual, sight } = gateway.app.gateway;
    gateway.app.gateway.retries = Object.assign(new RetryBudget(), { take: () => false });
    try {
      const { status, headers } = await call('sound');
      expect([status, headers.get('x-sluice-target'), headers.get('x-sluice-attempts')]).toEqual([
        200,
        'answering/m',
        '2',
      ]);
      expect(asksOf('unheard')).toHaveLength(0);
      asked.length = 0;
      gateway.app.gateway.sight = { ...sight, isHealthy: () => false };
      expect((await call('sound')).status).toBe(503);
      expect(asked).toHaveLength(1);
    } finally {
      gateway.app.gateway.retries = usual;
      gateway.app.gateway.sight = sight;
    }
  });

  test('bears another key and another round there, too', async () => {
    for (const name of ['keys', 'rounds']) expect((await call(`${name}/m`)).status).toBe(200);
    const usual = gateway.app.gateway.retries;
    gateway.app.gateway.retries = Object.assign(new RetryBudget(), { take: () => false });
    const once = (status: number): Answer => {
      let fails = 1;
      return (each) => (fails-- > 0 ? refusing(status) : well)(each);
    };
    answers.set('keys', once(429));
    answers.set('rounds', once(503));
    try {
      for (const model of ['keys/m', 'rounds']) {
        const { status, headers } = await call(model);
        expect([status, headers.get('x-sluice-attempts')]).toEqual([200, '2']);
      }
    } finally {
      gateway.app.gateway.retries = usual;
    }
  });
});

describe('a route with retries', () => {
  test('goes through its targets again when all failed for the moment', async () => {
    let fails = 2;
    answers.set('again', (each) => (fails-- > 0 ? refusing(503) : well)(each));
    const { status, headers } = await call('again');
    expect([status, headers.get('x-sluice-attempts')]).toEqual([200, '3']);
    const rows = await gateway.attemptsOf(headers.get('x-request-id'));
    expect(rows.map(({ outcome, final }) => [outcome, final])).toEqual([
      ['upstream_overloaded', 0],
      ['upstream_overloaded', 0],
      ['ok', 1],
    ]);
  });

  test('waits as long as the provider asks for', async () => {
    const times: number[] = [];
    answers.set('later', (each) => {
      times.push(performance.now());
      return (times.length === 1 ? refusing(429, { 'retry-after': '1' }) : well)(each);
    });
    expect((await call('later')).status).toBe(200);
    // Timers may fire a moment early.
    expect(times[1]! - times[0]!).toBeGreaterThan(950);
  });

  test('does not go on for a client that has left', async () => {
    answers.set('leaves', refusing(503, { 'retry-after': '7' }));
    const client = new AbortController();
    const answer = call('leaves', { signal: client.signal }).catch(() => undefined);
    await until(() => asksOf('leaves').length === 1);
    client.abort();
    await answer;
    await until(() => gateway.app.gateway.inflight.count === 0);
    expect(asksOf('leaves')).toHaveLength(1);
  });

  test('does not repeat what would fail again', async () => {
    answers.set('final', refusing(503, { 'retry-after': '60' }));
    expect((await call('final')).status).toBe(503);
    answers.set('final', refusing(400));
    expect((await call('final')).status).toBe(400);
    expect(asksOf('final')).toHaveLength(2);
  });
});

describe('a provider that is probed', () => {
  test('is asked for its models while a target fails, and calls wait for that to go well', async () => {
    answers.set('probed', refusing(500));
    for (let i = 0; i < 5; i++) await call('probed/m');
    const probes = () => asksOf('probed').filter(({ path }) => path === 'probed/models');
    await until(() => probes().length > 0);
    expect(probes()[0]).toEqual({ method: 'GET', path: 'probed/models', model: '', key: 'Bearer secret' });
    const { health } = gateway.app.gateway;
    const untilMs = () => report().targets.find(({ id }) => id === 'probed/m')?.untilMs ?? 0;
    await until(() => untilMs() > Date.now() + 20_000);
    answers.delete('probed');
    await until(() => stateOf('probed/m') === 'half-open');
    expect((await call('probed/m')).status).toBe(200);
    expect(stateOf('probed/m')).toBe('closed');
    expect(health.unwell(Date.now()).has('probed')).toBe(false);
    const before = probes().length;
    new Probes(gateway.app.gateway).sweep(Date.now() + 60_000);
    // What comes later than that would have come before.
    await Bun.sleep(20);
    expect((await call('probed/m')).status).toBe(200);
    expect(probes().length).toBe(before);
    // None of this is a call of anybody.
    expect((await gateway.attempts()).some(({ target }) => target === 'probed')).toBe(false);
  });
});

function inAMinute(): string {
  return new Date(Date.now() + 60_000).toISOString();
}
