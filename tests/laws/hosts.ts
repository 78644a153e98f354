/** How the catalogue's hosts and model families differ from each dialect: every set of quirks that a call may meet. */
import type { DialectName } from '../../src/core/chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { catalogue, placesOf, quirksOf } from '../../src/providers/catalog.ts';

export interface Host {
  /** A provider and a model of it that have these quirks; many may. */
  name: string;
  quirks: Quirks;
}

/** One host for every different set of quirks of `dialect`. */
export function hostsOf(dialect: DialectName): Host[] {
  const hosts = new Map<string, Host>();
  for (const [provider, entry] of Object.entries(catalogue)) {
    const places = placesOf(entry, dialect);
    for (const model of ['any', ...(entry.known ?? [])]) {
      if (!places.some(({ models }) => models === undefined || models.test(model))) continue;
      const quirks = quirksOf(entry, model);
      const { defaultMaxTokens: _, ...kind } = quirks;
      const key = JSON.stringify(kind);
      if (!hosts.has(key)) hosts.set(key, { name: `${provider}/${model}`, quirks });
    }
  }
  return [...hosts.values()];
}
