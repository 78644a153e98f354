/** `cheapest`: by what this very request is expected to cost at each target. */
import type { Cheapest, Route } from '../../config/route.ts';
import type { Target } from '../../config/snapshot.ts';
import type { Moment } from '../moment.ts';
import { type Bond, childWith } from './conversation.ts';
import { expectedCost } from './cost.ts';
import { expected } from './expected.ts';
import type { Note } from './index.ts';
import { Ranking } from './ranking.ts';

/**
 * In nano-dollars. What a prompt cache saves is part of the price: a conversation leaves the target that knows it where
 * another is cheaper all the same, and by more than lengths of answers differ by chance. Unknown prices come last.
 */
export function cheapest(route: Cheapest, moment: Moment, bond?: Bond, note?: Note): readonly Route[] {
  const { children } = route;
  const knownCostOf = expectedCost(moment, bond?.kept);
  const costOf = (target: Target) => knownCostOf(target) ?? Infinity;
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
