/** Answers that clients go on from by id. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  await db.schema
    .createTable('answers')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('owner', text, (column) => column.notNull())
    .addColumn('previous', text)
    .addColumn('created_at', sql`bigint`, (column) => column.notNull())
    .addColumn('request', text, (column) => column.notNull())
    .addColumn('response', text, (column) => column.notNull())
    .execute();
  await db.schema.createIndex('answers_created').on('answers').column('created_at').execute();
}
