/** The revision of everything that is administered at run time: whoever changes keys, tenants or prices raises it. */
import { type Kysely, sql, type Transaction } from 'kysely';
import { isPostgres } from './dialect-of.ts';
import type { Schema } from './schema.ts';

/** Where nodes on PostgreSQL hear of changes. https://www.postgresql.org/docs/current/sql-notify.html */
export const controlChannel = 'sluice_control';

/** Changes whenever any process changed anything of it; cheap to ask. */
export async function controlRevision(db: Kysely<Schema>): Promise<number> {
  const row = await db.selectFrom('meta').select('value').where('name', '=', 'control').executeTakeFirst();
  return Number(row?.value ?? 0);
}

/**
 * In the transaction of the change: other nodes hear of it when that is committed, within a second. Called first in it, no
 * other change is under way until it ends, and what is looked up stays true until it is written.
 * @returns the revision of the change.
 */
export async function bumpControl(trx: Transaction<Schema>): Promise<number> {
  const { value } = await trx
    .insertInto('meta')
    .values({ name: 'control', value: '1' })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet({ value: sql<string>`cast(cast(meta.value as bigint) + 1 as text)` }),
    )
    .returning('value')
    .executeTakeFirstOrThrow();
  if (isPostgres(trx)) await sql`select pg_notify(${controlChannel}, '')`.execute(trx);
  return Number(value);
}
