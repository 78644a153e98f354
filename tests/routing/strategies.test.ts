/** By what the strategies that choose freely choose, and when what belongs together stays together. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Route, Strategy } from '../../src/config/route.ts';
import type { Target } from '../../src/config/snapshot.ts';
import { targetsOf } from '../../src/config/targets.ts';
import type { Price } from '../../src/core/money.ts';
import { bondNames, fateOf } from '../../src/routing/bonds.ts';
import type { Ask, Moment, Sight } from '../../src/routing/moment.ts';
import { describeWay, Plan } from '../../src/routing/plan.ts';
import { failure, key, makeTarget, momentWith, seededRandom, to } from './targets.ts';

const models = ['a', 'b', 'c', 'd'];
const [a, b, c, d] = models.map((model) => makeTarget(model)) as [Target, Target, Target, Target];
const eight = Array.from({ length: 8 }, (_, i) => makeTarget(`t${i}`));

const cheapest = (...children: Route[]): Strategy => ({ type: 'cheapest', steady: true, children });
const leastBusy = (...children: Route[]): Strategy => ({ type: 'least_busy', steady: true, children });
const fallback = (...children: Route[]): Strategy => ({ type: 'fallback', children });
const sticky = (...children: Route[]): Strategy => ({ type: 'sticky', by: 'conversation', children });
const fastest = (explore: number, ...children: Route[]): Strategy => ({
  type: 'fastest',
  explore,
  steady: true,
  children,
});

/** USD per million tokens. */
function priced(model: string, input: number, output: number, cached = input): Target {
  const [inputRate, cacheRead, outputRate] = [input * 1e6, cached * 1e6, output * 1e6];
  const writes = { cacheWrite5m: inputRate, cacheWrite1h: inputRate };
  const rates = { input: inputRate, cacheRead, ...writes, output: outputRate, audioInput: 0, audioOutput: 0 };
  const price: Price = { rates, tiers: [], perCall: 0, source: 'test', version: '' };
  return { ...makeTarget(model), price };
}

type Given = { ask?: Partial<Ask>; sight?: Partial<Sight>; seed?: number };

/** The models in the order in which they are tried when all of them fail. */
function tried(route: Route, given: Given | Moment = {}): string {
  const plan = new Plan(route, 'random' in given ? given : momentWith(given));
  const names: string[] = [];
  for (let step = plan.next(0); step !== undefined; step = plan.next(0)) {
    names.push(step.target.model);
    plan.report(failure('upstream_overloaded'));
  }
  return names.join(' ');
}

const first = (route: Route, given: Given | Moment = {}) => tried(route, given).split(' ')[0]!;

/** Numbers of targets, by their models. */
const byModel =
  <Value>(values: Record<string, Value>) =>
  ({ model }: Target) =>
    values[model];
const running = (values: Record<string, number>) => (target: Target) => values[target.model] ?? 0;

/** A conversation that was answered by `target` last. */
const returning = (target: Target, more: Given = {}): Given => ({
  ...more,
  ask: { prompt: 'digest', inputTokens: 10_000, ...more.ask },
  sight: { keptBy: (name) => (name === `m:p:${key.id}:digest` ? target.id : undefined), ...more.sight },
});

/** What a strategy said of its children. */
function scores(route: Strategy, given: Given = {}): Record<string, number> {
  const said: Record<string, number> = {};
  new Plan(route, momentWith(given), (node, _ordered, all) => {
    if (node !== route) return;
    for (const [child, score] of all) said[targetsOf(child)[0]!.model] = score;
  });
  return said;
}

describe('cheapest', () => {
  const reader = priced('reader', 1, 10);
  const writer = priced('writer', 4, 2);
  const route = cheapest(to(reader), to(writer));

  test('goes by what this request costs: many tokens in, or many out', () => {
    expect(tried(route, { ask: { inputTokens: 100_000, maxTokens: 100 } })).toBe('reader writer');
    expect(tried(route, { ask: { inputTokens: 10 } })).toBe('writer reader');
  });

  test('expects answers as long as they were for this key, no longer than is asked for', () => {
    const learned = { outputTokens: () => 5000 };
    expect(tried(route, { ask: { inputTokens: 10_000 }, sight: learned })).toBe('writer reader');
    expect(tried(route, { ask: { inputTokens: 10_000, maxTokens: 20 }, sight: learned })).toBe(
      'reader writer',
    );
    expect(first(route, { ask: { inputTokens: 10_000 }, sight: { outputTokens: () => 20 } })).toBe('reader');
  });

  test('says the cost in nano-dollars', () => {
    expect(scores(route, { ask: { inputTokens: 1000, maxTokens: 100 } })).toEqual({
      reader: 2_000_000,
      writer: 4_200_000,
    });
  });

  test('tries last whose price nobody knows, and first who is free', () => {
    const free = priced('free', 0, 0);
    expect(tried(cheapest(to(a), to(reader), to(free), to(writer)))).toBe('free writer reader a');
    expect(tried(cheapest(to(b), to(a)))).toBe('b a');
    expect(scores(cheapest(to(a), to(free)))).toEqual({ free: 0 });
  });

  test('keeps the order as written among equals', () => {
    const equal = eight.map((target) => to({ ...priced('', 1, 1), id: target.id, model: target.model }));
    expect(tried(cheapest(...equal))).toBe('t0 t1 t2 t3 t4 t5 t6 t7');
  });

  test('takes prices by size of the prompt', () => {
    const { rates } = reader.price!;
    const tiers = [{ above: 1000, rates: { ...rates, input: 50e6 } }];
    const tiered = { ...reader, model: 'tiered', id: 'acme/tiered', price: { ...reader.price!, tiers } };
    expect(first(cheapest(to(writer), to(tiered)), { ask: { inputTokens: 1000, maxTokens: 1 } })).toBe(
      'tiered',
    );
    expect(first(cheapest(to(writer), to(tiered)), { ask: { inputTokens: 1001, maxTokens: 1 } })).toBe(
      'writer',
    );
  });

  describe('of a conversation', () => {
    const ask = { maxTokens: 10 };
    const known = priced('known', 3, 3, 0.3);
    const cheaper = priced('cheaper', 2, 2);
    const much = priced('much', 0.5, 0.5);

    test('counts what the prompt cache saves', () => {
      expect(tried(cheapest(to(cheaper), to(known)), returning(known, { ask }))).toBe('known cheaper');
      expect(tried(cheapest(to(cheaper), to(known)), returning(cheaper, { ask }))).toBe('cheaper known');
    });

    test('leaves for what is cheaper all the same', () => {
      expect(tried(cheapest(to(much), to(known)), returning(known, { ask }))).toBe('much known');
    });

    test('goes by what caches were seen to know', () => {
      const route = cheapest(to(cheaper), to(known));
      expect(first(route, returning(known, { ask, sight: { cachedShare: () => 0 } }))).toBe('cheaper');
      expect(first(route, returning(known, { ask, sight: { cachedShare: () => 0.95 } }))).toBe('known');
    });

    test('expects nothing of caches where the prompt is too short for them', () => {
      expect(first(cheapest(to(cheaper), to(known)), returning(known, { ask: { inputTokens: 900 } }))).toBe(
        'cheaper',
      );
    });

    test('stays where another is hardly cheaper', () => {
      const hardly = priced('hardly', 0.95, 0.95);
      const one = priced('one', 1, 1);
      expect(first(cheapest(to(hardly), to(one)), returning(one, { ask }))).toBe('one');
      expect(first(cheapest(to(hardly), to(one)))).toBe('hardly');
    });
  });
});

describe('fastest', () => {
  const measured = (times: Record<string, number>, more: Partial<Sight> = {}): Given => ({
    sight: { firstTokenMs: byModel(times), ...more },
  });

  test('goes by the first token and the rest of the answer', () => {
    const rates = byModel<number>({ a: 20, b: 200 });
    const route = fastest(0, to(a), to(b));
    const given = (maxTokens: number) => ({
      ask: { maxTokens },
      ...measured({ a: 100, b: 500 }, { tokensPerSecond: rates }),
    });
    expect(tried(route, given(5))).toBe('a b');
    expect(tried(route, given(400))).toBe('b a');
    expect(scores(route, given(400))).toEqual({ a: 20_100, b: 2500 });
  });

  test('counts failures: who fails at once is not fast', () => {
    const failing = (share: number) => measured({ a: 100, b: 300 }, { failureShare: running({ a: share }) });
    expect(tried(fastest(0, to(a), to(b)), failing(0.1))).toBe('a b');
    expect(tried(fastest(0, to(a), to(b)), failing(0.9))).toBe('b a');
    const hopeless = { failureShare: running({ b: 0.5 }) };
    expect(tried(fastest(0, to(b), to(a)), measured({ a: 900 }, hopeless))).toBe('a b');
  });

  test('asks whom nobody has measured, one call at a time', () => {
    const route = fastest(0, to(a), to(b), to(c));
    expect(first(route, measured({ a: 100, c: 100 }))).toBe('b');
    expect(first(route, measured({ a: 100, c: 90 }, { inFlight: running({ b: 1 }) }))).not.toBe('b');
  });

  test('asks all alike while nobody is measured', () => {
    const firsts = new Set(
      Array.from({ length: 50 }, (_, seed) => first(fastest(0, to(a), to(b), to(c)), { seed })),
    );
    expect([...firsts].sort()).toEqual(['a', 'b', 'c']);
    expect(first(fastest(0, to(a), to(b), to(c)), { sight: { inFlight: running({ a: 1, c: 1 }) } })).toBe(
      'b',
    );
  });

  test('does not try out who is not well', () => {
    const sick = { isHealthy: (target: Target) => target.model !== 'b' };
    for (let seed = 0; seed < 50; seed++) {
      const given = { ...measured({ a: 100, c: 150 }, sick), seed };
      expect(tried(fastest(1, to(a), to(b), to(c)), given)).toMatch(/^(a c|c a) b$/);
    }
  });

  test('stays with whom most calls went to, unless another is clearly faster', () => {
    const used = { recentCalls: running({ a: 100, b: 5 }) };
    expect(first(fastest(0, to(a), to(b)), measured({ a: 110, b: 100 }, used))).toBe('a');
    expect(first(fastest(0, to(a), to(b)), measured({ a: 130, b: 100 }, used))).toBe('b');
    expect(first(fastest(0, to(b), to(a)), measured({ a: 110, b: 100 }))).toBe('b');
  });

  test('finds out how the others are with its share of calls, more of those that are nearly as fast', () => {
    const random = seededRandom(3);
    const share = (times: Record<string, number>) => {
      let others = 0;
      for (let i = 0; i < 5000; i++) {
        const moment = { ...momentWith(measured(times, { recentCalls: running({ a: 1 }) })), random };
        if (first(fastest(0.05, to(a), to(b), to(c)), moment) !== 'a') others++;
      }
      return others / 5000;
    };
    expect(share({ a: 100, b: 500, c: 500 })).toBeCloseTo(0.05, 1);
    expect(share({ a: 100, b: 500, c: 500 })).toBeLessThan(0.07);
    const rivals = share({ a: 100, b: 110, c: 500 });
    expect(rivals).toBeGreaterThan(0.15);
    expect(rivals).toBeLessThan(0.25);
  });

  test('never tries anybody out where it shall not', () => {
    for (let seed = 0; seed < 100; seed++)
      expect(first(fastest(0, to(a), to(b)), { ...measured({ a: 100, b: 101 }), seed })).toBe('a');
  });

  test('leaves a conversation where it is, unless another is much faster', () => {
    const at = (times: Record<string, number>, seed: number) =>
      first(fastest(1, to(a), to(b)), returning(b, { ...measured(times), seed }));
    for (let seed = 0; seed < 50; seed++) expect(at({ a: 100, b: 140 }, seed)).toBe('b');
    const away = returning(b, measured({ a: 100, b: 200 }));
    expect(first(fastest(0, to(a), to(b)), away)).toBe('a');
  });
});

describe('least_busy', () => {
  test('goes by the calls that are running', () => {
    const given = { sight: { inFlight: running({ a: 3, b: 1, c: 2 }) } };
    expect(tried(leastBusy(to(a), to(b), to(c)), given)).toBe('b c a');
    expect(scores(leastBusy(to(a), to(b), to(c)), given)).toEqual({ a: 3, b: 1, c: 2 });
  });

  test('lets equals share evenly', () => {
    const random = seededRandom(5);
    const counts = new Map<string, number>();
    const route = leastBusy(...eight.map(to));
    for (let i = 0; i < 8000; i++) {
      const model = first(route, { ...momentWith(), random });
      counts.set(model, (counts.get(model) ?? 0) + 1);
    }
    for (const { model } of eight) {
      expect(counts.get(model)).toBeGreaterThan(850);
      expect(counts.get(model)).toBeLessThan(1150);
    }
  });

  test('leaves a conversation where it is, unless another is clearly less busy', () => {
    const route = leastBusy(to(a), to(b));
    const at = (loads: Record<string, number>) =>
      first(route, returning(b, { sight: { inFlight: running(loads) } }));
    expect(at({ a: 0, b: 8 })).toBe('b');
    expect(at({ a: 10, b: 28 })).toBe('b');
    expect(at({ a: 0, b: 9 })).toBe('a');
    expect(at({ a: 10, b: 29 })).toBe('a');
  });

  test('counts a group by what runs at each of its targets', () => {
    const group = leastBusy(to(b), to(c));
    const given = { sight: { inFlight: running({ a: 3, b: 9, c: 1 }) } };
    expect(tried(leastBusy(to(a), group), given)).toBe('c b a');
    const mean = fallback(to(b), to(c));
    expect(tried(leastBusy(to(a), mean), given)).toBe('a b c');
  });
});

describe('sticky', () => {
  const route = sticky(...eight.map(to));
  const asking = (prompt: string): Given => ({ ask: { prompt } });

  test('sends what belongs together to one target, by no memory and no chance', () => {
    for (let i = 0; i < 50; i++) {
      const order = tried(route, { ...asking(`c${i}`), seed: 1 });
      expect(tried(route, { ...asking(`c${i}`), seed: 2 })).toBe(order);
      expect(order.split(' ').sort()).toEqual(eight.map(({ model }) => model));
    }
  });

  test('spreads conversations evenly', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 8000; i++) {
      const model = first(route, asking(`c${i}`));
      counts.set(model, (counts.get(model) ?? 0) + 1);
    }
    for (const { model } of eight) {
      expect(counts.get(model)).toBeGreaterThan(850);
      expect(counts.get(model)).toBeLessThan(1150);
    }
  });

  test('moves only the conversations of a target that goes away, and to all of the others', () => {
    const fewer = sticky(...eight.slice(1).map(to));
    const moved = new Set<string>();
    for (let i = 0; i < 500; i++) {
      const before = first(route, asking(`c${i}`));
      const after = first(fewer, asking(`c${i}`));
      if (before === 't0') moved.add(after);
      else expect(after).toBe(before);
    }
    expect(moved.size).toBe(7);
  });

  test('agrees on the second where the first is not well', () => {
    for (let i = 0; i < 50; i++) {
      const [home, second] = tried(route, asking(`c${i}`)).split(' ');
      const sight = { isHealthy: (target: Target) => target.model !== home };
      expect(first(route, { ...asking(`c${i}`), sight })).toBe(second!);
    }
  });

  test('keeps a conversation where it had to move to', () => {
    expect(first(route, returning(eight[5]!))).toBe('t5');
    const sight = { isHealthy: (target: Target) => target.model !== 't5' };
    expect(first(route, returning(eight[5]!, { sight }))).not.toBe('t5');
  });

  test('sends what belongs to nothing anywhere', () => {
    const firsts = new Set(Array.from({ length: 100 }, (_, seed) => first(route, { seed })));
    expect(firsts.size).toBe(8);
  });

  test.each([
    ['session', { session: 's1' }],
    ['user', { endUser: 'u1' }],
    ['prompt', { prompt: 'p1' }],
    ['conversation', { session: 's1', prompt: 'p1' }],
    ['conversation', { prompt: 'p1' }],
  ] as const)('by %s looks at that, and at the key', (by, ask) => {
    const route: Strategy = { type: 'sticky', by, children: eight.map(to) };
    const names = (more: Partial<Ask>) => bondNames(new Plan(route, momentWith({ ask: more })).next(0)!);
    expect(names(ask)).toHaveLength(1);
    expect(names({ ...ask, tags: { x: 'y' }, inputTokens: 7 })).toEqual(names(ask));
    expect(names({ ...ask, key: { ...key, id: 'key_other' } })).not.toEqual(names(ask));
    expect(names({})).toEqual([]);
  });

  test('chooses among groups by the targets in them', () => {
    const groups = sticky(fallback(to(a), to(b)), fallback(to(c), to(d)));
    const given = returning(d);
    expect(tried(groups, given)).toBe('c d a b');
    const firsts = new Set(Array.from({ length: 100 }, (_, i) => first(groups, asking(`c${i}`))));
    expect([...firsts].sort()).toEqual(['a', 'c']);
  });
});

describe('split', () => {
  const split = (...children: [weight: number, route: Route][]): Strategy => ({
    type: 'split',
    steady: true,
    children: children.map(([weight, route]) => ({ weight, route })),
  });
  /** How many of 10,000 sessions each target is asked by first. */
  const sessions = (route: Route, model = 'm') => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 10_000; i++) {
      const asked = first(route, { ask: { session: `s${i}`, model } });
      counts[asked] = (counts[asked] ?? 0) + 1;
    }
    return counts;
  };

  test('below another draws sessions by lots of its own', () => {
    const inner = split([1, to(a)], [1, to(b)]);
    for (const below of [inner, fallback(inner, to(d)), split([1, inner])]) {
      const counts = sessions(split([1, below], [1, to(c)]));
      expect(counts.a).toBeWithin(2300, 2700);
      expect(counts.b).toBeWithin(2300, 2700);
      expect(counts.c).toBeWithin(4800, 5200);
    }
  });

  test('of another model draws sessions anew', () => {
    const canary = split([1, to(a)], [1, to(b)]);
    let same = 0;
    for (let i = 0; i < 1000; i++) {
      const at = (model: string) => first(canary, { ask: { session: `s${i}`, model } });
      if (at('one') === at('two')) same++;
    }
    expect(same).toBeWithin(400, 600);
  });

  test('leaves sessions where they are when a weight grows, or a target is added further down', () => {
    const before = split([9, to(a)], [1, to(b)]);
    const after = split([8, fallback(to(a), to(c))], [2, to(b)]);
    for (let i = 0; i < 500; i++) {
      const given = { ask: { session: `s${i}` } };
      if (first(before, given) === 'b') expect(first(after, given)).toBe('b');
    }
  });
});

describe('groups below', () => {
  const dear = priced('dear', 9, 9);
  const middle = priced('middle', 5, 5);
  const cheap = priced('cheap', 1, 1);

  test('count by whom they would ask first', () => {
    expect(tried(cheapest(to(middle), fallback(to(dear), to(cheap))))).toBe('middle dear cheap');
    expect(tried(cheapest(to(middle), fallback(to(cheap), to(dear))))).toBe('cheap dear middle');
    const sight = { isHealthy: (target: Target) => target.model !== 'cheap' };
    expect(tried(cheapest(to(middle), fallback(to(cheap), to(dear))), { sight })).toBe('middle dear cheap');
  });

  test('of the same strategy count by their best', () => {
    expect(tried(cheapest(to(middle), cheapest(to(dear), to(cheap))))).toBe('cheap dear middle');
  });

  test('that draw lots count by their weights', () => {
    const split = (weight: number): Route => ({
      type: 'split',
      steady: true,
      children: [
        { weight, route: to(dear) },
        { weight: 1, route: to(cheap) },
        { weight: 0, route: to(a) },
      ],
    });
    expect(first(cheapest(to(middle), split(9)))).toBe('middle');
    expect(first(cheapest(to(middle), split(0.1)))).not.toBe('middle');
  });

  test('by condition count by what holds', () => {
    const when: Route = {
      type: 'when',
      cases: [{ source: '', test: ({ request }) => request.stream === true, route: to(cheap) }],
      otherwise: to(dear),
    };
    expect(first(cheapest(to(middle), when), { ask: { stream: true } })).toBe('cheap');
    expect(first(cheapest(to(middle), when), { ask: { stream: false } })).toBe('middle');
  });

  test('keep their conversations', () => {
    const route = leastBusy(to(a), leastBusy(to(b), to(c)));
    for (let seed = 0; seed < 20; seed++) expect(first(route, { ...returning(c), seed })).toBe('c');
  });
});

describe('what belongs together', () => {
  const route = leastBusy(to(a), to(b));
  const step = (given: Given, of: Route = route) => new Plan(of, momentWith(given)).next(0)!;

  test('is new, kept or moved, and the way says when it was kept', () => {
    expect(fateOf(step({}))).toBeUndefined();
    expect(fateOf(step({ ask: { prompt: 'digest' } }))).toBe('new');
    const kept = step(returning(b));
    expect([kept.target, fateOf(kept), describeWay(kept)]).toEqual([b, 'kept', 'least_busy 1 kept']);
    const moved = step(returning(b, { sight: { isHealthy: (target) => target === a } }));
    expect([moved.target, fateOf(moved), describeWay(moved)]).toEqual([a, 'moved', 'least_busy 2']);
  });

  test('is nothing where it shall not be steady', () => {
    const free: Strategy = { type: 'least_busy', steady: false, children: [to(a), to(b)] };
    expect(fateOf(step(returning(b), free))).toBeUndefined();
    const firsts = new Set(Array.from({ length: 50 }, (_, seed) => first(free, { ...returning(b), seed })));
    expect(firsts.size).toBe(2);
  });

  test('is nothing where there is no choice', () => {
    expect(bondNames(step(returning(b), leastBusy(to(b))))).toEqual([]);
    expect(bondNames(step(returning(b), to(b)))).toEqual([]);
    expect(bondNames(step(returning(b), fallback(to(a), to(b))))).toEqual([]);
  });

  test('is another thing with each model of a session', () => {
    const names = ['m1', 'm2'].map((model) => bondNames(step({ ask: { model, session: 's' } })));
    expect(names[0]).not.toEqual(names[1]);
  });

  test('has one name, however many strategies hold it', () => {
    const nested = leastBusy(to(a), cheapest(to(b), to(c)));
    expect(bondNames(step(returning(c), nested))).toHaveLength(1);
    const two: Strategy = { type: 'sticky', by: 'user', children: [nested] };
    expect(bondNames(step(returning(c, { ask: { endUser: 'u' } }), two))).toHaveLength(2);
  });
});

test('any tree, any moment: each target at most once, the healthy before the others, none lost', () => {
  const targets = [...eight.slice(0, 4), priced('p', 1, 2), priced('q', 2, 1)];
  const { route } = fc.letrec<{ route: Route }>((tie) => {
    const children = fc.array(tie('route'), { maxLength: 4 });
    const steady = fc.boolean();
    return {
      route: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(...targets).map(to),
        children.map((below) => fallback(...below)),
        fc.record({ type: fc.constant('cheapest' as const), steady, children }),
        fc.record({ type: fc.constant('least_busy' as const), steady, children }),
        fc.record({
          type: fc.constant('fastest' as const),
          steady,
          children,
          explore: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.record({
          type: fc.constant('sticky' as const),
          by: fc.constantFrom('conversation' as const, 'user' as const),
          children,
        }),
      ),
    };
  });
  const number = fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined });
  const moment = fc.record({
    sick: fc.subarray(targets),
    times: fc.array(number, { minLength: 6, maxLength: 6 }),
    kept: fc.option(fc.constantFrom(...targets), { nil: undefined }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(route, moment, (tree, { sick, times, kept, seed }) => {
      const of = (target: Target) => times[targets.indexOf(target)];
      const sight: Partial<Sight> = {
        isHealthy: (target) => !sick.includes(target),
        firstTokenMs: of,
        failureShare: (target) => ((of(target) ?? 0) % 7) / 10,
        inFlight: (target) => (of(target) ?? 0) % 5,
        keptBy: () => kept?.id,
      };
      const names = tried(tree, { ask: { prompt: 'p', endUser: 'u' }, sight, seed })
        .split(' ')
        .filter(Boolean);
      expect([...names].sort()).toEqual(
        targetsOf(tree)
          .map(({ model }) => model)
          .sort(),
      );
      const isSick = names.map((name) => sick.some(({ model }) => model === name));
      expect(isSick).toEqual([...isSick].sort());
    }),
    { numRuns: 300, seed: 42 },
  );
});
