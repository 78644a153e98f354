/** PostgreSQL's indexes hold no more than 2.7 kB a row, which tags and names of models may be longer than. */
import { type Kysely, sql } from 'kysely';
import { isPostgres, textOf } from '../dialect-of.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  if (!isPostgres(db)) return;
  const { rows: constraints } = await sql<{ name: string }>`
    select conname as name from pg_constraint where conrelid = 'series'::regclass and contype = 'u'
  `.execute(db);
  for (const { name } of constraints) {
    await sql`alter table series drop constraint ${sql.id(name)}`.execute(db);
  }
  const { rows: columns } = await sql<{ name: string }>`
    select column_name as name from information_schema.columns
    where table_schema = current_schema() and table_name = 'series' and column_name <> 'id'
  `.execute(db);
  const names = columns.map(({ name }) => name);
  await sql`create unique index series_once on series (md5(${textOf(names)}))`.execute(db);
}
