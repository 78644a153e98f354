/** What a chat may use, told from its request and from what its key's answers are like, before anything is sent. */
import type { Target } from '../config/snapshot.ts';
import { chargeKnown, chargeKnownPart } from '../core/money.ts';
import { emptyUsage, type Usage } from '../core/usage.ts';
import type { Amounts } from '../governance/leases.ts';
import type { Peek } from './body.ts';
import type { Call } from './call.ts';
import { type Buyer, heldFor, soldFor } from './sold.ts';

type Size = Pick<Peek, 'tokens' | 'maxTokens' | 'answers'>;

/** Of whom nothing is known. */
const defaultOutputTokens = 1024;
/** Learned lengths are of few answers at first. */
const leastOutputTokens = 64;

/** How much one answer is expected to have. @param high what nine of ten are no longer than; undefined: nobody knows. */
export function expectedOutput(
  { maxTokens }: Pick<Size, 'maxTokens'>,
  { maxOutput = Infinity }: Pick<Target, 'maxOutput'>,
  high: number | undefined,
): number {
  const most = Math.min(maxTokens ?? Infinity, maxOutput);
  if (high === undefined) return maxTokens === undefined ? Math.min(most, defaultOutputTokens) : most;
  return Math.min(most, Math.max(high, leastOutputTokens));
}

/** How much one answer has at most; undefined: neither the client nor the catalogue says. */
export function mostOutput(
  { maxTokens }: Pick<Size, 'maxTokens'>,
  { maxOutput }: Pick<Target, 'maxOutput'>,
): number | undefined {
  if (maxTokens === undefined) return maxOutput;
  return maxOutput === undefined ? maxTokens : Math.min(maxTokens, maxOutput);
}

/** Of answers of `output` tokens each. @param added tokens that it is asked beside the client's request. */
export function usageOf({ tokens, answers }: Size, output: number, added = 0): Usage {
  const usage = emptyUsage();
  usage.input = tokens + added;
  usage.output = output * Math.max(1, answers);
  return usage;
}

/**
 * Whether limits bear the request, taken for a token for each of its bytes and as long an answer as it asks for, many times
 * over: then neither is counted.
 */
export function isAmple(inBytes: Size, target: Target, buyer: Buyer, holder: Pick<Call, 'isAmple'>): boolean {
  return holder.isAmple(needsOf(usageOf(inBytes, expectedOutput(inBytes, target, undefined)), target, buyer));
}

/** What limits have to hold for that much; what has no price, and for which nothing stands in, costs nothing. */
export function needsOf(usage: Usage, target: Pick<Target, 'price'>, buyer: Buyer): Amounts {
  const tokens = usage.input + usage.output;
  const known = chargeKnown(usage, target.price);
  const nanoUsd = known === undefined ? heldFor(usage, target, buyer) : soldFor(known, buyer);
  const costNanoUsd = known ?? chargeKnownPart(usage, target.price);
  return nanoUsd === costNanoUsd ? { tokens, nanoUsd } : { tokens, nanoUsd, costNanoUsd };
}
