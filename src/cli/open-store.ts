/** The store of a data directory, for one command. */
import { mkdirSync } from 'node:fs';
import type { Kysely, Transaction } from 'kysely';
import { openStore, storeExists } from '../store/open.ts';
import type { Schema } from '../store/schema.ts';
import { CommandError, type DataFlags, findDataDir, findStore } from './data-dir.ts';

/** @param make the data directory, too, where there is none. @throws CommandError */
export async function withStore<T>(
  flags: DataFlags,
  make: boolean,
  run: (db: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  const dataDir = findDataDir(flags);
  const url = findStore(flags);
  if (make) makeDir(dataDir);
  else if (!storeExists(dataDir, url)) {
    throw new CommandError(
      `There are no keys in ${dataDir}. Name the gateway's data directory with --data DIR.`,
    );
  }
  const store = await openStore(dataDir, url);
  try {
    return await run(store.db);
  } finally {
    await store.close();
  }
}

/** The same in one transaction: what a command changes is changed whole, or not at all. */
export function change<T>(flags: DataFlags, run: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
  return withStore(flags, true, (db) => db.transaction().execute(run));
}

function makeDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (error) {
    throw new CommandError(`Cannot make the data directory ${dataDir}: ${(error as Error).message}.`);
  }
}
