/** Organisations and teams; keys as documents in the shape of the configuration, with the secret they had before. */
import { type Kysely, sql } from 'kysely';
import type { PlainLimit } from '../../core/limit.ts';
import { formatUsd } from '../../core/money.ts';

/** Keys as they were. */
interface Before {
  keys: {
    id: string;
    team: string;
    models: string | null;
    limits: string;
    document: string;
    expires_at: number | string | null;
  };
}

export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  const bigint = sql`bigint`;
  for (const name of ['organisations', 'teams']) {
    let table = db.schema
      .createTable(name)
      .addColumn('name', text, (column) => column.primaryKey())
      .addColumn('document', text, (column) => column.notNull())
      .addColumn('revision', bigint, (column) => column.notNull())
      .addColumn('created_at', bigint, (column) => column.notNull())
      .addColumn('updated_at', bigint, (column) => column.notNull());
    if (name === 'teams') table = table.addColumn('organisation', text, (column) => column.notNull());
    await table.execute();
  }
  await db.schema.createIndex('teams_organisation').on('teams').column('organisation').execute();
  for (const [name, type, value] of [
    ['document', text, '{}'],
    ['revision', bigint, 0],
    ['updated_at', bigint, 0],
  ] as const) {
    await db.schema
      .alterTable('keys')
      .addColumn(name, type, (column) => column.notNull().defaultTo(value))
      .execute();
  }
  await db.schema.alterTable('keys').addColumn('previous_hash', text).execute();
  await db.schema.alterTable('keys').addColumn('previous_until', bigint).execute();
  await writeDocuments(db as Kysely<Before>);
  await sql`update keys set updated_at = coalesce(revoked_at, created_at)`.execute(db);
  for (const name of ['models', 'limits', 'organisation', 'expires_at'])
    await db.schema.alterTable('keys').dropColumn(name).execute();
  // Of the keys in use each has a name of its own, whoever makes two at once.
  await sql`create unique index keys_name_in_use on keys (name) where revoked_at is null`.execute(db);
  await db.schema.createIndex('keys_name').on('keys').columns(['name', 'id']).execute();
  await db.schema.createIndex('keys_team').on('keys').column('team').execute();
  await db.schema.createIndex('keys_revision').on('keys').column('revision').execute();
}

async function writeDocuments(db: Kysely<Before>): Promise<void> {
  const rows = await db.selectFrom('keys').select(['id', 'team', 'models', 'limits', 'expires_at']).execute();
  for (const row of rows) {
    const limits = (JSON.parse(row.limits) as PlainLimit[]).map(
      ({ unit, max, timeZone, whenExhausted, ...limit }) => ({
        [unit]: unit === 'usd' ? Number(formatUsd(max)) : max,
        time_zone: timeZone,
        when_exhausted: whenExhausted,
        ...limit,
      }),
    );
    const document = {
      team: row.team,
      models: row.models === null ? undefined : JSON.parse(row.models),
      limits: limits.length === 0 ? undefined : limits,
      expires: row.expires_at === null ? undefined : new Date(Number(row.expires_at)).toISOString(),
    };
    await db
      .updateTable('keys')
      .set({ document: JSON.stringify(document) })
      .where('id', '=', row.id)
      .execute();
  }
}
