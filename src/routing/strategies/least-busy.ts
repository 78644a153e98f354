/** `least_busy`: by the calls that are running at each target. */
import type { LeastBusy, Route } from '../../config/route.ts';
import type { Target } from '../../config/snapshot.ts';
import type { Moment } from '../moment.ts';
import { type Bond, childWith } from './conversation.ts';
import { expected } from './expected.ts';
import type { Note } from './index.ts';
import { Ranking } from './ranking.ts';

/**
 * Those that are equally busy by lot, so that they share evenly and many gateways do not all choose the same. A
 * conversation stays where it is, unless another is clearly less busy.
 */
export function leastBusy(route: LeastBusy, moment: Moment, bond?: Bond, note?: Note): readonly Route[] {
  const { children } = route;
  if (children.length < 2) return children;
  const { sight } = moment;
  const runningAt = (target: Target) => sight.inFlight(target);
  const scores: number[] = [];
  for (const child of children) {
    const running = expected(child, moment, 'least_busy', runningAt);
    note?.(child, running);
    scores.push(running + moment.random() * lot);
  }
  const ranking = new Ranking(children, scores);
  const kept = childWith(children, bond?.kept);
  if (kept !== undefined) ranking.prefer(kept, moment, isMuchLessBusy);
  return ranking.routes;
}

/** Less than the least difference that matters. */
const lot = 0.001;

/** Half of them at most, and so many fewer as do not come about by chance. */
function isMuchLessBusy(running: number, than: number): boolean {
  return running * 2 + 8 < than;
}
