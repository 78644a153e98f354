/** Turns a configuration into the immutable snapshot that calls are served from. */
import type { DialectName } from '../core/chat.ts';
import { parseUsd } from '../core/money.ts';
import { hashSecret } from '../core/secret.ts';
import { dialects } from '../dialects/index.ts';
import { type AuthScheme, authHeader } from '../providers/auth.ts';
import { type CatalogueEntry, catalogued, quirksOf } from '../providers/catalog.ts';
import { nextPriceChange, resolvePrice } from '../providers/prices.ts';
import type { Config, LimitConfig, ProviderConfig, RouteConfig } from './schema.ts';
import type {
  Endpoint,
  Key,
  Limit,
  Provider,
  ProviderKey,
  Route,
  Snapshot,
  Target,
  Team,
} from './snapshot.ts';

export type Transport = NonNullable<Provider['transport']>;

export interface CompileOptions {
  version: number;
  /** Provider name → what answers its calls instead of the network, as long as the configuration gives it no URL. */
  transports?: Readonly<Record<string, Transport>>;
  /** What answers the calls of all other providers, instead of sockets of the gateway's own. */
  transport?: Transport;
  /** The moment whose prices are taken, in milliseconds since 1970. Default: now. */
  now?: number;
}

/** Time limits where the configuration names none. Models that reason may be silent for minutes. */
const defaultTimeouts = { firstByteMs: 300_000, idleMs: 120_000, totalMs: 1_800_000 };
/** Clients choose the names of direct targets: both their number and their length are bounded. */
const maxDirectRoutes = 1000;
const maxModelLength = 256;

/** @param config one that `readConfig` or `configFromEnvironment` has made: names resolve, routes end. */
export function compile(config: Config, options: CompileOptions): Snapshot {
  const now = options.now ?? Date.now();
  const providers = new Map<string, Provider>();
  for (const [name, given] of Object.entries(config.providers ?? {})) {
    providers.set(name, compileProvider(name, given, options));
  }
  const targets = new Map<string, Target>();
  const targetOf = (id: string): Target | undefined =>
    targets.get(id) ?? compileTarget(id, providers, config.prices, now);
  const models = compileModels(config.models, (id) => {
    const target = targetOf(id);
    if (target === undefined) throw new Error(`no provider for the target ${id}`);
    targets.set(id, target);
    return target;
  });
  const teams = new Map(Object.entries(config.teams).map(([name, team]) => [name, compileTeam(name, team)]));
  const { listen } = config;
  return Object.freeze({
    version: options.version,
    providers,
    models,
    keys: new Map(config.keys.map((key) => [hashSecret(key.key), compileKey(key, teams)])),
    teams,
    settings: Object.freeze({
      host: listen.host,
      port: listen.port,
      dataDir: config.data,
      store: config.store,
      shared: config.shared,
      bodyLimitBytes: config.body_limit,
      drainMs: config.drain,
      logLevel: config.log.level,
    }),
    organisations: new Map(
      Object.entries(config.organisations).map(([name, { limits }]) => [
        name,
        { name, limits: limits.map(compileLimit) },
      ]),
    ),
    listed: [
      ...models.keys(),
      ...[...providers.keys()].flatMap((name) =>
        (catalogued(name)?.known ?? []).map((model) => `${name}/${model}`),
      ),
    ],
    pricesChangeAt: nextPriceChange(entriesOf(providers.keys()), now),
    resolve: resolver(models, targetOf),
  });
}

function entriesOf(names: Iterable<string>): CatalogueEntry[] {
  return [...names].flatMap((name) => catalogued(name) ?? []);
}

function compileProvider(name: string, given: ProviderConfig, options: CompileOptions): Provider {
  const entry = catalogued(name);
  const speaks = basesOf(entry, given);
  const secrets = given.keys ?? [given.key ?? ''];
  const builtIn =
    given.url === undefined && given.speaks === undefined ? options.transports?.[name] : undefined;
  const transport = builtIn ?? options.transport;
  const scheme = given.auth ?? entry?.auth ?? usualAuth(speaks);
  return Object.freeze({
    name,
    speaks,
    keys: secrets.map(
      (secret, i): ProviderKey => ({ id: `${name}#${i + 1}`, header: authHeader(scheme, secret) }),
    ),
    timeouts: {
      firstByteMs: given.timeout?.first_byte ?? defaultTimeouts.firstByteMs,
      idleMs: given.timeout?.idle ?? defaultTimeouts.idleMs,
      totalMs: given.timeout?.total ?? defaultTimeouts.totalMs,
    },
    ...(transport === undefined ? {} : { transport }),
  });
}

/**
 * Base URL per dialect. A configured `url` takes the place of the preferred dialect's base and of every base equal to
 * it; dialects that live elsewhere (api.deepseek.com/anthropic) are then unknown at the new host, and left out.
 */
function basesOf(entry: CatalogueEntry | undefined, given: ProviderConfig): ReadonlyMap<DialectName, string> {
  const known = Object.entries(entry?.speaks ?? {}) as [DialectName, string][];
  const usual = new Map(known);
  const { speaks, url } = given;
  if (typeof speaks === 'object' && !Array.isArray(speaks)) {
    return new Map(Object.entries(speaks) as [DialectName, string][]);
  }
  if (speaks !== undefined) {
    return new Map(
      [speaks].flat().map((dialect) => [dialect, url ?? usual.get(dialect) ?? known[0]?.[1] ?? '']),
    );
  }
  if (url === undefined) return usual;
  return new Map(known.filter(([, base]) => base === known[0]?.[1]).map(([dialect]) => [dialect, url]));
}

/** Hosts that speak nothing but Anthropic's dialect expect its header; all others take a bearer token. */
function usualAuth(speaks: ReadonlyMap<DialectName, string>): AuthScheme {
  return speaks.size === 1 && speaks.has('anthropic-messages') ? 'x-api-key' : 'bearer';
}

function compileTarget(
  id: string,
  providers: ReadonlyMap<string, Provider>,
  prices: Config['prices'],
  now: number,
): Target | undefined {
  const slash = id.indexOf('/');
  const provider = slash < 0 ? undefined : providers.get(id.slice(0, slash));
  const model = id.slice(slash + 1);
  if (provider === undefined || model === '') return undefined;
  const entry = catalogued(provider.name);
  const override = Object.hasOwn(prices, id) ? prices[id] : undefined;
  return Object.freeze({
    id,
    provider,
    model,
    modelJson: JSON.stringify(model),
    quirks: Object.freeze(quirksOf(entry, model)),
    endpoints: [...provider.speaks].flatMap(([name, base]): Endpoint[] => {
      const dialect = dialects.get(name);
      if (dialect === undefined) return [];
      return [
        {
          dialect,
          base,
          headers: { 'content-type': 'application/json', ...dialect.headers, ...entry?.headers },
          framing: dialect.framing,
          path: dialect.path,
        },
      ];
    }),
    price: resolvePrice(entry, model, override, now),
  });
}

/** A name that is a configured model's is an alias: it stands for that model's own route. */
function compileModels(
  configured: Config['models'],
  targetOf: (id: string) => Target,
): ReadonlyMap<string, Route> {
  const models = new Map<string, Route>();
  const compileRoute = (route: RouteConfig): Route => {
    if (typeof route === 'string') {
      return Object.hasOwn(configured, route)
        ? modelNamed(route)
        : { type: 'target', target: targetOf(route) };
    }
    if (route.fallback !== undefined) return { type: 'fallback', children: route.fallback.map(compileRoute) };
    const shares = route.split ?? [];
    return {
      type: 'split',
      children: shares.map(({ to, weight }) => ({ weight, route: compileRoute(to) })),
    };
  };
  const modelNamed = (name: string): Route => {
    const route = models.get(name) ?? compileRoute(configured[name]!);
    models.set(name, route);
    return route;
  };
  for (const name of Object.keys(configured)) modelNamed(name);
  return models;
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

function compileKey(key: Config['keys'][number], teams: ReadonlyMap<string, Team>): Key {
  return Object.freeze({
    id: `key_${key.name}`,
    name: key.name,
    team: key.team,
    organisation: teams.get(key.team)?.organisation ?? 'default',
    models: key.models,
    limits: key.limits.map(compileLimit),
    expiresAt: key.expires,
    disabled: key.disabled,
  });
}

function compileTeam(name: string, team: Config['teams'][string]): Team {
  return Object.freeze({ name, organisation: team.organisation, limits: team.limits.map(compileLimit) });
}

function compileLimit(limit: LimitConfig): Limit {
  const per = limit.per;
  if (limit.usd !== undefined) return { unit: 'usd', max: parseUsd(limit.usd), per };
  if (limit.tokens !== undefined) return { unit: 'tokens', max: limit.tokens, per };
  if (limit.requests !== undefined) return { unit: 'requests', max: limit.requests, per };
  return { unit: 'concurrency', max: limit.concurrency ?? 0, per: undefined };
}
