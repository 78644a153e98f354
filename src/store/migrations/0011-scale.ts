/** Small rows of attempts, sums by day, and how long attempts took. */
import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import { packCallId } from '../../core/id.ts';
import { binary, createCountedTable, isPostgres, textOf } from '../dialect-of.ts';

const counts = ['cache_read', 'cache_write_5m', 'cache_write_1h', 'reasoning', 'audio_input', 'audio_output'];
const flags = ['stream', 'final', 'estimated'];
const sums = [
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
  'sell_nano_usd',
];
/** Rows that are converted at once. */
const batchRows = 500;
/** PostgreSQL's `integer` ends there. */
const maxInteger = 2_147_483_647;
const msPerDay = 86_400_000;

/** One table for rows and their key, where SQLite would keep two. https://www.sqlite.org/withoutrowid.html */
const withoutRowid = sql`without rowid`;

/** Reads every attempt and writes it anew: with millions of them this takes minutes, see docs/store.md. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createLabels(db);
  await createSums(db);
  await createLatencies(db);
  await db.schema.alterTable('attempts').renameTo('attempts_old').execute();
  await db.schema.dropIndex('attempts_at').execute();
  await createAttempts(db);
  await convert(db as Kysely<Tables>);
  await db.schema.dropTable('attempts_old').execute();
  await createIndexes(db);
}

async function createLabels(db: Kysely<unknown>): Promise<void> {
  await createCountedTable(db, 'labels')
    .addColumn('label', sql`text`, (column) => column.notNull().unique())
    .addColumn('seen', 'integer', (column) => column.notNull())
    .execute();
}

/** Roll-ups by day beside those by hour. */
async function createSums(db: Kysely<unknown>): Promise<void> {
  const names = sql.join(sums.map((name) => sql.ref(name)));
  await createSumsTable(db, 'days', 'day');
  const sumsOf = sql.join(sums.map((name) => sql`sum(${sql.ref(name)})`));
  await sql`
    insert into days (day, series, ${names}) select hour / 24, series, ${sumsOf} from rollups group by hour / 24, series
  `.execute(db);
  if (isPostgres(db)) return;
  await db.schema.alterTable('rollups').renameTo('rollups_old').execute();
  await createSumsTable(db, 'rollups', 'hour');
  await sql`insert into rollups (hour, series, ${names}) select hour, series, ${names} from rollups_old`.execute(
    db,
  );
  await db.schema.dropTable('rollups_old').execute();
}

async function createSumsTable(db: Kysely<unknown>, table: string, time: string): Promise<void> {
  let create: CreateTableBuilder<string, string> = db.schema
    .createTable(table)
    .addColumn(time, 'integer', (column) => column.notNull())
    .addColumn('series', 'integer', (column) => column.notNull());
  for (const name of sums) create = create.addColumn(name, sql`bigint`, (column) => column.notNull());
  create = create.addPrimaryKeyConstraint(`${table}_key`, [time, 'series']);
  await (isPostgres(db) ? create : create.modifyEnd(withoutRowid)).execute();
}

async function createLatencies(db: Kysely<unknown>): Promise<void> {
  const text = sql`text`;
  await createCountedTable(db, 'facets')
    .addColumn('key', text, (column) => column.notNull())
    .addColumn('model', text, (column) => column.notNull())
    .addColumn('target', text, (column) => column.notNull())
    .execute();
  const names = ['key', 'model', 'target'];
  // PostgreSQL's indexes hold no more than 2.7 kB a row, which names of models may be longer than.
  const once = isPostgres(db) ? sql`md5(${textOf(names)})` : sql.join(names.map((name) => sql.ref(name)));
  await sql`create unique index facets_once on facets (${once})`.execute(db);
  await db.schema
    .createTable('latencies')
    .addColumn('hour', 'integer', (column) => column.notNull())
    .addColumn('facet', 'integer', (column) => column.notNull())
    .addColumn('duration', binary(db), (column) => column.notNull())
    .addColumn('first_byte', binary(db), (column) => column.notNull())
    .addPrimaryKeyConstraint('latencies_key', ['hour', 'facet'])
    .execute();
}

/** Wide columns first: PostgreSQL then leaves no gaps between them. What is mostly nothing is null, which takes no room. */
async function createAttempts(db: Kysely<unknown>): Promise<void> {
  let attempts: CreateTableBuilder<string, string> = db.schema
    .createTable('attempts')
    .addColumn('at', sql`bigint`, (column) => column.notNull())
    .addColumn('nano_usd', sql`bigint`)
    .addColumn('sell_nano_usd', sql`bigint`);
  for (const name of ['series', 'key', 'duration_ms', 'input', 'output']) {
    attempts = attempts.addColumn(name, 'integer', (column) => column.notNull());
  }
  for (const name of ['first_byte_ms', ...counts, 'session', 'end_user'])
    attempts = attempts.addColumn(name, 'integer');
  for (const name of ['attempt', 'upstream_status', 'client_status', ...flags]) {
    attempts = attempts.addColumn(name, sql`smallint`, (column) => column.notNull());
  }
  attempts = attempts
    .addColumn('call', binary(db), (column) => column.notNull())
    .addColumn('outcome', sql`text`, (column) => column.notNull())
    .addColumn('lost', sql`text`)
    .addColumn('units', sql`text`)
    .addPrimaryKeyConstraint('attempts_id', ['call', 'attempt']);
  await (isPostgres(db) ? attempts : attempts.modifyEnd(withoutRowid)).execute();
}

async function createIndexes(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('attempts_at').on('attempts').column('at').execute();
  await db.schema.createIndex('attempts_key').on('attempts').columns(['key', 'at']).execute();
  await sql`create index attempts_session on attempts (session) where session is not null`.execute(db);
  await sql`create index attempts_failed on attempts (at) where outcome <> 'ok'`.execute(db);
  await db.schema.createIndex('plans_at').on('plans').column('at').execute();
}

interface OldAttempt extends Record<string, unknown> {
  call: string;
  attempt: number;
  session: string;
  end_user: string;
}

interface Tables {
  attempts_old: OldAttempt;
  attempts: Record<string, unknown>;
  labels: { id: number; label: string; seen: number };
  series: { id: number; key: string };
  facets: { id: number; key: string; model: string; target: string };
}

async function convert(db: Kysely<Tables>): Promise<void> {
  const seen = Math.floor(Date.now() / msPerDay);
  await sql`
    insert into labels (label, seen)
    select label, cast(${seen} as integer) from (
      select session as label from attempts_old union select end_user as label from attempts_old
    ) as used where label <> ''
  `.execute(db);
  await sql`insert into facets (key, model, target) select distinct key, '', '' from series`.execute(db);
  let last: OldAttempt | undefined;
  do {
    const rows = (await db
      .selectFrom('attempts_old')
      .innerJoin('series', 'series.id', 'attempts_old.series')
      .innerJoin('facets', (join) =>
        join.onRef('facets.key', '=', 'series.key').on('facets.model', '=', '').on('facets.target', '=', ''),
      )
      .leftJoin('labels as s', 's.label', 'attempts_old.session')
      .leftJoin('labels as e', 'e.label', 'attempts_old.end_user')
      .selectAll('attempts_old')
      .select(['s.id as session_id', 'e.id as end_user_id', 'facets.id as key'])
      .$if(last !== undefined, (query) =>
        query.where(sql<boolean>`(call, attempt) > (${last?.call}, ${last?.attempt})`),
      )
      .orderBy('call')
      .orderBy('attempt')
      .limit(batchRows)
      .execute()) as unknown as OldAttempt[];
    if (rows.length > 0) await db.insertInto('attempts').values(rows.map(converted)).execute();
    last = rows.at(-1);
  } while (last !== undefined);
}

function converted(old: OldAttempt): Record<string, unknown> {
  const { session_id, end_user_id, session: _, end_user: __, ...row } = old;
  const integers = ['duration_ms', 'first_byte_ms', 'input', 'output', ...counts].map((name) => {
    const value = row[name] === null ? null : Math.min(Number(row[name]), maxInteger);
    return [name, value === 0 && counts.includes(name) ? null : value];
  });
  return {
    ...row,
    ...Object.fromEntries(integers),
    call: packCallId(old.call),
    session: session_id,
    end_user: end_user_id,
    lost: row.lost === '' ? null : row.lost,
    units: row.units === '' ? null : row.units,
  };
}
