/** What operators added at run time, made ready to be compiled with the configuration, which wins. */
import { type Additions, providerKeyPurpose } from '../core/additions.ts';
import { unseal } from '../core/seal.ts';
import { price as priceSchema } from './price-schema.ts';
import type { Config } from './schema.ts';

export interface OpenAdditions {
  prices: Config['prices'];
  /** Provider → keys that join its pool. */
  keys: ReadonlyMap<string, readonly { id: string; secret: string }[]>;
  /** Ids of provider keys that the secret does not open, and targets whose price cannot be read: somebody has to know. */
  sealed: string[];
  unreadable: string[];
}

export const nothingAdded: OpenAdditions = {
  prices: Object.create(null),
  keys: new Map(),
  sealed: [],
  unreadable: [],
};

/** @param secret `SLUICE_SECRET`; without it no key is opened. */
export function openAdditions(additions: Additions, secret: string | undefined): OpenAdditions {
  const prices: [string, Config['prices'][string]][] = [];
  const unreadable: string[] = [];
  for (const { target, price } of additions.prices) {
    const read = priceSchema.safeParse(price);
    if (read.success) prices.push([target, read.data]);
    else unreadable.push(target);
  }
  const keys = new Map<string, { id: string; secret: string }[]>();
  const sealed: string[] = [];
  for (const key of additions.providerKeys) {
    const opened = secret ? unseal(key.sealed, secret, providerKeyPurpose(key)) : undefined;
    if (opened === undefined) sealed.push(key.id);
    else keys.set(key.provider, [...(keys.get(key.provider) ?? []), { id: key.id, secret: opened }]);
  }
  // Targets are named by people: one must not be taken for what every object has.
  return { prices: Object.assign(Object.create(null), Object.fromEntries(prices)), keys, sealed, unreadable };
}
