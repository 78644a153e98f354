/** `cheapest`: by what this very request is expected to cost at each target. */
import type { Cheapest, Route } from '../../config/route.ts';
import type { Target } from '../../config/snapshot.ts';
import { chargeKnown } from '../../core/money.ts';
import { emptyUsage } from '../../core/usage.ts';
import { minCachedTokens } from '../measures/target-measures.ts';
import type { Moment } from '../moment.ts';
import { type Bond, childWith } from './conversation.ts';
import { expected } from './expected.ts';
import type { Note } from './index.ts';
import { expectedTokens } from './length.ts';
import { Ranking } from './ranking.ts';

/** Part of the prompt that a cache is taken to know when a conversation returns, until it was seen: all but the last turn. */
const usualCachedShare = 0.8;

/**
 * In nano-dollars. What a prompt cache saves is part of the price: a conversation leaves the target that knows it where
 * another is cheaper all the same, and by more than lengths of answers differ by chance. Unknown prices come last.
 */
export function cheapest(route: Cheapest, moment: Moment, bond?: Bond, note?: Note): readonly Route[] {
  const { children } = route;
  const costOf = expectedCost(moment, bond?.kept);
  const scores: number[] = [];
  for (const child of children) {
    const score = expected(child, moment, 'cheapest', costOf);
    if (score < Infinity) note?.(child, score);
    scores.push(score);
  }
  const ranking = new Ranking(children, scores);
  const kept = childWith(children, bond?.kept);
  if (kept !== undefined) ranking.prefer(kept, moment, isMuchCheaper);
  return ranking.routes;
}

function isMuchCheaper(cost: number, than: number): boolean {
  return cost < than * 0.9;
}

function expectedCost(moment: Moment, kept: string | undefined): (target: Target) => number {
  const { ask, sight } = moment;
  const usage = emptyUsage();
  usage.input = Math.round(ask.inputTokens);
  const cacheable = usage.input >= minCachedTokens;
  return (target) => {
    usage.output = expectedTokens(target, moment);
    const cached = cacheable && target.id === kept;
    usage.cacheRead = cached
      ? Math.round(usage.input * (sight.cachedShare(target, ask.key) ?? usualCachedShare))
      : 0;
    return chargeKnown(usage, target.price) ?? Infinity;
  };
}
