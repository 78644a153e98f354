/** From what a provider's entry and its configuration say: how calls are authorised, where each dialect is spoken. */
import type { DialectName } from '../core/chat.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { AuthScheme } from '../providers/auth.ts';
import { placesOf } from '../providers/catalog.ts';
import type { CatalogueEntry } from '../providers/entry.ts';
import { type Credential, identities, isIdentity } from '../providers/identity.ts';
import {
  encodeModel,
  fillIn,
  type Place,
  placeholdersOf,
  type SettingName,
  valuesOf,
} from '../providers/places.ts';
import type { ProviderConfig } from './schema.ts';
import type { Endpoint } from './snapshot.ts';

export function hasKey({ key, keys }: ProviderConfig): boolean {
  return key !== undefined || keys !== undefined;
}

export function schemeOf(entry: CatalogueEntry | undefined, given: ProviderConfig): AuthScheme {
  const unkeyed = hasKey(given) ? undefined : entry?.identity;
  return given.auth ?? unkeyed ?? entry?.auth ?? usualScheme(entry, given);
}

/** Hosts that speak nothing but Anthropic's dialect expect its header; all others take a bearer token. */
function usualScheme(entry: CatalogueEntry | undefined, given: ProviderConfig): AuthScheme {
  const names = dialectsOf(entry, given);
  return names.length === 1 && names[0] === 'anthropic-messages' ? 'x-api-key' : 'bearer';
}

function dialectsOf(entry: CatalogueEntry | undefined, { speaks }: ProviderConfig): DialectName[] {
  if (typeof speaks === 'string') return [speaks];
  if (Array.isArray(speaks)) return speaks;
  return Object.keys(speaks ?? entry?.speaks ?? {}) as DialectName[];
}

/** Dialect → the places it is spoken at, ready but for the model's name; the preferred dialect first. */
export function speaksOf(
  entry: CatalogueEntry | undefined,
  given: ProviderConfig,
): ReadonlyMap<DialectName, readonly Place[]> {
  const values = valuesOf(given, entry?.host);
  const speaks = new Map<DialectName, readonly Place[]>();
  for (const name of dialectsOf(entry, given)) {
    const places = candidatesOf(name, entry, given)
      .map((place) => fillPlace(place, values))
      .filter((place) => unfilled(place).length === 0);
    if (places.length > 0) speaks.set(name, places);
  }
  return speaks;
}

/** The settings and credentials without which this provider cannot be called. */
export function lackingOf(
  entry: CatalogueEntry | undefined,
  given: ProviderConfig,
): (SettingName | Credential)[] {
  const scheme = schemeOf(entry, given);
  const lacking = new Set<SettingName | Credential>();
  if (speaksOf(entry, given).size === 0) {
    const [name] = dialectsOf(entry, given);
    // Of several places the last is the one that asks for least.
    const place = name === undefined ? undefined : candidatesOf(name, entry, given).at(-1);
    const values = valuesOf(given, entry?.host);
    for (const setting of place === undefined ? [] : unfilled(fillPlace(place, values))) lacking.add(setting);
  }
  if (isIdentity(scheme)) {
    for (const name of identities[scheme].needs) if (given[name] === undefined) lacking.add(name);
  }
  return [...lacking];
}

/** Everything that has a placeholder in a URL of this provider. */
export function settingsUsed(entry: CatalogueEntry | undefined, given: ProviderConfig): Set<string> {
  const used = new Set<string>(entry?.host === undefined ? [] : [entry.host.by]);
  for (const name of dialectsOf(entry, given)) {
    for (const place of candidatesOf(name, entry, given)) {
      for (const placeholder of unfilled(place)) used.add(placeholder);
    }
  }
  return used;
}

/** Where a dialect may be spoken, given the way calls are authorised and the configured `url`. */
function candidatesOf(
  dialect: DialectName,
  entry: CatalogueEntry | undefined,
  given: ProviderConfig,
): Place[] {
  const { speaks, url } = given;
  if (typeof speaks === 'object' && !Array.isArray(speaks)) return [{ url: speaks[dialect] ?? '' }];
  const places = entry === undefined ? [] : placesOf(entry, dialect);
  if (places.length === 0) return [{ url: url ?? usualBase(entry) }];
  const scheme = schemeOf(entry, given);
  return places
    .filter(({ auth }) => auth === undefined || auth.includes(scheme))
    .flatMap((place) => {
      if (isBelow(place)) return [{ ...place, url: rootOf(entry!, url) + place.url }];
      if (url === undefined) return [place];
      // Dialects that live elsewhere than the preferred one are unknown at a new host, unless they are named.
      return speaks !== undefined || place.url === usualBase(entry) ? [{ ...place, url }] : [];
    });
}

/** The preferred dialect's base. */
function usualBase(entry: CatalogueEntry | undefined): string {
  const [name] = Object.keys(entry?.speaks ?? {}) as DialectName[];
  const place = name === undefined ? undefined : placesOf(entry!, name)[0];
  if (place === undefined) return '';
  return isBelow(place) ? (entry?.url ?? '') + place.url : place.url;
}

function isBelow({ url }: Place): boolean {
  return url === '' || url.startsWith('/');
}

/** The server, however far down the configured `url` leads: `http://gpu:11434/v1` and `http://gpu:11434` mean the same. */
function rootOf(entry: CatalogueEntry, url: string | undefined): string {
  if (url === undefined) return entry.url ?? '';
  const paths = (Object.keys(entry.speaks) as DialectName[])
    .flatMap((name) => placesOf(entry, name))
    .filter((place) => isBelow(place) && place.url !== '' && url.endsWith(place.url))
    .map((place) => place.url.length);
  return url.slice(0, url.length - Math.max(0, ...paths));
}

function fillPlace(place: Place, values: Readonly<Record<string, string | undefined>>): Place {
  const filled = { ...place, url: fillIn(place.url, values) };
  if (place.path !== undefined) filled.path = fillIn(place.path, values);
  if (place.streamPath !== undefined) filled.streamPath = fillIn(place.streamPath, values);
  if (place.realtime !== undefined) {
    filled.realtime = { ...place.realtime, path: fillIn(place.realtime.path, values) };
  }
  return filled;
}

function unfilled({ url, path, streamPath }: Place): SettingName[] {
  const names = placeholdersOf(url + (path ?? '') + (streamPath ?? ''));
  return names.filter((name) => name !== 'model') as SettingName[];
}

/** Whether a model can be asked for at all. In a path, a name of dots would lead elsewhere. */
export function servesModel(speaks: ReadonlyMap<DialectName, readonly Place[]>, model: string): boolean {
  if (/^\.*$/.test(model)) return false;
  return [...speaks.values()].some((places) => placeFor(places, model) !== undefined);
}

function placeFor(places: readonly Place[], model: string): Place | undefined {
  return places.find(({ models }) => models === undefined || models.test(model));
}

/** How `model` is called in one dialect; undefined when it is not served in that dialect. */
export function endpointOf(
  dialect: Dialect,
  places: readonly Place[],
  model: string,
  headers: Readonly<Record<string, string>> | undefined,
): Endpoint | undefined {
  const place = placeFor(places, model);
  if (place === undefined) return undefined;
  const values = { model: encodeModel(model) };
  const [base = '', query] = fillIn(place.url, values).split('?', 2);
  // Half a character fits into no URL.
  const name = model.toWellFormed();
  const pathOf = (own: string | undefined, stream: boolean): string => {
    const path = own === undefined ? dialect.path(name, stream) : fillIn(own, values);
    return query === undefined ? path : withQuery(path, query);
  };
  const realtime = place.realtime ?? (place.path === undefined ? dialect.realtime : undefined);
  const whole = pathOf(place.path, false);
  const streamed = pathOf(place.streamPath ?? place.path, true);
  return {
    dialect,
    base: base.replace(/\/+$/, ''),
    headers: { 'content-type': 'application/json', ...dialect.headers, ...headers },
    framing: place.framing ?? dialect.framing,
    path: (_model, stream) => (stream ? streamed : whole),
    ...(realtime === undefined ? {} : { realtime: { ...realtime, path: pathOf(realtime.path, true) } }),
    ...editsOf(place),
    ...(place.lift === undefined ? {} : { lift: place.lift }),
    ...(place.ownErrors === undefined ? {} : { ownErrors: place.ownErrors }),
  };
}

function withQuery(path: string, query: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}

function editsOf({ set, remove }: Place): Pick<Endpoint, 'edits'> {
  if (set === undefined && remove === undefined) return {};
  const edits: Record<string, string | undefined> = {};
  for (const name of remove ?? []) edits[name] = undefined;
  for (const [name, value] of Object.entries(set ?? {})) edits[name] = JSON.stringify(value);
  return { edits };
}
