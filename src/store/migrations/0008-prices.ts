/** Prices by version, which version a charge was made at, and what organisations were charged. */
import { type Kysely, sql } from 'kysely';
import { countOn, createCountedTable } from '../dialect-of.ts';

const names = [
  'key',
  'team',
  'organisation',
  'model',
  'target',
  'provider',
  'tags',
  'price_source',
  'operation',
  'why',
] as const;

/** A constraint of SQLite cannot be changed: the table of series is made anew, its ids stay. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  const bigint = sql`bigint`;
  let series = createCountedTable(db, 'series_new');
  for (const name of names) series = series.addColumn(name, text, (column) => column.notNull());
  await series
    .addColumn('price_version', text, (column) => column.notNull().defaultTo(''))
    .addUniqueConstraint('series_unique_price', [...names, 'price_version'])
    .execute();
  const columns = sql.join(['id', ...names].map((name) => sql.ref(name)));
  await sql`insert into series_new (${columns}) select ${columns} from series`.execute(db);
  await db.schema.dropTable('series').execute();
  await db.schema.alterTable('series_new').renameTo('series').execute();
  await countOn(db, 'series');

  await db.schema
    .createTable('prices')
    .addColumn('version', text, (column) => column.primaryKey())
    .addColumn('source', text, (column) => column.notNull())
    .addColumn('price', text, (column) => column.notNull())
    .addColumn('first_seen', bigint, (column) => column.notNull())
    .execute();
  await db.schema.alterTable('attempts').addColumn('sell_nano_usd', bigint).execute();
  await db.schema
    .alterTable('rollups')
    .addColumn('sell_nano_usd', bigint, (column) => column.notNull().defaultTo(0))
    .execute();
  // What was charged until now is what it cost.
  await sql`update rollups set sell_nano_usd = nano_usd`.execute(db);
}
