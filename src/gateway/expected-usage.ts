/** What a chat may use, told from its request before anything is sent. */
import type { Target } from '../config/snapshot.ts';
import { chargeKnown, chargeKnownPart } from '../core/money.ts';
import { emptyUsage, type Usage } from '../core/usage.ts';
import type { Amounts } from '../governance/leases.ts';
import type { Peek } from './body.ts';
import { type Buyer, heldFor, soldFor } from './sold.ts';

type Size = Pick<Peek, 'tokens' | 'maxTokens' | 'answers'>;

const defaultOutputTokens = 1024;

/** What a chat may use at most at `target`. @param added tokens that it is asked beside the client's request. */
export function usageOf({ tokens, maxTokens, answers }: Size, { quirks }: Target, added = 0): Usage {
  const usage = emptyUsage();
  usage.input = tokens + added;
  usage.output = (maxTokens ?? quirks.defaultMaxTokens ?? defaultOutputTokens) * Math.max(1, answers);
  return usage;
}

/** What limits have to hold for that much; what has no price, and for which nothing stands in, costs nothing. */
export function needsOf(usage: Usage, target: Pick<Target, 'price'>, buyer: Buyer): Amounts {
  const tokens = usage.input + usage.output;
  const known = chargeKnown(usage, target.price);
  const nanoUsd = known === undefined ? heldFor(usage, target, buyer) : soldFor(known, buyer);
  const costNanoUsd = known ?? chargeKnownPart(usage, target.price);
  return nanoUsd === costNanoUsd ? { tokens, nanoUsd } : { tokens, nanoUsd, costNanoUsd };
}
