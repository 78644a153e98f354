/** `split`: one child by lot, in proportion to the weights; a session keeps its lot. */
import type { Route, Split } from '../../config/route.ts';
import { childrenOf } from '../../config/targets.ts';
import type { Moment } from '../moment.ts';
import { conversationOf, randomOf } from './conversation.ts';
import type { Note } from './index.ts';

/**
 * One child drawn by lot, each as probable as its weight; behind it the others, drawn likewise from those that remain.
 * Children of weight 0 are never drawn: they come last, as written. Setting unhealthy children aside afterwards leaves
 * the healthy ones in the proportion of their weights.
 */
export function split(route: Split, moment: Moment, note?: Note): readonly Route[] {
  const { children } = route;
  if (note !== undefined) for (const { route: child, weight } of children) note(child, weight);
  const session = route.steady ? conversationOf('session', moment.ask) : '';
  const random = session === '' ? moment.random : randomOf(lotsOf(route, session, moment));
  const routes = children.map((child) => child.route);
  const weights = children.map(({ weight }) => weight);
  for (let first = 0; first < routes.length - 1; first++) {
    // The order of those that were not drawn stays as it is.
    const at = draw(weights, first, random);
    const chosen = routes[at]!;
    const weight = weights[at]!;
    for (let i = at; i > first; i--) {
      routes[i] = routes[i - 1]!;
      weights[i] = weights[i - 1]!;
    }
    routes[first] = chosen;
    weights[first] = weight;
  }
  return routes;
}

/**
 * Name of a session's lots: others for each model it uses, and for each split inside another, which would else draw by the
 * lot that led to it. Targets have no part in it, so that a session stays where it is when one is added further down.
 */
function lotsOf(route: Split, session: string, { ask }: Moment): string {
  return `${ask.model}:${splitsIn(route)}:${session}`;
}

const known = new WeakMap<Split, number>();

/** How many splits stand inside one another from here down, this one included. */
function splitsIn(route: Route): number {
  if (route.type === 'target') return 0;
  const seen = route.type === 'split' ? known.get(route) : undefined;
  if (seen !== undefined) return seen;
  const below = Math.max(0, ...childrenOf(route).map(splitsIn));
  if (route.type !== 'split') return below;
  known.set(route, below + 1);
  return below + 1;
}

/** The place of one drawn from `first` on. */
function draw(weights: readonly number[], first: number, random: () => number): number {
  let total = 0;
  for (let i = first; i < weights.length; i++) total += weights[i]!;
  if (total === 0) return first;
  let point = random() * total;
  let last = first;
  for (let i = first; i < weights.length; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    if (point < weight) return i;
    point -= weight;
    last = i;
  }
  // Sums of fractions may leave the point a hair past the end.
  return last;
}
