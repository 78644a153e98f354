/** What a target costs by a configuration, whether or not it could be called by it. */
import type { Price } from '../core/money.ts';
import { resolvePrice, type StatedPrice } from '../providers/prices.ts';
import { entryOf } from './complete.ts';
import type { Config } from './schema.ts';

export interface Offer {
  price: Price | undefined;
  /** What part of that is paid for requests of a batch; undefined: nobody knows. */
  batchShare: number | undefined;
}

/**
 * @param target provider/model.
 * @param at the moment the price holds, in milliseconds since 1970.
 */
export function offerOf(
  { providers, prices }: Pick<Config, 'providers' | 'prices'>,
  target: string,
  at: number,
): Offer {
  const slash = target.indexOf('/');
  const name = target.slice(0, slash);
  const given = providers !== undefined && Object.hasOwn(providers, name) ? providers[name] : undefined;
  const entry = entryOf(name, given ?? {});
  const override: StatedPrice | undefined = Object.hasOwn(prices, target) ? prices[target] : undefined;
  return {
    price: resolvePrice(entry, target.slice(slash + 1), override, at),
    batchShare: entry?.batchShare,
  };
}
