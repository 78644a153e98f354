/** The first tables. */
import { type Kysely, sql } from 'kysely';
import { createCountedTable } from '../dialect-of.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  const bigint = sql`bigint`;
  await createCountedTable(db, 'series')
    .addColumn('key', text, (column) => column.notNull())
    .addColumn('team', text, (column) => column.notNull())
    .addColumn('organisation', text, (column) => column.notNull())
    .addColumn('model', text, (column) => column.notNull())
    .addColumn('target', text, (column) => column.notNull())
    .addColumn('provider', text, (column) => column.notNull())
    .addColumn('tags', text, (column) => column.notNull())
    .addColumn('price_source', text, (column) => column.notNull())
    .addUniqueConstraint('series_unique', [
      'key',
      'team',
      'organisation',
      'model',
      'target',
      'provider',
      'tags',
      'price_source',
    ])
    .execute();

  let attempts = db.schema
    .createTable('attempts')
    .addColumn('call', text, (column) => column.notNull())
    .addColumn('attempt', 'integer', (column) => column.notNull())
    .addColumn('at', bigint, (column) => column.notNull())
    .addColumn('series', 'integer', (column) => column.notNull())
    .addColumn('duration_ms', bigint, (column) => column.notNull())
    .addColumn('first_byte_ms', bigint)
    .addColumn('session', text, (column) => column.notNull())
    .addColumn('end_user', text, (column) => column.notNull())
    .addColumn('outcome', text, (column) => column.notNull());
  for (const name of ['upstream_status', 'client_status', 'stream', 'final', 'estimated']) {
    attempts = attempts.addColumn(name, 'integer', (column) => column.notNull());
  }
  for (const name of [
    'input',
    'cache_read',
    'cache_write_5m',
    'cache_write_1h',
    'output',
    'reasoning',
    'audio_input',
    'audio_output',
  ]) {
    attempts = attempts.addColumn(name, bigint, (column) => column.notNull());
  }
  await attempts
    .addColumn('nano_usd', bigint)
    .addColumn('lost', text, (column) => column.notNull())
    .addPrimaryKeyConstraint('attempts_key', ['call', 'attempt'])
    .execute();
  await db.schema.createIndex('attempts_at').on('attempts').column('at').execute();

  let rollups = db.schema
    .createTable('rollups')
    .addColumn('hour', 'integer', (column) => column.notNull())
    .addColumn('series', 'integer', (column) => column.notNull());
  for (const name of [
    'calls',
    'attempts',
    'unpriced',
    'estimated',
    'errors',
    'input',
    'cache_read',
    'cache_write',
    'output',
    'reasoning',
    'nano_usd',
  ]) {
    rollups = rollups.addColumn(name, bigint, (column) => column.notNull());
  }
  await rollups.addPrimaryKeyConstraint('rollups_key', ['hour', 'series']).execute();

  await db.schema
    .createTable('keys')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('name', text, (column) => column.notNull())
    .addColumn('hash', text, (column) => column.notNull().unique())
    .addColumn('team', text, (column) => column.notNull())
    .addColumn('organisation', text, (column) => column.notNull())
    .addColumn('models', text)
    .addColumn('limits', text, (column) => column.notNull())
    .addColumn('created_at', bigint, (column) => column.notNull())
    .addColumn('expires_at', bigint)
    .addColumn('revoked_at', bigint)
    .execute();
  await db.schema
    .createTable('secrets')
    .addColumn('name', text, (column) => column.primaryKey())
    .addColumn('hash', text, (column) => column.notNull())
    .addColumn('created_at', bigint, (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('meta')
    .addColumn('name', text, (column) => column.primaryKey())
    .addColumn('value', text, (column) => column.notNull())
    .execute();
}
