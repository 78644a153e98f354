/** One SQLite file, opened as all who use it open it; it knows nothing of Kysely, so that a thread may do without. */
import { Database, type SQLQueryBindings } from 'bun:sqlite';
import type { SqliteDatabase } from 'kysely';

/**
 * Opens, and creates where missing, a file that several threads and processes use at once.
 * @throws the driver's error.
 */
export function openSqliteFile(path: string): SqliteDatabase {
  return adapt(openDatabase(path));
}

function openDatabase(path: string): Database {
  const db = new Database(path, { create: true, readwrite: true });
  db.run('PRAGMA busy_timeout = 5000');
  // Readers go on while the applier writes. https://www.sqlite.org/wal.html
  db.run('PRAGMA journal_mode = WAL');
  // Safe against a crash of the process; after a power cut the journal is applied again from where the store was.
  db.run('PRAGMA synchronous = NORMAL');
  // 16 MiB of log before it is worked into the file: half the page writes of the default.
  db.run('PRAGMA wal_autocheckpoint = 4000');
  db.run('PRAGMA journal_size_limit = 67108864');
  return db;
}

/** The driver takes the values as one array too, which spares spreading hundreds of them; its types do not say so. */
type Bindings = SQLQueryBindings & readonly unknown[];

const nothing: ReturnType<SqliteDatabase['prepare']> = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
};

function adapt(db: Database): SqliteDatabase {
  return {
    close: () => db.close(),
    prepare(sql: string) {
      // On a full disk SQLite has rolled back by itself; doing it again would fail, and hide why.
      if (sql === 'rollback' && !db.inTransaction) return nothing;
      // Every transaction of ours writes. Begun as a reader, it fails at its first write when another process has
      // written in between; begun as a writer, it waits. https://www.sqlite.org/lang_transaction.html
      const statement = db.query(sql === 'begin' ? 'begin immediate' : sql);
      return {
        reader: statement.columnNames.length > 0,
        all: (parameters) => statement.all(parameters as Bindings),
        run: (parameters) => statement.run(parameters as Bindings),
        iterate: (parameters) => statement.iterate(parameters as Bindings) as IterableIterator<unknown>,
      };
    },
  };
}
