/** How often is tried again: the budget of extra attempts, and rounds with pauses between them. */
import { describe, expect, test } from 'bun:test';
import type { Route } from '../../src/config/route.ts';
import type { ErrorDetail, ErrorKind } from '../../src/core/error.ts';
import { mayPass, pauseMs } from '../../src/routing/backoff.ts';
import { maxAttempts, Plan } from '../../src/routing/plan.ts';
import { RetryBudget } from '../../src/routing/retry-budget.ts';
import { failure, makeTarget, momentWith, seededRandom, to } from './targets.ts';

const minute = 60_000;

describe('the retry budget', () => {
  interface Run {
    extra: number;
    lost: number;
    budget: RetryBudget;
  }

  /** So many calls at once with each step, of which each fails by chance and then tries again. */
  function run(
    calls: number,
    options: { atOnce?: number; failing: number; stepMs?: number; budget?: RetryBudget; model?: string },
  ): Run {
    const { atOnce = 1, failing, stepMs = 0, budget = new RetryBudget(), model = 'm' } = options;
    const random = seededRandom(9);
    let extra = 0;
    let lost = 0;
    for (let done = 0; done < calls; done += atOnce) {
      const nowMs = done * stepMs;
      for (let i = 0; i < atOnce; i++) budget.call(model, atOnce);
      let left = 0;
      for (let i = 0; i < atOnce; i++) if (random() < failing) left++;
      // All that are under way hold their tokens at the same time.
      for (let round = 0; round < 2 && left > 0; round++) {
        let taken = 0;
        for (let i = 0; i < left; i++) if (budget.take(model, nowMs)) taken++;
        extra += taken;
        lost += left - taken;
        left = 0;
        for (let i = 0; i < taken; i++) {
          if (random() < failing) left++;
          else budget.giveBack(model);
        }
      }
      lost += left;
    }
    return { extra, lost, budget };
  }

  test('bears a tenth more attempts than calls under a general outage, and a few to begin with', () => {
    const { extra, budget } = run(10_000, { failing: 1 });
    expect(extra).toBeLessThanOrEqual(1000 + 20);
    expect(extra).toBeGreaterThan(900);
    expect(budget.heldBack).toBeGreaterThan(9000);
  });

  test('bears no more where many models fail, each with few calls', () => {
    const budget = new RetryBudget();
    let extra = 0;
    for (let i = 0; i < 500; i++) extra += run(20, { failing: 1, budget, model: `m${i}` }).extra;
    expect(extra).toBeLessThanOrEqual(1000 + 100);
    expect(extra).toBeGreaterThan(900);
  });

  test('is one for each model: what nobody answers takes nothing from others', () => {
    const budget = new RetryBudget();
    for (let second = 0; second < 600; second++) {
      const nowMs = second * 1000;
      for (let i = 0; i < 10; i++) {
        budget.call('down', 1);
        budget.take('down', nowMs);
      }
      budget.call('fine', 1);
      expect(budget.take('fine', nowMs)).toBe(true);
      budget.giveBack('fine');
    }
    expect(budget.heldBack).toBeGreaterThan(5000);
  });

  test('lends a model what others have saved up, but not their last', () => {
    const { budget } = run(10_000, { failing: 0, atOnce: 500, model: 'busy' });
    let lent = 0;
    while (budget.take('seldom', 0)) lent++;
    expect(lent).toBeGreaterThan(400);
    for (let i = 0; i < 20; i++) expect(budget.take('other', 0)).toBe(true);
    for (let i = 0; i < 50; i++) expect(budget.take('busy', 0)).toBe(true);
  });

  test('holds nothing back while one call of five fails and two others could answer', () => {
    expect(run(20_000, { failing: 0.2 }).budget.heldBack).toBe(0);
    expect(run(64_000, { failing: 0.2, atOnce: 64 }).budget.heldBack).toBe(0);
  });

  test('lets all running calls fail over at once when one provider goes away', () => {
    const { budget } = run(10_000, { failing: 0, atOnce: 500 });
    for (let times = 0; times < 3; times++) {
      for (let i = 0; i < 500; i++) expect(budget.take('m', 0)).toBe(true);
      for (let i = 0; i < 500; i++) budget.giveBack('m');
    }
    expect(budget.heldBack).toBe(0);
  });

  test('saves up for an outage no more than running calls could use', () => {
    const { extra } = run(1000, { failing: 1, budget: run(100_000, { failing: 0 }).budget });
    expect(extra).toBeLessThanOrEqual(100 + 100);
  });

  test('lets few calls always fail over, also after an outage', () => {
    const { budget } = run(1000, { failing: 1 });
    expect(budget.take('m', 1000)).toBe(false);
    let nowMs = 1000;
    for (let i = 0; i < 50; i++) {
      nowMs += minute / 15;
      budget.call('m', 1);
      expect(budget.take('m', nowMs)).toBe(true);
    }
  });

  test('counts what it held back', () => {
    const budget = new RetryBudget();
    while (budget.take('m', 0));
    expect(budget.heldBack).toBe(1);
    budget.take('m', 0);
    expect(budget.heldBack).toBe(2);
  });

  test('forgets the models that were not asked for longest', () => {
    const budget = new RetryBudget();
    while (budget.take('old', 0));
    expect(budget.take('old', 0)).toBe(false);
    for (let i = 0; i < 20_000; i++) budget.call(`m${i}`, 1);
    // What the others have saved up is used up first.
    while (budget.take('m0', 0));
    expect(budget.take('old', 0)).toBe(true);
  });
});

describe('a pause', () => {
  const errors = (...waitsS: (number | undefined)[]) =>
    waitsS.map((retryAfterS) =>
      failure('upstream_overloaded', retryAfterS === undefined ? {} : { retryAfterS }),
    );

  test('is drawn from a bound that doubles up to eight seconds', () => {
    const almostOne = () => 1 - 2 ** -53;
    const longest = [0, 1, 2, 3, 4, 5, 6].map((round) => pauseMs(round, errors(undefined), almostOne));
    expect(longest).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000]);
    expect(pauseMs(3, errors(undefined), () => 0)).toBe(0);
    expect(pauseMs(3, errors(undefined), () => 0.5)).toBe(1000);
  });

  test('is as long as the first of the providers asks for, at least', () => {
    expect(pauseMs(0, errors(2), () => 0.5)).toBe(2000);
    expect(pauseMs(0, errors(5, 3), () => 0.5)).toBe(3000);
    expect(pauseMs(0, errors(5, undefined), () => 0.5)).toBe(125);
    expect(pauseMs(5, errors(2), () => 0.5)).toBe(4000);
  });

  test.each<[ErrorKind, ErrorDetail, boolean]>([
    ['upstream_network', {}, true],
    ['upstream_timeout', {}, true],
    ['upstream_overloaded', {}, true],
    ['upstream_unavailable', {}, true],
    ['upstream_invalid', {}, true],
    ['upstream_rate_limited', {}, true],
    ['upstream_rate_limited', { retryAfterS: 8 }, true],
    ['upstream_rate_limited', { retryAfterS: 9 }, false],
    ['upstream_overloaded', { retryAfterS: 60 }, false],
    ['upstream_auth', {}, false],
    ['upstream_quota', {}, false],
    ['upstream_bad_request', {}, false],
    ['upstream_content_filter', {}, false],
    ['context_length', {}, false],
    ['unsupported', {}, false],
    ['cancelled', {}, false],
  ])('after %s %o makes sense: %p', (kind, detail, sense) => {
    expect(mayPass(failure(kind, detail))).toBe(sense);
  });
});

describe('a route with retries', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((model) => to(makeTarget(model))) as [Route, Route, Route];
  const fallback = (retries: number | undefined, ...children: Route[]): Route => ({
    type: 'fallback',
    children,
    options: retries === undefined ? undefined : { retries },
  });

  /** Whom a call tries, round by round, when attempts end as told: by default all are overloaded. */
  function rounds(route: Route, ends: Record<string, ErrorKind> = {}): string[] {
    const plan = new Plan(route, momentWith());
    const tried: string[] = [];
    do {
      let round = '';
      for (let step = plan.next(0); step !== undefined; step = plan.next(0)) {
        round += step.target.model;
        plan.report(failure(ends[step.target.model] ?? 'upstream_overloaded'), step);
      }
      tried.push(round);
    } while (plan.startOver() !== undefined);
    return tried;
  }

  test('goes through its targets so often again, in their order', () => {
    expect(rounds(fallback(2, a, b))).toEqual(['ab', 'ab', 'ab']);
    expect(rounds(fallback(1, a))).toEqual(['a', 'a']);
  });

  test('does not where none are wanted', () => {
    expect(rounds(fallback(undefined, a, b))).toEqual(['ab']);
    expect(rounds(fallback(0, a, b))).toEqual(['ab']);
    expect(rounds(a)).toEqual(['a']);
  });

  test('leaves out what would fail for the same reason', () => {
    expect(rounds(fallback(2, a, b, c), { b: 'upstream_auth' })).toEqual(['abc', 'ac', 'ac']);
    expect(rounds(fallback(2, a, b), { a: 'upstream_auth', b: 'upstream_quota' })).toEqual(['ab']);
  });

  test('ends with a failure that no target mends', () => {
    expect(rounds(fallback(2, a, b), { b: 'upstream_bad_request' })).toEqual(['ab']);
  });

  test('asks in a later round as the route says, too', () => {
    const route: Route = {
      type: 'fallback',
      children: [a, b],
      off: new Set(['upstream_timeout']),
      options: { retries: 1 },
    };
    expect(rounds(route, { a: 'upstream_timeout' })).toEqual(['a', 'a']);
  });

  test('does so for the part that wants it', () => {
    expect(rounds(fallback(undefined, fallback(1, a, b), c))).toEqual(['abc', 'ab']);
    expect(rounds(fallback(1, fallback(2, a), b))).toEqual(['ab', 'ab', 'a']);
  });

  test('has an end', () => {
    expect(rounds(fallback(5, a, b, c)).join('')).toHaveLength(maxAttempts);
  });

  test('is over with success', () => {
    const plan = new Plan(fallback(2, a, b), momentWith());
    plan.next(0);
    plan.report(failure('upstream_overloaded'));
    plan.next(0);
    plan.report('ok');
    expect(plan.startOver()).toBeUndefined();
  });

  test('waits longer from round to round', () => {
    const plan = new Plan(fallback(3, a), { ...momentWith(), random: () => 0.5 });
    const pauses: (number | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      plan.next(0);
      plan.report(failure('upstream_network'));
      pauses.push(plan.startOver());
    }
    expect(pauses).toEqual([125, 250, 500, undefined]);
  });
});
