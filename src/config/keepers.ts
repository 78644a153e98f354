/** Where a provider keeps files and batches, for clients of each surface that it may serve. */
import type { DialectName } from '../core/chat.ts';
import { dialects } from '../dialects/index.ts';
import { surfaces } from '../dialects/objects/index.ts';
import type { Surface, SurfaceName } from '../dialects/objects/surface.ts';
import type { CatalogueEntry } from '../providers/entry.ts';
import type { Place } from '../providers/places.ts';
import { endpointOf } from './hosting.ts';
import type { Endpoint, Keeper, ProviderKey } from './snapshot.ts';

export function keepersOf(
  entry: CatalogueEntry | undefined,
  speaks: ReadonlyMap<DialectName, readonly Place[]>,
  keys: readonly ProviderKey[],
): ReadonlyMap<SurfaceName, Keeper> {
  const keepers = new Map<SurfaceName, Keeper>();
  // Signatures are for a POST of a body that is there as a whole.
  if (keys.some(({ authorise }) => authorise !== undefined)) return keepers;
  for (const surface of surfaces) {
    const endpoint = endpointFor(surface, entry, speaks);
    if (endpoint === undefined) continue;
    const base = surface.uploadBase?.(endpoint.base) ?? endpoint.base;
    keepers.set(surface.name, { endpoint, uploads: { ...endpoint, base }, sure: entry?.keeps === true });
  }
  return keepers;
}

/** Whatever the model: at the dialect's own paths, since a host with other ones has others for this, too. */
function endpointFor(
  surface: Surface,
  entry: CatalogueEntry | undefined,
  speaks: ReadonlyMap<DialectName, readonly Place[]>,
): Endpoint | undefined {
  for (const name of surface.dialects) {
    const dialect = dialects.get(name);
    const place = speaks.get(name)?.find(({ path }) => path === undefined);
    if (dialect === undefined || place === undefined) continue;
    const { models: _, ...anywhere } = place;
    return endpointOf(dialect, [anywhere], '', entry?.headers);
  }
  return undefined;
}
