/** Whether a route names a target more than once: found out once, because most do not. */
import type { Route } from '../config/route.ts';
import { childrenOf, targetsOf } from '../config/targets.ts';

const known = new WeakMap<Route, boolean>();

export function hasRepeats(route: Route): boolean {
  let repeats = known.get(route);
  if (repeats === undefined) {
    repeats = countLeaves(route) > targetsOf(route).length;
    known.set(route, repeats);
  }
  return repeats;
}

function countLeaves(route: Route): number {
  if (route.type === 'target') return 1;
  const below = route.type === 'mirror' ? route.children : childrenOf(route);
  return below.reduce((sum, child) => sum + countLeaves(child), 0);
}
