/** What the admin API keeps: its tokens, what was changed by whom, answers that may be asked for again, and what operators add to providers and prices. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  const bigint = sql`bigint`;
  await db.schema
    .createTable('audit')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('at', bigint, (column) => column.notNull())
    .addColumn('actor', text, (column) => column.notNull())
    .addColumn('action', text, (column) => column.notNull())
    .addColumn('subject', text, (column) => column.notNull())
    .addColumn('before', text)
    .addColumn('after', text)
    .addColumn('scope_organisation', text)
    .addColumn('scope_team', text)
    .execute();
  await db.schema.createIndex('audit_subject').on('audit').columns(['subject', 'id']).execute();

  await db.schema
    .createTable('tokens')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('name', text, (column) => column.notNull())
    .addColumn('hash', text, (column) => column.notNull().unique())
    .addColumn('role', text, (column) => column.notNull())
    .addColumn('organisation', text)
    .addColumn('team', text)
    .addColumn('created_at', bigint, (column) => column.notNull())
    .addColumn('expires_at', bigint)
    .addColumn('revoked_at', bigint)
    .execute();
  await sql`
    insert into tokens (id, name, hash, role, created_at)
    select 'token_first', 'first', hash, 'owner', created_at from secrets where name = 'admin'
  `.execute(db);
  await db.schema.dropTable('secrets').execute();

  await db.schema
    .createTable('repeats')
    .addColumn('token', text, (column) => column.notNull())
    .addColumn('key', text, (column) => column.notNull())
    .addColumn('request', text, (column) => column.notNull())
    .addColumn('answer', text)
    .addColumn('created_at', bigint, (column) => column.notNull())
    .addPrimaryKeyConstraint('repeats_key', ['token', 'key'])
    .execute();
  await db.schema.createIndex('repeats_created').on('repeats').column('created_at').execute();

  await db.schema
    .createTable('provider_keys')
    .addColumn('id', text, (column) => column.primaryKey())
    .addColumn('provider', text, (column) => column.notNull())
    .addColumn('name', text, (column) => column.notNull())
    .addColumn('fingerprint', text, (column) => column.notNull())
    .addColumn('sealed', text, (column) => column.notNull())
    .addColumn('created_at', bigint, (column) => column.notNull())
    .addUniqueConstraint('provider_keys_once', ['provider', 'fingerprint'])
    .execute();

  await db.schema
    .createTable('price_overrides')
    .addColumn('target', text, (column) => column.primaryKey())
    .addColumn('price', text, (column) => column.notNull())
    .addColumn('changed_at', bigint, (column) => column.notNull())
    .execute();
}
