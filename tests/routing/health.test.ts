/** Keys of providers: what is learned of them from how attempts end, and from what answers tell. */
import { describe, expect, test } from 'bun:test';
import type { GatewayError } from '../../src/core/error.ts';
import type { HealthChange } from '../../src/core/health.ts';
import { type Alarm, createHealth } from '../../src/routing/health.ts';
import { failure, makeProvider, makeTarget } from './targets.ts';

const second = 1000;
const minute = 60 * second;
const start = Date.UTC(2026, 0, 15);

function setUp(keys: number) {
  const alarms: Alarm[] = [];
  const changes: HealthChange[] = [];
  const provider = makeProvider('acme', keys);
  const health = createHealth({
    onAlarm: (alarm) => alarms.push(alarm),
    onChange: (change) => changes.push(change),
    providers: () => new Map([['acme', provider]]),
  });
  const target = makeTarget('m', provider);
  return {
    alarms,
    changes,
    health,
    provider,
    target,
    pick: (nowMs = start) => health.pickKey(provider, nowMs)?.id,
    live: (nowMs = start) => health.pickLiveKey(provider, nowMs)?.id,
    /** How an attempt with the nth key ended. */
    end: (nth: number, outcome: GatewayError | 'ok', nowMs = start) =>
      health.report(target, provider.keys[nth - 1], outcome, nowMs),
    /** An answer with the nth key said that nothing is left for so long. */
    usedUp: (nth: number, restMs: number, nowMs = start) =>
      health.reportUsedUp(provider, provider.keys[nth - 1], restMs, nowMs),
  };
}

const dead = failure('upstream_auth');
const limited = failure('upstream_rate_limited');

describe('a pool of keys', () => {
  test('takes turns', () => {
    const { pick } = setUp(3);
    expect([pick(), pick(), pick(), pick()]).toEqual(['acme#1', 'acme#2', 'acme#3', 'acme#1']);
  });

  test('of none has no key, and is not sick for that', () => {
    const { pick, health, target } = setUp(0);
    expect(pick()).toBeUndefined();
    expect(health.isHealthy(target, start)).toBe(true);
  });

  test.each(['upstream_auth', 'upstream_quota'] as const)(
    'sets a key aside for five minutes after %s',
    (kind) => {
      const { pick, end } = setUp(2);
      end(1, failure(kind));
      expect([pick(), pick()]).toEqual(['acme#2', 'acme#2']);
      expect([pick(start + 5 * minute), pick(start + 5 * minute)]).toEqual(['acme#1', 'acme#2']);
    },
  );

  test('sets a key that stays dead aside for longer and longer, up to an hour', () => {
    const { alarms, end } = setUp(1);
    let nowMs = start;
    const lengths: number[] = [];
    for (let i = 0; i < 6; i++) {
      end(1, dead, nowMs);
      lengths.push((alarms.at(-1)!.untilMs - nowMs) / minute);
      nowMs = alarms.at(-1)!.untilMs;
    }
    expect(lengths).toEqual([5, 10, 20, 40, 60, 60]);
  });

  test('raises one alarm for a dead key, however many calls find it so', () => {
    const { alarms, end } = setUp(2);
    for (let i = 0; i < 50; i++) end(1, dead, start + i);
    expect(alarms).toEqual([{ provider: 'acme', key: 'acme#1', error: dead, untilMs: start + 5 * minute }]);
  });

  test('raises none for a limited key', () => {
    const { alarms, end } = setUp(1);
    end(1, limited);
    expect(alarms).toEqual([]);
  });

  test('sets a limited key aside for as long as the provider says', () => {
    const { live, end } = setUp(1);
    end(1, failure('upstream_rate_limited', { retryAfterS: 2 }));
    expect(live(start + 2 * second - 1)).toBeUndefined();
    expect(live(start + 2 * second)).toBe('acme#1');
  });

  test('believes no wait beyond an hour', () => {
    const { live, end } = setUp(1);
    end(1, failure('upstream_rate_limited', { retryAfterS: 1e9 }));
    expect(live(start + 60 * minute)).toBe('acme#1');
  });

  test('otherwise waits five seconds, then doubling to a minute, and starts anew after a success', () => {
    const { live, end } = setUp(1);
    let nowMs = start;
    for (const seconds of [5, 10, 20, 40, 60, 60]) {
      // Calls under way find the same; they do not make it longer.
      for (let i = 0; i < 3; i++) end(1, limited, nowMs);
      expect(live(nowMs + seconds * second - 1)).toBeUndefined();
      nowMs += seconds * second;
      expect(live(nowMs)).toBe('acme#1');
    }
    end(1, 'ok', nowMs);
    end(1, limited, nowMs);
    expect(live(nowMs + 5 * second)).toBe('acme#1');
  });

  test('does not take a limited key back because of a call that began before', () => {
    const { live, end } = setUp(1);
    end(1, limited);
    end(1, 'ok');
    expect(live()).toBeUndefined();
  });

  test('does not take a dead key back because it was limited too', () => {
    const { live, end } = setUp(1);
    end(1, dead);
    end(1, failure('upstream_rate_limited', { retryAfterS: 1 }), start + 1);
    expect(live(start + minute)).toBeUndefined();
  });

  test('sets a limited key that turns out dead aside as dead', () => {
    const { alarms, live, end } = setUp(1);
    end(1, failure('upstream_rate_limited', { retryAfterS: 1 }));
    end(1, dead);
    expect(alarms).toHaveLength(1);
    expect(live(start + 4 * minute)).toBeUndefined();
  });

  test('is never empty: the key that comes back soonest is tried, and lives again when it works', () => {
    const { pick, live, end, health, target } = setUp(3);
    end(1, dead);
    end(2, dead, start - minute);
    end(3, dead);
    expect(live()).toBeUndefined();
    expect([pick(), pick()]).toEqual(['acme#2', 'acme#2']);
    expect(health.isHealthy(target, start)).toBe(false);
    end(2, 'ok');
    expect(live()).toBe('acme#2');
    expect(health.isHealthy(target, start)).toBe(true);
  });

  test('has forgotten everything after a reload', () => {
    const { health, end } = setUp(1);
    end(1, dead);
    expect(health.pickLiveKey(makeProvider('acme', 1), start)?.id).toBe('acme#1');
  });
});

describe('a key whose limit is used up', () => {
  test('is set aside for as long as the answer said, and nobody is blamed', () => {
    const { alarms, pick, usedUp } = setUp(2);
    usedUp(1, 6 * second);
    expect([pick(), pick(), pick(start + 6 * second - 1)]).toEqual(['acme#2', 'acme#2', 'acme#2']);
    expect([pick(start + 6 * second), pick(start + 6 * second)]).toEqual(['acme#1', 'acme#2']);
    expect(alarms).toEqual([]);
  });

  test('is set aside for a minute at most', () => {
    const { live, usedUp } = setUp(1);
    usedUp(1, 24 * 60 * minute);
    expect(live(start + minute - 1)).toBeUndefined();
    expect(live(start + minute)).toBe('acme#1');
  });

  test('is used all the same when there is no other', () => {
    const { pick, usedUp, health, target } = setUp(1);
    usedUp(1, 10 * second);
    expect(pick()).toBe('acme#1');
    // Where there is another provider, that one goes first.
    expect(health.isHealthy(target, start)).toBe(false);
  });

  test('does not come back because the answer that said so was a good one', () => {
    const { live, usedUp, end } = setUp(1);
    usedUp(1, 10 * second);
    end(1, 'ok');
    expect(live()).toBeUndefined();
  });

  test('does not come back sooner than a refusal said', () => {
    const { live, usedUp, end } = setUp(1);
    end(1, failure('upstream_rate_limited', { retryAfterS: 30 }));
    usedUp(1, second);
    expect(live(start + 30 * second - 1)).toBeUndefined();
    end(1, dead, start + 30 * second);
    usedUp(1, minute, start + 30 * second);
    expect(live(start + 5 * minute)).toBeUndefined();
  });
});

describe('what is told of keys', () => {
  test('each is live, or set aside until a time and for a reason', () => {
    const { health, end, usedUp } = setUp(4);
    end(1, dead);
    end(2, failure('upstream_rate_limited', { retryAfterS: 7 }));
    usedUp(3, second);
    expect(health.describe(start).providers).toEqual([
      {
        name: 'acme',
        keys: [
          { id: 'acme#1', state: 'aside', untilMs: start + 5 * minute, why: 'refused' },
          { id: 'acme#2', state: 'aside', untilMs: start + 7 * second, why: 'rate_limited' },
          { id: 'acme#3', state: 'aside', untilMs: start + second, why: 'used_up' },
          { id: 'acme#4', state: 'live' },
        ],
      },
    ]);
  });

  test('one that is set aside or taken back is news once, however many calls find it so', () => {
    const { changes, end } = setUp(2);
    for (let i = 0; i < 3; i++) end(1, dead, start + i);
    for (let i = 0; i < 3; i++) end(2, limited, start + i);
    end(1, 'ok', start + second);
    end(1, 'ok', start + second);
    expect(changes.map((change) => change.of === 'key' && [change.id, change.state, change.why])).toEqual([
      ['acme#1', 'aside', 'refused'],
      ['acme#2', 'aside', 'rate_limited'],
      ['acme#1', 'live', 'refused'],
    ]);
  });

  test('another node knows it too, once it has adopted that', () => {
    const one = setUp(2);
    const other = setUp(2);
    one.end(1, dead);
    for (const change of one.changes.splice(0)) other.health.adopt(change);
    expect([other.pick(), other.pick()]).toEqual(['acme#2', 'acme#2']);
    one.end(1, 'ok', start + second);
    for (const change of one.changes.splice(0)) other.health.adopt(change);
    expect(other.health.isHealthy(other.target, start + second)).toBe(true);
    expect([other.pick(start + second), other.pick(start + second)].sort()).toEqual(['acme#1', 'acme#2']);
    // What was adopted is not told on.
    expect(other.changes).toEqual([]);
  });

  test('a key that another node has and this one has not is nobody', () => {
    const { health } = setUp(1);
    const change = { of: 'key', state: 'aside', untilMs: start + minute, why: 'refused' } as const;
    health.adopt({ ...change, provider: 'acme', id: 'acme#9' });
    health.adopt({ ...change, provider: 'other', id: 'other#1' });
    expect(health.describe(start).providers[0]?.keys).toEqual([{ id: 'acme#1', state: 'live' }]);
  });
});
