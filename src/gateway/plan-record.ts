/** What is kept of a call's plan: what the route thought of its targets, what the call may cost, what its limits hold. */
import type { Key, Snapshot } from '../config/snapshot.ts';
import type { RecordedPlan } from '../core/explain.ts';
import type { NanoUsd } from '../core/money.ts';
import type { BoundLimit } from '../governance/leases.ts';
import { sayWindow } from '../governance/limit-words.ts';
import type { Limiter } from '../governance/limits.ts';
import { fateOf } from '../routing/bonds.ts';
import type { Moment } from '../routing/moment.ts';
import type { Step } from '../routing/plan.ts';
import type { Thoughts } from '../routing/planned.ts';
import { expectedCost } from '../routing/strategies/cost.ts';

const mostNameChars = 40;

/** What is known before the limits are asked. */
export interface PlanDraft {
  /** JSON of a PlannedRoute. */
  route: string;
  expectedNanoUsd: NanoUsd | undefined;
}

/** Of a plan that was just made, and begins with `first`. */
export function draftPlan(thoughts: Thoughts, moment: Moment, first: Step): PlanDraft {
  return { route: thoughts.write(moment), expectedNanoUsd: expectedNanoUsd(first, moment) };
}

/** Of an answer of usual length, by the numbers of `cheapest`; undefined: no price is known. */
export function expectedNanoUsd(step: Step, moment: Moment): NanoUsd | undefined {
  const { target } = step;
  return expectedCost(moment, fateOf(step) === 'kept' ? target.id : undefined)(target);
}

/** A call, as far as its record looks at it. */
export interface RecordedCall {
  readonly gateway: { readonly limiter: Pick<Limiter, 'limitsOf' | 'look'> };
  readonly snapshot: Snapshot;
  readonly key: Key | undefined;
  readonly labels: { readonly endUser: string } | undefined;
  readonly reserved: NanoUsd;
}

/** JSON of a RecordedPlan, once the limits hold what the call may need. */
export function writePlan({ route, expectedNanoUsd }: PlanDraft, call: RecordedCall, nowMs: number): string {
  const rest: Omit<RecordedPlan, 'route'> = {
    expected_nano_usd: expectedNanoUsd ?? null,
    reserved_nano_usd: call.reserved,
    ...fullestLimit(call, nowMs),
  };
  return `{"route":${route},${JSON.stringify(rest).slice(1)}`;
}

/** Empty where there are no limits. */
function fullestLimit(
  { gateway, snapshot, key, labels }: RecordedCall,
  nowMs: number,
): Pick<RecordedPlan, 'limit'> {
  let fullest: BoundLimit | undefined;
  let most = -1;
  for (const bound of gateway.limiter.limitsOf(snapshot, key!, labels?.endUser)) {
    const { used, reserved } = gateway.limiter.look(bound, nowMs);
    const share = bound.limit.max > 0 ? (used + reserved) / bound.limit.max : 0;
    if (share <= most) continue;
    fullest = bound;
    most = share;
  }
  if (fullest === undefined) return {};
  const { owner, ownerName, limit } = fullest;
  return {
    limit: {
      owner,
      name: ownerName.slice(0, mostNameChars),
      unit: limit.unit,
      per: sayWindow(limit.window),
      percent: Math.round(most * 100),
    },
  };
}
