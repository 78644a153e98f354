/** Several nodes: how old a version may be that works on this store. `migrate.ts` keeps that up to date. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  // A count of changes under another name: whoever remembers one looks again.
  await sql`update meta set name = 'control' where name = 'keys'`.execute(db);
}
