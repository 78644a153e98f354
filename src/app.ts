/** Puts the gateway together: this file and src/app are the only ones that know every part. */
import packageJson from '../package.json';
import type { createAdmin } from './admin/admin.ts';
import type { AdminPowers } from './admin/powers.ts';
import { keepConfiguration } from './app/configuration.ts';
import { askSpent, openLedger } from './app/ledger.ts';
import { createObserver, reportChange } from './app/observer.ts';
import type { AppOptions } from './app/options.ts';
import { operate, type Pages } from './app/pages.ts';
import { openSharing } from './app/sharing.ts';
import { compile } from './config/compile.ts';
import type { Config } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import type { Alert } from './core/alert.ts';
import type { ExplainQuery, Explanation } from './core/explain.ts';
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
import { limitStates } from './governance/limit-states.ts';
import { createLimiter } from './governance/limits.ts';
import { catchUp } from './governance/spent-before.ts';
import { createMetrics } from './observe/metrics.ts';
import type { Alarm } from './routing/health/keys.ts';
import { createHealth } from './routing/health.ts';
import { createSight, Measures } from './routing/measures.ts';
import { RetryBudget } from './routing/retry-budget.ts';
import { openAnswers } from './store/answers.ts';
import type { FirstSecrets } from './store/first-start.ts';
import { openObjects } from './store/objects.ts';
import { openLater } from './store/open.ts';
import { openQuestions } from './store/questions.ts';
import { HttpPool } from './wire/http/pool.ts';
import { webRequest } from './wire/http/server/web-request.ts';

export interface App {
  url: string;
  /** The data plane, for tests and benchmarks that call it without a socket. */
  gateway: Gateway;
  /** Made at the very first start; shown once. */
  firstSecrets: FirstSecrets | undefined;
  snapshot(): Snapshot;
  /** Whether the keys of the store are known: one that was away from the start on has told nothing. */
  knowsStore(): boolean;
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
  const sharing = await openSharing(configuration, { flushed: ledger.applier.flushed, alerts, log });
  const health = createHealth({
    onAlarm: (alarm) => alerts.raise(deadKey(alarm)),
    onChange: (change) => {
      reportChange(change, metrics, log);
      sharing?.publish(change);
    },
    providers: () => configuration.snapshot().providers,
  });
  const retries = new RetryBudget();
  const measures = new Measures();
  const gateway: Gateway = {
    snapshot: configuration.snapshot,
    keyring,
    limiter: createLimiter(sharing?.counters ?? ledger.counters, alerts),
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
  const pages: Pages = {
    refusal() {
      if (inflight.stopping) return 'it is shutting down';
      if (!configuration.knowsStore())
        return 'the store was not reached yet, and nothing is known of its keys';
      return upkeep.refusal();
    },
    trouble: upkeep.trouble,
    expose() {
      const now = Date.now();
      return metrics.expose({
        ...health.describe(now),
        heldBack: retries.heldBack,
        ledger: upkeep.numbers(now),
        shared: sharing?.numbers(),
      });
    },
  };
  const { host, port } = settings;
  const adminStore = openLater(settings.dataDir, settings.store, { thread: 'beside' });
  const questions = openQuestions(settings.dataDir, settings.store);
  const administer = administrate(
    {
      store: adminStore.db,
      questions,
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
    },
    ledger.applier.looked,
  );
  const server = serve(gateway, {
    host,
    port,
    operate: (path, request) =>
      path.startsWith('/admin/') ? administer(webRequest(request)) : operate(path, pages),
  });
  if (sharing !== undefined) configuration.onLimits((fresh) => sharing.counters.catchUp(fresh));
  else
    configuration.onLimits((fresh) => {
      const { applier, counters } = ledger;
      catchUp(fresh, counters, askSpent(adminStore.db), applier.flushed).catch((error: Error) =>
        log.error({ error: error.message }, 'alarm: what new limits have to count could not be looked up'),
      );
    });
  configuration.watch();
  sharing?.join(health);
  probes.start();
  void objects.open();
  void ledger.applier.ready.then(() => chargeLeftovers(gateway));

  return {
    url: server.url,
    gateway,
    firstSecrets: ledger.firstSecrets,
    snapshot: configuration.snapshot,
    knowsStore: configuration.knowsStore,
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
      await questions.close();
      await sharing?.close();
      await ledger.applier.stop();
      ledger.journal.close();
      tokenizer.stop();
      schemas.stop();
    },
  };
}

/** The admin API: loaded when it is first asked for, so that nobody waits for it at the start. */
function administrate(
  powers: AdminPowers,
  inForce: () => Promise<void>,
): (request: Request) => Promise<Response> {
  let loading: Promise<ReturnType<typeof createAdmin>> | undefined;
  return async (request) => {
    loading ??= import('./admin/admin.ts').then((admin) => admin.createAdmin(powers));
    const response = await (await loading)(request);
    // Whoever has revoked a key may try at once whether it is.
    if (request.method !== 'GET' && response.ok) await Promise.race([inForce(), Bun.sleep(longestWaitMs)]);
    return response;
  };
}

/** A change is in the store by then: whether this node has heard of it too is not worth more. */
const longestWaitMs = 1000;

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

function deadKey({ provider, key, untilMs, error }: Alarm): Alert {
  return { kind: 'key_refused', provider, key, reason: error.message, untilMs, at: Date.now() };
}
