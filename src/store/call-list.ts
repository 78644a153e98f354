/** Calls as they were recorded, the newest first: one row for each, whatever it took to answer it. */
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { packCallId, unpackCallId } from '../core/id.ts';
import { selectAttempts } from './calls.ts';
import { matchSeries, type SeriesFilter } from './filter.ts';
import { findLabel } from './labels.ts';
import type { Schema } from './schema.ts';

export interface CallsQuery {
  filter?: SeriesFilter | undefined;
  outcome?: readonly string[] | undefined;
  /** What clients were answered with: 429, or all of a hundred: 4 for 400 to 499. */
  status?: readonly number[] | undefined;
  endUser?: string | undefined;
  session?: string | undefined;
  /** When it ended, in milliseconds since 1970; `until` is not within. */
  since?: number | undefined;
  until?: number | undefined;
  /** The call before the first. */
  after?: CallPlace | undefined;
  limit: number;
}

/** When a call ended, and which it was: what lists are ordered by. */
export type CallPlace = readonly [at: number, call: string];

export interface ListedCall {
  call: string;
  at: number;
  key: string;
  /** Null: it has no name of its own, as the keys of the configuration file. */
  key_name: string | null;
  team: string;
  organisation: string;
  model: string;
  /** That answered. */
  target: string;
  operation: string;
  tags: string;
  session: string;
  end_user: string;
  outcome: string;
  client_status: number;
  stream: number;
  duration_ms: number;
  first_byte_ms: number | null;
  lost: string;
  /** Of all its attempts. */
  attempts: number;
  unpriced: number;
  estimated: number;
  input: number;
  cached: number;
  output: number;
  nano_usd: number;
  sell_nano_usd: number;
}

/** So many keys are each looked up by themselves; for more, all attempts are gone through until there are enough. */
const fewKeys = 400;

export async function listCalls(db: Kysely<Schema>, asked: CallsQuery): Promise<ListedCall[]> {
  const places = await findPlaces(db, asked);
  if (places.length === 0) return [];
  const parts = places.map(
    (place) => sql`select * from (
      select at, call, attempt from attempts where ${place} order by at desc, call desc limit ${asked.limit}
    ) as newest`,
  );
  const found = sql<{ call: Uint8Array; attempt: number }>`(
    select call, attempt from (${sql.join(parts, sql` union all `)}) as places
    order by at desc, call desc limit ${asked.limit}
  )`;
  const calls = await selectAttempts(db)
    .innerJoin(found.as<'found'>('found'), (join) =>
      join.onRef('found.call', '=', 'attempts.call').onRef('found.attempt', '=', 'attempts.attempt'),
    )
    .leftJoin('keys', 'keys.id', 'series.key')
    .select('keys.name as key_name')
    .orderBy('attempts.at', 'desc')
    .orderBy('attempts.call', 'desc')
    .execute();
  if (calls.length === 0) return [];
  const sumsOf = await sumAttempts(
    db,
    calls.map(({ call }) => call),
  );
  return calls.map((row) => {
    const call = unpackCallId(row.call);
    return { ...row, call, ...sumsOf.get(call)! };
  });
}

type CallSums = Pick<
  ListedCall,
  'attempts' | 'unpriced' | 'estimated' | 'input' | 'cached' | 'output' | 'nano_usd' | 'sell_nano_usd'
>;

/** By call. */
async function sumAttempts(db: Kysely<Schema>, calls: readonly Uint8Array[]): Promise<Map<string, CallSums>> {
  const sum = (what: string) => sql<number>`cast(sum(${sql.raw(what)}) as bigint)`;
  const rows = await db
    .selectFrom('attempts')
    .select('call')
    .select([
      sum('1').as('attempts'),
      sum(
        "case when nano_usd is null and (input > 0 or output > 0 or units is not null or outcome = 'interrupted') then 1 else 0 end",
      ).as('unpriced'),
      sum('estimated').as('estimated'),
      sum('input').as('input'),
      sum('coalesce(cache_read, 0)').as('cached'),
      sum('output').as('output'),
      sum('coalesce(nano_usd, 0)').as('nano_usd'),
      sum('coalesce(sell_nano_usd, nano_usd, 0)').as('sell_nano_usd'),
    ])
    .where('call', 'in', calls)
    .groupBy('call')
    .execute();
  return new Map(rows.map(({ call, ...sums }) => [unpackCallId(call), sums]));
}

/**
 * Conditions on attempts that have no row in common, one of which every row that is looked for fulfils, each of them with
 * an index that has its rows in order. None: nothing can be found.
 */
async function findPlaces(db: Kysely<Schema>, asked: CallsQuery): Promise<RawBuilder<SqlBool>[]> {
  const conditions = [sql`final = 1`, ...conditionsOf(asked)];
  for (const [column, said] of [
    ['session', asked.session],
    ['end_user', asked.endUser],
  ] as const) {
    if (said === undefined) continue;
    const label = await findLabel(db, said);
    if (label === undefined) return [];
    conditions.push(sql`${sql.ref(column)} = ${label}`);
  }
  const { filter = {} } = asked;
  const { key, team, organisation } = filter;
  if (Object.keys(filter).length === 0) return [allOf(conditions)];
  const matching = db.selectFrom('series').where(matchSeries(filter));
  const keys = await matching
    .select('key')
    .distinct()
    .limit(fewKeys + 1)
    .execute();
  if (keys.length === 0) return [];
  // A key may have been moved: its team's calls are not all that it made.
  if (Object.keys(filter).some((name) => name !== 'key'))
    conditions.push(sql`series in (${matching.select('id')})`);
  const byKey = key !== undefined || team !== undefined || organisation !== undefined;
  if (byKey && keys.length <= fewKeys && asked.session === undefined) {
    const facets = await facetsOf(
      db,
      keys.map((each) => each.key),
    );
    return facets.map((id) => allOf([sql`key = ${id}`, ...conditions]));
  }
  if (key !== undefined) conditions.push(sql`series in (${matching.select('id')})`);
  return [allOf(conditions)];
}

async function facetsOf(db: Kysely<Schema>, keys: readonly string[]): Promise<number[]> {
  const rows = await db
    .selectFrom('facets')
    .select('id')
    .where('model', '=', '')
    .where('target', '=', '')
    .where('key', 'in', keys)
    .execute();
  return rows.map(({ id }) => id);
}

function conditionsOf({ outcome, status, since, until, after }: CallsQuery): RawBuilder<unknown>[] {
  const conditions: RawBuilder<unknown>[] = [];
  if (outcome !== undefined) {
    // Said like this, an index of those that failed answers it.
    if (!outcome.includes('ok')) conditions.push(sql`outcome <> 'ok'`);
    conditions.push(sql`outcome in (${sql.join(outcome)})`);
  }
  if (status !== undefined) {
    const each = status.map((one) =>
      one < 10 ? sql`client_status between ${one * 100} and ${one * 100 + 99}` : sql`client_status = ${one}`,
    );
    conditions.push(sql`(${sql.join(each, sql` or `)})`);
  }
  if (since !== undefined) conditions.push(sql`at >= ${since}`);
  if (until !== undefined) conditions.push(sql`at < ${until}`);
  if (after !== undefined) {
    const [at, call] = after;
    // The first part alone would do, were moments not shared: it is what an index is good for.
    conditions.push(sql`(at <= ${at} and (at < ${at} or call < ${packCallId(call)}))`);
  }
  return conditions;
}

function allOf(conditions: readonly RawBuilder<unknown>[]): RawBuilder<SqlBool> {
  return sql<SqlBool>`${sql.join(conditions, sql` and `)}`;
}
