/** What was used and spent, summed by one dimension, from the hourly roll-ups. */
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { formatUsd } from '../core/money.ts';
import type { Schema } from './schema.ts';

export const usageDimensions = [
  'model',
  'key',
  'team',
  'provider',
  'day',
  'tag',
  'target',
  'organisation',
  'operation',
] as const;
export type UsageDimension = (typeof usageDimensions)[number];

export interface UsageQuery {
  by: UsageDimension;
  /** Milliseconds since 1970, in whole hours: the hour `since` lies in is counted whole. */
  since?: number;
  /** The hour `until` lies in is counted whole; one that begins at `until` is not. */
  until?: number;
}

/** Sums of attempts; `calls` counts final attempts, `input_tokens` includes `cached_tokens` (read from a cache). */
export interface UsageSums {
  calls: number;
  attempts: number;
  /** Attempts that used something no price is known for: they are missing in `usd`. */
  unpriced: number;
  /** Attempts whose tokens the gateway counted itself. */
  estimated: number;
  input_tokens: number;
  cached_tokens: number;
  output_tokens: number;
  /** Exact decimal number of USD. */
  usd: string;
}

/** The dimension's value under its own name, and its sums. */
export type UsageRow = { [name in UsageDimension]?: string } & UsageSums;

const msPerHour = 3_600_000;

/**
 * One row per value of the dimension, the most expensive first; days in their order. By tag there is one row for each
 * `key=value`: a call with two tags is in two rows, one without tags in none.
 */
export async function queryUsage(db: Kysely<Schema>, query: UsageQuery): Promise<UsageRow[]> {
  const sums = new Map<string, Sums>();
  for (const row of await readSums(db, query)) {
    for (const value of valuesOf(query.by, row.value)) {
      const sum = sums.get(value);
      if (sum === undefined) sums.set(value, sumsOf(row));
      else add(sum, sumsOf(row));
    }
  }
  const rows = [...sums].sort(
    query.by === 'day'
      ? ([a], [b]) => (a < b ? -1 : 1)
      : ([a, x], [b, y]) => (x.nanoUsd === y.nanoUsd ? (a < b ? -1 : 1) : x.nanoUsd > y.nanoUsd ? -1 : 1),
  );
  return rows.map(([value, { nanoUsd, ...counts }]) => ({
    [query.by]: value,
    ...counts,
    usd: formatUsd(nanoUsd),
  })) as UsageRow[];
}

/** The sum over rows; meaningless by tag, where a call may be in several. */
export function totalUsage(rows: readonly UsageRow[]): UsageSums {
  const total: Sums = sumsOf(undefined);
  for (const row of rows) add(total, { ...row, nanoUsd: nanoOf(row.usd) });
  const { nanoUsd, ...counts } = total;
  return { ...counts, usd: formatUsd(nanoUsd) };
}

type Sums = Omit<UsageSums, 'usd'> & { nanoUsd: bigint };

interface SumsRow {
  value: string | number;
  calls: number;
  attempts: number;
  unpriced: number;
  estimated: number;
  input: number;
  cached: number;
  output: number;
  nano: string;
}

async function readSums(db: Kysely<Schema>, query: UsageQuery): Promise<SumsRow[]> {
  const value = valueSql(query.by);
  const since = Math.floor((query.since ?? 0) / msPerHour);
  const until = query.until === undefined ? undefined : Math.ceil(query.until / msPerHour);
  const number = (column: string) => sql<number>`cast(sum(${sql.ref(`rollups.${column}`)}) as bigint)`;
  return await db
    .selectFrom('rollups')
    .innerJoin('series', 'series.id', 'rollups.series')
    .leftJoin('keys', 'keys.id', 'series.key')
    .select([
      value.as('value'),
      number('calls').as('calls'),
      number('attempts').as('attempts'),
      number('unpriced').as('unpriced'),
      number('estimated').as('estimated'),
      number('input').as('input'),
      number('cache_read').as('cached'),
      number('output').as('output'),
      // As text: past nine million dollars a JavaScript number is no longer exact.
      sql<string>`cast(sum(rollups.nano_usd) as text)`.as('nano'),
    ])
    .where('rollups.hour', '>=', since)
    .$if(until !== undefined, (select) => select.where(sql<SqlBool>`rollups.hour < ${until}`))
    .groupBy(value)
    .execute();
}

function valueSql(by: UsageDimension): RawBuilder<string | number> {
  switch (by) {
    case 'day':
      return sql<number>`rollups.hour / 24`;
    case 'tag':
      return sql<string>`series.tags`;
    case 'key':
      return sql<string>`coalesce(keys.name, series.key)`;
    default:
      return sql<string>`${sql.ref(`series.${by}`)}`;
  }
}

function valuesOf(by: UsageDimension, value: string | number): string[] {
  if (by === 'day') return [new Date(Number(value) * 24 * msPerHour).toISOString().slice(0, 10)];
  if (by === 'tag') return [...new Set(String(value).split(','))].filter((tag) => tag !== '');
  return [String(value)];
}

function sumsOf(row: SumsRow | undefined): Sums {
  return {
    calls: Number(row?.calls ?? 0),
    attempts: Number(row?.attempts ?? 0),
    unpriced: Number(row?.unpriced ?? 0),
    estimated: Number(row?.estimated ?? 0),
    input_tokens: Number(row?.input ?? 0),
    cached_tokens: Number(row?.cached ?? 0),
    output_tokens: Number(row?.output ?? 0),
    nanoUsd: BigInt(row?.nano ?? 0),
  };
}

function add(sum: Sums, more: Sums): void {
  sum.calls += more.calls;
  sum.attempts += more.attempts;
  sum.unpriced += more.unpriced;
  sum.estimated += more.estimated;
  sum.input_tokens += more.input_tokens;
  sum.cached_tokens += more.cached_tokens;
  sum.output_tokens += more.output_tokens;
  sum.nanoUsd += more.nanoUsd;
}

/** The reverse of formatUsd, exact. */
function nanoOf(usd: string): bigint {
  const [whole, fraction = ''] = usd.replace('-', '').split('.');
  const nano = BigInt(`${whole}${fraction.padEnd(9, '0')}`);
  return usd.startsWith('-') ? -nano : nano;
}
