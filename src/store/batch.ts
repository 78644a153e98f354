/** Many rows into a table with few statements, each compiled once: building them anew would cost more than running them. */
import type { CompiledQuery, InsertQueryBuilder, InsertResult, Kysely, OnConflictBuilder } from 'kysely';
import type { Schema } from './schema.ts';

/** Rows per insert: the fewest microseconds per row on SQLite, and few statements to prepare. */
const rowsPerInsert = 32;

/** Values of each row in the order of the columns. @returns how many rows were written. */
export type Batch = (db: Kysely<Schema>, rows: readonly (readonly unknown[])[]) => Promise<bigint>;

export function compileBatch<Table extends keyof Schema>(
  db: Kysely<Schema>,
  table: Table,
  columns: readonly string[],
  onConflict: (conflict: OnConflictBuilder<Schema, Table>) => Conflict,
): Batch {
  const example = Object.fromEntries(columns.map((column) => [column, 0])) as never;
  const compile = (rows: number): CompiledQuery => {
    const insert = db.insertInto(table).values(Array.from({ length: rows }, () => example));
    return (insert as InsertQueryBuilder<Schema, Table, InsertResult>)
      .onConflict(onConflict as never)
      .compile();
  };
  const many = compile(rowsPerInsert);
  const one = compile(1);

  return async (trx, rows) => {
    let written = 0n;
    const whole = rows.length - (rows.length % rowsPerInsert);
    for (let i = 0; i < whole; i += rowsPerInsert) {
      written += await run(trx, many, flatten(rows, i, i + rowsPerInsert));
    }
    for (let i = whole; i < rows.length; i++) written += await run(trx, one, rows[i]!);
    return written;
  };
}

/** What Kysely's builder returns: its types say no more. */
type Conflict = object;

/** Executed as compiled, with other parameters: freezing those, as a query of Kysely's own making is, costs 3 µs a row. */
async function run(
  db: Kysely<Schema>,
  query: CompiledQuery,
  parameters: readonly unknown[],
): Promise<bigint> {
  const result = await db.executeQuery({ ...query, parameters });
  return result.numAffectedRows ?? 0n;
}

function flatten(rows: readonly (readonly unknown[])[], from: number, to: number): unknown[] {
  const values: unknown[] = [];
  for (let i = from; i < to; i++) for (const value of rows[i]!) values.push(value);
  return values;
}
