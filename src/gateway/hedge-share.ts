/** How many calls of a `hedge` may ask two targets: counted, not drawn by lot, so that the share is a bound. */
import type { Hedge } from '../config/route.ts';

/** What calls leave unused is saved up for a while, of so many calls at most: lateness comes in bursts. */
const maxSavedCalls = 100;
/** Sums of fractions may fall a hair short of one. */
const enough = 1 - 1e-9;

/** By node of the route: a new configuration begins anew. */
const saved = new WeakMap<Hedge, number>();

/** Another call goes by `hedge`. */
export function countCall(hedge: Hedge): void {
  const most = Math.max(1, hedge.share * maxSavedCalls);
  saved.set(hedge, Math.min(most, (saved.get(hedge) ?? 0) + hedge.share));
}

/** Whether the share bears a second attempt just now. */
export function bearsSecond(hedge: Hedge): boolean {
  return (saved.get(hedge) ?? 0) >= enough;
}

/** A second attempt is made. */
export function countSecond(hedge: Hedge): void {
  saved.set(hedge, (saved.get(hedge) ?? 0) - 1);
}
