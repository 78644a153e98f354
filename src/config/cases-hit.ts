/** Which conditions of a `when` can be the first to hold, where they are simple enough for that to be certain. */
import { type Asked, askedBy } from './asked.ts';
import { type Facts, HealthFacts } from './condition.ts';
import type { When } from './route.ts';

/** Beyond this many combinations nothing is said. */
const maxSamples = 50_000;

/**
 * Which cases are the first to hold for some request, and, as the number after the last, whether none may: found by
 * trying all combinations of the values between which the conditions can tell. Undefined: they are not simple enough.
 */
export function casesHit({ cases }: When): ReadonlySet<number> | undefined {
  const asked = askedBy(cases.map(({ source }) => source));
  if (asked === undefined) return undefined;
  const choices: [path: string, values: readonly unknown[]][] = [];
  let size = 1;
  for (const [path, each] of asked) {
    const values = valuesOf(path, each);
    if (values === undefined) return undefined;
    choices.push([path, values]);
    size *= values.length;
  }
  if (size > maxSamples) return undefined;
  const hit = new Set<number>();
  for (let at = 0; at < size && hit.size <= cases.length; at++) {
    const facts = factsAt(at, choices);
    const first = cases.findIndex(({ test }) => test(facts));
    hit.add(first < 0 ? cases.length : first);
  }
  return hit;
}

/** The largest value; the smallest of all numbers is 0. */
const largest: Readonly<Record<string, bigint | undefined>> = {
  'time.hour': 23n,
  'time.minute': 59n,
  'time.weekday': 6n,
};

/** One value at least of each kind that the conditions can tell apart. Undefined: that would take more than is tried here. */
function valuesOf(path: string, asked: Asked): readonly unknown[] | undefined {
  if (path === 'request.stream' || path.startsWith('health.')) return [false, true];
  if (path.startsWith('time.') || path === 'request.tokens' || path === 'request.max_tokens') {
    const around = [0n, ...[...asked.numbers].flatMap((n) => [n - 1n, n, n + 1n])];
    return [...new Set(around)].filter((n) => n >= 0n && n <= (largest[path] ?? n));
  }
  // What begins with one text may end with another, or hold both: no few values tell.
  const { starts, ends, parts } = asked;
  const kinds = [starts, ends, parts].filter(({ size }) => size > 0).length;
  if (kinds > 1 || parts.size > 1) return undefined;
  const texts = [...asked.texts, ...starts, ...ends, ...parts];
  // Each as it is, and with something else before or behind it.
  const words = new Set(['', '\u0000', ...texts.flatMap((text) => [text, `${text}\u0000`, `\u0000${text}`])]);
  return path.startsWith('tags.') ? [undefined, ...words] : [...words];
}

/** One of the combinations. What no condition looks at is the same in all. */
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
