/** The books of a store: whether rows, roll-ups by hour, sums by day and what `usage` tells say the same, to the nano-dollar. */
import { type Kysely, sql } from 'kysely';
import { usedNothing } from '../../src/core/usage.ts';
import { selectAttempts, toRecord } from '../../src/store/calls.ts';
import { openStore } from '../../src/store/open.ts';
import { settledOf } from '../../src/store/recorded.ts';
import type { Schema } from '../../src/store/schema.ts';
import { queryUsage, type UsageQuery, type UsageSums } from '../../src/store/usage.ts';
import { storeUrl } from '../store-url.ts';

const columns = [
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
] as const;

/** By `time series`, in the order of `columns`; as big integers, so that the check is right where doubles are not. */
type Sums = Map<string, bigint[]>;

const hourMs = 3_600_000;

/** What does not agree, in words; empty where all does. Rows that retention has removed are missing in them. */
export async function mistakesInBooks(db: Kysely<Schema>): Promise<string[]> {
  const rows = await sumRows(db);
  const hours = await readSums(db, 'rollups', 'hour');
  const days = await readSums(db, 'days', 'day');
  const mistakes = [
    ...compare('rows', rows, 'rollups', hours),
    ...compare('rollups', toDays(hours), 'days', days),
  ];
  const total = totalOf(hours);
  for (const by of [
    [],
    ['hour'],
    ['day'],
    ['model', 'key', 'day'],
    ['month', 'target'],
  ] as UsageQuery['by'][]) {
    const told = toldBy(await queryUsage(db, { by }));
    const expected = columnsOfUsage.map((name) => total[columns.indexOf(name)]!);
    if (String(told) !== String(expected))
      mistakes.push(`usage by [${by}] tells ${told}, the rollups ${expected} of ${columnsOfUsage}`);
  }
  return mistakes;
}

/** The same of a data directory's store. */
export async function mistakesInBooksOf(dataDir: string, url = storeUrl(dataDir)): Promise<string[]> {
  const store = await openStore(dataDir, url);
  try {
    return await mistakesInBooks(store.db);
  } finally {
    await store.close();
  }
}

async function sumRows(db: Kysely<Schema>): Promise<Sums> {
  const sums: Sums = new Map();
  for (const row of await selectAttempts(db).select('attempts.series').execute()) {
    const { at, usage, final, estimated, outcome, nanoUsd, sellNanoUsd } = settledOf(toRecord(row));
    const unpriced = nanoUsd === undefined && (!usedNothing(usage) || outcome === 'interrupted');
    const failed = outcome !== 'ok' && outcome !== 'cancelled';
    const written = usage.cacheWrite5m + usage.cacheWrite1h;
    const { input, cacheRead, output, reasoning } = usage;
    const cost = nanoUsd ?? 0;
    addTo(sums, `${Math.floor(at / hourMs)} ${row.series}`, [
      ...[final, true, unpriced, estimated, failed].map(BigInt),
      ...[input, cacheRead, written, output, reasoning, cost, sellNanoUsd ?? cost].map(BigInt),
    ]);
  }
  return sums;
}

async function readSums(db: Kysely<Schema>, table: 'rollups' | 'days', time: string): Promise<Sums> {
  const texts = columns.map((column) => sql<string>`cast(${sql.ref(column)} as text)`.as(column));
  const rows = await db
    .selectFrom(sql<Record<string, number>>`${sql.table(table)}`.as('sums'))
    .select([sql<number>`${sql.ref(time)}`.as('time'), sql<number>`series`.as('series'), ...texts])
    .execute();
  const sums: Sums = new Map();
  for (const row of rows) {
    addTo(
      sums,
      `${row.time} ${row.series}`,
      columns.map((column) => BigInt(row[column])),
    );
  }
  return sums;
}

function toDays(hours: Sums): Sums {
  const days: Sums = new Map();
  for (const [place, sum] of hours) {
    const [hour, series] = place.split(' ').map(Number);
    addTo(days, `${Math.floor(hour! / 24)} ${series}`, sum);
  }
  return days;
}

function addTo(sums: Sums, place: string, more: readonly bigint[]): void {
  const before = sums.get(place) ?? more.map(() => 0n);
  sums.set(
    place,
    before.map((value, i) => value + more[i]!),
  );
}

function compare(one: string, ones: Sums, other: string, others: Sums): string[] {
  const nothing = columns.map(() => 0n);
  return [...new Set([...ones.keys(), ...others.keys()])].flatMap((place) => {
    const [a, b] = [ones.get(place) ?? nothing, others.get(place) ?? nothing];
    return columns.flatMap((column, i) =>
      a[i] === b[i] ? [] : [`${place}: ${column} is ${a[i]} in ${one}, ${b[i]} in ${other}`],
    );
  });
}

function totalOf(sums: Sums): bigint[] {
  const total: Sums = new Map();
  addTo(
    total,
    '',
    columns.map(() => 0n),
  );
  for (const sum of sums.values()) addTo(total, '', sum);
  return total.get('')!;
}

const columnsOfUsage = [
  'calls',
  'attempts',
  'unpriced',
  'estimated',
  'input',
  'cache_read',
  'output',
  'nano_usd',
  'sell_nano_usd',
] as const;

function toldBy(rows: readonly UsageSums[]): bigint[] {
  const sums = rows.map((row) => [
    ...[row.calls, row.attempts, row.unpriced, row.estimated].map(BigInt),
    ...[row.input_tokens, row.cached_tokens, row.output_tokens].map(BigInt),
    nanoOf(row.usd),
    nanoOf(row.sell_usd),
  ]);
  return columnsOfUsage.map((_, i) => sums.reduce((total, sum) => total + sum[i]!, 0n));
}

function nanoOf(usd: string): bigint {
  const [whole, fraction = ''] = usd.split('.');
  return BigInt(`${whole}${fraction.padEnd(9, '0')}`);
}
