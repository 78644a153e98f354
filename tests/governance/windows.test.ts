/** Windows begin and end when calendars say so, slide without letting more through, and survive clocks that are set. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { expandLimit } from '../../src/config/compile-limit.ts';
import { findTimeZone, windowOf } from '../../src/config/window.ts';
import type { LimitAlert } from '../../src/core/alert.ts';
import type { PlainLimit } from '../../src/core/limit.ts';
import { bindLimit } from '../../src/governance/binding.ts';
import { LimitClock } from '../../src/governance/clock.ts';
import { createMemoryCounters } from '../../src/governance/counters-memory.ts';
import type { Lease } from '../../src/governance/leases.ts';
import { createLimiter } from '../../src/governance/limits.ts';
import { SlidingTally } from '../../src/governance/sliding-tally.ts';
import { windowEndMs, windowStartMs } from '../../src/governance/window.ts';
import { key } from '../routing/targets.ts';

const at = (text: string) => Temporal.ZonedDateTime.from(text).epochMilliseconds;
const hourMs = 3_600_000;
const nothing = { tokens: 0, nanoUsd: 0 };

describe('a calendar', () => {
  test.each([
    ['day', '2026-03-29T12:00[Europe/Berlin]', 23],
    ['day', '2026-10-25T12:00[Europe/Berlin]', 25],
    ['day', '2026-06-01T12:00[Asia/Kolkata]', 24],
    // Clocks go forward at midnight: the day begins at one.
    ['day', '2026-03-29T12:00[Asia/Beirut]', 23],
    ['week', '2026-03-29T12:00[Europe/Berlin]', 167],
    ['month', '2026-10-05T12:00[Europe/Berlin]', 31 * 24 + 1],
    ['hour', '2026-04-05T01:45[Australia/Lord_Howe]', 1],
  ] as const)('a %s of %s has %i hours', (per, moment, hours) => {
    const zone = /\[(.*)\]/.exec(moment)![1]!;
    const window = windowOf(per, false, zone);
    const [start, end] = [windowStartMs(window, at(moment)), windowEndMs(window, at(moment))];
    expect((end - start) / hourMs).toBe(hours);
    expect(windowEndMs(window, end - 1)).toBe(end);
    // Where clocks shift by half an hour, two hours share it.
    expect(windowStartMs(window, end)).toBeWithin(end - hourMs / 2, end + 1);
  });

  test('weeks begin on Monday, also in UTC', () => {
    const start = windowStartMs(windowOf('week'), Date.UTC(2026, 2, 29, 23));
    expect(new Date(start).toISOString()).toBe('2026-03-23T00:00:00.000Z');
  });

  test('any moment is in the window that it is said to be in', () => {
    const zones = [
      'UTC',
      'Europe/Berlin',
      'Asia/Kathmandu',
      'Australia/Lord_Howe',
      'America/St_Johns',
      'Africa/Cairo',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom('second', 'minute', 'hour', 'day', 'week', 'month'),
        fc.constantFrom(...zones),
        fc.integer({ min: Date.UTC(2000), max: Date.UTC(2060) }),
        (per, zone, nowMs) => {
          const window = windowOf(per as 'day', false, zone);
          const end = windowEndMs(window, nowMs);
          expect(windowStartMs(window, nowMs)).toBeLessThanOrEqual(nowMs);
          expect(end).toBeGreaterThan(nowMs);
          expect(windowEndMs(window, end)).toBeGreaterThan(end);
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });

  test('the same window is the same object, whoever writes it', () => {
    expect(windowOf('month', false, 'Europe/Berlin')).toBe(windowOf('month', false, 'Europe/Berlin'));
    expect(windowOf('minute', false, 'Europe/Berlin')).toBe(windowOf('minute'));
    expect(findTimeZone('europe/berlin')).toBe('Europe/Berlin');
    expect(findTimeZone('utc')).toBe('UTC');
    for (const wrong of ['', '+05:30', 'Mars/Olympus', '../../etc'])
      expect(findTimeZone(wrong)).toBeUndefined();
  });
});

test('a sliding window never lets more through in any stretch of its length, and frees all a sixtieth later at most', () => {
  const lengthMs = 60_000;
  const steps = fc.array(fc.record({ waitMs: fc.nat(9000), amount: fc.integer({ min: 1, max: 8 }) }), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(steps, (taken) => {
      const tally = new SlidingTally(windowOf('minute', true), 0);
      const used: { atMs: number; amount: number }[] = [];
      const sumSince = (sinceMs: number) =>
        used.reduce((sum, { atMs, amount }) => (atMs > sinceMs ? sum + amount : sum), 0);
      let nowMs = 1_000_000;
      for (const { waitMs, amount } of taken) {
        nowMs += waitMs;
        const fits = tally.take(amount, 20, nowMs);
        if (fits) {
          tally.settle(amount, amount, nowMs);
          used.push({ atMs: nowMs, amount });
        } else {
          // What is refused would not have fitted into a window a sixtieth longer.
          expect(sumSince(nowMs - lengthMs - lengthMs / 60) + amount).toBeGreaterThan(20);
          const retryAtMs = tally.retryAtMs(amount, 20, nowMs);
          expect(sumSince(retryAtMs - lengthMs - 1) + amount).toBeLessThanOrEqual(20);
        }
        expect(sumSince(nowMs - lengthMs)).toBeLessThanOrEqual(20);
      }
    }),
    { numRuns: 200, seed: 2 },
  );
});

describe('a clock that is set', () => {
  const setUp = (plain: PlainLimit) => {
    let steadyMs = 0;
    const limiter = createLimiter(createMemoryCounters(), undefined, () => steadyMs);
    const limits = [bindLimit('key', 'k', expandLimit(plain))];
    const call = (nowMs: number): boolean => {
      try {
        (limiter.reserve(limits, nothing, nowMs) as Lease).settle(nothing, nowMs);
        return true;
      } catch {
        return false;
      }
    };
    return { call, pass: (ms: number) => (steadyMs += ms) };
  };
  const noon = Date.UTC(2030, 0, 15, 12);

  test('a year ahead and back opens no window twice, and locks nobody out for longer than one', () => {
    for (const sliding of [false, true]) {
      const { call } = setUp({ unit: 'requests', max: 1, per: 'hour', sliding });
      expect(call(noon)).toBe(true);
      expect(call(noon + 365 * 24 * hourMs)).toBe(true);
      expect(call(noon + 1000)).toBe(false);
      expect(call(noon + hourMs - 1)).toBe(false);
      expect(call(noon + 2 * hourMs)).toBe(true);
    }
  });

  const every = (['second', 'minute', 'hour', 'day', 'week', 'month'] as const).flatMap((per) => [
    { per },
    { per, sliding: true },
    { per, timeZone: 'Europe/Berlin' },
  ]);
  const longestMs = {
    second: 1000,
    minute: 60_000,
    hour: hourMs,
    day: 25 * hourMs,
    week: 169 * hourMs,
    month: 745 * hourMs,
  };
  test.each(every)(
    'an hour back has no window twice, a day ahead and back locks nobody out: %j',
    (window) => {
      // Clocks in Berlin go forward that night.
      const start = at('2030-03-31T00:30[Europe/Berlin]');
      const { call, pass } = setUp({ unit: 'requests', max: 2, ...window });
      expect([call(start), call(start), call(start)]).toEqual([true, true, false]);
      expect(call(start - hourMs)).toBe(false);
      pass(1);
      expect(call(start - hourMs + 1)).toBe(false);
      const length = Math.ceil(longestMs[window.per] * (1 + 1 / 60));
      const later = start + length + hourMs;
      pass(later - start + hourMs);
      expect(call(later)).toBe(true);
      call(later + 24 * hourMs);
      call(later + 1000);
      expect(call(later + 1000 + 2 * length)).toBe(true);
    },
  );

  test('a minute back goes on at half the pace until it has caught up', () => {
    const { call, pass } = setUp({ unit: 'requests', max: 1, per: 'second' });
    expect(call(noon)).toBe(true);
    expect(call(noon - 60_000)).toBe(false);
    pass(1000);
    expect(call(noon - 59_000)).toBe(false);
    pass(1000);
    expect(call(noon - 58_000)).toBe(true);
  });

  test('never goes backwards by little', () => {
    let steadyMs = 0;
    const clock = new LimitClock(
      () => expect.unreachable(),
      () => steadyMs,
    );
    const told = [noon, noon - 500, noon - 400, noon - 100, noon + 1].map((wallMs) => {
      steadyMs += 100;
      return clock.tell(wallMs);
    });
    expect(told).toEqual(told.toSorted((a, b) => a - b));
  });
});

test('a soft limit tells of each threshold once a window, and of the first call that a budget refused', () => {
  const told: LimitAlert[] = [];
  const limiter = createLimiter(createMemoryCounters(), {
    raise: (alert) => void told.push(alert as LimitAlert),
  });
  const limited = {
    ...key,
    limits: [expandLimit({ unit: 'usd', max: 100, per: 'day', warn: [80, 50, 100] })],
  };
  const limits = limiter.limitsOf({ teams: new Map(), organisations: new Map() }, limited);
  const noon = Date.UTC(2030, 0, 15, 12);
  const spend = (nanoUsd: number, nowMs = noon) =>
    (limiter.reserve(limits, { tokens: 0, nanoUsd }, nowMs) as Lease).settle({ tokens: 0, nanoUsd }, nowMs);
  for (const amount of [49, 1, 1, 40, 9]) spend(amount);
  expect(told.map(({ kind, threshold }) => `${kind} ${threshold}`)).toEqual([
    'limit 50',
    'limit 80',
    'limit 100',
  ]);
  expect(() => spend(1)).toThrow();
  expect(() => spend(1)).toThrow();
  expect(told.slice(3)).toMatchObject([
    { kind: 'exhausted', window: '2030-01-15T00:00:00.000Z', used: 100, max: 100, owner: 'key' },
  ]);
  spend(60, noon + 24 * hourMs);
  expect(told.at(-1)).toMatchObject({ kind: 'limit', threshold: 50, window: '2030-01-16T00:00:00.000Z' });
  expect(told).toHaveLength(5);
});

/** Twelve hundred at once, of random cost, ended in every way: no limit is exceeded, and none refuses what it could bear. */
test.each([1, 2, 3])('a crowd of calls on nested limits (seed %i)', (seed) => {
  let state = seed;
  const random = () => {
    state = (state * 48_271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
  const below = (n: number) => Math.floor(random() * n);
  const plain: PlainLimit[] = [
    { unit: 'usd', max: 40_000, per: 'month', timeZone: 'Europe/Berlin' },
    { unit: 'tokens', max: 9000, per: 'minute', sliding: true },
    { unit: 'usd', max: 90_000, per: 'lifetime' },
    { unit: 'requests', max: 900, per: 'hour' },
    { unit: 'concurrency', max: 1100 },
    { unit: 'tokens', max: 12_000, per: 'day' },
  ];
  const limiter = createLimiter(createMemoryCounters());
  const keys = Array.from({ length: 4 }, (_, i) => ({
    ...key,
    id: `k${i}`,
    name: `k${i}`,
    team: `t${i % 2}`,
    organisation: 'o',
    limitsEndUsers: true,
    endUserLimits: [expandLimit({ unit: 'usd', max: 30_000, per: 'day' })],
    limits: plain.filter(() => random() < 0.5).map(expandLimit),
  }));
  const team = (i: number) => ({
    name: `t${i}`,
    organisation: 'o',
    limits: plain.slice(i, i + 3).map(expandLimit),
  });
  const snapshot = {
    teams: new Map([0, 1].map((i) => [`t${i}`, team(i)])),
    organisations: new Map([
      ['o', { name: 'o', limits: plain.map((each) => expandLimit({ ...each, max: each.max * 3 })) }],
    ]),
  };
  const running: { lease: Lease; held: number }[] = [];
  let nowMs = Date.UTC(2030, 2, 31, 0, 30);
  let most = 0;
  let refused = 0;
  for (let step = 0; step < 12_000; step++) {
    nowMs += below(40);
    const caller = keys[below(4)]!;
    const limits = limiter.limitsOf(snapshot, caller, `u${below(3)}`);
    if (random() < (step < 6000 ? 0.8 : 0.4)) {
      const held = 1 + below(12);
      const fits = limits.every((bound) => {
        const { used, reserved } = limiter.look(bound, nowMs);
        const { unit } = bound.limit;
        return used + reserved + (unit === 'tokens' || unit === 'usd' ? held : 1) <= bound.limit.max;
      });
      try {
        running.push({
          lease: limiter.reserve(limits, { tokens: held, nanoUsd: held }, nowMs) as Lease,
          held,
        });
        expect(fits).toBe(true);
      } catch {
        refused++;
        expect(fits).toBe(false);
      }
    } else if (running.length > 0) {
      const [one] = running.splice(below(running.length), 1);
      const { lease, held } = one!;
      const grown = held + below(20);
      const kept =
        limiter.topUp(lease, { tokens: grown, nanoUsd: grown }, nowMs) === undefined ? grown : held;
      const used = below(kept + 1);
      // It fails, its client leaves, or it is answered.
      if (random() < 0.1) lease.cancel(nowMs);
      else lease.settle({ tokens: used, nanoUsd: used }, nowMs);
    }
    most = Math.max(most, running.length);
    if (step % 20 === 0)
      for (const bound of limits) {
        const { used, reserved } = limiter.look(bound, nowMs);
        expect(used + reserved).toBeLessThanOrEqual(bound.limit.max);
      }
  }
  expect(most).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(100);
});
