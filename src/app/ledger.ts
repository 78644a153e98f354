/** Journal, store and counters, opened: also where the store cannot be reached yet. */
import { resolve } from 'node:path';
import { createMemoryCounters } from '../governance/counters-memory.ts';
import type { Spent } from '../governance/leases.ts';
import { type AskSpent, spentBefore } from '../governance/spent-before.ts';
import { spentByEndUsers } from '../governance/spent-by-end-users.ts';
import type { Told } from '../ledger/alert-loop.ts';
import { startApplier } from '../ledger/applier.ts';
import { readControl } from '../ledger/control-copy.ts';
import { openJournal } from '../ledger/journal.ts';
import { recover } from '../ledger/recover.ts';
import { createUpkeep } from '../ledger/upkeep.ts';
import { createAlerts } from '../observe/alerts.ts';
import type { Logger } from '../observe/log.ts';
import { createFirstSecrets } from '../store/first-start.ts';
import { NewerStoreError } from '../store/migrate.ts';
import { openStore, type Store } from '../store/open.ts';
import { endUsersSpentSince, spentSince } from '../store/spent.ts';
import type { Configuration } from './configuration.ts';
import type { AppOptions } from './options.ts';

/** Journal, store and what was spent before. @throws Error with a one-line message. */
export async function openLedger(configuration: Configuration, options: AppOptions) {
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
  configuration.follow(({ settings: { webhooks, retention } }) => {
    applier.setWebhooks(webhooks);
    applier.setRetention(retention);
  });
  const counters = createMemoryCounters();
  const restore = async (store: Store, until?: number) => {
    // Nodes that share limits have that from each other.
    if (settings.shared !== undefined) return;
    counters.restore(await allSpent(store, configuration, startedAt, until), Date.now());
  };
  if (store !== undefined) {
    // What was spent before counts against limits, also what only the journal knows yet.
    await applier.ready;
    await restore(store);
    await store.close();
  } else {
    const later = async (run: (store: Store) => Promise<void>) => {
      await applier.ready;
      await untilDone(async () => {
        const late = await open();
        await run(late).finally(() => late.close());
      });
    };
    void later(async (late) => {
      const secrets = await createSecrets(late);
      if (secrets !== undefined) options.onFirstSecrets?.(secrets);
    });
    // What was spent from then on is counted already.
    void later((late) => restore(late, startedAt));
  }
  return { journal, applier, counters, firstSecrets, upkeep, alerts };
}

/** What all owners of limits and their end users have used of the windows that run at `nowMs`. */
export async function allSpent(
  { db }: Store,
  { snapshot, keyring }: Configuration,
  nowMs: number,
  until?: number,
): Promise<Spent[]> {
  const ask = askSpent(async () => db);
  const since = (ms: number) => endUsersSpentSince(db, ms, until);
  const ofEndUsers = await spentByEndUsers(snapshot(), keyring.withEndUserLimits(), since, nowMs);
  return [...(await spentBefore(ask, nowMs, undefined, until)), ...ofEndUsers];
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

function reportTold({ error, givenUp, ...told }: Told, log: Logger): void {
  if (error === undefined) log.info(told, 'a webhook was told of an alert');
  else if (givenUp) log.error({ ...told, error }, 'a webhook cannot be told of an alert: given up');
  else log.warn({ ...told, error }, 'a webhook could not be told of an alert: it is tried again');
}

/** Reads what was spent from a store. */
export function askSpent(db: () => Promise<Store['db']>): AskSpent {
  return async (of, stretch) => await spentSince(await db(), of, stretch);
}
