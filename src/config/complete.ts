/** A provider's configuration with what it leaves out taken from the usual variables. */
import { secretFrom } from '../providers/auth.ts';
import { catalogue, catalogued } from '../providers/catalog.ts';
import type { CatalogueEntry } from '../providers/entry.ts';
import { identities, isIdentity } from '../providers/identity.ts';
import { type SettingName, settingForms, settingNames } from '../providers/places.ts';
import { hasKey, lackingOf, schemeOf } from './hosting.ts';
import type { ProviderConfig } from './schema.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** The catalogue's entry that a configured provider is one of. */
export function entryOf(name: string, given: Pick<ProviderConfig, 'like'>): CatalogueEntry | undefined {
  return catalogued(given.like ?? name);
}

/** Every catalogue provider that the environment says enough of to be called, and `mock`. */
export function providersFrom(env: Env): Record<string, ProviderConfig> {
  const providers: Record<string, ProviderConfig> = {};
  for (const [name, entry] of Object.entries(catalogue)) {
    const provider = completeProvider(name, {}, env);
    if (name === 'mock' || isMeant(entry, provider)) providers[name] = provider;
  }
  return providers;
}

/** Somebody has set what only this provider has use for; and whatever else it needs is there. */
function isMeant(entry: CatalogueEntry, provider: ProviderConfig): boolean {
  if (entry.keyless) return hasKey(provider) || provider.url !== undefined;
  const identity = entry.identity === undefined ? undefined : identities[entry.identity];
  if (!hasKey(provider) && (identity === undefined || provider[identity.token] === undefined)) return false;
  return lackingOf(entry, provider).length === 0;
}

/** With key, `url`, settings and credentials filled in from the provider's usual variables. */
export function completeProvider(name: string, given: ProviderConfig, env: Env): ProviderConfig {
  const entry = entryOf(name, given);
  const provider = { ...given };
  if (entry !== undefined) {
    const identity = entry.identity === undefined ? undefined : identities[entry.identity];
    const hasToken = identity !== undefined && given[identity.token] !== undefined;
    const usual = secretFrom(env, entry.env);
    if (!hasKey(given) && !hasToken && !isIdentity(given.auth) && usual !== '') provider.keys = [usual];
    if (given.url === undefined && given.speaks === undefined && entry.urlEnv !== undefined) {
      const host = secretFrom(env, [entry.urlEnv]);
      if (host !== '') provider.url = entry.keyless ? localUrl(host, entry.url ?? '') : remoteUrl(host);
    }
    for (const setting of settingNames) provider[setting] ??= settingFrom(entry, setting, env);
  }
  completeCredentials(provider, entry, env);
  return provider;
}

function settingFrom(entry: CatalogueEntry, setting: SettingName, env: Env): string | undefined {
  const value = secretFrom(env, entry.settings?.[setting] ?? []);
  return settingForms[setting].form.test(value) ? value : entry.defaults?.[setting];
}

function completeCredentials(provider: ProviderConfig, entry: CatalogueEntry | undefined, env: Env): void {
  const scheme = schemeOf(entry, provider);
  if (!isIdentity(scheme)) return;
  const { takes, token } = identities[scheme];
  // Parts of two different keys would make none.
  const own = provider[token] !== undefined;
  for (const name of Object.keys(takes) as (keyof typeof takes)[]) {
    if (own && name !== 'region') continue;
    const value = secretFrom(env, takes[name] ?? []);
    if (value !== '') provider[name] ??= value;
  }
}

function remoteUrl(given: string): string | undefined {
  return URL.canParse(given) ? given.replace(/\/+$/, '') : undefined;
}

/** `OLLAMA_HOST` and its like name a host, a host and port, or a URL; whatever is left out is as in `usual`. */
function localUrl(host: string, usual: string): string {
  const text = /^https?:\/\//.test(host) ? host : `http://${host}`;
  if (!URL.canParse(text)) return usual;
  const url = new URL(text);
  if (url.port === '' && !/^https?:\/\//.test(host)) url.port = new URL(usual).port;
  // What a server listens on everywhere is reached here.
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]') url.hostname = '127.0.0.1';
  return url.href.replace(/\/+$/, '');
}
