/** Routes as people write them: each strategy, what goes with it, and what is said of mistakes. */
import { describe, expect, test } from 'bun:test';
import { compile } from '../../src/config/compile.ts';
import { readConfig } from '../../src/config/load.ts';
import { formatMistakes } from '../../src/config/mistakes.ts';
import { findUnreachable } from '../../src/config/reach.ts';
import type { Route } from '../../src/config/route.ts';
import type { Config } from '../../src/config/schema.ts';
import { targetsOf } from '../../src/config/targets.ts';
import { Plan } from '../../src/routing/plan.ts';
import { failure, key, momentWith } from '../routing/targets.ts';

const models = ['a', 'b', 'c', 'd'].map((name) => `mock/${name}`);

function mistakesOf(route: string): string {
  return formatMistakes('f', readConfig(`models: { r: ${route} }\nproviders: { mock: }`, {}).mistakes);
}

function routeOf(route: string): Route {
  const { config, mistakes } = readConfig(`models: { r: ${route} }\nproviders: { mock: }`, {});
  expect(mistakes).toEqual([]);
  return compile(config as Config, { version: 1 }).models.get('r')!;
}

/** The models a call tries while each attempt fails. */
function tried(plan: Plan, kind = 'upstream_overloaded' as const): string[] {
  const found: string[] = [];
  for (let step = plan.next(0); step !== undefined; step = plan.next(0)) {
    found.push(step.target.model);
    plan.report(failure(kind));
  }
  return found;
}

describe('every strategy', () => {
  test.each([
    '{ fallback: [mock/a, mock/b, mock/c, mock/d], on: [overloaded, timeout], off: [timeout] }',
    '{ split: [{ to: mock/a, weight: 9 }, { to: { fallback: [mock/b, mock/c] }, weight: 1 }, { to: mock/d, weight: 1 }] }',
    '{ cheapest: [mock/a, mock/b, { fastest: [mock/c, mock/d], explore: 0.1 }], steady: false }',
    '{ least_busy: [mock/a, { sticky: [mock/b, mock/c, mock/d], by: user }] }',
    '{ when: [{ if: "request.tokens > 1000", to: mock/a }, { if: key.team == "web", to: mock/b }], else: { hedge: [mock/c, mock/d], after: 800ms, share: 0.1 } }',
    '{ mirror: { fallback: [mock/a, mock/b, mock/c, mock/d] }, to: mock/shadow, share: 0.5, budget: { usd: 5, per: day } }',
  ])('%s', (text) => {
    const route = routeOf(text);
    expect(
      targetsOf(route)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(models);
  });

  test('hands its options down, those further down first', () => {
    const route = routeOf(
      '{ fallback: [mock/a, { split: [{ to: mock/b, weight: 1 }], timeout: { idle: 5s }, resume: never }], timeout: { idle: 9s, total: 1m }, resume: continue, retries: 2 }',
    );
    const plan = new Plan(route, momentWith());
    expect(plan.next(0)?.options).toEqual({
      timeouts: { idleMs: 9000, totalMs: 60_000, sessionMs: 60_000 },
      resume: 'continue',
      retries: 2,
    });
    plan.report(failure('upstream_overloaded'));
    expect(plan.next(0)?.options).toEqual({
      timeouts: { idleMs: 5000, totalMs: 60_000, sessionMs: 60_000 },
      resume: 'never',
      retries: 2,
    });
  });
});

describe('fallback', () => {
  const both = '[mock/a, mock/b]';

  test('goes on after the failures it names, and no others', () => {
    const route = routeOf(`{ fallback: ${both}, on: [overloaded, content_filter] }`);
    const after = (kind: Parameters<typeof failure>[0]) => {
      const plan = new Plan(route, momentWith());
      plan.next(0);
      plan.report(failure(kind));
      return plan.next(0)?.target.model;
    };
    expect(after('upstream_overloaded')).toBe('b');
    expect(after('upstream_content_filter')).toBe('b');
    expect(after('upstream_timeout')).toBeUndefined();
    // Whom a request cannot be put to has failed at nothing.
    expect(after('unsupported')).toBe('b');
  });

  test('does not go on after those it rules out', () => {
    const plan = new Plan(routeOf(`{ fallback: ${both}, off: [overloaded] }`), momentWith());
    expect(tried(plan)).toEqual(['a']);
  });

  test('asks the strategy in which the ways part', () => {
    const route = routeOf('{ fallback: [{ fallback: [mock/a, mock/b], on: [timeout] }, mock/c] }');
    expect(tried(new Plan(route, momentWith()))).toEqual(['a', 'c']);
  });
});

describe('when', () => {
  const route = () =>
    routeOf(
      '{ when: [{ if: request.tokens > 1000, to: mock/a }, { if: tags.plan == "pro" && key.team == "web", to: mock/b }, { if: "!health.up(\\"mock/d\\")", to: mock/c }], else: mock/d }',
    );

  test('takes the first route whose condition holds', () => {
    const first = (given: Parameters<typeof momentWith>[0]) =>
      new Plan(route(), momentWith(given)).next(0)?.target.model;
    expect(first({ ask: { inputTokens: 2000, tags: { plan: 'pro' } } })).toBe('a');
    expect(first({ ask: { tags: { plan: 'pro' } } })).toBe('b');
    expect(first({ ask: { tags: { plan: 'pro' }, key: { ...key, team: 'app' } } })).toBe('d');
    expect(first({ sight: { isHealthy: ({ model }) => model !== 'd' } })).toBe('c');
    expect(first({})).toBe('d');
  });

  test('has no target where none holds and nothing is said for that', () => {
    const only = routeOf('{ when: [{ if: request.stream, to: mock/a }] }');
    expect(new Plan(only, momentWith({ ask: { stream: false } })).next(0)).toBeUndefined();
  });
});

describe('mistakes', () => {
  test.each([
    ['{ cheapest: [] }', 'models.r.cheapest: needs at least one route'],
    ['{ fallback: [mock/a], fastest: [mock/b] }', 'must name exactly one strategy'],
    ['{ fallback: [mock/a], on: [tiredness] }', 'models.r.on[0]: must be one of rate_limited, overloaded'],
    [
      '{ split: [{ to: mock/a, weight: 1 }], on: [timeout] }',
      'models.r.on: goes with fallback, not with split',
    ],
    ['{ sticky: [mock/a], by: colour }', 'models.r.by: must be one of conversation, session'],
    ['{ mirror: mock/a }', 'models.r.to: is missing'],
    ['{ hedge: [mock/a] }', 'models.r.hedge: needs at least two routes'],
    ['{ hedge: [mock/a, mock/b], share: 2 }', 'models.r.share: must be a share from 0 to 1'],
    [
      '{ when: [{ if: "request.tokns > 3", to: mock/a }] }',
      'models.r.when[0].if: is no condition: No such key: tokns',
    ],
    ['{ when: [{ if: "request.tokens", to: mock/a }] }', 'is no condition: it is int, not true or false'],
    ['{ when: [{ if: "request.tokens >", to: mock/a }] }', 'is no condition: Unexpected token: EOF'],
    ['{ when: [{ if: "true", to: mok/a }] }', 'models.r.when[0].to: no provider "mok"; did you mean "mock"?'],
    ['{ fallback: [mock/a], retries: 9 }', 'models.r.retries: must be a whole number from 0 to 5'],
    ['{ fallback: [mock/a], resume: maybe }', 'models.r.resume: must be one of never, continue, restart'],
    ['{ fallback: [mock/a], timeout: { idle: 5 } }', 'models.r.timeout.idle: write it as 30s, 10m or 500ms'],
  ])('%s → %s', (route, mistake) => {
    expect(mistakesOf(route)).toContain(mistake);
  });
});

describe('what can never be reached is named', () => {
  const unreachable = (yaml: string): string[] => {
    const { config, mistakes } = readConfig(`providers: { mock: }\n${yaml}`, {});
    expect(mistakes).toEqual([]);
    return findUnreachable(compile(config as Config, { version: 1 }));
  };
  const when = (...conditions: string[]) =>
    `models: { m: { when: [${conditions.map((each, i) => `{ if: '${each}', to: mock/${i} }`).join(', ')}], else: mock/e } }`;

  test.each([
    [['request.tokens > 100', 'request.tokens > 500'], ['models.m.when[1]: never the first that holds']],
    [['request.tokens > 500', 'request.tokens > 100'], []],
    [
      ['request.tokens >= 0', 'request.stream'],
      ['models.m.when[1]', 'models.m.else: some condition always holds'],
    ],
    [['request.stream', '!request.stream'], ['models.m.else']],
    [['key.team == "a"', 'key.team in ["b", "a"]', 'key.team == "b"'], ['models.m.when[2]']],
    [['tags.plan == "pro"', '"plan" in tags', 'tags.plan == "free"'], ['models.m.when[2]']],
    [['request.tokens > 5 && request.tokens < 3'], ['models.m.when[0]']],
    [['time.hour < 6 || time.hour >= 22', 'time.hour == 23'], ['models.m.when[1]']],
    [['request.model.startsWith("a")', 'request.model.startsWith("ab")'], ['models.m.when[1]']],
    [['health.up("mock/e")', '!health.up("mock/e") && request.stream'], []],
    [
      ['tags["plan"] == "pro"', 'has(tags.plan) && tags.plan in ["pro", "free"]', 'tags.plan == "free"'],
      ['models.m.when[2]'],
    ],
    [['request.model.endsWith("-mini")', 'request.model.endsWith("a-mini")'], ['models.m.when[1]']],
    [['!(100 < request.tokens)', 'request.tokens <= 100 ? request.stream : false'], ['models.m.when[1]']],
    [
      ['time.hour < 24', 'request.stream'],
      ['models.m.when[1]', 'models.m.else'],
    ],
    // Not simple enough to be certain.
    [['request.user.startsWith("a") && request.user.endsWith("z")'], []],
    [['request.user.contains("a") && request.user.contains("b")'], []],
    [['request.user.startsWith("a")', 'request.user.contains("b") && !request.user.startsWith("b")'], []],
    [['"a b".contains(request.user) && !(request.user in ["", "a b"])'], []],
    [['request.user.endsWith("a") && request.user > "m"'], []],
    [['request.tokens > request.max_tokens && request.max_tokens > 100'], []],
    [['request.tokens == request.max_tokens && request.tokens > 0 && request.max_tokens != 7'], []],
    [['request.user == key.name && request.user != ""'], []],
    [['request.user in [key.name] && request.user != ""'], []],
    [['request.model in tags'], []],
    [['tags[request.model] == "x"'], []],
    [['request.tokens > 7.5 && request.tokens < 8.5'], []],
    [['request.tokens > -5'], []],
    [['(request.stream ? request.tokens : request.max_tokens) > 100 && request.tokens == 0'], []],
    [['request.tokens * 2 > 100', 'request.tokens * 3 > 1000'], []],
    [['request.model.size() > 3', 'request.model.size() > 5'], []],
  ])('%j', (conditions, said) => {
    const found = unreachable(when(...conditions));
    expect(found).toHaveLength(said.length);
    said.forEach((text, i) => {
      expect(found[i]).toStartWith(text);
    });
  });

  test('targets, shares, limits and models', () => {
    expect(
      unreachable(`
models:
  twice: { fallback: [mock/a, { split: [{ to: mock/b, weight: 1 }, { to: mock/a, weight: 1 }] }] }
  fine: { when: [{ if: request.stream, to: mock/a }], else: mock/a }
  dark: { mirror: mock/a, to: mock/b, share: 0 }
  inner: mock/i
  outer: { fallback: [inner, mock/o] }
  alone: mock/z
keys:
  - { name: k, key: secret, team: t, models: [twice, fine, dark, outer], limits: [{ usd: 10, per: day }, { usd: 1, per: hour }, { requests: 9, per: day }, { requests: 5, per: day }] }
teams: { t: { limits: [{ usd: 5, per: day }] } }`),
    ).toEqual([
      'models.twice.fallback[1].split[1]: mock/a is tried before, and no target is tried twice',
      'models.dark.to: its share is 0',
      'models.alone: no key here may use it',
      'keys.k: its limit of usd is wider than that of its team t',
      'keys.k: it has a narrower limit of requests, too',
    ]);
  });
});
