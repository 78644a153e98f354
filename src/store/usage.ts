/** What was used and spent, summed by one or several dimensions, from the roll-ups. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { formatUsd } from '../core/money.ts';
import { matchSeries, type SeriesFilter } from './filter.ts';
import type { RollupsTable, Schema } from './schema.ts';
import { type Stretch, stretchesOf } from './stretches.ts';

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
  'hour',
  'month',
  'key_id',
] as const;
/** `key` is its name, `key_id` what tells keys of the same name apart; times are UTC. */
export type UsageDimension = (typeof usageDimensions)[number];

export interface UsageQuery {
  /** One row for each combination of values that occurred. */
  by: UsageDimension | readonly UsageDimension[];
  /** Milliseconds since 1970, in whole hours: the hour `since` lies in is counted whole. */
  since?: number;
  /** The hour `until` lies in is counted whole; one that begins at `until` is not. */
  until?: number;
  filter?: SeriesFilter;
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
  /** What organisations were charged for them. */
  sell_usd: string;
}

/** The dimension's value under its own name, and its sums. */
export type UsageRow = UsageNames & UsageSums;

type UsageNames = { [name in UsageDimension]?: string };

const msPerHour = 3_600_000;
const times: readonly UsageDimension[] = ['hour', 'day', 'month'];

/**
 * One row per combination of the dimensions' values: by time first, in its order, then the most expensive first. By tag
 * there is one row for each `key=value`: a call with two tags is in two rows, one without tags in none.
 */
export async function queryUsage(db: Kysely<Schema>, query: UsageQuery): Promise<UsageRow[]> {
  const by = typeof query.by === 'string' ? [query.by] : [...new Set(query.by)];
  const groups = new Map<string, { values: string[]; sums: Sums }>();
  for (const row of await readSums(db, by, query)) {
    for (const values of combine(by.map((dimension, i) => valuesOf(dimension, row[`v${i}`]!)))) {
      const name = values.join('\n');
      const group = groups.get(name);
      if (group === undefined) groups.set(name, { values, sums: sumsOf(row) });
      else add(group.sums, sumsOf(row));
    }
  }
  const order = by.flatMap((dimension, i) => (times.includes(dimension) ? [i] : []));
  const rows = [...groups.values()].sort((a, b) => {
    for (const i of order) if (a.values[i] !== b.values[i]) return a.values[i]! < b.values[i]! ? -1 : 1;
    if (a.sums.nanoUsd !== b.sums.nanoUsd) return a.sums.nanoUsd > b.sums.nanoUsd ? -1 : 1;
    return a.values.join('\n') < b.values.join('\n') ? -1 : 1;
  });
  return rows.map(({ values, sums: { nanoUsd, sellNanoUsd, ...counts } }) => ({
    ...(Object.fromEntries(by.map((dimension, i) => [dimension, values[i]])) as UsageNames),
    ...counts,
    usd: formatUsd(nanoUsd),
    sell_usd: formatUsd(sellNanoUsd),
  }));
}

export interface UsagePageQuery extends UsageQuery {
  by: readonly UsageDimension[];
  /** How the row before the first is named; undefined: there is none. */
  after?: string | undefined;
  limit: number;
}

/** Names a row among those of one query. */
export function nameOfUsage(row: UsageRow, by: readonly UsageDimension[]): string {
  return by.map((each) => row[each]).join('\n');
}

/** Some rows of all. @returns undefined where none is named `after`. */
export async function queryUsagePage(
  db: Kysely<Schema>,
  { after, limit, ...query }: UsagePageQuery,
): Promise<UsageRow[] | undefined> {
  const rows = await queryUsage(db, query);
  const from = after === undefined ? 0 : rows.findIndex((row) => nameOfUsage(row, query.by) === after) + 1;
  return after !== undefined && from === 0 ? undefined : rows.slice(from, from + limit);
}

/** Every way to take one value of each list. */
function combine(lists: readonly string[][]): string[][] {
  return lists.reduce<string[][]>(
    (before, list) => before.flatMap((values) => list.map((value) => [...values, value])),
    [[]],
  );
}

/** The sum over rows; meaningless by tag, where a call may be in several. */
export function totalUsage(rows: readonly UsageRow[]): UsageSums {
  const total: Sums = sumsOf(undefined);
  for (const row of rows) add(total, { ...row, nanoUsd: nanoOf(row.usd), sellNanoUsd: nanoOf(row.sell_usd) });
  const { nanoUsd, sellNanoUsd, ...counts } = total;
  return { ...counts, usd: formatUsd(nanoUsd), sell_usd: formatUsd(sellNanoUsd) };
}

type Sums = Omit<UsageSums, 'usd' | 'sell_usd'> & { nanoUsd: bigint; sellNanoUsd: bigint };

interface SumsRow {
  /** Of the first dimension, the second, and so on. */
  [value: `v${number}`]: string | number;
  calls: number;
  attempts: number;
  unpriced: number;
  estimated: number;
  input: number;
  cached: number;
  output: number;
  nano: string;
  sell: string;
}

async function readSums(
  db: Kysely<Schema>,
  by: readonly UsageDimension[],
  query: UsageQuery,
): Promise<SumsRow[]> {
  const since = Math.floor((query.since ?? 0) / msPerHour);
  const until = query.until === undefined ? undefined : Math.ceil(query.until / msPerHour);
  const rows: SumsRow[] = [];
  for (const part of stretchesOf(since, until, by.includes('hour')))
    rows.push(...(await readPart(db, by, query.filter, part)));
  return rows;
}

async function readPart(
  db: Kysely<Schema>,
  by: readonly UsageDimension[],
  filter: SeriesFilter | undefined,
  { table, time, from, to }: Stretch,
): Promise<SumsRow[]> {
  const at = sql.ref<number>(`sums.${time}`);
  const values = by.map((dimension) => valueSql(dimension, at, time));
  const number = (column: string) => sql<number>`cast(sum(${sql.ref(`sums.${column}`)}) as bigint)`;
  const rows = await db
    .selectFrom(sql<RollupsTable>`${sql.table(table)}`.as<'sums'>('sums'))
    .innerJoin('series', 'series.id', 'sums.series')
    .$if(by.includes('key'), (select) => select.leftJoin('keys', 'keys.id', 'series.key'))
    .select([
      ...values.map((value, i) => value.as(`v${i}`)),
      number('calls').as('calls'),
      number('attempts').as('attempts'),
      number('unpriced').as('unpriced'),
      number('estimated').as('estimated'),
      number('input').as('input'),
      number('cache_read').as('cached'),
      number('output').as('output'),
      // As text: past nine million dollars a JavaScript number is no longer exact.
      sql<string>`cast(sum(sums.nano_usd) as text)`.as('nano'),
      sql<string>`cast(sum(sums.sell_nano_usd) as text)`.as('sell'),
    ])
    .where(at, '>=', from)
    .$if(to !== undefined, (select) => select.where(at, '<', to!))
    .$if(filter !== undefined, (select) => select.where(matchSeries(filter!)))
    .$if(values.length > 0, (select) => select.groupBy(values))
    .execute();
  return rows as unknown as SumsRow[];
}

function valueSql(
  by: UsageDimension,
  at: RawBuilder<number>,
  time: Stretch['time'],
): RawBuilder<string | number> {
  switch (by) {
    case 'hour':
      return at;
    case 'day':
    case 'month':
      return time === 'day' ? at : sql<number>`${at} / 24`;
    case 'tag':
      return sql<string>`series.tags`;
    case 'key':
      return sql<string>`coalesce(keys.name, series.key)`;
    case 'key_id':
      return sql<string>`series.key`;
    default:
      return sql<string>`${sql.ref(`series.${by}`)}`;
  }
}

function valuesOf(by: UsageDimension, value: string | number): string[] {
  switch (by) {
    case 'hour':
      return [new Date(Number(value) * msPerHour).toISOString().replace(':00.000Z', 'Z')];
    case 'day':
      return [dayOf(value).slice(0, 10)];
    case 'month':
      return [dayOf(value).slice(0, 7)];
    case 'tag':
      return [...new Set(String(value).split(','))].filter((tag) => tag !== '');
    default:
      return [String(value)];
  }
}

function dayOf(value: string | number): string {
  return new Date(Number(value) * 24 * msPerHour).toISOString();
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
    sellNanoUsd: BigInt(row?.sell ?? 0),
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
  sum.sellNanoUsd += more.sellNanoUsd;
}

/** The reverse of formatUsd, exact. */
function nanoOf(usd: string): bigint {
  const [whole, fraction = ''] = usd.replace('-', '').split('.');
  const nano = BigInt(`${whole}${fraction.padEnd(9, '0')}`);
  return usd.startsWith('-') ? -nano : nano;
}
