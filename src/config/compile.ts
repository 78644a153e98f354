/** Turns a configuration into the immutable snapshot that calls are served from. */
import { hashSecret } from '../core/secret.ts';
import { dialects } from '../dialects/index.ts';
import { authHeader } from '../providers/auth.ts';
import { maxOutputOf, preferredDialect, quirksOf } from '../providers/catalog.ts';
import type { CatalogueEntry } from '../providers/entry.ts';
import { credentialNames, identities, isIdentity } from '../providers/identity.ts';
import { contextLengthOf, fallbackPrice, nextPriceChange, resolvePrice } from '../providers/prices.ts';
import { nothingAdded, type OpenAdditions } from './additions.ts';
import { compileAddresses } from './addresses.ts';
import { compileModels } from './compile-route.ts';
import { compileTenants } from './compile-tenants.ts';
import { entryOf } from './complete.ts';
import { endpointOf, schemeOf, servesModel, speaksOf } from './hosting.ts';
import { keepersOf } from './keepers.ts';
import type { Route } from './route.ts';
import type { Config, ProviderConfig } from './schema.ts';
import type { Endpoint, Provider, ProviderKey, Snapshot, Target, Timeouts } from './snapshot.ts';
import { compileTimeouts } from './timeout-schema.ts';

export type Transport = NonNullable<Provider['transport']>;

export interface CompileOptions {
  version: number;
  /** Provider name → what answers its calls instead of the network, as long as the configuration gives it no URL. */
  transports?: Readonly<Record<string, Transport>>;
  /** The same for requests to go on in another protocol. */
  switchings?: Readonly<Record<string, NonNullable<Provider['switching']>>>;
  /** What answers the calls of all other providers, instead of sockets of the gateway's own. */
  transport?: Transport;
  /** What operators added at run time. */
  additions?: OpenAdditions;
  /** The moment whose prices are taken, in milliseconds since 1970. Default: now. */
  now?: number;
}

/** Time limits where the configuration names none. Models that reason may be silent for minutes. */
const defaultTimeouts: Timeouts = {
  connectMs: 10_000,
  firstByteMs: 300_000,
  idleMs: 120_000,
  minBytesPerS: 0,
  totalMs: 1_800_000,
  sessionMs: 3_600_000,
};
/** Clients choose the names of direct targets: both their number and their length are bounded. */
const maxDirectRoutes = 1000;
const maxModelLength = 256;
/** Whose signature is asked for where the catalogue does not say. */
const usualService = 'bedrock';

/** @param config one that `readConfig` or `configFromEnvironment` has made: names resolve, routes end. */
export function compile(config: Config, options: CompileOptions): Snapshot {
  const now = options.now ?? Date.now();
  const hosts = new Map<string, Host>();
  for (const [name, given] of Object.entries(config.providers ?? {})) {
    const entry = entryOf(name, given);
    hosts.set(name, { entry, provider: compileProvider(name, given, entry, options) });
  }
  const added = options.additions ?? nothingAdded;
  const targets = new Map<string, Target>();
  const prices: Prices = { config: config.prices, store: added.prices };
  const targetOf = (id: string): Target | undefined =>
    targets.get(id) ?? compileTarget(id, hosts, prices, now);
  const models = compileModels(config.models, (id) => {
    const target = targetOf(id);
    if (target === undefined) throw new Error(`no provider for the target ${id}`);
    targets.set(id, target);
    return target;
  });
  const { listen } = config;
  return Object.freeze({
    version: options.version,
    providers: new Map([...hosts].map(([name, { provider }]) => [name, provider])),
    models,
    ...compileTenants(config),
    settings: Object.freeze({
      host: listen.host,
      port: listen.port,
      dataDir: config.data,
      store: config.store,
      shared: config.shared,
      bodyLimitBytes: config.body_limit,
      fileLimitBytes: config.file_limit,
      fetchMedia: config.fetch_media,
      trustedProxies:
        config.trusted_proxies.length === 0 ? undefined : compileAddresses(config.trusted_proxies),
      drainMs: config.drain,
      journal: { limitBytes: config.journal.limit, alarmBytes: config.journal.alarm },
      retention: { callsMs: config.retention.calls, plansMs: config.retention.plans },
      webhooks: config.webhooks.map(({ url, secret, events, organisation }) => ({
        url,
        secret,
        events,
        organisation,
      })),
      logLevel: config.log.level,
    }),
    ...(config.unpriced && { fallbackPrice: fallbackPrice(config.unpriced) }),
    listed: [
      ...models.keys(),
      ...[...hosts].flatMap(([name, { entry, provider }]) =>
        (entry?.known ?? [])
          .filter((model) => servesModel(provider.speaks, model))
          .map((model) => `${name}/${model}`),
      ),
    ],
    pricesChangeAt: nextPriceChange(
      [...hosts.values()].flatMap(({ entry }) => entry ?? []),
      now,
    ),
    resolve: resolver(models, targetOf),
  });
}

/** Prices that somebody stated, and where; those of the configuration win. */
type Prices = Record<'config' | 'store', Config['prices']>;

/** A provider, and what the catalogue says of it. */
interface Host {
  provider: Provider;
  entry: CatalogueEntry | undefined;
}

function compileProvider(
  name: string,
  given: ProviderConfig,
  entry: CatalogueEntry | undefined,
  options: CompileOptions,
): Provider {
  const builtIn = given.url === undefined && given.speaks === undefined;
  const transport = (builtIn ? options.transports?.[name] : undefined) ?? options.transport;
  const switching = builtIn ? options.switchings?.[name] : undefined;
  const speaks = speaksOf(entry, given);
  const keys = compileKeys(name, given, entry, options.additions?.keys.get(name) ?? []);
  return Object.freeze({
    name,
    speaks,
    keys,
    keeps: keepersOf(entry, speaks, keys),
    batchShare: entry?.batchShare,
    timeouts: { ...defaultTimeouts, ...compileTimeouts(given.timeout ?? {}) },
    ...(given.probe === undefined ? {} : { probeMs: given.probe }),
    ...(transport === undefined ? {} : { transport }),
    ...(switching === undefined ? {} : { switching }),
  });
}

function compileKeys(
  name: string,
  given: ProviderConfig,
  entry: CatalogueEntry | undefined,
  added: readonly { id: string; secret: string }[],
): readonly ProviderKey[] {
  const scheme = schemeOf(entry, given);
  if (isIdentity(scheme)) {
    const authorise = identities[scheme].authorise(given, entry?.service ?? usualService);
    const digest = hashSecret(JSON.stringify(credentialNames.map((each) => given[each])));
    return [{ id: `${name}#1`, header: undefined, authorise, digest }];
  }
  const secrets = given.keys ?? [given.key ?? ''];
  // Calls without any key are made only where there is none.
  const own = secrets.length === 1 && secrets[0] === '' && added.length > 0 ? [] : secrets;
  return [
    ...own.map((secret, i) => ({ id: `${name}#${i + 1}`, header: authHeader(scheme, secret) })),
    ...added.map(({ id, secret }) => ({ id: `${name}#${id}`, header: authHeader(scheme, secret) })),
  ];
}

function compileTarget(
  id: string,
  hosts: ReadonlyMap<string, Host>,
  prices: Prices,
  now: number,
): Target | undefined {
  const slash = id.indexOf('/');
  const host = slash < 0 ? undefined : hosts.get(id.slice(0, slash));
  const model = id.slice(slash + 1);
  if (host === undefined || !servesModel(host.provider.speaks, model)) return undefined;
  const { provider, entry } = host;
  const statedIn = Object.hasOwn(prices.config, id) ? 'config' : 'store';
  return Object.freeze({
    id,
    provider,
    model,
    modelJson: JSON.stringify(model),
    quirks: Object.freeze(quirksOf(entry, model)),
    endpoints: compileEndpoints(provider, entry, model),
    price: resolvePrice(entry, model, prices[statedIn][id], now, statedIn),
    contextLength: contextLengthOf(entry, model),
    maxOutput: maxOutputOf(entry, model),
  });
}

function compileEndpoints(
  provider: Provider,
  entry: CatalogueEntry | undefined,
  model: string,
): readonly Endpoint[] {
  const endpoints = [...provider.speaks].flatMap(([name, places]): Endpoint[] => {
    const dialect = dialects.get(name);
    const endpoint = dialect && endpointOf(dialect, places, model, entry?.headers);
    return endpoint === undefined ? [] : [endpoint];
  });
  const preferred = preferredDialect(entry, model);
  const first = endpoints.filter(({ dialect }) => dialect.name === preferred);
  return [...first, ...endpoints.filter((endpoint) => !first.includes(endpoint))];
}

function resolver(
  models: ReadonlyMap<string, Route>,
  targetOf: (id: string) => Target | undefined,
): Snapshot['resolve'] {
  const direct = new Map<string, Route>();
  return (model) => {
    const known = models.get(model) ?? direct.get(model);
    if (known !== undefined) return known;
    const target = model.length > maxModelLength ? undefined : targetOf(model);
    if (target === undefined) return undefined;
    // Maps keep the order of insertion: the first is the oldest.
    if (direct.size >= maxDirectRoutes) direct.delete(direct.keys().next().value!);
    const route: Route = { type: 'target', target };
    direct.set(model, route);
    return route;
  };
}
