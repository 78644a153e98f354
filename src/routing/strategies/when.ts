/** `when`: the first whose condition holds, else `else`. */
import type { Route, When } from '../../config/route.ts';
import type { Target } from '../../config/snapshot.ts';
import { targetsOf } from '../../config/targets.ts';
import { factsOf } from '../facts.ts';
import type { Moment } from '../moment.ts';

export function when(route: When, moment: Moment): readonly Route[] {
  const facts = factsOf(moment, targetsById(route));
  for (const { test, route: child } of route.cases) if (test(facts)) return [child];
  return route.otherwise === undefined ? [] : [route.otherwise];
}

const known = new WeakMap<When, ReadonlyMap<string, Target>>();

function targetsById(route: When): ReadonlyMap<string, Target> {
  let targets = known.get(route);
  if (targets === undefined) {
    targets = new Map(targetsOf(route).map((target) => [target.id, target]));
    known.set(route, targets);
  }
  return targets;
}
