/** Opens the store a configuration names. */
import { existsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely } from 'kysely';
import { migrate, NewerStoreError } from './migrate.ts';
import type { Schema } from './schema.ts';
import { sqliteDialect, sqliteThreadDialect } from './sqlite.ts';

export interface Store {
  db: Kysely<Schema>;
  /** Whether what is written goes where others read: an SQLite file may have been replaced. @throws when it is gone. */
  isCurrent(): boolean;
  /** Returns once all that was committed is on the disk itself. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A store that is opened when it is first needed, and again where that failed. */
export interface LaterStore {
  /** @throws as openStore. */
  store(): Promise<Store>;
  db(): Promise<Store['db']>;
  close(): Promise<void>;
}

/**
 * On which thread SQLite works. `beside`: on one of the connection's own, so that the caller never waits for the disk or
 * for other writers; each statement costs some microseconds more. PostgreSQL works elsewhere anyway. One thread keeps to one of them:
 * while a connection of the same thread waits for a transaction that another one has begun, nobody could end that.
 */
export interface OpenOptions {
  thread?: 'same' | 'beside';
}

/** A connection of its own. */
export function openLater(dataDir: string, url: string, options: OpenOptions = {}): LaterStore {
  let opening: Promise<Store> | undefined;
  async function store(): Promise<Store> {
    opening ??= openStore(dataDir, url, options);
    try {
      return await opening;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  }
  return {
    store,
    db: async () => (await store()).db,
    async close() {
      const closing = opening;
      opening = undefined;
      const store = await closing?.catch(() => undefined);
      await store?.close();
    },
  };
}

/** Where the SQLite file of a data directory is. */
function sqlitePath(dataDir: string): string {
  return join(dataDir, 'sluice.db');
}

/** For people: without the password a URL may have. */
export function nameStore(url: string): string {
  if (url === 'sqlite') return 'the SQLite file';
  const { host, pathname } = new URL(url);
  return `the PostgreSQL database ${decodeURIComponent(pathname.slice(1))} at ${host}`;
}

/** Several addresses of one host may each have said no. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return (message || code || String(error)).split('\n')[0]!;
}

/** Whether anything may have been stored: what commands that only read ask first. */
export function storeExists(dataDir: string, url: string): boolean {
  return url !== 'sqlite' || existsSync(sqlitePath(dataDir));
}

/**
 * Opens the store and brings its tables up to date. The data directory must exist.
 * @param url the configuration's `store`: `sqlite` or `postgres://…`.
 * @throws when it cannot be opened, or was written by a newer version.
 */
export function openStore(dataDir: string, url: string, options: OpenOptions = {}): Promise<Store> {
  return url === 'sqlite' ? openSqlite(sqlitePath(dataDir), options) : openPostgres(url);
}

async function openSqlite(path: string, { thread = 'same' }: OpenOptions): Promise<Store> {
  const dialect = thread === 'beside' ? sqliteThreadDialect : sqliteDialect;
  const db = new Kysely<Schema>({ dialect: dialect(path) });
  try {
    await migrate(db);
  } catch (error) {
    await db.destroy().catch(() => {});
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'SQLITE_CANTOPEN' && code !== 'SQLITE_READONLY' && code !== 'SQLITE_NOTADB') throw error;
    throw new Error(`cannot open ${path} for writing (${(error as Error).message})`, { cause: error });
  }
  const opened = statSync(path).ino;
  return {
    db,
    isCurrent() {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found === undefined) throw new Error(`${path} is gone; put it back, or restart to begin anew`);
      return found.ino === opened;
    },
    sync: () => syncLog(path),
    close: () => db.destroy(),
  };
}

/**
 * What was committed stands in the log, or in a file that SQLite has synced before it began the log anew. A checkpoint
 * would do as well, but one that waits for readers keeps everybody from writing for as long.
 */
async function syncLog(path: string): Promise<void> {
  const log = await open(`${path}-wal`, 'r');
  try {
    await log.sync();
  } finally {
    await log.close();
  }
}

async function openPostgres(url: string): Promise<Store> {
  // Who keeps to SQLite never loads it.
  const { postgresDialect } = await import('./postgres.ts');
  const db = new Kysely<Schema>({ dialect: postgresDialect(url) });
  try {
    await migrate(db, async (run) => {
      const patient = new Kysely<Schema>({ dialect: postgresDialect(url, { patient: true }) });
      try {
        await run(patient);
      } finally {
        await patient.destroy();
      }
    });
  } catch (error) {
    await db.destroy().catch(() => {});
    if (error instanceof NewerStoreError) throw error;
    throw new Error(`cannot use ${nameStore(url)} (${reasonOf(error)})`, { cause: error });
  }
  // What PostgreSQL has committed is on its disk.
  return { db, isCurrent: () => true, sync: async () => {}, close: () => db.destroy() };
}
