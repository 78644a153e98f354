/** What is kept of a plan: the same as an explanation says, and never long. */
import { describe, expect, test } from 'bun:test';
import type { Route, Strategy } from '../../src/config/route.ts';
import type { Target } from '../../src/config/snapshot.ts';
import type { ExplainedRoute, PlannedRoute } from '../../src/core/explain.ts';
import { explainRoute } from '../../src/routing/explain.ts';
import { Plan } from '../../src/routing/plan.ts';
import { chooses, Thoughts } from '../../src/routing/planned.ts';
import { makeTarget, momentWith, to } from './targets.ts';

type Given = Parameters<typeof momentWith>[0];

const target = (model: string, input = 1): Target => ({
  ...makeTarget(model),
  price: {
    rates: {
      input: input * 1000,
      output: 0,
      cacheRead: 0,
      cacheWrite5m: 0,
      cacheWrite1h: 0,
      audioInput: 0,
      audioOutput: 0,
    },
    tiers: [],
    perCall: 0,
    source: 'test',
    version: '',
  },
});
const [a, b, c] = [target('a', 3), target('b', 1), target('c', 2)];
const fallback = (...children: Route[]): Strategy => ({ type: 'fallback', children });
const cheapest = (...children: Route[]): Strategy => ({ type: 'cheapest', steady: true, children });
const split = (...children: [weight: number, route: Route][]): Strategy => ({
  type: 'split',
  steady: false,
  children: children.map(([weight, route]) => ({ weight, route })),
});
const when = (holds: boolean, route: Route, otherwise?: Route): Strategy => ({
  type: 'when',
  cases: [{ source: 'key.name == "secret"', test: () => holds, route }],
  otherwise,
});

function write(route: Route, given?: Given): string {
  const thoughts = new Thoughts();
  const moment = momentWith(given);
  new Plan(route, moment, thoughts.trace).next(0);
  return thoughts.write(moment);
}

const written = (route: Route, given?: Given) => JSON.parse(write(route, given)) as PlannedRoute;

/** Strategies and targets line by line, each with its score. */
function linesOf(route: PlannedRoute, depth = 0): string[] {
  if (typeof route === 'string') return [`${depth} ${route}`];
  const line = `${depth} ${'by' in route ? route.by : route.to} ${route.score ?? ''}`.trim();
  return 'by' in route ? [line, ...route.of.flatMap((child) => linesOf(child, depth + 1))] : [line];
}

function explainedLines(route: ExplainedRoute, depth = 0): string[] {
  if (route.unused) return [];
  const line = `${depth} ${route.target ?? route.type} ${route.score ?? ''}`.trim();
  return [line, ...(route.children ?? []).flatMap((child) => explainedLines(child, depth + 1))];
}

describe('what is kept', () => {
  test('the order of all children, and what was thought of them', () => {
    expect(written(fallback(to(a), cheapest(to(a), to(b), to(c)), to(c)))).toEqual({
      by: 'fallback',
      of: [
        'acme/a',
        {
          by: 'cheapest',
          of: [
            { to: 'acme/b', score: 100 },
            { to: 'acme/c', score: 200 },
            { to: 'acme/a', score: 300 },
          ],
        },
        'acme/c',
      ],
    });
  });

  test('who was not well, and who had answered before', () => {
    const given: Given = {
      ask: { session: 's' },
      sight: { isHealthy: ({ id }) => id !== b.id, keptBy: () => a.id },
    };
    const route = cheapest(to(b), fallback(to(a), to(c)));
    expect(written(route, given)).toEqual({
      by: 'cheapest',
      of: [
        { by: 'fallback', of: [{ to: 'acme/a', kept: 1 }, 'acme/c'], score: 300 },
        { to: 'acme/b', score: 100, unwell: 1 },
      ],
    });
  });

  test('which condition held, but not its words', () => {
    expect(written(when(true, to(a), to(b)))).toEqual({ by: 'when', of: [{ to: 'acme/a', case: 1 }] });
    expect(write(when(false, to(a), to(b)))).toBe('{"by":"when","of":["acme/b"]}');
  });

  test('scores are rounded, and only those that are numbers', () => {
    const sight = { firstTokenMs: ({ id }: Target) => (id === a.id ? 1000 / 3 : undefined) };
    const route: Strategy = { type: 'fastest', explore: 0, steady: false, children: [to(a), to(b)] };
    expect(written(route, { sight })).toMatchObject({ of: ['acme/b', { to: 'acme/a', score: 333.33 }] });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('the same as an explanation says, by seed %d', (seed) => {
    const inner = split([3, to(a)], [1, cheapest(to(a), to(b))]);
    const route = fallback(inner, when(seed % 2 === 0, to(b), split([1, to(a)], [1, to(c)])), to(c));
    const explained = explainRoute(route, momentWith({ seed }), () => true).route;
    expect(linesOf(written(route, { seed }))).toEqual(explainedLines(explained));
  });
});

describe('a long route is cut', () => {
  const many = (count: number, name: string) =>
    Array.from({ length: count }, (_, i) => to(target(`${name}${i}`, 1 + (i % 7))));

  /** Targets that are named, and those of which only the number is. */
  function count(route: PlannedRoute): number {
    if (typeof route === 'string' || 'to' in route) return 1;
    return route.of.reduce((sum, child) => sum + count(child), route.more ?? 0);
  }

  test.each([
    ['wide', fallback(...many(500, 'm')), 500],
    ['scored', cheapest(...many(50, 'm')), 50],
    ['of long names', fallback(...many(40, 'n'.repeat(5000))), 40],
    ['of names that are long when escaped', fallback(...many(40, '\u0001'.repeat(5000))), 40],
    ['not at all', cheapest(...many(8, 'claude-sonnet-4-5-20250929-v')), 8],
  ])('%s: with a count', (_, route, targets) => {
    const text = write(route);
    expect(text.length).toBeLessThanOrEqual(1100);
    expect(count(JSON.parse(text))).toBe(targets);
  });

  test('in the middle of a strategy below, and all that is behind that', () => {
    const route = fallback(cheapest(...many(12, 'a')), split([1, fallback(...many(5, 'b'))]), to(c));
    const drawn = written(route);
    expect(drawn).toMatchObject({
      of: [{ of: { length: 12 } }, { of: [{ of: ['acme/b0'], more: 4 }] }],
      more: 1,
    });
  });

  test('deep', () => {
    let route: Route = to(a);
    for (let i = 0; i < 200; i++) route = fallback(route, to(b));
    expect(write(route).length).toBeLessThanOrEqual(1100);
  });
});

test.each<[boolean, Route]>([
  [false, to(a)],
  [false, fallback(to(a))],
  [false, split([1, fallback(to(a))])],
  [false, { type: 'mirror', model: 'm', children: [to(a)], shadow: to(b), share: 1, budget: undefined }],
  [false, fallback()],
  [true, fallback(to(a), to(b))],
  [true, fallback(split([1, to(a)], [0, to(b)]))],
  [true, when(true, to(a))],
])('%p: whether %j chooses', (is, route) => {
  expect(chooses(route)).toBe(is);
});
