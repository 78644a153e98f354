/** Soft limits: who is told, and when, that a limit is nearly or wholly used up. */
import type { Limit } from '../config/snapshot.ts';
import { windowOf } from '../config/window.ts';
import type { LimitAlert } from '../core/alert.ts';
import type { BoundLimit, Owner, Tally } from './leases.ts';
import { describe } from './limit-words.ts';
import { windowStartMs } from './window.ts';

export type Raise = (alert: LimitAlert) => void;

/** Tells of each threshold once a window; and once of a budget that refused a call. */
export function watchOf(
  owner: Owner,
  name: string,
  organisation: string,
  limit: Limit,
  raise: Raise,
): BoundLimit['watch'] {
  const { unit, max, warn, window } = limit;
  if (window === undefined || (warn.length === 0 && unit !== 'usd')) return undefined;
  let toldIn = '';
  let told = 0;
  let refusedIn = '';
  const tell = (kind: LimitAlert['kind'], threshold: number, running: string, used: number, at: number) =>
    raise({
      kind,
      owner,
      name,
      organisation,
      limit: describe(limit),
      unit,
      window: running,
      threshold,
      used,
      max,
      at,
    });
  return (tally: Tally, nowMs: number, refused = false) => {
    const used = tally.used(nowMs);
    const isOver = warn.length > 0 && used * 100 >= warn[0]! * max;
    if (!isOver && !(refused && unit === 'usd')) return;
    const running = nameOf(window, nowMs);
    if (refused && unit === 'usd' && refusedIn !== running) {
      refusedIn = running;
      tell('exhausted', 100, running, used, nowMs);
    }
    if (toldIn !== running) told = 0;
    toldIn = running;
    for (const threshold of warn) {
      if (threshold <= told || used * 100 < threshold * max) continue;
      told = threshold;
      tell('limit', threshold, running, used, nowMs);
    }
  };
}

/** Which window runs: when it began. What slides is told of once in each window of the calendar that is as long. */
function nameOf(window: NonNullable<Limit['window']>, nowMs: number): string {
  if (window.per === 'lifetime') return 'lifetime';
  const calendar = window.sliding ? windowOf(window.per) : window;
  return new Date(windowStartMs(calendar, nowMs)).toISOString();
}
