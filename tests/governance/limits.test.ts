/** Limits hold for key, team and organisation, window by window, and say why they refuse. */
import { describe, expect, test } from 'bun:test';
import { expandLimit } from '../../src/config/compile-limit.ts';
import type { Key, Limit, Snapshot } from '../../src/config/snapshot.ts';
import { windowOf } from '../../src/config/window.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Period } from '../../src/core/limit.ts';
import { createMemoryCounters } from '../../src/governance/counters-memory.ts';
import type { Lease } from '../../src/governance/leases.ts';
import { createLimiter } from '../../src/governance/limits.ts';

const noon = Date.UTC(2026, 0, 15, 12);
const usd = 1e9;

function makeKey(limits: Limit[], more: Partial<Key> = {}): Key {
  return {
    id: 'k1',
    name: more.id ?? 'ci',
    team: 'web',
    organisation: 'shop',
    limits,
    expiresAt: undefined,
    disabled: false,
    ...more,
  };
}

type Owners = Pick<Snapshot, 'teams' | 'organisations'>;

function owners(team: Limit[] = [], organisation: Limit[] = []): Owners {
  return {
    teams: new Map([['web', { name: 'web', organisation: 'shop', limits: team }]]),
    organisations: new Map([['shop', { name: 'shop', limits: organisation }]]),
  };
}

function setUp(limits: Limit[], team: Limit[] = [], organisation: Limit[] = []) {
  const counters = createMemoryCounters();
  const limiter = createLimiter(counters);
  const snapshot = owners(team, organisation);
  const key = makeKey(limits);
  return {
    counters,
    limiter,
    snapshot,
    key,
    call: (estimate = { tokens: 0, nanoUsd: 0 }, nowMs = noon, by = key) =>
      limiter.reserve(limiter.limitsOf(snapshot, by), estimate, nowMs) as Lease,
    tallies: () => limiter.limitsOf(snapshot, key).map(({ tally }) => [tally.used(noon), tally.reserved]),
  };
}

function refusal(act: () => unknown): GatewayError {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('the call was not refused');
}

const requests = (max: number, per: Period = 'minute') => expandLimit({ unit: 'requests', max, per });
const tokens = (max: number, per: Period = 'minute') => expandLimit({ unit: 'tokens', max, per });
const budget = (dollars: number, per: Period = 'day') =>
  expandLimit({ unit: 'usd', max: dollars * usd, per });
const concurrency = (max: number) => expandLimit({ unit: 'concurrency', max });

describe('what a limit counts', () => {
  test('requests, also while they run', () => {
    const { call } = setUp([requests(2)]);
    call().settle({ tokens: 0, nanoUsd: 0 }, noon);
    call();
    expect(refusal(call).kind).toBe('rate_limited');
  });

  test('tokens: what was used, not what was estimated, once the call is settled', () => {
    const { call } = setUp([tokens(1000)]);
    const first = call({ tokens: 900, nanoUsd: 0 });
    expect(refusal(() => call({ tokens: 200, nanoUsd: 0 })).kind).toBe('rate_limited');
    first.settle({ tokens: 100, nanoUsd: 0 }, noon);
    call({ tokens: 900, nanoUsd: 0 });
  });

  test('money: a budget is a bound, also for a call that is alone with it', () => {
    const { call } = setUp([budget(5)]);
    expect(refusal(() => call({ tokens: 0, nanoUsd: 6 * usd })).kind).toBe('budget_exceeded');
    call({ tokens: 0, nanoUsd: 5 * usd });
  });

  test('running calls', () => {
    const { call } = setUp([concurrency(2)]);
    const first = call();
    call();
    const error = refusal(call);
    expect(error.kind).toBe('rate_limited');
    expect(error.detail.retryAfterS).toBe(1);
    first.settle({ tokens: 5, nanoUsd: 5 }, noon);
    call();
  });

  test('a call that was estimated too low is booked in full', () => {
    const { call, tallies } = setUp([tokens(100)]);
    call({ tokens: 50, nanoUsd: 0 }).settle({ tokens: 150, nanoUsd: 0 }, noon);
    expect(tallies()).toEqual([[150, 0]]);
    expect(refusal(() => call({ tokens: 1, nanoUsd: 0 })).kind).toBe('rate_limited');
  });

  test('an estimate that is no number is refused, and a wrong count cannot spoil a counter', () => {
    const { call, tallies } = setUp([tokens(100)]);
    expect(refusal(() => call({ tokens: Number.NaN, nanoUsd: 0 })).kind).toBe('rate_limited');
    call({ tokens: -50, nanoUsd: 0 }).settle({ tokens: Number.NaN, nanoUsd: -1 }, noon);
    expect(tallies()).toEqual([[0, 0]]);
  });
});

describe('a limit is ample', () => {
  const far = () => setUp([budget(64), tokens(6400), requests(1)]);
  const isAmple = ({ limiter, snapshot, key }: ReturnType<typeof far>, dollars: number, count: number) =>
    limiter.isAmple(limiter.limitsOf(snapshot, key), { tokens: count, nanoUsd: dollars * usd }, noon);

  test('for a call of which it bears 64, of tokens and money alike', () => {
    expect(isAmple(far(), 1, 100)).toBe(true);
    expect(isAmple(far(), 1.01, 100)).toBe(false);
    expect(isAmple(far(), 1, 101)).toBe(false);
  });

  test('no more once it was used of', () => {
    const limits = far();
    limits.call({ tokens: 1, nanoUsd: 0 }).settle({ tokens: 1, nanoUsd: 0 }, noon);
    expect(isAmple(limits, 1, 100)).toBe(false);
    expect(isAmple(limits, 1, 99)).toBe(true);
  });

  test('no more while an eighth of it is held', () => {
    const limits = far();
    const lease = limits.call({ tokens: 0, nanoUsd: 8 * usd });
    expect(isAmple(limits, 0.1, 1)).toBe(false);
    lease.cancel(noon);
    expect(isAmple(limits, 0.1, 1)).toBe(true);
  });
});

describe('a lease', () => {
  test('is settled once', () => {
    const { call, tallies } = setUp([requests(9), concurrency(9), tokens(100)]);
    const lease = call({ tokens: 30, nanoUsd: 0 });
    lease.settle({ tokens: 20, nanoUsd: 0 }, noon);
    lease.settle({ tokens: 20, nanoUsd: 0 }, noon);
    lease.cancel(noon);
    expect(tallies()).toEqual([
      [1, 0],
      [0, 0],
      [20, 0],
    ]);
  });

  test('that is cancelled leaves no trace', () => {
    const { call, tallies } = setUp([requests(9), concurrency(9), tokens(100)]);
    call({ tokens: 30, nanoUsd: 0 }).cancel(noon);
    expect(
      tallies()
        .flat()
        .every((amount) => amount === 0),
    ).toBe(true);
  });

  test('grows to new totals while there is room, with all limits or with none', () => {
    const { call, tallies } = setUp([tokens(100), budget(1)]);
    const lease = call({ tokens: 30, nanoUsd: 0.5 * usd });
    expect(lease.raise({ tokens: 60, nanoUsd: 0.9 * usd }, noon)).toBeUndefined();
    expect(lease.raise({ tokens: 10, nanoUsd: 0 }, noon)).toBeUndefined();
    expect(lease.raise({ tokens: 70, nanoUsd: 1.1 * usd }, noon)).toBeDefined();
    expect(tallies()).toEqual([
      [0, 60],
      [0, 0.9 * usd],
    ]);
    lease.settle({ tokens: 60, nanoUsd: usd }, noon);
    lease.raise({ tokens: 61, nanoUsd: usd }, noon);
    expect(tallies()).toEqual([
      [60, 0],
      [usd, 0],
    ]);
  });

  test('is not held back by a limit it asks no more of', () => {
    const { call } = setUp([tokens(100), budget(1)]);
    const lease = call({ tokens: 30, nanoUsd: 0 });
    call({ tokens: 30, nanoUsd: 0 }).settle({ tokens: 200, nanoUsd: 0 }, noon);
    expect(lease.raise({ tokens: 30, nanoUsd: usd }, noon)).toBeUndefined();
    expect(lease.raise({ tokens: 31, nanoUsd: usd }, noon)).toBeDefined();
  });
});

describe('what was not reserved', () => {
  test('is booked whatever the limits say, in tokens and money alone', () => {
    const { limiter, snapshot, key, call, tallies } = setUp([
      tokens(10),
      budget(1),
      requests(5),
      concurrency(1),
    ]);
    const running = call();
    limiter.book(limiter.limitsOf(snapshot, key), { tokens: 25, nanoUsd: 3 * usd }, noon);
    running.cancel(noon);
    expect(tallies()).toEqual([
      [25, 0],
      [3 * usd, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(refusal(() => call({ tokens: 1, nanoUsd: 0 })).kind).toBe('rate_limited');
  });

  test('counts in the window in which it is booked', () => {
    const { limiter, snapshot, key, call } = setUp([tokens(10)]);
    limiter.book(limiter.limitsOf(snapshot, key), { tokens: 25, nanoUsd: 0 }, noon);
    call({ tokens: 10, nanoUsd: 0 }, noon + 60_000).cancel(noon);
  });
});

describe('windows', () => {
  test.each([
    ['second', 1000],
    ['minute', 60_000],
    ['hour', 3_600_000],
    ['day', 12 * 3_600_000],
    ['week', (3 * 24 + 12) * 3_600_000],
    ['month', (16 * 24 + 12) * 3_600_000],
  ] as [Period, number][])('a %s ends with UTC’s calendar', (per, lengthMs) => {
    const { call } = setUp([requests(1, per)]);
    call().settle({ tokens: 0, nanoUsd: 0 }, noon);
    expect(refusal(call).detail.retryAfterS).toBe(lengthMs / 1000);
    expect(refusal(() => call(undefined, noon + lengthMs - 1)).detail.retryAfterS).toBe(1);
    call(undefined, noon + lengthMs);
  });

  test('December ends with the year', () => {
    const { call } = setUp([requests(1, 'month')]);
    call(undefined, Date.UTC(2026, 11, 31, 23, 59, 59)).settle({ tokens: 0, nanoUsd: 0 }, noon);
    expect(refusal(() => call(undefined, Date.UTC(2026, 11, 31, 23, 59, 59, 999))).kind).toBe('rate_limited');
    call(undefined, Date.UTC(2027, 0, 1));
  });

  test('a call counts in the window in which it began', () => {
    const { call, tallies } = setUp([tokens(100)]);
    const early = call({ tokens: 80, nanoUsd: 0 });
    const late = call({ tokens: 80, nanoUsd: 0 }, noon + 60_000);
    early.settle({ tokens: 90, nanoUsd: 0 }, noon);
    expect(tallies()).toEqual([[0, 80]]);
    late.settle({ tokens: 70, nanoUsd: 0 }, noon);
    expect(tallies()).toEqual([[70, 0]]);
  });

  test('a stream that runs into the next window is still held to its own', () => {
    const { call } = setUp([tokens(100)]);
    const early = call({ tokens: 80, nanoUsd: 0 });
    call({ tokens: 80, nanoUsd: 0 }, noon + 60_000);
    expect(early.raise({ tokens: 100, nanoUsd: 0 }, noon)).toBeUndefined();
    expect(early.raise({ tokens: 101, nanoUsd: 0 }, noon)).toBeDefined();
  });

  test('a running call is one of those running, however late it is', () => {
    const { call } = setUp([concurrency(1)]);
    call();
    expect(refusal(() => call(undefined, noon + 30 * 86_400_000)).kind).toBe('rate_limited');
  });

  test('a clock that steps back frees nothing', () => {
    const { call } = setUp([requests(1)]);
    call(undefined, noon + 60_000).settle({ tokens: 0, nanoUsd: 0 }, noon);
    expect(refusal(() => call(undefined, noon)).kind).toBe('rate_limited');
    expect(refusal(() => call(undefined, noon + 60_000)).kind).toBe('rate_limited');
    call(undefined, noon + 120_000);
  });

  test('a clock that steps back opens no window that was forgotten', () => {
    const { counters, limiter, snapshot, call } = setUp([requests(1)]);
    call().settle({ tokens: 0, nanoUsd: 0 }, noon);
    const later = noon + 60_000;
    for (let i = 0; i < 5; i++) {
      const filler = makeKey([requests(1)], { id: `filler${i}` });
      limiter.reserve(limiter.limitsOf(snapshot, filler), { tokens: 0, nanoUsd: 0 }, later);
    }
    expect(counters.size).toBe(5);
    call(undefined, noon);
    expect(refusal(() => call(undefined, later)).kind).toBe('rate_limited');
  });

  test('a lifetime does not end', () => {
    const { call } = setUp([budget(1, 'lifetime')]);
    call({ tokens: 0, nanoUsd: usd }).settle({ tokens: 0, nanoUsd: usd }, noon);
    const error = refusal(() => call({ tokens: 0, nanoUsd: 1 }, noon + 1e12));
    expect(error.message).toContain('limited to 1 USD for good: 1 used');
    expect(error.detail.retryAfterS).toBeUndefined();
  });
});

describe('several limits', () => {
  test('all accept or none is touched, whichever refuses', () => {
    const { call, tallies } = setUp([requests(9), tokens(1000)], [concurrency(9), tokens(500)], [budget(1)]);
    expect(refusal(() => call({ tokens: 400, nanoUsd: 2 * usd })).message).toStartWith(
      'The organisation "shop"',
    );
    expect(refusal(() => call({ tokens: 600, nanoUsd: 0 })).message).toStartWith('The team "web"');
    expect(refusal(() => call({ tokens: 1001, nanoUsd: 0 })).message).toStartWith('The key "ci"');
    expect(
      tallies()
        .flat()
        .every((amount) => amount === 0),
    ).toBe(true);
  });

  test('the keys of a team share its limits, each its own', () => {
    const { call } = setUp([requests(2)], [requests(3)]);
    const other = makeKey([requests(2)], { id: 'k2', name: 'other' });
    call();
    call();
    expect(refusal(call).message).toStartWith('The key "ci"');
    call(undefined, noon, other);
    expect(refusal(() => call(undefined, noon, other)).message).toStartWith('The team "web"');
  });

  test('of the same unit and window the stricter holds, and a call counts once', () => {
    const { call, tallies } = setUp([requests(5), requests(2), requests(3)]);
    call();
    expect(tallies()).toEqual([[0, 1]]);
    call();
    refusal(call);
  });

  test('a key of no team has its own limits only', () => {
    const { limiter, snapshot } = setUp([]);
    const loner = makeKey([requests(1)], { team: '', organisation: '' });
    expect(limiter.limitsOf(snapshot, loner)).toHaveLength(1);
  });
});

describe('a refusal says', () => {
  test('whose limit it is, how much is used, held and needed, and when to come back', () => {
    const { call } = setUp([], [budget(100, 'month')]);
    call({ tokens: 0, nanoUsd: 99.5 * usd }).settle({ tokens: 0, nanoUsd: 99.5 * usd }, noon);
    call({ tokens: 0, nanoUsd: 0.25 * usd });
    const error = refusal(() => call({ tokens: 0, nanoUsd: 0.75 * usd }, Date.UTC(2026, 0, 31, 23, 59, 0)));
    expect(error.message).toBe(
      'The team "web" is limited to 100 USD per month: 99.5 used, 0.25 held by running calls, ' +
        'and this call needs 0.75. Retry in 60 s, when the month ends (UTC).',
    );
    expect(error.detail.retryAfterS).toBe(60);
    expect(error.status).toBe(429);
  });

  test('that waiting for a running call may be enough', () => {
    const { call } = setUp([tokens(100)]);
    call({ tokens: 80, nanoUsd: 0 });
    const error = refusal(() => call({ tokens: 40, nanoUsd: 0 }));
    expect(error.message).toEndWith('Retry when a running call has ended.');
    expect(error.detail.retryAfterS).toBe(1);
  });

  test('that requests under way are used up, so that waiting for them does not help', () => {
    const { call } = setUp([requests(1)]);
    call();
    expect(refusal(call).detail.retryAfterS).toBe(60);
  });

  test('that waiting does not help a call that is too large', () => {
    const { call } = setUp([tokens(100)]);
    expect(refusal(() => call({ tokens: 101, nanoUsd: 0 })).message).toContain('Waiting does not help');
  });
});

describe('counters', () => {
  test('outlive a reload, which may change the limit', () => {
    const { limiter, call } = setUp([requests(2)]);
    call();
    call();
    const reloaded = makeKey([requests(3)]);
    const limits = limiter.limitsOf(owners(), reloaded);
    limiter.reserve(limits, { tokens: 0, nanoUsd: 0 }, noon);
    expect(refusal(() => limiter.reserve(limits, { tokens: 0, nanoUsd: 0 }, noon)).message).toContain(
      '3 held',
    );
  });

  test('begin with what was spent before the start', () => {
    const { counters, call } = setUp([], [budget(5)]);
    counters.restore(
      [{ owner: 'team', id: 'web', unit: 'usd', window: windowOf('day'), amount: 4 * usd, atMs: noon }],
      noon,
    );
    expect(refusal(() => call({ tokens: 0, nanoUsd: 2 * usd })).message).toContain('4 used');
    call({ tokens: 0, nanoUsd: usd });
    call({ tokens: 0, nanoUsd: 5 * usd }, noon + 86_400_000);
  });

  test('of windows that have passed make room', () => {
    const { counters, limiter, snapshot } = setUp([]);
    for (let i = 0; i < 5000; i++) {
      const key = makeKey([requests(1, 'second'), concurrency(1)], { id: `k${i}` });
      const nowMs = noon + i * 1000;
      const lease = limiter.reserve(
        limiter.limitsOf(snapshot, key),
        { tokens: 0, nanoUsd: 0 },
        nowMs,
      ) as Lease;
      lease.settle({ tokens: 0, nanoUsd: 0 }, nowMs);
    }
    expect(counters.size).toBeLessThan(20);
  });

  test('that made room while a key remembered them are still one counter for all', () => {
    const { limiter, snapshot, call, key } = setUp([], [concurrency(1)]);
    call().cancel(noon);
    for (let i = 0; i < 10; i++) {
      const filler = makeKey([concurrency(1)], { id: `filler${i}`, team: '', organisation: '' });
      limiter.reserve(limiter.limitsOf(snapshot, filler), { tokens: 0, nanoUsd: 0 }, noon);
    }
    call(undefined, noon, makeKey([], { id: 'k2', name: 'other' }));
    expect(refusal(() => call(undefined, noon, key)).message).toStartWith('The team "web"');
  });

  test('in use never make room, nor does a lifetime that was used of', () => {
    const { limiter, snapshot, call } = setUp([concurrency(1), budget(1, 'lifetime')]);
    call({ tokens: 0, nanoUsd: usd }).settle({ tokens: 0, nanoUsd: usd }, noon);
    const running = call();
    for (let i = 0; i < 50; i++) {
      const filler = makeKey([requests(1)], { id: `filler${i}` });
      limiter.reserve(limiter.limitsOf(snapshot, filler), { tokens: 0, nanoUsd: 0 }, noon + i);
    }
    const again = makeKey([concurrency(1), budget(1, 'lifetime')]);
    expect(refusal(() => call(undefined, noon, again)).kind).toBe('rate_limited');
    running.cancel(noon);
    expect(refusal(() => call({ tokens: 0, nanoUsd: 1 }, noon, again)).kind).toBe('budget_exceeded');
  });
});
