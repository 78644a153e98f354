/** Targets: when calls are kept from one that fails, and how it gets them back. */
import { describe, expect, test } from 'bun:test';
import type { Target } from '../../src/config/snapshot.ts';
import type { HealthChange } from '../../src/core/health.ts';
import { createHealth } from '../../src/routing/health.ts';
import { failure, makeProvider, makeTarget, seededRandom } from './targets.ts';

const second = 1000;
const minute = 60 * second;
const start = Date.UTC(2026, 0, 15);
const broken = failure('upstream_unavailable');

/** @param random how much shorter than usual openings are. */
function setUp({ keys = 1, random = () => 0 }: { keys?: number; random?: () => number } = {}) {
  const changes: HealthChange[] = [];
  const health = createHealth({ onChange: (change) => changes.push(change), random });
  const provider = makeProvider('acme', keys);
  const target = makeTarget('m', provider);
  const end = (outcome: Parameters<typeof health.report>[2], nowMs = start, begunMs = nowMs) =>
    health.report(target, provider.keys[0], outcome, nowMs, begunMs);
  return {
    changes,
    health,
    provider,
    target,
    end,
    isUp: (nowMs = start) => health.isHealthy(target, nowMs),
    /** A call begins that is to be ended at that time. */
    begin: (nowMs: number) => health.begin(target, nowMs),
    fail: (times: number, nowMs = start) => {
      for (let i = 0; i < times; i++) end(broken, nowMs);
    },
    stateAt: (nowMs: number) => health.describe(nowMs).targets[0]?.state,
  };
}

describe('a breaker opens', () => {
  test('after five failures in a row', () => {
    const { isUp, fail } = setUp();
    fail(4);
    expect(isUp()).toBe(true);
    fail(1);
    expect(isUp()).toBe(false);
    expect(isUp(start + second - 1)).toBe(false);
  });

  test('not for failures that were not in a row, as long as most calls do well', () => {
    const { isUp, fail, end } = setUp();
    for (let i = 0; i < 50; i++) {
      fail(1, start + i);
      for (let k = 0; k < 2; k++) end('ok', start + i);
    }
    expect(isUp(start + 50)).toBe(true);
  });

  test('when half of at least twenty calls within half a minute failed', () => {
    const { isUp, fail, end } = setUp();
    for (let i = 0; i < 9; i++) {
      end('ok', start + i * second);
      fail(1, start + i * second);
    }
    fail(1, start + 9 * second);
    end('ok', start + 9 * second);
    expect(isUp(start + 9 * second)).toBe(true);
    fail(1, start + 9 * second);
    expect(isUp(start + 9 * second)).toBe(false);
  });

  test('not when the same took longer', () => {
    const { isUp, fail, end } = setUp();
    for (let i = 0; i < 40; i++) {
      end('ok', start + i * 4 * second);
      fail(1, start + i * 4 * second);
    }
    expect(isUp(start + 160 * second)).toBe(true);
  });

  test.each([
    'unsupported',
    'context_length',
    'bad_request',
    'upstream_bad_request',
    'cancelled',
    'internal',
  ] as const)('never for %s', (kind) => {
    const { isUp, end } = setUp();
    for (let i = 0; i < 40; i++) end(failure(kind));
    expect(isUp()).toBe(true);
  });

  test('not for one key of several, of which others may do better', () => {
    const { isUp, end } = setUp({ keys: 2 });
    for (let i = 0; i < 40; i++) end(failure('upstream_rate_limited'));
    expect(isUp()).toBe(true);
  });

  test('for what is said of keys where none is needed', () => {
    const { isUp, end } = setUp({ keys: 0 });
    for (let i = 0; i < 5; i++) end(failure('upstream_auth'));
    expect(isUp()).toBe(false);
  });

  test('for one model, and others of the same provider go on', () => {
    const { health, provider, fail } = setUp();
    fail(5);
    expect(health.isHealthy(makeTarget('m', provider), start)).toBe(false);
    expect(health.isHealthy(makeTarget('other', provider), start)).toBe(true);
  });
});

describe('an open breaker', () => {
  test('is half-open after a second: one call at a time finds out how it is', () => {
    const { isUp, begin, end, fail, stateAt } = setUp();
    fail(5);
    const later = start + second;
    expect(stateAt(later - 1)).toBe('open');
    expect(stateAt(later)).toBe('half-open');
    expect(isUp(later)).toBe(true);
    begin(later);
    expect([isUp(later), isUp(later + 5 * second)]).toEqual([false, false]);
    end('ok', later + 5 * second, later);
    expect(stateAt(later + 5 * second)).toBe('closed');
    expect(isUp(later + 5 * second)).toBe(true);
  });

  test('opens again for twice as long with each failure, up to half a minute', () => {
    const { isUp, begin, end, fail } = setUp();
    fail(5);
    let nowMs = start;
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      expect(isUp(nowMs + seconds * second - 1)).toBe(false);
      nowMs += seconds * second;
      expect(isUp(nowMs)).toBe(true);
      begin(nowMs);
      end(broken, nowMs);
    }
  });

  test('comes back a little earlier, by lot', () => {
    const random = seededRandom(3);
    const times = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const { health, fail } = setUp({ random });
      fail(5);
      times.add(health.describe(start).targets[0]!.untilMs! - start);
    }
    expect(times.size).toBeGreaterThan(15);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(750);
    expect(Math.max(...times)).toBeLessThanOrEqual(1000);
  });

  test.each(['cancelled', 'bad_request', 'upstream_rate_limited'] as const)(
    'lets another call find out when the first ended with %s',
    (kind) => {
      const { isUp, begin, end, fail } = setUp({ keys: 2 });
      fail(5);
      begin(start + second);
      expect(isUp(start + 2 * second)).toBe(false);
      end(failure(kind), start + 2 * second, start + second);
      expect(isUp(start + 2 * second)).toBe(true);
    },
  );

  test('does not wait for ever for a call that never tells', () => {
    const { isUp, begin, fail } = setUp();
    fail(5);
    begin(start + second);
    expect(isUp(start + 31 * second - 1)).toBe(false);
    expect(isUp(start + 31 * second)).toBe(true);
    begin(start + 31 * second);
    expect(isUp(start + 32 * second)).toBe(false);
  });

  test('is not closed by a call from before it opened, nor kept open by one', () => {
    const { isUp, begin, end, fail } = setUp();
    fail(5);
    end('ok', start + 10, start - 1);
    expect(isUp(start + 10)).toBe(false);
    begin(start + second);
    end('ok', start + second + 5, start + second);
    for (let i = 0; i < 10; i++) end(broken, start + 2 * second, start - 1);
    expect(isUp(start + 2 * second)).toBe(true);
  });

  test('closes as soon as a call does well that was sent there all the same', () => {
    const { isUp, end, fail } = setUp();
    fail(5);
    end('ok', start + 20, start + 10);
    expect(isUp(start + 20)).toBe(true);
  });

  test('that has closed and opens again soon stays open longer; after a quiet minute it begins anew', () => {
    const { health, begin, end, fail } = setUp();
    const lengthAt = (nowMs: number) => health.describe(nowMs).targets[0]!.untilMs! - nowMs;
    fail(5);
    begin(start + second);
    end('ok', start + second);
    fail(5, start + 2 * second);
    expect(lengthAt(start + 2 * second)).toBe(2 * second);
    end('ok', start + 4 * second);
    fail(5, start + 4 * second + minute);
    expect(lengthAt(start + 4 * second + minute)).toBe(second);
  });
});

describe('a target that failed and that nobody asks any more', () => {
  test('is forgotten ten minutes after it could have been asked again', () => {
    const { health, changes, fail, stateAt } = setUp();
    fail(5);
    const end = start + second + 10 * minute;
    expect(stateAt(end - 1)).toBe('half-open');
    expect([...health.unwell(end - 1).keys()]).toEqual(['acme']);
    expect(stateAt(end)).toBeUndefined();
    expect(health.unwell(end).size).toBe(0);
    expect(changes).toHaveLength(1);
  });

  test('is asked about no more, where somebody answers such questions', () => {
    const { health, fail } = setUp();
    fail(5);
    let asked = 0;
    for (let nowMs = start; nowMs < start + 60 * minute; nowMs += 30 * second) {
      if (!health.unwell(nowMs).has('acme')) continue;
      asked++;
      health.tested('acme', true, nowMs);
    }
    expect(asked).toBe(21);
  });

  test('is not while nobody answers there, nor while a call finds out', () => {
    const { health, begin, fail, stateAt } = setUp();
    fail(5);
    for (let ms = 0; ms < 20 * minute; ms += 30 * second) health.tested('acme', false, start + ms);
    expect(stateAt(start + 20 * minute)).toBe('half-open');
    begin(start + 29 * minute);
    expect(stateAt(start + 35 * minute)).toBe('half-open');
    expect(stateAt(start + 39 * minute)).toBeUndefined();
  });
});

describe('a request of the gateway to a provider whose targets fail', () => {
  test('that nobody answers spares calls from finding that out', () => {
    const { health, isUp, fail } = setUp();
    fail(5);
    expect(health.unwell(start)).toEqual(new Map([['acme', 'acme/m']]));
    health.tested('acme', false, start + 500);
    expect(isUp(start + 30 * second)).toBe(false);
    // Whoever stops asking leaves it to calls again.
    expect(isUp(start + 31 * second)).toBe(true);
  });

  test('that somebody answers again lets a call try at once', () => {
    const { health, isUp, begin, end, fail, stateAt } = setUp();
    fail(5);
    health.tested('acme', false, start);
    health.tested('acme', true, start + 5 * second);
    expect(stateAt(start + 5 * second)).toBe('half-open');
    begin(start + 5 * second);
    expect(isUp(start + 5 * second)).toBe(false);
    end('ok', start + 6 * second, start + 5 * second);
    expect(health.unwell(start + 6 * second)).toEqual(new Map());
  });

  test('that was answered all the time tells nothing: it is the model that fails', () => {
    const { health, isUp, fail } = setUp();
    fail(5);
    health.tested('acme', true, start + 100);
    health.tested('acme', true, start + 200);
    expect(isUp(start + second - 1)).toBe(false);
  });

  test('changes nothing for other providers, nor for targets that are well', () => {
    const { health, isUp, fail } = setUp();
    fail(4);
    health.tested('acme', false, start);
    expect(isUp()).toBe(true);
    fail(1);
    health.tested('other', false, start);
    expect(isUp(start + second)).toBe(true);
  });
});

describe('a provider that flaps', () => {
  interface Hour {
    calls: number;
    failed: number;
    turns: number;
    share: number;
  }

  /** An hour of ten calls a second, each sent there when it is healthy and elsewhere when it is not. */
  function simulate(isBroken: (ms: number, random: () => number) => boolean): Hour {
    const random = seededRandom(11);
    const { changes, isUp, begin, end } = setUp({ random });
    const hour = { calls: 0, failed: 0, turns: 0, share: 0 };
    for (let ms = 0; ms < 60 * minute; ms += 100) {
      const nowMs = start + ms;
      if (!isUp(nowMs)) continue;
      begin(nowMs);
      const failed = isBroken(ms, random);
      end(failed ? broken : 'ok', nowMs);
      hour.calls++;
      if (failed) hour.failed++;
    }
    hour.turns = changes.length;
    hour.share = hour.failed / 36_000;
    return hour;
  }

  test.each([
    ['every second', (ms: number) => ms % 2000 < 1000],
    ['every three seconds', (ms: number) => ms % 6000 < 3000],
    ['every ten seconds', (ms: number) => ms % 20_000 < 10_000],
    ['every half minute', (ms: number) => ms % 60_000 < 30_000],
    ['at every second call', (ms: number) => ms % 200 === 0],
    ['at half of all calls, by lot', (_: number, random: () => number) => random() < 0.5],
    ['all the hour', () => true],
  ])('%s: few calls fail, and its state changes seldom', (_when, isBroken) => {
    const { share, turns } = simulate(isBroken);
    expect(share).toBeLessThan(0.05);
    // Once in ten seconds at most, where it could be ten times a second.
    expect(turns).toBeLessThan(360);
  });

  test('and is well again gets all calls back within half a minute', () => {
    const random = seededRandom(5);
    const { isUp, begin, end } = setUp({ random });
    let lastRefusedMs = 0;
    for (let ms = 0; ms < 20 * minute; ms += 100) {
      if (!isUp(start + ms)) {
        lastRefusedMs = ms;
        continue;
      }
      begin(start + ms);
      end(ms < 10 * minute && ms % 6000 < 3000 ? broken : 'ok', start + ms);
    }
    expect(lastRefusedMs).toBeLessThanOrEqual(10 * minute + 30 * second);
    expect(lastRefusedMs).toBeGreaterThan(5 * minute);
  });
});

describe('what is known of targets', () => {
  test('is state, failures, since when and until when, and the last error', () => {
    const { health, end, fail } = setUp();
    fail(4);
    expect(health.describe(start).targets).toEqual([
      {
        id: 'acme/m',
        state: 'closed',
        failures: 4,
        recent: { calls: 4, failed: 4 },
        lastError: 'upstream_unavailable',
      },
    ]);
    end(failure('upstream_timeout'));
    expect(health.describe(start).targets).toEqual([
      {
        id: 'acme/m',
        state: 'open',
        sinceMs: start,
        untilMs: start + second,
        failures: 5,
        recent: { calls: 0, failed: 0 },
        lastError: 'upstream_timeout',
      },
    ]);
  });

  test('is nothing of those that never failed, and of those that have been well for long', () => {
    const { health, end, fail } = setUp();
    end('ok');
    expect(health.describe(start).targets).toEqual([]);
    fail(5);
    end('ok', start + second);
    expect(health.describe(start + second).targets).toHaveLength(1);
    end('ok', start + 2 * minute);
    expect(health.describe(start + 2 * minute).targets).toEqual([]);
    fail(1, start + 3 * minute);
    expect(health.describe(start + 4 * minute).targets).toEqual([]);
  });

  test('is forgotten when ten thousand others failed after it', () => {
    const { health, provider, fail, isUp } = setUp();
    const failOnce = (other: Target) => health.report(other, provider.keys[0], broken, start);
    fail(5);
    for (let i = 1; i < 10_000; i++) failOnce(makeTarget(`m${i}`, provider));
    expect(isUp()).toBe(false);
    failOnce(makeTarget('last', provider));
    expect(isUp()).toBe(true);
  });

  test('another node takes over, opening and closing, and does not tell on', () => {
    const one = setUp();
    const other = setUp();
    one.fail(5);
    for (const change of one.changes.splice(0)) other.health.adopt(change);
    expect(other.isUp(start + second - 1)).toBe(false);
    expect(other.stateAt(start + second)).toBe('half-open');
    expect(other.health.describe(start).targets[0]?.lastError).toBe('upstream_unavailable');
    one.begin(start + second);
    one.end('ok', start + second);
    for (const change of one.changes.splice(0)) other.health.adopt(change);
    expect(other.stateAt(start + second)).toBe('closed');
    expect(other.changes).toEqual([]);
  });

  test('is not replaced by what another node knew earlier, and good news of others needs no memory', () => {
    const one = setUp();
    const other = setUp();
    one.fail(5, start - 10 * second);
    other.fail(5);
    for (const change of one.changes) other.health.adopt(change);
    expect(other.isUp(start + second - 1)).toBe(false);
    one.end('ok', start - 5 * second);
    const fresh = setUp();
    fresh.health.adopt(one.changes.at(-1)!);
    expect(fresh.health.describe(start).targets).toEqual([]);
  });

  test('knows better what it found out itself', () => {
    const one = setUp();
    const other = setUp();
    const told = (from: typeof one, to: typeof one) => {
      for (const change of from.changes.splice(0)) to.health.adopt(change);
    };
    // Only from one of them it cannot be reached.
    one.fail(5);
    told(one, other);
    other.begin(start + second);
    other.end('ok', start + second);
    expect(other.stateAt(start + second)).toBe('closed');
    told(other, one);
    expect(one.stateAt(start + second - 1)).toBe('open');
    one.begin(start + 2 * second);
    one.fail(1, start + 2 * second);
    told(one, other);
    expect(other.stateAt(start + 2 * second)).toBe('closed');
    // After a calm minute it takes the other's word again.
    one.fail(1, start + 62 * second);
    told(one, other);
    expect(other.stateAt(start + 62 * second)).toBe('open');
  });
});
