/** The store of a gateway, for one command. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Kysely, Transaction } from 'kysely';
import { applyLeftovers } from '../ledger/leftovers.ts';
import { nameStore, openStore, storeExists } from '../store/open.ts';
import type { Schema } from '../store/schema.ts';
import { commandName } from './command-name.ts';
import { CommandError, type DataFlags, findPlace, type Place } from './data-dir.ts';

/** @param make the data directory, too, where there is none. @throws CommandError */
export async function withStore<T>(
  flags: DataFlags,
  make: boolean,
  run: (db: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  const { dataDir, url } = findPlace(flags);
  if (make && url === 'sqlite') makeDir(dataDir);
  else if (!storeExists(dataDir, url)) {
    throw new CommandError(
      `There are no keys in ${dataDir}. Name the gateway's data directory with --data DIR.`,
    );
  }
  return await use({ dataDir, url }, run);
}

/**
 * The same for what was recorded: with the last calls of a gateway that died. One that runs applies its journal itself.
 * @param run told where that is, in words.
 * @throws CommandError where nothing was.
 */
export async function withRecords<T>(
  flags: DataFlags,
  run: (db: Kysely<Schema>, where: string) => Promise<T>,
): Promise<T> {
  const { dataDir, url } = findPlace(flags);
  if (existsSync(join(dataDir, 'journal'))) await applyLeftovers(dataDir, url);
  if (!storeExists(dataDir, url)) {
    throw new CommandError(
      `Nothing is recorded in ${dataDir}. Start the gateway with \`${commandName} serve\`, or name its data directory with --data DIR.`,
    );
  }
  return await use({ dataDir, url }, (db) => run(db, url === 'sqlite' ? dataDir : nameStore(url)));
}

async function use<T>({ dataDir, url }: Place, run: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
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
