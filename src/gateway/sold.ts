/** What an organisation pays for its calls, beside what they cost: this is what its limits count. */
import type { Key, Snapshot, Target } from '../config/snapshot.ts';
import { chargeKnown, chargeKnownPart, covers, type NanoUsd, type Price, sellPrice } from '../core/money.ts';
import type { Usage } from '../core/usage.ts';

/** Whose call it is. */
export interface Buyer {
  readonly snapshot: Pick<Snapshot, 'organisations' | 'fallbackPrice'>;
  readonly key?: Pick<Key, 'organisation'> | undefined;
}

/** What the buyer pays for what costs `nanoUsd`. */
export function soldFor(nanoUsd: NanoUsd, { snapshot, key }: Buyer): NanoUsd {
  const ppm = key && snapshot.organisations?.get(key.organisation)?.sellPpm;
  return ppm === undefined ? nanoUsd : sellPrice(nanoUsd, ppm);
}

/**
 * What limits are charged for `usage` where the cost is not known: at the fallback price, but no less than what is known
 * of it; 0 where there is neither.
 */
export function heldFor(usage: Usage, { price }: Pick<Target, 'price'>, buyer: Buyer): NanoUsd {
  const fallback = chargeKnown(usage, buyer.snapshot.fallbackPrice) ?? 0;
  return soldFor(Math.max(fallback, chargeKnownPart(usage, price)), buyer);
}

/** Whether it was answered in a service tier that costs what nobody knows: the usual price is a guess then. */
export function hasOwnRates({ tier }: Usage, price: Price | undefined): boolean {
  return tier !== undefined && price !== undefined && price.serviceTiers?.has(tier) !== true;
}

/** Whether limits in USD can hold what a call of the target costs. @param usage what it may use; absent: tokens. */
export function canHold({ price }: Pick<Target, 'price'>, { snapshot }: Buyer, usage?: Usage): boolean {
  const { fallbackPrice } = snapshot;
  if (usage === undefined) return (price ?? fallbackPrice) !== undefined;
  return [price, fallbackPrice].some((each) => each !== undefined && covers(each, usage));
}
