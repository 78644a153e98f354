/**
 * What in a configuration can never come to anything: rules behind others that always hold first, targets named twice,
 * limits behind narrower ones, models that no key may use.
 */
import { type Facts, HealthFacts } from './condition.ts';
import type { Route, When } from './route.ts';
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

function mayUse({ models }: Key, name: string): boolean {
  return (
    models === undefined ||
    models.some((model) => (model.endsWith('*') ? name.startsWith(model.slice(0, -1)) : model === name))
  );
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
  return key.limits.flatMap((limit) =>
    above.flatMap(([owner, limits]) =>
      limits.some(({ unit, per, max }) => unit === limit.unit && per === limit.per && max < limit.max)
        ? [`keys.${key.name}: its limit of ${limit.unit} is wider than that of its ${owner}`]
        : [],
    ),
  );
}

/** Beyond this many combinations nothing is said. */
const maxSamples = 50_000;
/** What a sample of values decides for certain: comparisons, and looking for a text in another. */
const plain = /^(?:health\.up|startsWith|endsWith|contains|has)$/;

/**
 * Which cases are the first to hold for some request, and, as the number after the last, whether none may: found by
 * trying the values around every constant that the conditions name. Undefined: they are not simple enough for that.
 */
function casesHit({ cases }: When): Set<number> | undefined {
  const source = cases.map((each) => each.source).join('\n');
  const calls = [...source.matchAll(/([\w.]*?)(\w+)\s*\(/g)].map(([, before, name]) =>
    before === 'health.' ? 'health.up' : name!,
  );
  if (calls.some((name) => !plain.test(name)) || /[-+*/%]\s*\w/.test(source.replace(/"[^"]*"|'[^']*'/g, '')))
    return undefined;
  const samples = sampleFacts(source);
  if (samples === undefined) return undefined;
  const hit = new Set<number>();
  for (const facts of samples) {
    const first = cases.findIndex(({ test }) => test(facts));
    hit.add(first < 0 ? cases.length : first);
    if (hit.size === cases.length + 1) break;
  }
  return hit;
}

function sampleFacts(source: string): Facts[] | undefined {
  const texts = [...source.matchAll(/"([^"]*)"|'([^']*)'/g)].map(([, one, two]) => one ?? two ?? '');
  const words = [
    ...new Set(['', '\u0000', ...texts.flatMap((text) => [text, `${text}\u0000`, `\u0000${text}`])]),
  ];
  const numbers = [...source.matchAll(/\b\d+\b/g)].map(([digits]) => BigInt(digits));
  const around = [...new Set([0n, ...numbers.flatMap((n) => [n - 1n, n, n + 1n])])].filter((n) => n >= 0n);
  const names = [
    ...new Set([
      ...[...source.matchAll(/\btags\.(\w+)/g)].map(([, name]) => name!),
      ...(/\btags\b/.test(source) ? texts : []),
    ]),
  ];
  const choices: [path: string, values: readonly unknown[]][] = [
    ...(['model', 'operation', 'session', 'user'] as const).map((name): [string, unknown[]] => [
      `request.${name}`,
      words,
    ]),
    ['request.stream', [false, true]],
    ['request.tokens', around],
    ['request.max_tokens', around],
    ...(['name', 'team', 'organisation'] as const).map((name): [string, unknown[]] => [`key.${name}`, words]),
    ['time.hour', range(24)],
    ['time.minute', range(60)],
    ['time.weekday', range(7)],
    ...texts.map((text): [string, unknown[]] => [`health.${text}`, [true, false]]),
  ];
  // What no condition looks at is the same in all samples.
  const used = choices.filter(([path]) =>
    path.startsWith('health.') ? source.includes('health.up') : source.includes(path),
  );
  const all: [string, readonly unknown[]][] = [
    ...used,
    ...names.map((name): [string, unknown[]] => [`tags.${name}`, [undefined, ...words]]),
  ];
  const size = all.reduce((product, [, values]) => product * values.length, 1);
  if (size > maxSamples) return undefined;
  return Array.from({ length: size }, (_, at) => factsAt(at, all));
}

function range(end: number): bigint[] {
  return Array.from({ length: end }, (_, i) => BigInt(i));
}

function factsAt(index: number, choices: readonly [path: string, values: readonly unknown[]][]): Facts {
  const up = new Map<string, boolean>();
  const facts = {
    request: { model: '', operation: '', stream: false, tokens: 0n, max_tokens: 0n, session: '', user: '' },
    key: { name: '', team: '', organisation: '' },
    tags: {} as Record<string, string>,
    time: { hour: 0n, minute: 0n, weekday: 0n },
    health: new HealthFacts((id) => up.get(id) ?? true),
  };
  let rest = index;
  for (const [path, values] of choices) {
    const value = values[rest % values.length];
    rest = Math.floor(rest / values.length);
    const dot = path.indexOf('.');
    const [group, name] = [path.slice(0, dot), path.slice(dot + 1)];
    if (group === 'health') up.set(name, value as boolean);
    else if (value !== undefined)
      Object.assign(facts[group as 'request' | 'key' | 'tags' | 'time'], { [name]: value });
  }
  return facts;
}
