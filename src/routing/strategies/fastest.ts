/** `fastest`: by the time this very request is expected to take at each target. */
import type { Fastest, Route } from '../../config/route.ts';
import type { Target } from '../../config/snapshot.ts';
import type { Moment } from '../moment.ts';
import { type Bond, childWith } from './conversation.ts';
import { expected, isUp, sumBelow } from './expected.ts';
import type { Note } from './index.ts';
import { expectedTokens } from './length.ts';
import { Ranking } from './ranking.ts';

/**
 * In ms. Whom nobody has measured is asked, one call at a time; of the other calls a share finds out how the slower ones
 * do. A conversation stays where it is, and new ones go where most went lately, unless another is faster by more than
 * chance makes it: times vary by a third without any reason.
 */
export function fastest(route: Fastest, moment: Moment, bond?: Bond, note?: Note): readonly Route[] {
  const { children } = route;
  if (children.length < 2) return children;
  const timeOf = (target: Target) => expectedMs(target, moment);
  const callsOf = (target: Target) => moment.sight.recentCalls(target, moment.nowMs);
  const scores: number[] = [];
  let measured = 0;
  let sum = 0;
  let usual = children[0]!;
  let most = -1;
  for (const child of children) {
    const score = expected(child, moment, 'fastest', timeOf);
    scores.push(score);
    const calls = sumBelow(child, callsOf);
    if (calls > most) {
      most = calls;
      usual = child;
    }
    if (!(score < Infinity)) continue;
    note?.(child, score);
    measured++;
    sum += score;
  }
  const unknown = measured < children.length ? leastAskedUnknown(children, scores, moment) : -1;
  // Until it is known it counts as neither good nor bad.
  const mean = measured === 0 ? 1 : sum / measured;
  for (let i = 0; i < scores.length; i++) if (Number.isNaN(scores[i])) scores[i] = mean;
  const ranking = new Ranking(children, scores);
  const kept = childWith(children, bond?.kept);
  if (kept !== undefined && ranking.prefer(kept, moment, isMuchFaster)) return ranking.routes;
  if (unknown >= 0 && (measured === 0 || runningAt(children[unknown]!, moment) === 0))
    ranking.putFirst(ranking.routes.indexOf(children[unknown]!));
  else {
    ranking.prefer(usual, moment, isFaster);
    const unsettled = sumBelow(ranking.routes[0]!, (target) => (isUnsettled(target, moment) ? 1 : 0)) > 0;
    explore(ranking, unsettled ? route.explore * unsettledTimes : route.explore, moment);
  }
  return ranking.routes;
}

/** Worth leaving a prompt cache for. */
function isMuchFaster(ms: number, than: number): boolean {
  return ms * 1.5 < than;
}

/** More than noise. */
function isFaster(ms: number, than: number): boolean {
  return ms * 1.2 < than;
}

/** NaN: nobody knows. Failures are paid for with time: with half of them two attempts are needed. */
function expectedMs(target: Target, moment: Moment): number {
  const { sight, nowMs } = moment;
  const firstMs = sight.firstTokenMs(target, nowMs);
  const rate = sight.tokensPerSecond(target, nowMs);
  const failing = sight.failureShare(target, nowMs);
  if (firstMs === undefined && rate === undefined) return failing > 0 ? Infinity : Number.NaN;
  const writingMs = rate === undefined ? 0 : (expectedTokens(target, moment) * 1000) / rate;
  return ((firstMs ?? 0) + writingMs) / (1 - failing);
}

/** Of those without a score the one with the fewest calls, by lot among equals; -1: all have one. */
function leastAskedUnknown(children: readonly Route[], scores: readonly number[], moment: Moment): number {
  let least = -1;
  let fewest = Infinity;
  for (let i = 0; i < children.length; i++) {
    if (!Number.isNaN(scores[i]) || !isUp(children[i]!, moment)) continue;
    const calls = runningAt(children[i]!, moment) + moment.random() / 2;
    if (calls >= fewest) continue;
    least = i;
    fewest = calls;
  }
  return least;
}

function runningAt(child: Route, { sight }: Moment): number {
  return sumBelow(child, (target) => sight.inFlight(target));
}

/**
 * Puts another first for a share of calls, if it is well. Whom chance may have put behind is tried more often: it costs
 * little where it is wrong, and soon shows who is better where times have changed.
 */
function explore(ranking: Ranking, share: number, moment: Moment): void {
  const { routes, scores } = ranking;
  const drawn = moment.random();
  if (drawn >= Math.min(mostToRivals, share * rivalTimes)) return;
  let others = routes.length - 1;
  if (drawn >= share) {
    others = 0;
    while (others < routes.length - 1 && !isFaster(scores[0]!, scores[others + 1]!)) others++;
    if (others === 0) return;
  }
  const at = 1 + Math.floor(moment.random() * others);
  if (isUp(routes[at]!, moment)) ranking.putFirst(at);
}

function isUnsettled(target: Target, { sight, nowMs }: Moment): boolean {
  return sight.isUnsettled(target, nowMs);
}

/** How much more often others are tried where the times of whom most are asked have just changed. */
const unsettledTimes = 5;
/** How much more often those are tried that may be as fast. */
const rivalTimes = 4;
const mostToRivals = 0.4;
