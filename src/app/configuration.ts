/** The configuration in force: of the file and of the store, kept up to date. */
import { nothingAdded, openAdditions } from '../config/additions.ts';
import { compile, type Transport } from '../config/compile.ts';
import { formatMistakes } from '../config/mistakes.ts';
import type { Config } from '../config/schema.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { targetsOf } from '../config/targets.ts';
import { watchConfig } from '../config/watch.ts';
import type { Additions } from '../core/additions.ts';
import type { StoredKey, TenantsChange } from '../core/tenants.ts';
import { createKeyring, type Keyring } from '../governance/keys.ts';
import { countersOfKeys, type FreshCounters, freshCounters } from '../governance/spent-before.ts';
import { createMock } from '../mock/mock.ts';
import type { Logger } from '../observe/log.ts';
import type { ControlChange } from '../store/control-feed.ts';
import type { AppOptions } from './options.ts';

export interface Configuration {
  snapshot(): Snapshot;
  /** What it was compiled from. */
  file(): Config;
  keyring: Keyring;
  /** Organisations, teams and keys made at run time, whenever they change. */
  setTenants(change: TenantsChange): void;
  /** Tells what is in force, now and whenever the configuration is loaded anew. */
  follow(hear: (snapshot: Snapshot) => void): void;
  /** Tells of limits that are new, whoever made them. */
  onLimits(hear: (fresh: FreshCounters) => void): void;
  /** What operators added to the configuration. */
  setAdditions(additions: Additions): void;
  /** Takes what was known of the store when it was last there: until it is heard of, there may be more. */
  adoptCopy(changes: readonly ControlChange[]): void;
  /** Whether anything is known of the store's keys. */
  knowsStore(): boolean;
  /** From now on changes of the file, SIGHUP and the hours of prices are followed. */
  watch(): void;
  stop(): void;
}

/** The configuration in force, and the keys that go with it. */
export function keepConfiguration(options: AppOptions): Configuration {
  const { log } = options;
  const mock = createMock();
  const compileWith = {
    transports: { mock: mock.transport },
    switchings: { mock: mock.switching },
    transport: proxyTransport(options.env),
  };
  let config = options.config;
  let snapshot = compile(config, { ...compileWith, version: 1 });
  const keyring = createKeyring(snapshot, (what, fields) => log.error(fields, `alarm: ${what}`));
  let additions = nothingAdded;
  let knowsStore = true;
  const stops: (() => void)[] = [];
  const followers: ((snapshot: Snapshot) => void)[] = [];
  const started = snapshot.settings;

  let tellLimits: ((fresh: FreshCounters) => void) | undefined;

  const take = (next: Snapshot, keys: readonly StoredKey[] = []) => {
    const before = snapshot;
    snapshot = next;
    if (tellLimits === undefined) return;
    const fresh = freshCounters(before, next, keys);
    if (fresh.size > 0) tellLimits(fresh);
  };
  const recompile = () => {
    const version = snapshot.version + 1;
    take(keyring.adopt(compile(config, { ...compileWith, additions, version })));
  };
  const adopt = (next: Config) => {
    config = next;
    recompile();
    const { host, port, dataDir } = snapshot.settings;
    if (host !== started.host || port !== started.port || dataDir !== started.dataDir) {
      log.warn('listen and data are read at start only: restart to change them');
    }
    for (const hear of followers) hear(snapshot);
    warnUnpriced(snapshot, log);
    log.info({ version: snapshot.version }, 'configuration loaded anew');
  };

  const setAdditions = (added: Additions) => {
    additions = openAdditions(added, options.env.SLUICE_SECRET);
    const { sealed, unreadable } = additions;
    if (sealed.length > 0)
      log.error(
        { keys: sealed },
        'alarm: SLUICE_SECRET does not open these provider keys: they are not used',
      );
    if (unreadable.length > 0)
      log.error({ targets: unreadable }, 'alarm: prices of the store cannot be read');
    recompile();
  };

  warnUnpriced(snapshot, log);
  return {
    snapshot: () => snapshot,
    file: () => config,
    keyring,
    setTenants(change) {
      // Before the start all windows have to be known that anybody has limits in.
      if (tellLimits === undefined) countersOfKeys(change.keys);
      take(keyring.change(change), change.keys);
      keyring.setWhole(true);
      knowsStore = true;
    },
    adoptCopy(changes) {
      for (const { tenants, additions } of changes) {
        snapshot = keyring.change(tenants);
        if (additions !== undefined) setAdditions(additions);
      }
      keyring.setWhole(false);
      knowsStore = changes.length > 0;
    },
    knowsStore: () => knowsStore,
    onLimits(hear) {
      tellLimits = hear;
    },
    follow(hear) {
      followers.push(hear);
      hear(snapshot);
    },
    setAdditions,
    watch() {
      const pricesChangeAt = () => snapshot.pricesChangeAt;
      stops.push(
        watchForChanges(options, adopt),
        recompileAt(pricesChangeAt, () => adopt(config)),
      );
    },
    stop() {
      for (const stop of stops.splice(0)) stop();
    },
  };
}

/** Behind a proxy of the usual variables, calls go through fetch, which knows them all. */
function proxyTransport(env: AppOptions['env']): Transport | undefined {
  const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'];
  if (!names.some((name) => env[name])) return undefined;
  return (url, init) => fetch(url, { ...init, decompress: false } as RequestInit);
}

function watchForChanges(options: AppOptions, adopt: (config: Config) => void): () => void {
  const { configFile, overrides, log } = options;
  if (configFile === undefined) {
    // Without a file there is nothing to load anew, and nothing to die of either.
    const ignore = () => log.info('no configuration file: nothing to load anew');
    process.on('SIGHUP', ignore);
    return () => process.off('SIGHUP', ignore);
  }
  return watchConfig(configFile, {
    env: options.env,
    onConfig: (config) => adopt(overrides(config)),
    onMistakes: (mistakes) =>
      log.error(
        { mistakes: formatMistakes(configFile, mistakes).split('\n') },
        'the new configuration is wrong; the old one stays',
      ),
  });
}

/** Some providers charge by the hour of the day: prices are resolved anew when the next ones begin. */
function recompileAt(changeAt: () => number | undefined, recompile: () => void): () => void {
  const timer = setInterval(() => {
    const at = changeAt();
    if (at !== undefined && Date.now() >= at) recompile();
  }, 1000);
  timer.unref();
  return () => clearInterval(timer);
}

function warnUnpriced(snapshot: Snapshot, log: Logger): void {
  const targets = unpricedTargets(snapshot);
  if (targets.length > 0)
    log.warn({ targets }, 'no price is known for these: their calls are marked unpriced');
}

/** Configured targets without a price. */
function unpricedTargets(snapshot: Snapshot): string[] {
  const targets = [...snapshot.models.values()].flatMap(targetsOf);
  return [...new Set(targets.filter(({ price }) => price === undefined).map(({ id }) => id))];
}
