/** What is explained is what the strategies themselves go by, and a fault of the gateway's own is no explanation. */
import { describe, expect, test } from 'bun:test';
import type { Route } from '../../src/config/route.ts';
import type { Snapshot, Target } from '../../src/config/snapshot.ts';
import type { ExplainQuery } from '../../src/core/explain.ts';
import type { Price } from '../../src/core/money.ts';
import { explain } from '../../src/gateway/explain.ts';
import type { Sight } from '../../src/routing/moment.ts';
import { makeTarget, momentWith, to } from '../routing/targets.ts';

/** A dollar for a million tokens, a tenth of that for those from a cache. */
const million = 1e6;
const rates = { input: million, cacheRead: million / 10, cacheWrite5m: million, cacheWrite1h: million };
const price: Price = {
  rates: { ...rates, output: million, audioInput: 0, audioOutput: 0 },
  tiers: [],
  perCall: 0,
  source: 'test',
  version: '',
};
const priced = (model: string, more: Partial<Target> = {}): Target => ({
  ...makeTarget(model),
  price,
  ...more,
});

const plain: ExplainQuery = {
  model: 'm',
  dialect: 'openai-chat',
  tags: {},
  session: '',
  end_user: '',
  tokens: 0,
  stream: false,
  at: 0,
  down: [],
  seed: 1,
};

function explained(targets: readonly Target[], query: Partial<ExplainQuery>, sight: Partial<Sight> = {}) {
  const route: Route = { type: 'cheapest', steady: true, children: targets.map(to) };
  return explain(
    { ...plain, ...query },
    {
      snapshot: { resolve: () => route } as unknown as Snapshot,
      sight: momentWith({ sight }).sight,
      limiter: {
        limitsOf: () => [],
        look: () => ({ used: 0, reserved: 0 }),
        room: () => ({ tokens: Infinity, nanoUsd: Infinity }),
        isAmple: () => true,
      },
      keyNamed: () => undefined,
    },
  );
}

const costs = (...given: Parameters<typeof explained>) =>
  Object.fromEntries(
    explained(...given).targets.map(({ target, expected_cost_usd }) => [target, expected_cost_usd]),
  );

describe('the expected cost', () => {
  test('is of no longer an answer than the target gives', () => {
    const targets = [priced('long'), priced('short', { maxOutput: 100 })];
    expect(costs(targets, { tokens: 1000 })).toEqual({ 'acme/long': '0.0015', 'acme/short': '0.0011' });
    expect(costs(targets, { tokens: 1000, max_tokens: 50 })['acme/long']).toBe('0.00105');
    expect(costs(targets, { tokens: 1000 }, { outputTokens: () => 2000 })['acme/long']).toBe('0.003');
  });

  test('counts what the cache of the target saves that knows the conversation', () => {
    const targets = [priced('known'), priced('other')];
    const query = { tokens: 10_000, max_tokens: 0, session: 's' };
    const sight = { keptBy: () => 'acme/known' };
    expect(costs(targets, query, sight)).toEqual({ 'acme/known': '0.0028', 'acme/other': '0.01' });
    expect(costs(targets, query)).toEqual({ 'acme/known': '0.01', 'acme/other': '0.01' });
  });

  test('is what the strategy scores by', () => {
    const { route } = explained([priced('one', { maxOutput: 10 }), priced('two')], { tokens: 2000 });
    expect(route?.children?.map(({ score }) => score)).toEqual([2_010_000, 2_500_000]);
  });

  test('is unknown without a price', () => {
    expect(costs([makeTarget('free')], { tokens: 5 })).toEqual({ 'acme/free': null });
  });
});

test("a fault of the gateway's own is thrown, not told as the reason why a target is passed over", () => {
  const broken = { ...makeTarget('m'), endpoints: [{}] } as unknown as Target;
  const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };
  expect(() => explained([broken], { body })).toThrow(TypeError);
});
