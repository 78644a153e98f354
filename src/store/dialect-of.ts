/** What SQLite and PostgreSQL say differently. */
import {
  type CreateTableBuilder,
  type Kysely,
  PostgresAdapter,
  type QueryExecutorProvider,
  type RawBuilder,
  sql,
} from 'kysely';

export function isPostgres(db: QueryExecutorProvider): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/** The type of columns that hold bytes. */
export function binary(db: QueryExecutorProvider): RawBuilder<unknown> {
  return isPostgres(db) ? sql`bytea` : sql`blob`;
}

/** A table whose `id` the database counts up by itself; one may also be given. */
export function createCountedTable(db: Kysely<unknown>, table: string): CreateTableBuilder<string, string> {
  return db.schema
    .createTable(table)
    .addColumn('id', 'integer', (column) =>
      isPostgres(db)
        ? column.generatedByDefaultAsIdentity().primaryKey()
        : column.primaryKey().autoIncrement(),
    );
}

/** After ids were given: counting goes on behind the highest. SQLite does so by itself. */
export async function countOn(db: Kysely<unknown>, table: string): Promise<void> {
  if (!isPostgres(db)) return;
  await sql`
    select setval(pg_get_serial_sequence(${table}, 'id'), coalesce(max(id), 0) + 1, false) from ${sql.table(table)}
  `.execute(db);
}

export async function tableExists(db: QueryExecutorProvider, table: string): Promise<boolean> {
  const query = isPostgres(db)
    ? sql`select to_regclass(${table}) as found`
    : sql`select name as found from sqlite_master where type = 'table' and name = ${table}`;
  const { rows } = await (query as RawBuilder<{ found: string | null }>).execute(db);
  return typeof rows[0]?.found === 'string';
}

/** Columns of text as one text, in an order of its own: an index over it is found by whoever asks in the same words. */
export function textOf(columns: readonly string[]): RawBuilder<string> {
  return sql<string>`${sql.join(
    inOrder(columns).map((column) => sql.ref(column)),
    sql` || chr(10) || `,
  )}`;
}

/** What that text is for a row of these values. */
export function textOfRow(row: Readonly<Record<string, string>>): string {
  return inOrder(Object.keys(row))
    .map((column) => row[column])
    .join('\n');
}

function inOrder(columns: readonly string[]): string[] {
  return [...columns].sort();
}

/** Two transactions stood in each other's way, and PostgreSQL let one of them go: it may be tried again. */
export function isConflict(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === '40P01' || code === '40001';
}
