/** How a route's children are ordered: pure functions, so that a dry run and a replay run the very same code. */
import type { Route, Target } from '../config/snapshot.ts';

/** What strategies may look at beside their children. */
export interface View {
  /** False while a target cools down. */
  isHealthy(target: Target, nowMs: number): boolean;
  nowMs: number;
  /** The next number in [0, 1) of a seeded sequence. */
  random(): number;
}

/** A route's children, in the order in which they are to be tried. */
export function order(route: Exclude<Route, { type: 'target' }>, view: View): readonly Route[] {
  switch (route.type) {
    case 'fallback':
      return fallback(route.children);
    case 'split':
      return split(route.children, view);
  }
}

/** As written. */
function fallback(children: readonly Route[]): readonly Route[] {
  return children;
}

/**
 * One child drawn by lot, each as probable as its weight; behind it the others, drawn likewise from those that remain.
 * Children of weight 0 are never drawn: they come last, as written. Setting unhealthy children aside afterwards leaves
 * the healthy ones in the proportion of their weights.
 */
function split(children: readonly { weight: number; route: Route }[], view: View): readonly Route[] {
  const left = [...children];
  const drawn: Route[] = [];
  while (left.length > 0) drawn.push(left.splice(draw(left, view), 1)[0]!.route);
  return drawn;
}

function draw(children: readonly { weight: number }[], view: View): number {
  let total = 0;
  for (const child of children) total += child.weight;
  if (children.length === 1 || total === 0) return 0;
  let point = view.random() * total;
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

/** Index of the first target that is healthy, else 0: ejection never empties a group. `targets` is not empty. */
export function firstHealthy(targets: readonly Target[], view: View): number {
  for (let i = 0; i < targets.length; i++) if (view.isHealthy(targets[i]!, view.nowMs)) return i;
  return 0;
}
