/** Limits count what they have not seen: of every kind of window, and once. */
import { expect, test } from 'bun:test';
import { expandLimit } from '../../src/config/compile-limit.ts';
import { windowOf } from '../../src/config/window.ts';
import type { PlainLimit } from '../../src/core/limit.ts';
import { bindLimit } from '../../src/governance/binding.ts';
import { createMemoryCounters } from '../../src/governance/counters-memory.ts';
import type { Lease } from '../../src/governance/leases.ts';
import { createLimiter } from '../../src/governance/limits.ts';
import { type AskSpent, catchUp, countersOfKeys, spentBefore } from '../../src/governance/spent-before.ts';

const plain: PlainLimit = { unit: 'usd', max: 1000, per: 'month', timeZone: 'Asia/Kathmandu' };

test('a limit that is made while calls run begins with what was spent, and counts nothing twice', async () => {
  const counters = createMemoryCounters();
  const limiter = createLimiter(counters);
  const one = bindLimit('key', 'k', expandLimit(plain));
  // Kept as the store would: 300 from before the limit, and each call once it is flushed.
  let stored = 300;
  const waiting: number[] = [];
  const spend = (nanoUsd: number) => {
    const lease = limiter.reserve([one], { tokens: 0, nanoUsd }, Date.now()) as Lease;
    lease.settle({ tokens: 0, nanoUsd }, Date.now());
    waiting.push(nanoUsd);
  };
  const flushed = async () => {
    for (const amount of waiting.splice(0)) stored += amount;
  };
  const ask: AskSpent = async (of) =>
    of === 'keys' ? [{ key: 'k', calls: 1, tokens: 0, nanoUsd: stored, untilMs: Infinity }] : [];
  const document = { limits: [{ usd: 0.000001, per: 'month', time_zone: 'Asia/Kathmandu' }] };
  const rest = { id: 'i', hash: '', team: '', revision: 1, createdAt: 0, updatedAt: 0 };
  const key = {
    ...rest,
    name: 'k',
    document,
    previousHash: undefined,
    previousUntil: undefined,
    revokedAt: undefined,
  };
  const fresh = countersOfKeys([key]);
  expect([...fresh]).toEqual([[one.counter, windowOf('month', false, 'Asia/Kathmandu')]]);

  spend(20);
  await catchUp(fresh, counters, ask, flushed);
  expect(limiter.look(one, Date.now()).used).toBe(320);
  spend(5);
  await catchUp(fresh, counters, ask, flushed);
  expect(limiter.look(one, Date.now()).used).toBe(325);
  expect(() => spend(676)).toThrow('325');
});

test('what slides is asked part by part, what does not as one, and seconds not at all', async () => {
  const asked: unknown[] = [];
  const now = Date.UTC(2030, 0, 15, 10, 30);
  const ask: AskSpent = async (of, { since, partMs }) => {
    if (of === 'keys') asked.push([now - since, partMs]);
    return [];
  };
  const windows = [
    windowOf('second'),
    windowOf('day', true),
    windowOf('hour', true),
    windowOf('lifetime'),
    windowOf('hour', false, 'Asia/Kolkata'),
    windowOf('day'),
  ];
  await spentBefore(ask, now, windows);
  const minuteMs = 60_000;
  expect(asked).toEqual([
    [24 * 60 * minuteMs, 60 * minuteMs],
    [60 * minuteMs, minuteMs],
    [Infinity, undefined],
    [0, undefined],
    [10.5 * 60 * minuteMs, undefined],
  ]);
});
