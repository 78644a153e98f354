/** SQLite through Kysely: Kysely's own dialect over Bun's built-in driver, on this thread or on one of its own. */
import { type Driver, SqliteAdapter, SqliteDialect } from 'kysely';
import { openSqliteFile } from './sqlite-file.ts';
import { ThreadDriver } from './sqlite-thread.ts';

/** Opens, and creates where missing, an SQLite file that several threads and processes use at once. */
export function sqliteDialect(path: string): SqliteDialect {
  return new BunSqliteDialect({ database: async () => openSqliteFile(path) });
}

/** The same, but the calling thread never waits for the disk, nor for others that write: statements run on a thread beside. */
export function sqliteThreadDialect(path: string): SqliteDialect {
  return new ThreadSqliteDialect(path);
}

/**
 * SQLite's tables are made in transactions like anything else (https://www.sqlite.org/lang_transaction.html), which
 * Kysely does not count on: with it a migration is done whole or not at all, and by one process at a time.
 */
class BunSqliteDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

class ThreadSqliteDialect extends BunSqliteDialect {
  constructor(private readonly path: string) {
    super({ database: () => Promise.reject(new Error('statements run on another thread')) });
  }

  override createDriver(): Driver {
    return new ThreadDriver(this.path);
  }
}

class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}
