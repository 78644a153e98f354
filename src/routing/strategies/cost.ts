/** What a request is expected to cost. */
import type { Target } from '../../config/snapshot.ts';
import { chargeKnown, type NanoUsd } from '../../core/money.ts';
import { emptyUsage } from '../../core/usage.ts';
import { minCachedTokens } from '../measures/target-measures.ts';
import type { Moment } from '../moment.ts';
import { expectedTokens } from './length.ts';

/** Part of the prompt that a cache is taken to know when a conversation returns, until it was seen: all but the last turn. */
const usualCachedShare = 0.8;

/**
 * Of an answer of usual length; undefined: no price is known.
 * @param kept id of the target that answered the conversation last: its prompt cache knows the beginning.
 */
export function expectedCost(
  moment: Moment,
  kept: string | undefined,
): (target: Target) => NanoUsd | undefined {
  const { ask, sight } = moment;
  const usage = emptyUsage();
  usage.input = Math.round(ask.inputTokens);
  const cacheable = usage.input >= minCachedTokens;
  return (target) => {
    usage.output = expectedTokens(target, moment);
    const cached = cacheable && target.id === kept;
    usage.cacheRead = cached
      ? Math.round(usage.input * (sight.cachedShare(target, ask.key) ?? usualCachedShare))
      : 0;
    return chargeKnown(usage, target.price);
  };
}
