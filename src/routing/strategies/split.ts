/** `split`: one child by lot, in proportion to the weights; a session keeps its lot. */
import type { Route, Split } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import { conversationOf, randomOf } from './conversation.ts';
import type { Note } from './index.ts';

/**
 * One child drawn by lot, each as probable as its weight; behind it the others, drawn likewise from those that remain.
 * Children of weight 0 are never drawn: they come last, as written. Setting unhealthy children aside afterwards leaves
 * the healthy ones in the proportion of their weights.
 */
export function split(route: Split, moment: Moment, note?: Note): readonly Route[] {
  const left = [...route.children];
  if (note !== undefined) for (const { route: child, weight } of left) note(child, weight);
  const conversation = route.steady ? conversationOf('session', moment.ask) : '';
  const random = conversation === '' ? moment.random : randomOf(conversation);
  const drawn: Route[] = [];
  while (left.length > 0) drawn.push(left.splice(draw(left, random), 1)[0]!.route);
  return drawn;
}

function draw(children: readonly { weight: number }[], random: () => number): number {
  let total = 0;
  for (const child of children) total += child.weight;
  if (children.length === 1 || total === 0) return 0;
  let point = random() * total;
  let last = 0;
  for (let i = 0; i < children.length; i++) {
    const { weight } = children[i]!;
    if (weight === 0) continue;
    if (point < weight) return i;
    point -= weight;
    last = i;
  }
  // Sums of fractions may leave the point a hair past the end.
  return last;
}
