/** Names of counters in Redis, and how long it keeps them. All times are those of its clock. */
import type { Window } from '../../config/window.ts';
import { slidingLengthMs, windowEndMs, windowStartMs } from '../window.ts';

const hourMs = 3_600_000;

/** Each window of the calendar has a counter of its own. */
export function keyOf(counter: string, window: Window | undefined, redisMs: number): string {
  if (window === undefined || window.sliding || window.per === 'lifetime') return counter;
  return `${counter}/${windowStartMs(window, redisMs)}`;
}

/** For how many ms after the last word, so that late ones find it; 0: for good. */
export function keepOf(window: Window | undefined, redisMs: number): number {
  if (window === undefined || window.per === 'lifetime') return 0;
  if (window.sliding) return Math.ceil(2 * slidingLengthMs(window)) + hourMs;
  return keepUntil(windowEndMs(window, redisMs), redisMs);
}

/** The same of a window that ends at `endsAtMs`. */
export function keepUntil(endsAtMs: number, nowMs: number): number {
  return Math.ceil(Math.max(0, endsAtMs - nowMs)) + hourMs;
}
