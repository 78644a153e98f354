/** Alerts, and whom they are still to be told. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  const bigint = sql`bigint`;
  await db.schema
    .createTable('alerts')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('kind', text, (column) => column.notNull())
    .addColumn('subject', text, (column) => column.notNull())
    .addColumn('window', text, (column) => column.notNull())
    .addColumn('threshold', 'integer', (column) => column.notNull())
    .addColumn('at', bigint, (column) => column.notNull())
    .addColumn('body', text, (column) => column.notNull())
    .addUniqueConstraint('alerts_event', ['kind', 'subject', 'window', 'threshold'])
    .execute();
  await db.schema
    .createTable('alert_deliveries')
    .addColumn('alert', text, (column) => column.notNull())
    .addColumn('webhook', text, (column) => column.notNull())
    .addColumn('due_at', bigint)
    .addColumn('tries', 'integer', (column) => column.notNull())
    .addColumn('delivered_at', bigint)
    .addColumn('last_error', text)
    .addPrimaryKeyConstraint('alert_deliveries_key', ['alert', 'webhook'])
    .execute();
  await db.schema.createIndex('alert_deliveries_due').on('alert_deliveries').column('due_at').execute();
}
