/** Keys of providers: what is learned of them from how attempts end, and from what answers tell. */
import { describe, expect, test } from 'bun:test';
import type { Provider } from '../../src/config/snapshot.ts';
import type { GatewayError } from '../../src/core/error.ts';
import type { HealthChange } from '../../src/core/health.ts';
import type { Alarm } from '../../src/routing/health/keys.ts';
import { createHealth } from '../../src/routing/health.ts';
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
  const other = makeTarget('other', provider);
  return {
    alarms,
    changes,
    health,
    provider,
    target,
    /** Another model of the same provider. */
    other,
    pick: (nowMs = start, asked = target) => health.pickKey(asked, nowMs)?.id,
    live: (nowMs = start, asked = target) => health.pickLiveKey(asked, nowMs)?.id,
    isUp: (nowMs = start, asked = target) => health.isHealthy(asked, nowMs),
    /** How an attempt with the nth key ended. */
    end: (nth: number, outcome: GatewayError | 'ok', nowMs = start, asked = target) =>
      health.report(asked, provider.keys[nth - 1], outcome, nowMs),
    /** An answer with the nth key said that nothing is left for so long. */
    usedUp: (nth: number, restMs: number, nowMs = start) =>
      health.reportUsedUp(target, provider.keys[nth - 1], restMs, nowMs),
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

  test('gets no key back by a stream that began before it was refused', () => {
    const { alarms, end, live, health, target, provider } = setUp(1);
    const ended = (nowMs: number, begunMs: number) =>
      health.report(target, provider.keys[0], 'ok', nowMs, begunMs);
    end(1, dead);
    ended(start + minute, start - minute);
    expect(live(start + minute)).toBeUndefined();
    // Nor is it less dead the next time.
    end(1, dead, start + 5 * minute);
    expect(alarms.map(({ untilMs }) => untilMs - start)).toEqual([5 * minute, 15 * minute]);
    ended(start + 7 * minute, start + 6 * minute);
    expect(live(start + 7 * minute)).toBe('acme#1');
  });

  test('loses no key to a refusal that nobody is to blame for', () => {
    const { alarms, end, live, isUp } = setUp(1);
    for (let i = 0; i < 20; i++) end(1, failure('upstream_auth', { blameless: true }));
    expect([live(), isUp(), alarms.length]).toEqual(['acme#1', true, 0]);
  });
});

describe('a key that is limited', () => {
  test('is so for one model, and goes on with others', () => {
    const { end, live, isUp, other } = setUp(1);
    end(1, failure('upstream_rate_limited', { retryAfterS: 3600 }));
    expect([live(), isUp()]).toEqual([undefined, false]);
    expect([live(start, other), isUp(start, other)]).toEqual(['acme#1', true]);
    end(1, limited, start, other);
    // What is said of one model is not said of another.
    expect([isUp(start + 5 * second), isUp(start + 5 * second, other)]).toEqual([false, true]);
  });

  test('is limited for one model where its answers say that nothing is left', () => {
    const { usedUp, isUp, other } = setUp(1);
    usedUp(1, 10 * second);
    expect([isUp(), isUp(start, other)]).toEqual([false, true]);
  });

  test('and one that is dead leave a model without any, while others have the first', () => {
    const { end, pick, isUp, other } = setUp(2);
    end(1, limited);
    expect(isUp()).toBe(true);
    end(2, dead);
    expect([isUp(), isUp(start, other)]).toEqual([false, true]);
    expect([pick(start, other), pick(start, other)]).toEqual(['acme#1', 'acme#1']);
    // The limited one comes back first.
    expect(pick()).toBe('acme#1');
  });

  test('is dead for all models when it is refused for one', () => {
    const { end, isUp, other } = setUp(1);
    end(1, dead);
    expect([isUp(), isUp(start, other)]).toEqual([false, false]);
    end(1, 'ok', start + second, other);
    expect([isUp(start + second), isUp(start + second, other)]).toEqual([true, true]);
  });

  test('does not wait shorter the next time because another model does well', () => {
    const { end, isUp, other } = setUp(1);
    end(1, limited);
    end(1, 'ok', start + 5 * second, other);
    end(1, limited, start + 5 * second);
    expect(isUp(start + 15 * second - 1)).toBe(false);
  });

  test('is remembered for a thousand models at most', () => {
    const { health, end, provider } = setUp(1);
    for (let i = 0; i < 1100; i++) end(1, limited, start, makeTarget(`m${i}`, provider));
    const models = health.describe(start).providers[0]?.keys[0]?.limited?.map(({ model }) => model);
    expect([models?.length, models?.at(0), models?.at(-1)]).toEqual([1000, 'm100', 'm1099']);
  });
});

describe('after a reload of the configuration', () => {
  const withSecrets = (...secrets: string[]): Provider => ({
    ...makeProvider('acme'),
    keys: secrets.map((secret, i) => ({ id: `acme#${i + 1}`, header: ['authorization', secret] as const })),
  });

  function reload(before: Provider, after: Provider, outcome: GatewayError) {
    const health = createHealth();
    health.report(makeTarget('m', before), before.keys[0], outcome, start);
    const target = makeTarget('m', after);
    return { health, target, live: (nowMs: number) => health.pickLiveKey(target, nowMs)?.id };
  }

  test.each([
    ['dead', dead, 5 * minute],
    ['limited', failure('upstream_rate_limited', { retryAfterS: 40 }), 40 * second],
  ])('a key that was %s is it still', (_what, outcome, restMs) => {
    const { live } = reload(withSecrets('one'), withSecrets('one'), outcome);
    expect([live(start + restMs - 1), live(start + restMs)]).toEqual([undefined, 'acme#1']);
  });

  test('a key that was replaced has a new chance, and others have none', () => {
    expect(reload(withSecrets('one'), withSecrets('two'), dead).live(start)).toBe('acme#1');
    const { live } = reload(withSecrets('one', 'two'), withSecrets('one', 'three'), dead);
    expect([live(start), live(start)]).toEqual(['acme#2', 'acme#2']);
  });

  test('what a key is made from tells whether it was replaced, where it has no header', () => {
    const signing = (digest: string): Provider => ({
      ...makeProvider('acme'),
      keys: [{ id: 'acme#1', header: undefined, authorise: () => ({}), digest }],
    });
    expect(reload(signing('a'), signing('a'), dead).live(start)).toBeUndefined();
    expect(reload(signing('a'), signing('b'), dead).live(start)).toBe('acme#1');
  });

  test('the same key of another provider is another key', () => {
    const after = { ...withSecrets('one'), name: 'other' };
    expect(reload(withSecrets('one'), after, dead).live(start)).toBe('acme#1');
  });

  test('what calls from before find out counts too', () => {
    const before = withSecrets('one');
    const { health, target, live } = reload(before, withSecrets('one'), limited);
    expect(live(start)).toBeUndefined();
    health.report(makeTarget('m', before), before.keys[0], dead, start);
    expect(health.isHealthy(target, start + minute)).toBe(false);
  });

  test('no secret is kept', () => {
    const { health } = reload(withSecrets('sk-very-secret'), withSecrets('other'), dead);
    expect(Bun.inspect(health, { depth: 20 })).not.toContain('sk-very-secret');
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
  test('each is live or set aside, for all models or for some, until a time and for a reason', () => {
    const { health, end, usedUp, other } = setUp(4);
    end(1, dead);
    end(2, failure('upstream_rate_limited', { retryAfterS: 7 }));
    end(2, limited, start, other);
    usedUp(3, second);
    expect(health.describe(start).providers).toEqual([
      {
        name: 'acme',
        keys: [
          { id: 'acme#1', state: 'aside', untilMs: start + 5 * minute, why: 'refused' },
          {
            id: 'acme#2',
            state: 'live',
            limited: [
              { model: 'm', untilMs: start + 7 * second, why: 'rate_limited' },
              { model: 'other', untilMs: start + 5 * second, why: 'rate_limited' },
            ],
          },
          { id: 'acme#3', state: 'live', limited: [{ model: 'm', untilMs: start + second, why: 'used_up' }] },
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
    expect(changes.map((each) => each.of === 'key' && [each.id, each.state, each.why, each.model])).toEqual([
      ['acme#1', 'aside', 'refused', undefined],
      ['acme#2', 'aside', 'rate_limited', 'm'],
      ['acme#1', 'live', 'refused', undefined],
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

  test('another node knows for which model a key is limited', () => {
    const one = setUp(1);
    const other = setUp(1);
    one.end(1, failure('upstream_rate_limited', { retryAfterS: 30 }));
    for (const change of one.changes.splice(0)) other.health.adopt(change);
    expect([other.isUp(start + 29 * second), other.isUp(start, other.other)]).toEqual([false, true]);
    expect(other.isUp(start + 30 * second)).toBe(true);
  });

  test('a key that another node has and this one has not is nobody', () => {
    const { health } = setUp(1);
    const change = { of: 'key', state: 'aside', untilMs: start + minute, why: 'refused' } as const;
    health.adopt({ ...change, provider: 'acme', id: 'acme#9' });
    health.adopt({ ...change, provider: 'other', id: 'other#1' });
    expect(health.describe(start).providers[0]?.keys).toEqual([{ id: 'acme#1', state: 'live' }]);
  });
});
