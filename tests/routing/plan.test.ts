/** Which targets a call tries, in which order, and when it stops. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Route } from '../../src/config/route.ts';
import type { Target } from '../../src/config/snapshot.ts';
import { targetsOf } from '../../src/config/targets.ts';
import type { ErrorKind } from '../../src/core/error.ts';
import type { Moment } from '../../src/routing/moment.ts';
import { maxAttempts, Plan } from '../../src/routing/plan.ts';
import { failure, makeTarget, momentWith, to } from './targets.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((model) => makeTarget(model)) as [
  Target,
  Target,
  Target,
  Target,
];

const fallback = (...children: Route[]): Route => ({ type: 'fallback', children });
const split = (...children: [weight: number, route: Route][]): Route => ({
  type: 'split',
  steady: true,
  children: children.map(([weight, route]) => ({ weight, route })),
});

function viewWith(more: { sick?: Target[]; seed?: number } = {}): Moment {
  return momentWith({
    seed: more.seed ?? 1,
    sight: { isHealthy: (target) => !more.sick?.includes(target) },
  });
}

/** The models a call tries when each attempt fails in a way that another target may mend. */
function exhaust(of: Plan, kind: ErrorKind = 'upstream_overloaded'): string {
  const models: string[] = [];
  for (let target = of.next(0); target !== undefined; target = of.next(0)) {
    models.push(target.target.model);
    of.report(failure(kind));
  }
  return models.join(' ');
}

describe('a plan', () => {
  test('of one target tries it once', () => {
    expect(exhaust(new Plan(to(a), viewWith()))).toBe('a');
  });

  test('ends with success', () => {
    const call = new Plan(fallback(to(a), to(b)), viewWith());
    call.next(0);
    call.report('ok');
    expect(call.next(0)).toBeUndefined();
  });

  test.each([
    'bad_request',
    'upstream_bad_request',
    'upstream_content_filter',
    'cancelled',
    'internal',
  ] as const)('ends with %s, which no other target mends', (kind) => {
    expect(exhaust(new Plan(fallback(to(a), to(b)), viewWith()), kind)).toBe('a');
  });

  test.each([
    'unsupported',
    'context_length',
    'upstream_auth',
    'upstream_timeout',
    'upstream_not_found',
  ] as const)('goes on after %s', (kind) => {
    expect(exhaust(new Plan(fallback(to(a), to(b)), viewWith()), kind)).toBe('a b');
  });

  test('tries a target once, wherever and however often the route names it', () => {
    const again = makeTarget('a', a.provider);
    expect(exhaust(new Plan(fallback(to(a), fallback(to(again), to(b)), to(a)), viewWith()))).toBe('a b');
  });

  test('has an end', () => {
    const many = fallback(...Array.from({ length: 20 }, (_, i) => to(makeTarget(`m${i}`))));
    expect(exhaust(new Plan(many, viewWith())).split(' ')).toHaveLength(maxAttempts);
  });

  test('counts as attempts only those who could be asked', () => {
    const many = fallback(...Array.from({ length: 20 }, (_, i) => to(makeTarget(`m${i}`))));
    const plan = new Plan(many, viewWith());
    for (let i = 0; i < 9; i++) {
      expect(plan.next(0)?.target.model).toBe(`m${i}`);
      if (i % 2 === 0) plan.report(failure('unsupported'));
      else plan.passOver();
    }
    expect(exhaust(plan)).toBe('m9 m10 m11 m12 m13 m14 m15 m16');
  });

  test('of nothing has no target', () => {
    expect(new Plan(fallback(), viewWith()).next(0)).toBeUndefined();
  });
});

describe('health', () => {
  test('puts targets that cool down behind all others, and still tries them', () => {
    const route = fallback(fallback(to(a), to(b)), to(c));
    expect(exhaust(new Plan(route, viewWith({ sick: [a] })))).toBe('b c a');
  });

  test('changes nothing when nobody is well', () => {
    expect(exhaust(new Plan(fallback(to(a), to(b)), viewWith({ sick: [a, b] })))).toBe('a b');
  });

  test('learned by one attempt counts for the next', () => {
    const sick: Target[] = [];
    const call = new Plan(fallback(to(a), to(b), to(c)), viewWith({ sick }));
    call.next(0);
    call.report(failure('upstream_auth'));
    sick.push(b);
    expect(call.next(0)?.target).toBe(c);
    call.report(failure('upstream_auth'));
    expect(call.next(0)?.target).toBe(b);
  });
});

describe('split', () => {
  /** How many of 10,000 calls try which model first. */
  function firstChoices(route: Route, sick: Target[] = []): Record<string, number> {
    const view = viewWith({ sick, seed: 7 });
    const counts: Record<string, number> = {};
    for (let i = 0; i < 10_000; i++) {
      const { model } = new Plan(route, view).next(0)!.target;
      counts[model] = (counts[model] ?? 0) + 1;
    }
    return counts;
  }

  test('shares calls out by weight', () => {
    const counts = firstChoices(split([7, to(a)], [2, to(b)], [1, to(c)]));
    expect(counts.a! / 1000).toBeCloseTo(7, 0);
    expect(counts.b! / 1000).toBeCloseTo(2, 0);
    expect(counts.c! / 1000).toBeCloseTo(1, 0);
  });

  test('shares the calls of a sick child out among the others by weight', () => {
    const counts = firstChoices(split([5, to(a)], [4, to(b)], [1, to(c)]), [a]);
    expect(counts.a).toBeUndefined();
    expect(counts.b! / 1000).toBeCloseTo(8, 0);
  });

  test('draws again among those that remain', () => {
    const seconds = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const models = exhaust(new Plan(split([8, to(a)], [1, to(b)], [1, to(c)]), viewWith({ seed })));
      expect(models.split(' ').sort()).toEqual(['a', 'b', 'c']);
      if (models.startsWith('a')) seconds.add(models.slice(2, 3));
    }
    expect([...seconds].sort()).toEqual(['b', 'c']);
  });

  test('never draws weight 0 while there is another, but falls over to it', () => {
    const route = split([0, to(a)], [1, to(b)], [0, to(c)]);
    expect(firstChoices(route)).toEqual({ b: 10_000 });
    expect(exhaust(new Plan(route, viewWith()))).toBe('b a c');
    expect(exhaust(new Plan(split([0, to(a)], [0, to(b)]), viewWith()))).toBe('a b');
  });

  test('draws somebody even where the sum of fractions falls short', () => {
    const weights = [0.9, 0.7, 0.3, 0.5];
    const route = split(...[a, b, c, d].map((target, i): [number, Route] => [weights[i]!, to(target)]), [
      0,
      to(a),
    ]);
    expect(new Plan(route, { ...viewWith(), random: () => 1 - 2 ** -53 }).next(0)?.target).toBe(d);
  });

  test('is the same for the same random numbers', () => {
    const route = split([1, to(a)], [1, split([1, to(b)], [1, to(c)])], [1, to(d)]);
    for (let seed = 0; seed < 20; seed++) {
      expect(exhaust(new Plan(route, viewWith({ seed })))).toBe(exhaust(new Plan(route, viewWith({ seed }))));
    }
  });
});

test('any tree, any health: each target at most once, the healthy before the others, none lost', () => {
  const targets = Array.from({ length: 6 }, (_, i) => makeTarget(`m${i}`));
  const { route } = fc.letrec<{ route: Route }>((tie) => ({
    route: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(...targets).map(to),
      fc.array(tie('route'), { maxLength: 4 }).map((children) => fallback(...children)),
      fc
        .array(fc.tuple(fc.double({ min: 0, max: 9, noNaN: true }), tie('route')), { maxLength: 4 })
        .map((children) => split(...children)),
    ),
  }));
  fc.assert(
    fc.property(route, fc.subarray(targets), fc.nat(), (tree, sick, seed) => {
      const tried = exhaust(new Plan(tree, viewWith({ sick, seed })))
        .split(' ')
        .filter(Boolean);
      expect([...tried].sort()).toEqual([...new Set(targetsOf(tree).map(({ model }) => model))].sort());
      const isSick = tried.map((model) => sick.some((target) => target.model === model));
      expect(isSick).toEqual([...isSick].sort());
    }),
    { numRuns: 200, seed: 42 },
  );
});
