/** Calls as they were recorded, the newest first: one row for each, whatever it took to answer it. */
import { type Kysely, type SqlBool, sql } from 'kysely';
import { matchSeries, type SeriesFilter } from './filter.ts';
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

export async function listCalls(db: Kysely<Schema>, asked: CallsQuery): Promise<ListedCall[]> {
  const shown = db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .leftJoin('keys', 'keys.id', 'series.key')
    .select([
      'call',
      'at',
      'series.key',
      'keys.name as key_name',
      'series.team',
      'series.organisation',
      'model',
      'target',
      'operation',
      'tags',
      'session',
      'end_user',
      'outcome',
      'client_status',
      'stream',
      'duration_ms',
      'first_byte_ms',
      'lost',
    ])
    .where('final', '=', 1)
    .where(matches(asked))
    .orderBy('at', 'desc')
    .orderBy('call', 'desc')
    .limit(asked.limit);
  const calls = await shown.execute();
  if (calls.length === 0) return [];
  const sum = (what: string) => sql<number>`cast(sum(${sql.raw(what)}) as bigint)`;
  const sums = await db
    .selectFrom('attempts')
    .select('call')
    .select([
      sum('1').as('attempts'),
      sum("case when nano_usd is null and (input + output > 0 or units <> '') then 1 else 0 end").as(
        'unpriced',
      ),
      sum('estimated').as('estimated'),
      sum('input').as('input'),
      sum('cache_read').as('cached'),
      sum('output').as('output'),
      sum('coalesce(nano_usd, 0)').as('nano_usd'),
      sum('coalesce(sell_nano_usd, nano_usd, 0)').as('sell_nano_usd'),
    ])
    .where(
      'call',
      'in',
      calls.map(({ call }) => call),
    )
    .groupBy('call')
    .execute();
  const sumsOf = new Map(sums.map((sum) => [sum.call, sum]));
  return calls.map((row) => ({ ...row, ...sumsOf.get(row.call)! }));
}

function matches({ filter = {}, outcome, status, endUser, session, since, until, after }: CallsQuery) {
  const conditions = [matchSeries(filter)];
  const either = (column: string, values: readonly string[]) =>
    sql<SqlBool>`${sql.ref(column)} in (${sql.join(values)})`;
  if (outcome !== undefined) conditions.push(either('outcome', outcome));
  if (status !== undefined) {
    const each = status.map((one) =>
      one < 10 ? sql`client_status between ${one * 100} and ${one * 100 + 99}` : sql`client_status = ${one}`,
    );
    conditions.push(sql`(${sql.join(each, sql` or `)})`);
  }
  if (endUser !== undefined) conditions.push(either('end_user', [endUser]));
  if (session !== undefined) conditions.push(either('session', [session]));
  if (since !== undefined) conditions.push(sql`at >= ${since}`);
  if (until !== undefined) conditions.push(sql`at < ${until}`);
  if (after !== undefined) {
    const [at, call] = after;
    // The first part alone would do, were moments not shared: it is what an index is good for.
    conditions.push(sql`(at <= ${at} and (at < ${at} or call < ${call}))`);
  }
  return sql<SqlBool>`${sql.join(conditions, sql` and `)}`;
}
