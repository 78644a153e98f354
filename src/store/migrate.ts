/** Brings the store's tables up to date: forward only, each migration in a transaction. */
import { type Kysely, type Migration, Migrator } from 'kysely';
import { up as first } from './migrations/0001-first.ts';
import { up as answers } from './migrations/0002-answers.ts';
import { up as operations } from './migrations/0003-operations.ts';
import { up as objects } from './migrations/0004-objects.ts';
import { up as why } from './migrations/0005-why.ts';
import { up as plans } from './migrations/0006-plans.ts';
import { up as prices } from './migrations/0008-prices.ts';
import { up as administration } from './migrations/0010-administration.ts';
import type { Schema } from './schema.ts';

/** In code and not in a folder that is read, so that a compiled executable has them too. Names sort in order. */
const migrations: Record<string, Migration> = {
  '0001-first': { up: first },
  '0002-answers': { up: answers },
  '0003-operations': { up: operations },
  '0004-objects': { up: objects },
  '0005-why': { up: why },
  '0006-plans': { up: plans },
  '0008-prices': { up: prices },
  '0010-administration': { up: administration },
};

/** @throws when a migration fails, or the store was written by a newer version. */
export async function migrate(db: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  if (error instanceof Error && error.message.includes('previously executed migration')) {
    throw new Error(
      'The store was written by a newer version of Sluice. Use that version, or another data directory.',
    );
  }
  throw error;
}
