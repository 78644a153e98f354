/** What a plan has asked beside a target: seconds against lateness, and shadows. */
import { describe, expect, test } from 'bun:test';
import type { Hedge, Mirror, Route } from '../../src/config/route.ts';
import { Plan } from '../../src/routing/plan.ts';
import { failure, makeTarget, momentWith, to } from './targets.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => makeTarget(name)) as [
  ReturnType<typeof makeTarget>,
  ReturnType<typeof makeTarget>,
  ReturnType<typeof makeTarget>,
  ReturnType<typeof makeTarget>,
];

const hedge = (...children: Route[]): Hedge => ({ type: 'hedge', children, afterMs: 1, share: 1 });
const fallback = (...children: Route[]): Route => ({
  type: 'fallback',
  children,
  on: undefined,
  off: undefined,
});
const mirror = (child: Route, shadow: Route, share = 1): Mirror => ({
  type: 'mirror',
  model: 'm',
  children: [child],
  shadow,
  share,
  budget: undefined,
});

describe('beside a target', () => {
  test('of no hedge nobody is asked', () => {
    for (const route of [to(a), fallback(to(a), to(b)), fallback(to(a), hedge(to(b), to(c)))]) {
      const plan = new Plan(route, momentWith());
      expect(plan.next(0)?.target).toBe(a);
      expect(plan.hedge).toBeUndefined();
      expect(plan.nextBeside(0)).toBeUndefined();
    }
  });

  test('its next in the hedge is asked, however deep they stand', () => {
    const route = hedge(fallback(to(a), to(b)), fallback(to(c)));
    const plan = new Plan(fallback(route, to(d)), momentWith());
    expect(plan.next(0)?.target).toBe(a);
    expect(plan.hedge).toBe(route);
    // What stands beside it in a fallback is for its failure.
    expect(plan.nextBeside(0)?.target).toBe(c);
    expect(plan.hedge).toBe(route);
    expect(plan.rest.map(({ target }) => target)).toEqual([b, d]);
  });

  test('nobody is asked who is unwell, or too small', () => {
    const small = { ...makeTarget('small'), contextLength: 10 };
    const isHealthy = (target: typeof a) => target !== b;
    const plan = new Plan(
      hedge(to(a), to(b), to(small), to(c)),
      momentWith({ sight: { isHealthy }, ask: { inputTokens: 100 } }),
    );
    expect(plan.next(0)?.target).toBe(a);
    expect(plan.nextBeside(0)?.target).toBe(c);
    expect(plan.nextBeside(0)).toBeUndefined();
  });

  test('who was not asked after all is the next', () => {
    const plan = new Plan(hedge(to(a), to(b), to(c)), momentWith());
    const first = plan.next(0)!;
    const second = plan.nextBeside(0)!;
    plan.putBack(second, first);
    plan.report(failure('upstream_timeout'));
    expect(plan.next(0)?.target).toBe(b);
    expect(plan.next(0)?.target).toBe(c);
  });

  test('each failure decides by its own place who follows', () => {
    const inner: Route = {
      type: 'fallback',
      children: [hedge(to(a), to(b)), to(c)],
      on: new Set(['upstream_timeout'] as const),
      off: undefined,
    };
    const plan = new Plan(fallback(inner, to(d)), momentWith());
    const first = plan.next(0)!;
    plan.nextBeside(0);
    plan.report(failure('upstream_overloaded'), first);
    expect(plan.rest.map(({ target }) => target)).toEqual([d]);
  });
});

describe('shadows', () => {
  test('are those on the way to who answered', () => {
    const [outer, inner] = [mirror(fallback(to(a), to(b)), to(c)), mirror(to(b), to(d))];
    const plan = new Plan(
      fallback({ ...outer, children: [fallback(to(a), inner)] }),
      momentWith({ sight: { isHealthy: () => true } }),
    );
    const first = plan.next(0)!;
    expect(plan.shadowsOf(first).map(({ shadow }) => shadow)).toEqual([to(c)]);
    const second = plan.next(0)!;
    expect(plan.shadowsOf(second).map(({ shadow }) => shadow)).toEqual([to(c), to(d)]);
  });

  test('have a plan of their own, of the same moment', () => {
    const plan = new Plan(mirror(to(a), fallback(to(c), to(d))), momentWith());
    const first = plan.next(0)!;
    const shadow = plan.planShadow(plan.shadowsOf(first)[0]!);
    expect([shadow.next(0)?.target, shadow.next(0)?.target]).toEqual([c, d]);
    expect(plan.next(0)).toBeUndefined();
  });

  test('are drawn by their share', () => {
    let drawn = 0;
    for (let seed = 0; seed < 1000; seed++) {
      const plan = new Plan(mirror(to(a), to(b), 0.2), momentWith({ seed }));
      drawn += plan.shadowsOf(plan.next(0)!).length;
    }
    expect(drawn / 1000).toBeCloseTo(0.2, 1);
  });
});
