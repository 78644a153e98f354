/** Roll-ups by hour and by day: what attempts add to them, and how it is added. */
import { type Kysely, type SqlBool, sql, type Transaction } from 'kysely';
import { usedNothing } from '../core/usage.ts';
import type { Attempt } from './attempts.ts';
import { type Batch, compileBatch } from './batch.ts';
import type { RollupsTable, Schema } from './schema.ts';

const sumColumns = [
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
] as const satisfies readonly (keyof RollupsTable)[];

export const msPerHour = 3_600_000;
/** Hours stay below it for two thousand years, and series below 2³¹: both fit one number, and sort by time. */
const maxSeries = 2 ** 31;

/** PostgreSQL's `integer` ends there; no attempt lasts as long, nor has as many tokens. */
const maxInteger = 2_147_483_647;

/** A count as its row has it: what is summed up is what stands there. */
export function bounded(value: number): number {
  return Math.min(value, maxInteger);
}

/** Sums by hour and series: hour, series, then the order of sumColumns. */
export type Sums = Map<number, number[]>;

/** Adds sums to the roll-ups by hour and by day. */
export type AddToRollups = (trx: Transaction<Schema>, sums: Sums) => Promise<void>;

/** Nodes that add to the same rows at once wait for each other in one order. */
export function createRollups(db: Kysely<Schema>): AddToRollups {
  const hours = compileAdd(db, 'rollups', 'hour');
  const days = compileAdd(db, 'days', 'day');
  return async (trx, sums) => {
    await hours(trx, sorted(sums));
    await days(trx, sorted(sumDays(sums)));
  };
}

/** Takes out rows that add up to nothing, of the hours and days of `sums`. */
export async function removeEmpty(trx: Transaction<Schema>, sums: Sums): Promise<void> {
  const nothing = sql<SqlBool>`${sql.join(
    sumColumns.map((column) => sql`${sql.ref(column)} = 0`),
    sql` and `,
  )}`;
  for (const [hour, series] of sorted(sums)) {
    await trx
      .deleteFrom('rollups')
      .where('hour', '=', hour!)
      .where('series', '=', series!)
      .where(nothing)
      .execute();
  }
  for (const [day, series] of sorted(sumDays(sums)))
    await trx
      .deleteFrom('days')
      .where('day', '=', day!)
      .where('series', '=', series!)
      .where(nothing)
      .execute();
}

function compileAdd(db: Kysely<Schema>, table: 'rollups' | 'days', time: 'hour' | 'day'): Batch {
  return compileBatch(db, table, [time, 'series', ...sumColumns], (conflict) =>
    conflict
      .columns([time, 'series'] as never)
      .doUpdateSet((eb) =>
        Object.fromEntries(
          sumColumns.map((column) => [
            column,
            eb(eb.ref(`${table}.${column}` as never), '+', eb.ref(`excluded.${column}` as never)),
          ]),
        ),
      ),
  );
}

/** Adds attempts, each of the series beside it; takes them away with a factor of -1. */
export function sumInto(
  sums: Sums,
  attempts: readonly Pick<Attempt, 'settled'>[],
  series: readonly number[],
  factor: 1 | -1 = 1,
): void {
  for (let i = 0; i < attempts.length; i++) {
    const { settled } = attempts[i]!;
    const usage = settled.usage;
    const sum = sumAt(sums, Math.floor(settled.at / msPerHour), series[i]!);
    const failed = settled.outcome !== 'ok' && settled.outcome !== 'cancelled';
    // What was interrupted may have used anything.
    const used = !usedNothing(usage) || settled.outcome === 'interrupted';
    const unpriced = settled.nanoUsd === undefined && used;
    sum[2]! += settled.final ? factor : 0;
    sum[3]! += factor;
    sum[4]! += unpriced ? factor : 0;
    sum[5]! += settled.estimated ? factor : 0;
    sum[6]! += failed ? factor : 0;
    sum[7]! += bounded(usage.input) * factor;
    sum[8]! += bounded(usage.cacheRead) * factor;
    sum[9]! += (bounded(usage.cacheWrite5m) + bounded(usage.cacheWrite1h)) * factor;
    sum[10]! += bounded(usage.output) * factor;
    sum[11]! += bounded(usage.reasoning) * factor;
    sum[12]! += (settled.nanoUsd ?? 0) * factor;
    sum[13]! += (settled.sellNanoUsd ?? settled.nanoUsd ?? 0) * factor;
  }
}

/** The same by day. */
function sumDays(hours: Sums): Sums {
  const sums: Sums = new Map();
  for (const hour of hours.values()) {
    const sum = sumAt(sums, Math.floor(hour[0]! / 24), hour[1]!);
    for (let i = 2; i < sum.length; i++) sum[i]! += hour[i]!;
  }
  return sums;
}

function sumAt(sums: Sums, time: number, series: number): number[] {
  const slot = time * maxSeries + series;
  let sum = sums.get(slot);
  if (sum === undefined) {
    sum = [time, series, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    sums.set(slot, sum);
  }
  return sum;
}

function sorted(sums: Sums): number[][] {
  return [...sums].sort(([a], [b]) => a - b).map(([, sum]) => sum);
}
