/** Puts the gateway together: the only file that knows every part. */
import { resolve } from 'node:path';
import packageJson from '../package.json';
import type { createAdmin } from './admin/admin.ts';
import type { AdminPowers } from './admin/powers.ts';
import { nothingAdded, openAdditions } from './config/additions.ts';
import { compile, type Transport } from './config/compile.ts';
import { formatMistakes } from './config/mistakes.ts';
import type { Config } from './config/schema.ts';
import type { Settings, Shared, Snapshot } from './config/snapshot.ts';
import { targetsOf } from './config/targets.ts';
import { watchConfig } from './config/watch.ts';
import { windowOf } from './config/window.ts';
import type { Additions } from './core/additions.ts';
import type { Alert } from './core/alert.ts';
import type { ExplainQuery, Explanation } from './core/explain.ts';
import type { HealthChange } from './core/health.ts';
import type { Observer } from './core/observer.ts';
import type { TenantsChange } from './core/tenants.ts';
import { Deadlines } from './gateway/deadlines.ts';
import { explain } from './gateway/explain.ts';
import type { Gateway } from './gateway/gateway.ts';
import { Inflight } from './gateway/inflight.ts';
import { KeptAnswers } from './gateway/kept-answers.ts';
import { Shadows } from './gateway/mirror.ts';
import { KeptObjects } from './gateway/objects/kept-objects.ts';
import { chargeLeftovers } from './gateway/objects/object-documents.ts';
import { Probes } from './gateway/probes.ts';
import { createSchemaChecker } from './gateway/schema-checker.ts';
import { serve } from './gateway/server.ts';
import { createTokenizer } from './gateway/tokenizer.ts';
import { VendorMemory } from './gateway/vendor-memory.ts';
import { createMemoryCounters } from './governance/counters-memory.ts';
import { createKeyring, type Keyring } from './governance/keys.ts';
import type { Counters, Spent } from './governance/leases.ts';
import { limitStates } from './governance/limit-states.ts';
import { createLimiter } from './governance/limits.ts';
import { windowStartMs } from './governance/window.ts';
import type { Told } from './ledger/alert-loop.ts';
import { startApplier } from './ledger/applier.ts';
import { readControl } from './ledger/control-copy.ts';
import { openJournal } from './ledger/journal.ts';
import { recover } from './ledger/recover.ts';
import { createUpkeep, type Upkeep } from './ledger/upkeep.ts';
import { createMock } from './mock/mock.ts';
import { createAlerts } from './observe/alerts.ts';
import { expositionType } from './observe/exposition.ts';
import type { Logger } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import type { Alarm } from './routing/health/keys.ts';
import { createHealth, type Health } from './routing/health.ts';
import { createSight, Measures } from './routing/measures.ts';
import { RetryBudget } from './routing/retry-budget.ts';
import type { HealthChannel } from './shared/health-channel.ts';
import type { SharedRedis } from './shared/redis.ts';
import { openAnswers } from './store/answers.ts';
import type { ControlChange } from './store/control-feed.ts';
import { createFirstSecrets, type FirstSecrets } from './store/first-start.ts';
import { NewerStoreError } from './store/migrate.ts';
import { openObjects } from './store/objects.ts';
import { openLater, openStore, type Store } from './store/open.ts';
import { type ShadowsSpent, shadowsSince, spentSince } from './store/spent.ts';
import { HttpPool } from './wire/http/pool.ts';
import { webRequest } from './wire/http/server/web-request.ts';

export interface AppOptions {
  config: Config;
  /** Watched for changes; undefined when the configuration comes from the environment. */
  configFile: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** What the command line says stands above the file, also when it is loaded anew. */
  overrides(config: Config): Config;
  log: Logger;
  /** Told of them where the store was away at the start, when it is there. */
  onFirstSecrets?: (secrets: FirstSecrets) => void;
}

export interface App {
  url: string;
  /** The data plane, for tests and benchmarks that call it without a socket. */
  gateway: Gateway;
  /** Made at the very first start; shown once. */
  firstSecrets: FirstSecrets | undefined;
  snapshot(): Snapshot;
  /** Resolves when all that has happened so far is in the store. */
  flushed(): Promise<void>;
  /**
   * Lets running calls finish, puts everything into the store, lets go of the data directory.
   * @param lingerMs how long connections that clients keep open may bring one more call each. Default: not at all.
   */
  stop(lingerMs?: number): Promise<void>;
}

/** @throws Error with a one-line message when the data directory or the address cannot be used. */
export async function startApp(options: AppOptions): Promise<App> {
  const { log } = options;
  const configuration = keepConfiguration(options);
  const { keyring } = configuration;
  const { settings } = configuration.snapshot();
  const ledger = await openLedger(configuration, options);
  const { alerts } = ledger;
  const metrics = createMetrics();
  const tokenizer = createTokenizer();
  const schemas = createSchemaChecker();
  const inflight = new Inflight();
  const http = new HttpPool();
  const answers = new KeptAnswers(openAnswers(settings.dataDir, settings.store), (error) =>
    log.error({ error: (error as Error).message }, 'alarm: an answer could not be kept'),
  );
  const objects = new KeptObjects(openObjects(settings.dataDir, settings.store), (what, error) =>
    log.error({ error: (error as Error).message }, `alarm: ${what}`),
  );
  const redis = await openShared(settings.shared, log);
  const sharing = redis && (await shareLimits(redis, settings, ledger.applier.flushed, log));
  let others: HealthChannel | undefined;
  const health = createHealth({
    onAlarm: (alarm) => alerts.raise(deadKey(alarm)),
    onChange: (change) => {
      reportChange(change, metrics, log);
      others?.publish(change);
    },
    providers: () => configuration.snapshot().providers,
  });
  others = await shareHealth(redis, health, log);
  const retries = new RetryBudget();
  const measures = new Measures();
  const gateway: Gateway = {
    snapshot: configuration.snapshot,
    keyring,
    limiter: createLimiter(sharing?.counters ?? ledger.counters),
    health,
    retries,
    measures,
    sight: createSight(health, measures),
    journal: ledger.journal,
    observer: createObserver(metrics, log),
    http,
    deadlines: new Deadlines(),
    inflight,
    shadows: new Shadows(),
    countTokens: tokenizer.count,
    schemas: schemas.check,
    answers,
    objects,
    memory: new VendorMemory(),
    random: Math.random,
    forceTranslate: options.env.SLUICE_FORCE_TRANSLATE === '1',
  };
  const probes = new Probes(gateway);
  const { upkeep } = ledger;
  const readiness: Readiness = {
    refusal() {
      if (inflight.stopping) return 'it is shutting down';
      if (!configuration.knowsStore())
        return 'the store was not reached yet, and nothing is known of its keys';
      return upkeep.refusal();
    },
    trouble: upkeep.trouble,
  };
  const expose = () => {
    const now = Date.now();
    return metrics.expose({
      ...health.describe(now),
      heldBack: retries.heldBack,
      ledger: upkeep.numbers(now),
    });
  };
  const { host, port } = settings;
  const adminStore = openLater(settings.dataDir, settings.store, { thread: 'beside' });
  const administer = administrate({
    store: adminStore.db,
    version: packageJson.version,
    secret: options.env.SLUICE_SECRET || undefined,
    snapshot: configuration.snapshot,
    health: () => health.describe(Date.now()),
    keyNamed: keyring.named,
    keyOf: keyring.find,
    file: configuration.file,
    limits: (of) => limitStates(configuration.snapshot(), gateway.limiter, of, Date.now()),
    alarm: gateway.observer.alarm,
    explain: (query) =>
      explain(query, {
        snapshot: configuration.snapshot(),
        sight: gateway.sight,
        limiter: gateway.limiter,
        keyNamed: keyring.named,
      }),
  });
  const server = serve(gateway, {
    host,
    port,
    operate: (path, request) =>
      path.startsWith('/admin/') ? administer(webRequest(request)) : operate(path, readiness, expose),
  });
  configuration.watch();
  redis?.connect();
  probes.start();
  void objects.open();
  void ledger.applier.ready.then(() => chargeLeftovers(gateway));

  return {
    url: server.url,
    gateway,
    firstSecrets: ledger.firstSecrets,
    snapshot: configuration.snapshot,
    flushed: ledger.applier.flushed,
    async stop(lingerMs = 0) {
      configuration.stop();
      probes.stop();
      const { drainMs } = configuration.snapshot().settings;
      log.info({ calls: inflight.count, drainMs }, 'stopping');
      inflight.stopping = true;
      const lastCallsMs = Math.min(lingerMs, drainMs);
      await server.retire(lastCallsMs);
      const [drained] = await Promise.all([inflight.drain(drainMs - lastCallsMs), gateway.shadows.stop()]);
      if (!drained) {
        log.warn({ calls: inflight.count }, 'calls were still running when the drain time was over');
      }
      await server.stop(!drained);
      http.close();
      await answers.close();
      await objects.close();
      await adminStore.close();
      await ledger.applier.stop();
      ledger.journal.close();
      tokenizer.stop();
      schemas.stop();
    },
  };
}

interface Configuration {
  snapshot(): Snapshot;
  /** What it was compiled from. */
  file(): Config;
  keyring: Keyring;
  /** Organisations, teams and keys made at run time, whenever they change. */
  setTenants(change: TenantsChange): void;
  /** Tells what is in force, now and whenever the configuration is loaded anew. */
  follow(hear: (snapshot: Snapshot) => void): void;
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
function keepConfiguration(options: AppOptions): Configuration {
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

  const recompile = () => {
    const version = snapshot.version + 1;
    snapshot = keyring.adopt(compile(config, { ...compileWith, additions, version }));
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
      snapshot = keyring.change(change);
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

/** Journal, store and what was spent before. @throws Error with a one-line message. */
async function openLedger(configuration: Configuration, options: AppOptions) {
  const { log } = options;
  const { settings, keys } = configuration.snapshot();
  const dataDir = resolve(settings.dataDir);
  const journal = openJournal(dataDir);
  const interrupted = recover(journal);
  if (interrupted > 0)
    log.warn({ attempts: interrupted }, 'settled attempts that the last process left open');
  const startedAt = Date.now();
  const open = () => openStore(dataDir, settings.store);
  const store = await open().catch((error) => goOnWithout(error, configuration, log));
  const createSecrets = ({ db }: Store) => createFirstSecrets(db, keys.size > 0);
  const firstSecrets = store && (await createSecrets(store));
  const alerts = createAlerts(log, (alert) => applier.raise(alert));
  const upkeep = createUpkeep(journal, alerts, () => configuration.snapshot().settings.journal);
  let writable = store !== undefined;
  const applier = startApplier({
    dataDir,
    store: settings.store,
    onTenants: configuration.setTenants,
    onTold: (told) => reportTold(told, log),
    onAdditions: configuration.setAdditions,
    onState: (now) => {
      upkeep.onState(now);
      const { ok, error } = now;
      if (!ok) log.error({ error, backlogBytes: journal.backlogBytes() }, 'the store cannot be written');
      else if (!writable) log.info('the store is written again');
      writable = ok;
    },
  });
  configuration.follow(({ settings: { webhooks } }) => applier.setWebhooks(webhooks));
  const counters = createMemoryCounters();
  const restore = async ({ db }: Store, until?: number) => {
    // Nodes that share limits have that from each other.
    if (settings.shared === undefined) counters.restore(await spentBefore(db, startedAt, until), Date.now());
  };
  if (store !== undefined) {
    // What was spent before counts against limits, also what only the journal knows yet.
    await applier.ready;
    await restore(store);
    await store.close();
  } else {
    void applier.ready.then(() =>
      untilDone(async () => {
        const late = await open();
        const secrets = await createSecrets(late).finally(() => late.close());
        if (secrets !== undefined) options.onFirstSecrets?.(secrets);
      }),
    );
    void applier.ready.then(() =>
      untilDone(async () => {
        const late = await open();
        // What was spent from then on is counted already.
        await restore(late, startedAt).finally(() => late.close());
      }),
    );
  }
  return { journal, applier, counters, firstSecrets, upkeep, alerts };
}

/** Calls are served while a database is away, also after a restart: by the keys this node knew last. @throws the error where waiting would not help. */
function goOnWithout(error: unknown, configuration: Configuration, log: Logger): undefined {
  const { dataDir, store } = configuration.snapshot().settings;
  if (store === 'sqlite' || error instanceof NewerStoreError) throw error;
  const known = readControl(resolve(dataDir), store);
  configuration.adoptCopy(known);
  const what =
    known.length > 0
      ? 'keys are served as they were last known'
      : 'only keys of the configuration file are served';
  log.error({ error: (error as Error).message }, `alarm: the store cannot be reached: ${what} until it can`);
  return undefined;
}

/** Tries once a second. */
async function untilDone(run: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await run();
    } catch {
      // Who works with the store all the time tells of it.
      await new Promise((resolve) => setTimeout(resolve, 1000).unref());
    }
  }
}

/** What is shared with other nodes; loaded only where there are any. */
async function openShared(shared: Shared | undefined, log: Logger): Promise<SharedRedis | undefined> {
  if (shared === undefined) return undefined;
  const { openRedis } = await import('./shared/redis.ts');
  return await openRedis(
    { url: shared.redis, prefix: shared.prefix },
    {
      onUp: () => log.info('connected to the Redis that nodes share'),
      onDown: (reason) => log.error({ reason }, 'alarm: the Redis that nodes share is away'),
    },
  );
}

async function shareHealth(redis: SharedRedis | undefined, health: Health, log: Logger) {
  if (redis === undefined) return undefined;
  const { HealthChannel } = await import('./shared/health-channel.ts');
  return new HealthChannel(redis, {
    adopt(change) {
      health.adopt(change);
      log.debug({ ...change }, 'another node has learned of health');
    },
  });
}

/** Limits that hold for all nodes together. */
async function shareLimits(
  redis: SharedRedis,
  { dataDir, store, shared }: Settings,
  flushed: () => Promise<void>,
  log: Logger,
): Promise<{ counters: Counters; close(): Promise<void> }> {
  const { createSharedCounters } = await import('./governance/shared/shared-counters.ts');
  const { expectFarewell } = await import('./shared/farewell.ts');
  const farewell = expectFarewell(resolve(dataDir));
  const whenLost = shared?.whenLost ?? 'closed';
  const counters = createSharedCounters(redis, {
    whenLost,
    oneStore: store !== 'sqlite',
    afterCrash: farewell.afterCrash,
    flushed,
    async spent() {
      const opened = await openStore(resolve(dataDir), store);
      try {
        return await spentBefore(opened.db, Date.now() + redis.offsetMs);
      } finally {
        await opened.close();
      }
    },
    covers: (window) => windows.includes(window),
    onLost(lost) {
      if (lost)
        log.error(
          { whenLost },
          'alarm: limits cannot be shared: this node goes on with what it holds of them',
        );
      else log.info('limits are shared again');
    },
  });
  return {
    counters,
    async close() {
      await counters.close();
      if (!counters.isLost) farewell.said();
    },
  };
}

/** The admin API: loaded when it is first asked for, so that nobody waits for it at the start. */
function administrate(powers: AdminPowers): (request: Request) => Promise<Response> {
  let loading: Promise<ReturnType<typeof createAdmin>> | undefined;
  return async (request) => {
    loading ??= import('./admin/admin.ts').then((admin) => admin.createAdmin(powers));
    return (await loading)(request);
  };
}

/** Explains by a configuration alone: nothing is learned, spent or broken yet. @throws GatewayError */
export function explainConfig(config: Config, query: ExplainQuery): Explanation {
  const snapshot = compile(config, { version: 1 });
  const keys = [...snapshot.keys.values()];
  return explain(query, {
    snapshot,
    sight: createSight(createHealth(), new Measures()),
    limiter: createLimiter(createMemoryCounters()),
    keyNamed: (name) => keys.find((key) => key.name === name),
  });
}

type Readiness = Pick<Upkeep, 'refusal' | 'trouble'>;

/** Operators' pages. */
function operate(path: string, readiness: Readiness, expose: () => string): Response | undefined {
  switch (path) {
    case '/healthz':
      return new Response('ok\n');
    case '/readyz':
      return readyPage(readiness);
    case '/metrics':
      return new Response(expose(), { headers: { 'content-type': expositionType } });
    default:
      return undefined;
  }
}

/** A store that is down is no reason to take calls elsewhere: they would find the same one. */
function readyPage({ refusal, trouble }: Readiness): Response {
  const refused = refusal();
  if (refused !== undefined) return new Response(`not ready: ${refused}\n`, { status: 503 });
  const wrong = trouble();
  return new Response(wrong === undefined ? 'ready\n' : `ready, but ${wrong}\n`);
}

function deadKey({ provider, key, untilMs, error }: Alarm): Alert {
  return { kind: 'key_refused', provider, key, reason: error.message, untilMs, at: Date.now() };
}

function reportTold({ error, givenUp, ...told }: Told, log: Logger): void {
  if (error === undefined) log.info(told, 'a webhook was told of an alert');
  else if (givenUp) log.error({ ...told, error }, 'a webhook cannot be told of an alert: given up');
  else log.warn({ ...told, error }, 'a webhook could not be told of an alert: it is tried again');
}

function reportChange(change: HealthChange, metrics: Metrics, log: Logger): void {
  if (change.of === 'key') {
    const { provider, id: key, model, state, why } = change;
    log.info({ provider, key, model, why, until: new Date(change.untilMs) }, `a key is ${state}`);
    return;
  }
  const { id: target, state, untilMs, lastError } = change;
  metrics.targetTurned(target, state);
  if (state === 'closed') log.info({ target }, 'a target does well again');
  else log.warn({ target, until: new Date(untilMs), lastError }, 'a target fails: others go first');
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

/** Clients choose the names of targets: so many are remembered, to be told of once. */
const maxTold = 1000;

function createObserver(metrics: Metrics, log: Logger): Observer {
  const unpriced = new Set<string>();
  return {
    callStarted: metrics.callStarted,
    callEnded(end) {
      metrics.callEnded(end);
      const failed = end.error !== undefined && end.status >= 500;
      if (!failed && !log.isLevelEnabled('debug')) return;
      const { error, durationMs, ...rest } = end;
      const fields = { ...rest, durationMs: Math.round(durationMs) };
      if (failed) log.warn({ ...fields, kind: error?.kind, error: error?.message }, 'call failed');
      else log.debug({ ...fields, kind: error?.kind }, 'call');
    },
    attemptSettled(dispatch, record) {
      metrics.attemptSettled(dispatch, record);
      const { target } = dispatch.names;
      if (record.nanoUsd === undefined && !unpriced.has(target)) {
        if (unpriced.size < maxTold) unpriced.add(target);
        log.warn(
          { call: dispatch.call, target },
          'unpriced: no price is known for this target; add one under prices',
        );
      }
    },
    resumed(end) {
      metrics.resumed(end);
      if (end.to === undefined) log.warn(end, 'a stream broke off, and nobody went on with it');
      else log.info(end, 'a stream broke off, and another attempt went on with it');
    },
    bondSettled: metrics.bondSettled,
    hedgeStarted: metrics.hedgeStarted,
    hedgeWon: metrics.hedgeWon,
    shadowDropped: metrics.shadowDropped,
    shadowEnded(end) {
      metrics.shadowEnded(end);
      const { error, id, model, target } = end;
      log.debug({ id, model, target, kind: error?.kind, error: error?.message }, 'shadow call');
    },
    alarm(what, fields) {
      log.error(fields, `alarm: ${what}`);
    },
  };
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

const windows = (['minute', 'hour', 'day', 'month'] as const).map((per) => windowOf(per));

function amountsOf(
  { calls, tokens, nanoUsd }: Pick<ShadowsSpent, 'calls' | 'tokens' | 'nanoUsd'>,
  whose: Pick<Spent, 'owner' | 'id' | 'window' | 'atMs'>,
): Spent[] {
  return [
    { ...whose, unit: 'requests', amount: calls },
    { ...whose, unit: 'tokens', amount: tokens },
    { ...whose, unit: 'usd', amount: nanoUsd },
  ];
}

/** What every key, team and organisation, and the shadows of every model, have used of the windows that run at `now`. */
async function spentBefore(db: Store['db'], now: number, until?: number): Promise<Spent[]> {
  const spent: Spent[] = [];
  for (const window of windows) {
    const of = { window, atMs: now };
    for (const { model: id, ...used } of await shadowsSince(db, windowStartMs(window, now), until))
      spent.push(...amountsOf(used, { owner: 'mirror', id, ...of }));
    for (const row of await spentSince(db, windowStartMs(window, now), until)) {
      const owners = [
        { owner: 'key', id: row.key },
        { owner: 'team', id: row.team },
        { owner: 'organisation', id: row.organisation },
      ] as const;
      for (const { owner, id } of owners) {
        if (id === '') continue;
        spent.push(...amountsOf(row, { owner, id, ...of }));
      }
    }
  }
  return spent;
}
