/** Why an attempt was made at its target: the way through the route. */
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
] as const;

/** A constraint of SQLite cannot be changed: the table of series is made anew, its ids stay. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  let series = createCountedTable(db, 'series_new');
  for (const name of names) series = series.addColumn(name, text, (column) => column.notNull());
  await series
    .addColumn('why', text, (column) => column.notNull().defaultTo(''))
    .addUniqueConstraint('series_unique_why', [...names, 'why'])
    .execute();
  const columns = sql.join(['id', ...names].map((name) => sql.ref(name)));
  await sql`insert into series_new (${columns}) select ${columns} from series`.execute(db);
  await db.schema.dropTable('series').execute();
  await db.schema.alterTable('series_new').renameTo('series').execute();
  await countOn(db, 'series');
}
