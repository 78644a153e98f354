/** What is to be expected of a route, from what is expected of the targets below. */
import type { Route } from '../../config/route.ts';
import type { Target } from '../../config/snapshot.ts';
import { childrenOf } from '../../config/targets.ts';
import type { Moment } from '../moment.ts';
import { when } from './when.ts';

/** Sum over all targets that may be chosen below, as often as they are named. */
export function sumBelow(route: Route, of: (target: Target) => number): number {
  if (route.type === 'target') return of(route.target);
  if (route.type === 'mirror') return sumBelow(route.children[0], of);
  let sum = 0;
  for (const child of childrenOf(route)) sum += sumBelow(child, of);
  return sum;
}

/** @param kind the strategy that asks: one of its kind below would choose its best by the same numbers. */
export function expected(
  route: Route,
  moment: Moment,
  kind: 'cheapest' | 'fastest' | 'least_busy',
  of: (target: Target) => number,
): number {
  if (route.type === 'target') return of(route.target);
  const each = (child: Route): number => expected(child, moment, kind, of);
  switch (route.type) {
    case 'fallback':
    case 'hedge':
    case 'mirror': {
      const first = route.children.find((child) => isUp(child, moment)) ?? route.children[0];
      return first === undefined ? Infinity : each(first);
    }
    case 'when': {
      const [chosen] = when(route, moment);
      return chosen === undefined ? Infinity : each(chosen);
    }
    case 'split': {
      const drawn = route.children.filter(({ weight }) => weight > 0);
      const [first] = route.children;
      if (drawn.length === 0) return first === undefined ? Infinity : each(first.route);
      const total = drawn.reduce((sum, { weight }) => sum + weight, 0);
      return drawn.reduce((sum, child) => sum + (child.weight / total) * each(child.route), 0);
    }
    default: {
      let best = Infinity;
      let sum = 0;
      for (const child of route.children) {
        const score = each(child);
        best = Math.min(best, score);
        sum += score;
      }
      return route.type === kind || best === Infinity ? best : sum / route.children.length;
    }
  }
}

/** Whether any target below is healthy. */
export function isUp(route: Route, moment: Moment): boolean {
  switch (route.type) {
    case 'target':
      return moment.sight.isHealthy(route.target, moment.nowMs);
    case 'split':
      return route.children.some((child) => isUp(child.route, moment));
    case 'when':
      return when(route, moment).some((child) => isUp(child, moment));
    default:
      return route.children.some((child) => isUp(child, moment));
  }
}
