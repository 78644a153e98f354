/** Files and batches that providers keep. */
import { type CreateTableBuilder, type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  const bigint = sql`bigint`;
  let objects: CreateTableBuilder<string, string> = db.schema.createTable('objects');
  for (const name of ['provider', 'id', 'kind', 'surface', 'owner', 'key_id', 'key_digest', 'maker']) {
    objects = objects.addColumn(name, text, (column) => column.notNull());
  }
  await objects
    .addColumn('created_at', bigint, (column) => column.notNull())
    .addColumn('expires_at', bigint)
    .addColumn('removed_at', bigint)
    .addColumn('document', text)
    .addColumn('final', 'integer', (column) => column.notNull())
    .addColumn('charged', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('objects_key', ['provider', 'id'])
    .execute();
  await db.schema.createIndex('objects_id').on('objects').column('id').execute();
  await db.schema
    .createIndex('objects_listed')
    .on('objects')
    .columns(['owner', 'surface', 'kind', 'created_at', 'id'])
    .execute();
}
