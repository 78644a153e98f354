/**
 * What in a configuration can never come to anything: rules behind others that always hold first, targets named twice,
 * limits behind narrower ones, models that no key may use.
 */
import { casesHit } from './cases-hit.ts';
import type { Route } from './route.ts';
import type { Key, Limit, Snapshot } from './snapshot.ts';
import { childrenOf } from './targets.ts';

/** @returns one line each, in the order of the configuration. */
export function findUnreachable(snapshot: Snapshot): string[] {
  const { models, keys } = snapshot;
  return [
    ...[...models].flatMap(([name, route]) => [
      ...inRoute(name, route, new Set(), new Set(models.values())),
      ...(isUsable(name, [...keys.values()], models) ? [] : [`models.${name}: no key here may use it`]),
    ]),
    ...[...keys.values()].flatMap((key) => narrowerAbove(key, snapshot)),
  ];
}

/** @param named routes of other models: what is wrong with them is said where they are written. */
function inRoute(path: string, route: Route, seen: Set<string>, named: ReadonlySet<Route>): string[] {
  if (route.type === 'target') {
    const { id } = route.target;
    if (seen.has(id)) return [`models.${path}: ${id} is tried before, and no target is tried twice`];
    seen.add(id);
    return [];
  }
  const found: string[] = [];
  if (route.type === 'when') {
    const hit = casesHit(route);
    route.cases.forEach(({ source }, i) => {
      if (hit?.has(i) === false)
        found.push(`models.${path}.when[${i}]: never the first that holds: ${source}`);
    });
    if (route.otherwise !== undefined && hit?.has(route.cases.length) === false)
      found.push(`models.${path}.else: some condition always holds`);
  }
  if (route.type === 'mirror' && route.share === 0) found.push(`models.${path}.to: its share is 0`);
  childrenOf(route).forEach((child, i) => {
    if (named.has(child)) return;
    // Branches of `when` exclude each other, and a shadow is another call: the same target may stand in each.
    const apart = route.type === 'when' || (route.type === 'mirror' && child === route.shadow);
    found.push(...inRoute(`${path}.${route.type}[${i}]`, child, apart ? new Set(seen) : seen, named));
  });
  return found;
}

/** Models are reached by keys that may use them, or through another model that is. */
function isUsable(name: string, keys: readonly Key[], models: Snapshot['models']): boolean {
  if (keys.length === 0 || keys.some((key) => mayUse(key, name))) return true;
  const route = models.get(name)!;
  return [...models].some(([other, from]) => other !== name && leadsTo(from, route));
}

function mayUse({ restrictions = [] }: Key, name: string): boolean {
  return restrictions.every(({ models }) => models === undefined || models.has(name));
}

function leadsTo(from: Route, route: Route): boolean {
  return from === route || childrenOf(from).some((child) => leadsTo(child, route));
}

/** Limits of a key that those of its team or organisation always reach first. */
function narrowerAbove(key: Key, { teams, organisations }: Snapshot): string[] {
  const above: [owner: string, limits: readonly Limit[]][] = [
    [`team ${key.team}`, teams.get(key.team)?.limits ?? []],
    [`organisation ${key.organisation}`, organisations?.get(key.organisation)?.limits ?? []],
  ];
  return key.limits.flatMap((limit) => [
    ...(hasNarrower(key.limits, limit)
      ? [`keys.${key.name}: it has a narrower limit of ${limit.unit}, too`]
      : []),
    ...above.flatMap(([owner, limits]) =>
      hasNarrower(limits, limit)
        ? [`keys.${key.name}: its limit of ${limit.unit} is wider than that of its ${owner}`]
        : [],
    ),
  ]);
}

function hasNarrower(limits: readonly Limit[], limit: Limit): boolean {
  return limits.some(
    ({ unit, window, max }) => unit === limit.unit && window === limit.window && max < limit.max,
  );
}
