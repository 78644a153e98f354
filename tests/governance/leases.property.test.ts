/** Whatever calls do at once: no limit is exceeded, nothing leaks, and a refusal touches nothing. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { expandLimit } from '../../src/config/compile-limit.ts';
import type { Key, Limit } from '../../src/config/snapshot.ts';
import { GatewayError } from '../../src/core/error.ts';
import { createMemoryCounters } from '../../src/governance/counters-memory.ts';
import { type Amounts, amountOf, type Lease, type Tally } from '../../src/governance/leases.ts';
import { createLimiter, type Limiter } from '../../src/governance/limits.ts';

const amounts: fc.Arbitrary<Amounts> = fc.record({ tokens: fc.nat(60), nanoUsd: fc.nat(60) });
const limit: fc.Arbitrary<Limit> = fc
  .oneof(
    fc.record({
      unit: fc.constantFrom('requests' as const, 'tokens' as const, 'usd' as const),
      max: fc.integer({ min: 1, max: 120 }),
      per: fc.constantFrom('second' as const, 'minute' as const),
    }),
    fc.record({ unit: fc.constant('concurrency' as const), max: fc.integer({ min: 1, max: 4 }) }),
  )
  .map(expandLimit);
const limits = fc.array(limit, { maxLength: 4 });

/** One step: time passes (or steps back), then one call begins, grows or ends. `call` picks among those running. */
const step = fc.record({
  advanceMs: fc.integer({ min: -300, max: 700 }),
  action: fc.constantFrom(
    'reserve' as const,
    'reserve' as const,
    'topUp' as const,
    'settle' as const,
    'cancel' as const,
    'reload' as const,
  ),
  key: fc.nat(2),
  call: fc.nat(),
  amounts,
});

interface Running {
  lease: Lease;
  held: Amounts;
  /** What it was taken from. */
  taken: { limit: Limit; tally: Tally }[];
}

function makeKeys(own: Limit[][]): Key[] {
  return own.map((limits, i) => ({
    id: `k${i}`,
    name: `k${i}`,
    // Two keys share a team, all share the organisation.
    team: i < 2 ? 'web' : 'ops',
    organisation: 'shop',
    limits,
    expiresAt: undefined,
    disabled: false,
  }));
}

const nothing: Amounts = { tokens: 0, nanoUsd: 0 };

/** The gateway as the test sees it: the calls that run, and what each tally ever used should hold. */
class World {
  private readonly limiter = createLimiter(createMemoryCounters());
  private readonly running: Running[] = [];
  private readonly used = new Map<Tally, number>();
  private readonly maxima = new Map<Tally, number>();

  reserve(snapshot: Parameters<Limiter['limitsOf']>[0], key: Key, estimate: Amounts, nowMs: number): void {
    const limits = this.limiter.limitsOf(snapshot, key);
    try {
      const lease = this.limiter.reserve(limits, estimate, nowMs) as Lease;
      const taken = limits.map(({ limit, tally }) => ({ limit, tally }));
      this.running.push({ lease, held: estimate, taken });
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      if (!error.detail.hopeless) expect(error.detail.retryAfterS).toBeGreaterThanOrEqual(1);
    }
    for (const { limit, tally } of limits) this.maxima.set(tally, limit.max);
  }

  /** Does something with one of the running calls, if there are any. */
  act(action: 'topUp' | 'settle' | 'cancel', pick: number, amounts: Amounts, nowMs: number): void {
    const call = this.running[pick % this.running.length];
    if (call === undefined) return;
    const { lease, held, taken } = call;
    if (action === 'topUp') {
      if (lease.raise(amounts, nowMs) === undefined) call.held = pairwise(Math.max, held, amounts);
      return;
    }
    this.running.splice(this.running.indexOf(call), 1);
    if (action === 'cancel') {
      lease.cancel(nowMs);
      return;
    }
    // The estimate bounds the truth here, so that no limit may ever be exceeded.
    const truth = pairwise(Math.min, held, amounts);
    lease.settle(truth, nowMs);
    for (const { limit, tally } of taken) {
      const used = limit.unit === 'concurrency' ? 0 : amountOf(limit.unit, truth.tokens, truth.nanoUsd);
      this.used.set(tally, (this.used.get(tally) ?? 0) + used);
    }
  }

  settleAll(nowMs: number): void {
    while (this.running.length > 0) this.act('settle', 0, nothing, nowMs);
  }

  /** Every tally holds what the running calls hold of it, and what the settled ones used: so nothing was half done. */
  check(nowMs: number): void {
    const reserved = new Map<Tally, number>();
    for (const { held, taken } of this.running) {
      for (const { limit, tally } of taken) {
        const amount = amountOf(limit.unit, held.tokens, held.nanoUsd);
        reserved.set(tally, (reserved.get(tally) ?? 0) + amount);
      }
    }
    for (const [tally, max] of this.maxima) {
      expect(tally.reserved).toBe(reserved.get(tally) ?? 0);
      expect(tally.used(nowMs)).toBe(this.used.get(tally) ?? 0);
      expect(tally.used(nowMs) + tally.reserved).toBeLessThanOrEqual(max);
    }
  }
}

function pairwise(pick: (a: number, b: number) => number, a: Amounts, b: Amounts): Amounts {
  return { tokens: pick(a.tokens, b.tokens), nanoUsd: pick(a.nanoUsd, b.nanoUsd) };
}

test('nested limits under random calls', () => {
  const scenario = fc.record({
    own: fc.tuple(limits, limits, limits),
    team: limits,
    organisation: limits,
    steps: fc.array(step, { minLength: 1, maxLength: 60 }),
  });
  fc.assert(
    fc.property(scenario, ({ own, team, organisation, steps }) => {
      const world = new World();
      const makeSnapshot = () => ({
        teams: new Map([['web', { name: 'web', organisation: 'shop', limits: team }]]),
        organisations: new Map([['shop', { name: 'shop', limits: organisation }]]),
      });
      let snapshot = makeSnapshot();
      let keys = makeKeys(own);
      let nowMs = 1_000_000_000_000;
      for (const { advanceMs, action, key, call, amounts } of steps) {
        nowMs += advanceMs;
        if (action === 'reload') {
          snapshot = makeSnapshot();
          keys = makeKeys(own);
        } else if (action === 'reserve') {
          world.reserve(snapshot, keys[key]!, amounts, nowMs);
        } else {
          world.act(action, call, amounts, nowMs);
        }
        world.check(nowMs);
      }
      world.settleAll(nowMs);
      world.check(nowMs);
    }),
    { numRuns: 150, seed: 20260115 },
  );
});
