/** What is listed or searched by ranges is compared by its bytes, as SQLite does, whatever the language of the database. */
import { type Kysely, sql } from 'kysely';
import { isPostgres } from '../dialect-of.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  if (!isPostgres(db)) return;
  for (const [table, column] of [
    ['keys', 'name'],
    ['audit', 'actor'],
    ['audit', 'subject'],
  ] as const)
    await sql`alter table ${sql.table(table)} alter column ${sql.id(column)} type text collate "C"`.execute(
      db,
    );
}
