/** The names attempts are recorded under: one object for the same names, made once. */
import type { Key, Target } from '../config/snapshot.ts';
import type { Names } from '../core/record.ts';

/** Clients choose model names and tags: what goes beyond this many of a key and a target is forgotten and made anew. */
const maxNames = 1000;

const known = new WeakMap<Target, WeakMap<Key, Map<string, Names>>>();

/**
 * @param model as the client named it.
 * @param operation `chat`, or what else is asked for.
 * @param why the way through the route; '' where there is none.
 */
export function namesOf(
  key: Key,
  target: Target,
  model: string,
  tags: string,
  operation: string,
  why = '',
): Names {
  let byKey = known.get(target);
  if (byKey === undefined) {
    byKey = new WeakMap();
    known.set(target, byKey);
  }
  let byName = byKey.get(key);
  if (byName === undefined) {
    byName = new Map();
    byKey.set(key, byName);
  }
  const chat = operation === 'chat';
  const name = chat && tags === '' && why === '' ? model : `${model}\n${tags}\n${operation}\n${why}`;
  let names = byName.get(name);
  if (names === undefined) {
    if (byName.size >= maxNames) byName.clear();
    names = Object.freeze({
      key: key.name,
      team: key.team,
      organisation: key.organisation,
      model,
      target: target.id,
      provider: target.provider.name,
      tags,
      priceSource: target.price?.source ?? '',
      ...(target.price && { priceVersion: target.price.version, price: target.price }),
      ...(chat ? {} : { operation }),
      ...(why === '' ? {} : { why }),
    });
    byName.set(name, names);
  }
  return names;
}

/** Whose conversations and files a key may know of: those of its team. No two teams share a name here. */
export function ownerOf({ organisation, team }: Key): string {
  // Organisations may have slashes in their names, too.
  return `${organisation.replaceAll('~', '~0').replaceAll('/', '~1')}/${team}`;
}
