/** What operators add to the configuration at run time, kept in the store: prices, and keys of providers. */
import type { JsonObject } from './json.ts';

export interface Additions {
  /** In the words of the configuration file. */
  prices: { target: string; price: JsonObject }[];
  providerKeys: SealedKey[];
}

export interface SealedKey {
  id: string;
  provider: string;
  /** Encrypted: see seal. */
  sealed: string;
}

export const noAdditions: Additions = { prices: [], providerKeys: [] };

/** What a provider's key is sealed for: moved to another provider it cannot be opened. */
export function providerKeyPurpose({ id, provider }: Pick<SealedKey, 'id' | 'provider'>): string {
  return `provider key ${id} ${provider}`;
}
