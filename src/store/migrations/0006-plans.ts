/** Plans of calls: what their routes thought of their targets. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  await db.schema
    .createTable('plans')
    .addColumn('call', text, (column) => column.primaryKey())
    .addColumn('at', sql`bigint`, (column) => column.notNull())
    .addColumn('plan', text, (column) => column.notNull())
    .execute();
}
