/** Puts into Redis what the store says was used before Redis counted. */
import type { Window } from '../../config/window.ts';
import { counterName, type Spent } from '../leases.ts';
import { slidingLengthMs } from '../window.ts';
import { keepOf, keyOf } from './counter-key.ts';
import { type NodesRedis, Script } from './nodes-redis.ts';
import { foundScript } from './scripts.ts';

const found = new Script(foundScript);

/** Counters in one message, at most. */
const maxBatch = 200;

/** @throws Error when Redis could not be told of all. */
export async function putFound(redis: NodesRedis, epoch: string, spent: Iterable<Spent>): Promise<void> {
  const redisMs = Date.now() + redis.offsetMs;
  let keys: string[] = [];
  let args: number[] = [];
  for (const { owner, id, unit, window, amount, atMs } of spent) {
    if (amount <= 0) continue;
    const key = keyOf(counterName(owner, id, unit, window), window, redisMs);
    keys.push(redis.key(`${epoch}:${key}`));
    args.push(amount, countsUntil(window, atMs), keepOf(window, redisMs));
    if (keys.length < maxBatch) continue;
    await found.run(redis, keys, args);
    keys = [];
    args = [];
  }
  if (keys.length > 0) await found.run(redis, keys, args);
}

/** When what was used at a moment stops to count, in ms; 0: with its window. */
export function countsUntil(window: Window | undefined, atMs: number): number {
  return window?.sliding === true ? Math.ceil(atMs + slidingLengthMs(window)) : 0;
}
