/** What a call's limits hold beside its plan: the fullest of them, in a text of bounded size. */
import { expect, test } from 'bun:test';
import { expandLimit } from '../../src/config/compile-limit.ts';
import type { Key, Limit } from '../../src/config/snapshot.ts';
import type { RecordedPlan } from '../../src/core/explain.ts';
import { type PlanDraft, type RecordedCall, writePlan } from '../../src/gateway/plan-record.ts';
import { createMemoryCounters } from '../../src/governance/counters-memory.ts';
import { createLimiter } from '../../src/governance/limits.ts';
import { key } from '../routing/targets.ts';

const draft: PlanDraft = { route: '{"by":"fallback","of":["acme/a","acme/b"]}', expectedNanoUsd: 5 };
const nowMs = Date.UTC(2030, 0, 15, 10, 30);

/** A call that holds 100 tokens and 30 nano-dollars of these limits. */
function callWith(limits: Limit[], more: Partial<Key> = {}): RecordedCall {
  const limiter = createLimiter(createMemoryCounters());
  const snapshot = {
    teams: new Map([['web', { limits: [expandLimit({ unit: 'usd', max: 1000, per: 'day' })] }]]),
  };
  const caller = { ...key, limits, ...more };
  const bound = limiter.limitsOf(snapshot as never, caller);
  limiter.reserve(bound, { tokens: 100, nanoUsd: 30 }, nowMs);
  return { gateway: { limiter }, snapshot: snapshot as never, key: caller, labels: undefined, reserved: 30 };
}

const written = (call: RecordedCall, of = draft) => JSON.parse(writePlan(of, call, nowMs)) as RecordedPlan;

test('the fullest limit, whoever has it', () => {
  const usual = callWith([expandLimit({ unit: 'tokens', max: 200, per: 'minute' })]);
  expect(written(usual)).toEqual({
    route: { by: 'fallback', of: ['acme/a', 'acme/b'] },
    expected_nano_usd: 5,
    reserved_nano_usd: 30,
    limit: { owner: 'key', name: 'ci', unit: 'tokens', per: 'minute', percent: 50 },
  });
  const roomy = callWith([expandLimit({ unit: 'concurrency', max: 100 })]);
  expect(written(roomy).limit).toEqual({ owner: 'team', name: 'web', unit: 'usd', per: 'day', percent: 3 });
});

test('no limit, no price', () => {
  const plan = written(callWith([], { team: '' }), { ...draft, expectedNanoUsd: undefined });
  expect(plan.expected_nano_usd).toBeNull();
  expect(plan).not.toHaveProperty('limit');
});

test('long names are cut', () => {
  const call = callWith([expandLimit({ unit: 'concurrency', max: 1 })], { name: '\u0001'.repeat(5000) });
  expect(writePlan(draft, call, nowMs).length - draft.route.length).toBeLessThan(400);
});
