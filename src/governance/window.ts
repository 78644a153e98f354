/** Windows of limits: UTC's calendar. */
import type { Window } from '../config/snapshot.ts';

const lengthsMs = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/** When the window begins in which `nowMs` falls. */
export function windowStartMs(per: Window, nowMs: number): number {
  if (per !== 'month') return Math.floor(nowMs / lengthsMs[per]) * lengthsMs[per];
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
}

/** When it ends; Infinity without a window. */
export function windowEndMs(per: Window | undefined, nowMs: number): number {
  if (per === undefined) return Infinity;
  if (per !== 'month') return windowStartMs(per, nowMs) + lengthsMs[per];
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}
