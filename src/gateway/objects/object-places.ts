/** Where files and batches are kept: those that there are, and those that are to be made. */
import type { Key, Provider, Snapshot } from '../../config/snapshot.ts';
import { targetsOf } from '../../config/targets.ts';
import { GatewayError } from '../../core/error.ts';
import type { KeptObject } from '../../core/objects.ts';
import { collectionOf } from '../../dialects/objects/index.ts';
import type { Collection, SurfaceName } from '../../dialects/objects/surface.ts';
import type { Keeping } from './errand.ts';
import { keyMarked } from './kept-objects.ts';

/** The header in which a client says where something is to be kept. */
export const providerHeader = 'x-sluice-provider';

/** Where an object is, and how it is spoken of there. */
export interface Located extends Keeping {
  collection: Collection;
}

/** @throws GatewayError `not_found` when its provider, or the key it was made with, is not configured any more. */
export function locate(object: KeptObject, snapshot: Snapshot): Located {
  const { provider: name, surface, kind } = object;
  const collection = collectionOf(surface, kind);
  const provider = snapshot.providers.get(name);
  const keeper = provider?.keeps?.get(surface as SurfaceName);
  if (collection === undefined || provider === undefined || keeper === undefined) {
    throw new GatewayError('not_found', `It is kept by ${name}, which is not configured any more.`);
  }
  return { provider, endpoint: keeper.endpoint, key: keyMarked(provider, object.keyMark), collection };
}

export function pathOf(object: KeptObject, { upstream }: Collection): string {
  return `${upstream}/${encodeURIComponent(object.id)}`;
}

/**
 * The provider at which something new is kept for clients of a surface: the one that is named, else the only one that is
 * known to keep such things, else the only one that may.
 * @throws GatewayError `bad_request`, `forbidden` saying what to send.
 */
export function chooseProvider(
  surface: SurfaceName,
  named: string | null,
  key: Key,
  snapshot: Snapshot,
): Provider {
  const all = [...snapshot.providers.values()].filter(({ keeps }) => keeps?.has(surface));
  if (named !== null) {
    const provider = all.find(({ name }) => name === named);
    if (provider === undefined) throw unsuitable(named, all);
    if (mayUse(key, provider, snapshot)) return provider;
    throw new GatewayError('forbidden', `The API key "${key.name}" may not use the provider "${named}".`, {
      param: providerHeader,
    });
  }
  const allowed = all.filter((provider) => mayUse(key, provider, snapshot));
  const sure = allowed.filter(({ keeps }) => keeps?.get(surface)?.sure);
  const candidates = sure.length > 0 ? sure : allowed;
  if (candidates.length === 1) return candidates[0]!;
  throw new GatewayError(
    'bad_request',
    candidates.length === 0
      ? 'No provider that this API key may use keeps files or batches in this shape.'
      : `Several providers could keep this: name one in the header ${providerHeader}, ${namesOf(candidates)}.`,
    { param: providerHeader },
  );
}

function unsuitable(named: string, all: readonly Provider[]): GatewayError {
  const others = all.length === 0 ? 'There is none that does.' : `Name ${namesOf(all)}.`;
  return new GatewayError(
    'bad_request',
    `The provider "${named}" is not configured, or keeps nothing in this shape. ${others}`,
    { param: providerHeader },
  );
}

function namesOf(providers: readonly Provider[]): string {
  return providers.map(({ name }) => name).join(' or ');
}

/** Whether models that the key may use are there. */
function mayUse({ restrictions = [] }: Key, { name }: Provider, snapshot: Snapshot): boolean {
  const prefix = `${name}/`;
  const isThere = (model: string): boolean => {
    const route = snapshot.models.get(model);
    return route === undefined
      ? model.startsWith(prefix)
      : targetsOf(route).some(({ provider }) => provider.name === name);
  };
  const leadsThere = (pattern: string): boolean => {
    if (!pattern.endsWith('*')) return isThere(pattern);
    const start = pattern.slice(0, -1);
    if (prefix.startsWith(start) || start.startsWith(prefix)) return true;
    return [...snapshot.models.keys()].some((model) => model.startsWith(start) && isThere(model));
  };
  return restrictions.every(({ models }) => models === undefined || models.said.some(leadsThere));
}
