/** How long attempts took that went well: percentiles by model, target or key, from the histograms kept per hour. */
import { type Kysely, type SqlBool, sql } from 'kysely';
import { addBytes, countOf, emptyHistogram, type Histogram, quantile } from './histogram.ts';
import type { Schema } from './schema.ts';

export const latencyDimensions = ['model', 'target', 'key', 'day', 'hour'] as const;
/** `key` is its id; times are UTC. By key it is not known how long which model took. */
export type LatencyDimension = (typeof latencyDimensions)[number];

export interface LatencyQuery {
  /** One row for each combination of values that occurred. */
  by: readonly LatencyDimension[];
  /** Milliseconds since 1970, as in UsageQuery: whole hours. */
  since?: number;
  until?: number;
  /** One of these, of each member that is given; `key` goes with neither of the others. */
  model?: readonly string[];
  target?: readonly string[];
  key?: readonly string[];
}

/** Milliseconds, within 5 %. */
export interface Percentiles {
  /** Of how many attempts. */
  count: number;
  p50: number;
  p95: number;
  p99: number;
}

export type LatencyRow = { [name in LatencyDimension]?: string } & {
  /** From dispatch to the end of the answer. */
  duration: Percentiles | null;
  /** From dispatch to the first meaningful bytes, of streams. */
  first_byte: Percentiles | null;
};

/** Keys are asked for together with models or targets. */
export class LatencyError extends Error {
  override readonly name = 'LatencyError';
}

const msPerHour = 3_600_000;
/** A month has some ten thousand; a year is not to be held at once. */
const rowsAtOnce = 5000;

/** Sorted by the values of the dimensions. @throws LatencyError */
export async function queryLatencies(db: Kysely<Schema>, query: LatencyQuery): Promise<LatencyRow[]> {
  const by = [...new Set(query.by)];
  const ofKeys = by.includes('key') || query.key !== undefined;
  const ofTargets = by.some((name) => name === 'model' || name === 'target');
  if (ofKeys && (ofTargets || query.model !== undefined || query.target !== undefined))
    throw new LatencyError('Latencies are kept by key, and by model and target, but not by both at once.');
  const groups = new Map<string, { values: string[]; duration: Histogram; firstByte: Histogram }>();
  const add = (row: Row) => {
    const values = by.map((name) => valueOfRow(name, row));
    const name = values.join('\n');
    let group = groups.get(name);
    if (group === undefined) {
      group = { values, duration: emptyHistogram(), firstByte: emptyHistogram() };
      groups.set(name, group);
    }
    addBytes(group.duration, row.duration);
    addBytes(group.firstByte, row.first_byte);
  };
  let last: Row | undefined;
  do {
    const rows = await readRows(db, query, ofKeys, last);
    for (const row of rows) add(row);
    last = rows.length < rowsAtOnce ? undefined : rows.at(-1);
  } while (last !== undefined);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { values, duration, firstByte }]) => ({
      ...Object.fromEntries(by.map((dimension, i) => [dimension, values[i]!])),
      duration: percentilesOf(duration),
      first_byte: percentilesOf(firstByte),
    }));
}

interface Row {
  hour: number;
  facet: number;
  key: string;
  model: string;
  target: string;
  duration: Uint8Array;
  first_byte: Uint8Array;
}

/** Those behind `last`, in the order of the table. */
function readRows(
  db: Kysely<Schema>,
  query: LatencyQuery,
  ofKeys: boolean,
  last: Row | undefined,
): Promise<Row[]> {
  const { since, until } = query;
  const among = (name: 'key' | 'model' | 'target') => {
    const values = query[name]?.filter((value) => !value.includes('\0'));
    if (values === undefined) return sql<SqlBool>`1 = 1`;
    if (values.length === 0) return sql<SqlBool>`1 = 0`;
    return sql<SqlBool>`${sql.ref(`facets.${name}`)} in (${sql.join(values)})`;
  };
  return db
    .selectFrom('latencies')
    .innerJoin('facets', 'facets.id', 'latencies.facet')
    .select(['hour', 'facet', 'facets.key', 'facets.model', 'facets.target', 'duration', 'first_byte'])
    .where('facets.target', ofKeys ? '=' : '<>', '')
    .where(among('key'))
    .where(among('model'))
    .where(among('target'))
    .$if(since !== undefined, (select) => select.where('hour', '>=', Math.floor(since! / msPerHour)))
    .$if(until !== undefined, (select) => select.where('hour', '<', Math.ceil(until! / msPerHour)))
    .$if(last !== undefined, (select) =>
      select.where(sql<SqlBool>`(hour, facet) > (${last?.hour}, ${last?.facet})`),
    )
    .orderBy('hour')
    .orderBy('facet')
    .limit(rowsAtOnce)
    .execute();
}

function valueOfRow(by: LatencyDimension, row: Row): string {
  switch (by) {
    case 'hour':
      return new Date(row.hour * msPerHour).toISOString().replace(':00.000Z', 'Z');
    case 'day':
      return new Date(row.hour * msPerHour).toISOString().slice(0, 10);
    default:
      return row[by];
  }
}

function percentilesOf(histogram: Histogram): Percentiles | null {
  const count = countOf(histogram);
  if (count === 0) return null;
  const at = (q: number) => quantile(histogram, q)!;
  return { count, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
