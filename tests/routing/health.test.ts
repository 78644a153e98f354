/** What is learned from how attempts end: which keys to set aside, and which targets to give a rest. */
import { describe, expect, test } from 'bun:test';
import type { Target } from '../../src/config/snapshot.ts';
import { type Alarm, createHealth } from '../../src/routing/health.ts';
import { failure, makeProvider, makeTarget } from './targets.ts';

const second = 1000;
const minute = 60 * second;
const start = Date.UTC(2026, 0, 15);

function setUp(keys: number) {
  const alarms: Alarm[] = [];
  const health = createHealth((alarm) => alarms.push(alarm));
  const provider = makeProvider('acme', keys);
  const target = makeTarget('m', provider);
  return {
    alarms,
    health,
    provider,
    target,
    pick: (nowMs = start) => health.pickKey(provider, nowMs)?.id,
    live: (nowMs = start) => health.pickLiveKey(provider, nowMs)?.id,
    /** How an attempt with the nth key ended. */
    end: (nth: number, outcome: Parameters<typeof health.report>[2], nowMs = start) =>
      health.report(target, provider.keys[nth - 1], outcome, nowMs),
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

describe('a target', () => {
  const broken = failure('upstream_unavailable');

  test('rests after five failures in a row', () => {
    const { health, target, end } = setUp(1);
    for (let i = 0; i < 4; i++) end(1, broken);
    expect(health.isHealthy(target, start)).toBe(true);
    end(1, broken);
    expect(health.isHealthy(target, start)).toBe(false);
    expect(health.isHealthy(target, start + second)).toBe(true);
  });

  test('does not rest for failures that were not in a row', () => {
    const { health, target, end } = setUp(1);
    for (let i = 0; i < 4; i++) end(1, broken);
    end(1, 'ok');
    for (let i = 0; i < 4; i++) end(1, broken);
    expect(health.isHealthy(target, start)).toBe(true);
  });

  test.each([
    'unsupported',
    'context_length',
    'bad_request',
    'upstream_bad_request',
    'cancelled',
    'internal',
  ] as const)('is not blamed for %s', (kind) => {
    const { health, target, end } = setUp(1);
    for (let i = 0; i < 20; i++) end(1, failure(kind));
    expect(health.isHealthy(target, start)).toBe(true);
  });

  test('is not blamed for one key of several', () => {
    const { health, target, end } = setUp(2);
    for (let i = 0; i < 20; i++) end(1, limited);
    expect(health.isHealthy(target, start)).toBe(true);
  });

  test('is blamed for what it answers where no key is needed', () => {
    const { health, target, end } = setUp(0);
    for (let i = 0; i < 5; i++) end(1, dead);
    expect(health.isHealthy(target, start)).toBe(false);
  });

  test('that fails again right after its rest gets twice the time, up to half a minute', () => {
    const { health, target, end } = setUp(1);
    let nowMs = start;
    for (let i = 0; i < 4; i++) end(1, broken, nowMs);
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      for (let i = 0; i < 3; i++) end(1, broken, nowMs);
      expect(health.isHealthy(target, nowMs + seconds * second - 1)).toBe(false);
      nowMs += seconds * second;
      expect(health.isHealthy(target, nowMs)).toBe(true);
    }
  });

  test('is well after one success', () => {
    const { health, target, end } = setUp(1);
    for (let i = 0; i < 20; i++) end(1, broken);
    end(1, 'ok');
    expect(health.isHealthy(target, start)).toBe(true);
    for (let i = 0; i < 4; i++) end(1, broken);
    expect(health.isHealthy(target, start)).toBe(true);
  });

  test('is known by its name, other models of the provider go on', () => {
    const { health, provider, end } = setUp(1);
    for (let i = 0; i < 5; i++) end(1, broken);
    expect(health.isHealthy(makeTarget('m', provider), start)).toBe(false);
    expect(health.isHealthy(makeTarget('other', provider), start)).toBe(true);
  });

  test('that fails is remembered, until ten thousand others failed after it', () => {
    const { health, target, provider, end } = setUp(1);
    const fail = (other: Target) => health.report(other, provider.keys[0], broken, start);
    for (let i = 0; i < 5; i++) end(1, broken);
    for (let i = 1; i < 10_000; i++) fail(makeTarget(`m${i}`, provider));
    expect(health.isHealthy(target, start)).toBe(false);
    fail(makeTarget('last', provider));
    expect(health.isHealthy(target, start)).toBe(true);
  });
});
