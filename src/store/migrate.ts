/** Brings the store's tables up to date: forward only, all that are missing in one transaction. */
import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import { tableExists } from './dialect-of.ts';
import { up as first } from './migrations/0001-first.ts';
import { up as answers } from './migrations/0002-answers.ts';
import { up as operations } from './migrations/0003-operations.ts';
import { up as objects } from './migrations/0004-objects.ts';
import { up as why } from './migrations/0005-why.ts';
import { up as plans } from './migrations/0006-plans.ts';
import { up as nodes } from './migrations/0007-nodes.ts';
import { up as prices } from './migrations/0008-prices.ts';
import { up as tenants } from './migrations/0009-tenants.ts';
import { up as administration } from './migrations/0010-administration.ts';
import { up as scale } from './migrations/0011-scale.ts';
import { up as alerts } from './migrations/0012-alerts.ts';
import { up as longNames } from './migrations/0013-long-names.ts';
import { up as byteOrder } from './migrations/0014-byte-order.ts';
import type { Schema } from './schema.ts';

interface StoreMigration extends Pick<Migration, 'up'> {
  /**
   * Versions without this migration cannot go on with the store: a column they write is gone, or means something else.
   * Without it a migration only adds, with defaults, and nodes of the version before run on beside newer ones.
   */
  breaks?: true;
}

/** In code and not in a folder that is read, so that a compiled executable has them too. Names sort in order. */
const migrations: Record<string, StoreMigration> = {
  '0001-first': { up: first },
  '0002-answers': { up: answers },
  '0003-operations': { up: operations },
  '0004-objects': { up: objects },
  '0005-why': { up: why },
  '0006-plans': { up: plans },
  '0007-nodes': { up: nodes, breaks: true },
  '0008-prices': { up: prices },
  '0009-tenants': { up: tenants },
  '0010-administration': { up: administration },
  '0011-scale': { up: scale, breaks: true },
  '0012-alerts': { up: alerts },
  '0013-long-names': { up: longNames },
  '0014-byte-order': { up: byteOrder },
};

/** In `meta`: the last migration that breaks. Who knows it may work on the store, whatever came after. */
const compatibleWith = 'compatible_with';

export class NewerStoreError extends Error {
  override readonly name = 'NewerStoreError';
}

/**
 * @param patiently the same store, where statements may take as long as they need; it is used when there is something to do.
 * @throws when a migration fails, or the store was written by a newer version that this one cannot work beside.
 */
export async function migrate(
  db: Kysely<Schema>,
  patiently: (run: (db: Kysely<Schema>) => Promise<void>) => Promise<void> = (run) => run(db),
): Promise<void> {
  const done = await listDone(db);
  if (done.some((name) => !(name in migrations))) {
    if (await isCompatible(db)) return;
    throw new NewerStoreError(
      'The store was written by a newer version of Sluice. Use that version, or another data directory.',
    );
  }
  const missing = Object.keys(migrations).filter((name) => !done.includes(name));
  if (missing.length > 0) await patiently(migrateAll);
}

/** Several nodes may start at once: Kysely lets one after the other, by a lock of PostgreSQL's or SQLite's. */
async function migrateAll(db: Kysely<Schema>): Promise<void> {
  const provider = { getMigrations: async () => mapValues(migrations, noted) };
  const { error } = await new Migrator({ db, provider }).migrateToLatest();
  if (error !== undefined) throw error;
}

function noted({ up, breaks }: StoreMigration, name: string): Migration {
  if (!breaks) return { up };
  return {
    async up(db: Kysely<Schema>) {
      await up(db);
      await db
        .insertInto('meta')
        .values({ name: compatibleWith, value: name })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: name }))
        .execute();
    },
  };
}

/** Names of migrations, in their order. */
async function listDone(db: Kysely<Schema>): Promise<string[]> {
  if (!(await tableExists(db, 'kysely_migration'))) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name);
}

async function isCompatible(db: Kysely<Schema>): Promise<boolean> {
  const row = await db
    .selectFrom('meta')
    .select('value')
    .where('name', '=', compatibleWith)
    .executeTakeFirst();
  return row !== undefined && row.value in migrations;
}

function mapValues<A, B>(from: Record<string, A>, to: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, to(value, name)]));
}
