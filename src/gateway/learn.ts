/** What is learned from an attempt that has ended: by it the next calls are routed. */
import { charge, type NanoUsd } from '../core/money.ts';
import { bondNames, fateOf } from '../routing/bonds.ts';
import { cacheLifeMs, longCacheLifeMs } from '../routing/measures/conversations.ts';
import type { Step } from '../routing/plan.ts';
import type { Attempt } from './attempt.ts';

/** @param nowMs milliseconds since 1970. */
export function learn(attempt: Attempt, nowMs: number): void {
  const { call, step } = attempt;
  call.gateway.measures.ended(attempt.planned, call.key!, attempt, nowMs);
  if (step !== undefined) learnBond(attempt, step, nowMs);
}

/** Who answered stays with the conversation; and what it saved that somebody did before is counted. */
function learnBond(attempt: Attempt, step: Step, nowMs: number): void {
  const fate = fateOf(step);
  if (fate === undefined) return;
  const { gateway } = attempt.call;
  gateway.observer.bondSettled(step.target.id, fate, fate === 'kept' ? savedByCache(attempt) : 0);
  if (attempt.outcome !== 'ok') return;
  const lifeMs = attempt.usage!.cacheWrite1h > 0 ? longCacheLifeMs : cacheLifeMs;
  for (const name of bondNames(step)) gateway.measures.keep(name, step.target, nowMs, lifeMs);
}

/** What the attempt would have cost more, had the provider's prompt cache known nothing of it. */
function savedByCache({ usage, target, nanoUsd }: Attempt): NanoUsd {
  if (nanoUsd === undefined || usage!.cacheRead === 0 || target.price === undefined) return 0;
  return charge({ ...usage!, cacheRead: 0 }, target.price) - nanoUsd;
}
