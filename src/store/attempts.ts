/** Attempts and plans into the store: rows, roll-ups and the journal's position in one transaction, each exactly once. */
import {
  type Compilable,
  type CompiledQuery,
  type Insertable,
  type Kysely,
  sql,
  type Transaction,
} from 'kysely';
import type { Dispatched, Names, Planned, PriceRecord, Settled } from '../core/record.ts';
import { type Usage, usedNothing } from '../core/usage.ts';
import { isConflict, isPostgres, textOf, textOfRow } from './dialect-of.ts';
import { addPrices } from './prices.ts';
import type { AttemptsTable, PlansTable, RollupsTable, Schema } from './schema.ts';

/** An attempt that came to its end, with what was known when it began. */
export interface Attempt {
  dispatch: Dispatched;
  settled: Settled;
}

export interface Recorder {
  /** Up to where the journal was applied, as given to `record`; undefined when nothing was. */
  position(): Promise<string | undefined>;
  /**
   * Stores attempts, plans and prices that were not stored before, adds the attempts to the roll-ups and notes the
   * position: all or nothing. @throws the database's error; the same call may be made again.
   */
  record(
    attempts: readonly Attempt[],
    position: string,
    plans?: readonly Planned[],
    prices?: readonly PriceRecord[],
  ): Promise<void>;
}

const attemptColumns = [
  'call',
  'attempt',
  'at',
  'series',
  'duration_ms',
  'first_byte_ms',
  'session',
  'end_user',
  'outcome',
  'upstream_status',
  'client_status',
  'stream',
  'final',
  'estimated',
  'input',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'output',
  'reasoning',
  'audio_input',
  'audio_output',
  'nano_usd',
  'lost',
  'units',
  'sell_nano_usd',
] as const satisfies readonly (keyof AttemptsTable)[];

const planColumns = ['call', 'at', 'plan'] as const satisfies readonly (keyof PlansTable)[];

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

/** Rows per insert: the fewest microseconds per row on SQLite, and few statements to prepare. */
const rowsPerInsert = 32;
/** Combinations remembered; when there are more, they are looked up again. */
const rememberedSeries = 20_000;
const msPerHour = 3_600_000;
const maxTries = 5;

/**
 * Compiles its statements once: building them anew would cost more than running them.
 * @param node whose journal it is: each node of a store has a position of its own.
 */
export function createRecorder(db: Kysely<Schema>, node: string): Recorder {
  /** Attempts of one segment share their names: most are known by the object, and by what they say otherwise. */
  let byObject = new WeakMap<Names, number>();
  const seriesIds = new Map<string, number>();
  const insertAttempts = compileInsert(db, 'attempts', attemptColumns);
  const insertPlans = compileInsert(db, 'plans', planColumns);
  const addSums = upsertRollup(db).compile();

  async function resolveSeries(attempts: readonly Attempt[]): Promise<number[]> {
    if (seriesIds.size > rememberedSeries) {
      seriesIds.clear();
      byObject = new WeakMap();
    }
    const unknown = new Map<string, Names>();
    for (const { dispatch } of attempts) {
      if (byObject.has(dispatch.names)) continue;
      const name = seriesName(dispatch.names);
      const id = seriesIds.get(name);
      if (id === undefined) unknown.set(name, dispatch.names);
      else byObject.set(dispatch.names, id);
    }
    if (unknown.size > 0) {
      // Committed on their own: an id remembered here must exist even if the attempts are rolled back.
      const found = await db.transaction().execute((trx) => findSeries(trx, unknown));
      for (const [name, id] of found) seriesIds.set(name, id);
    }
    return attempts.map(
      ({ dispatch: { names } }) => byObject.get(names) ?? seriesIds.get(seriesName(names))!,
    );
  }

  async function store(
    attempts: readonly Attempt[],
    position: string,
    plans: readonly Planned[],
    prices: readonly PriceRecord[],
  ): Promise<boolean> {
    const series = await resolveSeries(attempts);
    const rows = attempts.map((attempt, i) => rowOf(attempt, series[i]!));
    const sums = sumUp(attempts, series);
    const planRows = plans.map(({ call, at, text }) => [call, at, text]);
    try {
      await db.transaction().execute(async (trx) => {
        const stored = await insertRows(trx, insertAttempts, rows);
        if (stored !== BigInt(rows.length)) throw new AlreadyStored();
        await insertRows(trx, insertPlans, planRows);
        await addPrices(trx, prices, Date.now());
        for (const values of sums) await run(trx, addSums, values);
        await writePosition(trx, node, position);
      });
      return true;
    } catch (error) {
      if (error instanceof AlreadyStored) return false;
      throw error;
    }
  }

  return {
    position: () => readPosition(db, node),
    async record(attempts, position, plans = [], prices = []) {
      let fresh = attempts;
      // Rare: the position was lost, or a segment is read again.
      while (!(await retried(() => store(fresh, position, plans, prices))))
        fresh = await withoutStored(db, fresh);
    },
  };
}

/** Other nodes write the same sums: whoever was let go because of them goes on after them. */
export async function retried<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run();
    } catch (error) {
      if (tries === maxTries || !isConflict(error)) throw error;
    }
  }
}

/** Rolls the transaction back: its roll-ups would count attempts a second time. */
class AlreadyStored extends Error {}

/** Rows that are stored already are left as they are. */
interface Insert {
  many: CompiledQuery;
  one: CompiledQuery;
}

function compileInsert(db: Kysely<Schema>, table: 'attempts' | 'plans', columns: readonly string[]): Insert {
  const example = Object.fromEntries(columns.map((column) => [column, 0])) as unknown as Insertable<
    AttemptsTable & PlansTable
  >;
  const insert = (rows: number) =>
    db
      .insertInto(table)
      .values(Array.from({ length: rows }, () => example))
      .onConflict((conflict) => conflict.doNothing())
      .compile();
  return { many: insert(rowsPerInsert), one: insert(1) };
}

/** @returns how many were not stored before. */
async function insertRows(
  trx: Transaction<Schema>,
  { many, one }: Insert,
  rows: readonly unknown[][],
): Promise<bigint> {
  let stored = 0n;
  const whole = rows.length - (rows.length % rowsPerInsert);
  for (let i = 0; i < whole; i += rowsPerInsert) {
    stored += await run(trx, many, flatten(rows, i, i + rowsPerInsert));
  }
  for (let i = whole; i < rows.length; i++) stored += await run(trx, one, rows[i]!);
  return stored;
}

export function upsertRollup(db: Kysely<Schema>): Compilable {
  const example = Object.fromEntries(['hour', 'series', ...sumColumns].map((column) => [column, 0]));
  return db
    .insertInto('rollups')
    .values(example as unknown as Insertable<RollupsTable>)
    .onConflict((conflict) =>
      conflict
        .columns(['hour', 'series'])
        .doUpdateSet((eb) =>
          Object.fromEntries(
            sumColumns.map((column) => [column, eb(`rollups.${column}`, '+', eb.ref(`excluded.${column}`))]),
          ),
        ),
    );
}

/** Executed as compiled, with other parameters: freezing those, as a query of Kysely's own making is, costs 3 µs a row. */
async function run(
  db: Kysely<Schema>,
  query: CompiledQuery,
  parameters: readonly unknown[],
): Promise<bigint> {
  const result = await db.executeQuery({ ...query, parameters });
  return result.numAffectedRows ?? 0n;
}

function flatten(rows: readonly unknown[][], from: number, to: number): unknown[] {
  const values: unknown[] = [];
  for (let i = from; i < to; i++) for (const value of rows[i]!) values.push(value);
  return values;
}

/** In the order of attemptColumns. */
function rowOf({ dispatch, settled }: Attempt, series: number): unknown[] {
  const usage = settled.usage;
  return [
    settled.call,
    settled.attempt,
    settled.at,
    series,
    settled.durationMs,
    settled.firstByteMs ?? null,
    dispatch.session,
    dispatch.endUser,
    settled.outcome,
    settled.upstreamStatus,
    settled.clientStatus,
    dispatch.stream ? 1 : 0,
    settled.final ? 1 : 0,
    settled.estimated ? 1 : 0,
    usage.input,
    usage.cacheRead,
    usage.cacheWrite5m,
    usage.cacheWrite1h,
    usage.output,
    usage.reasoning,
    usage.audioInput,
    usage.audioOutput,
    settled.nanoUsd ?? null,
    settled.lost.length === 0 ? '' : settled.lost.join('\n'),
    unitsOf(usage),
    settled.sellNanoUsd ?? null,
  ];
}

function unitsOf(usage: Usage): string {
  const { units, imageInput, imageOutput, billed, cacheReadAudio, cacheReadImage, webSearches, tier } = usage;
  const text = JSON.stringify({
    ...units,
    imageInput,
    imageOutput,
    billed,
    cacheReadAudio,
    cacheReadImage,
    webSearches,
    tier,
  });
  return text === '{}' ? '' : text;
}

/** Sums per hour and series: hour, series, then the order of sumColumns. */
export function sumUp(attempts: readonly Pick<Attempt, 'settled'>[], series: readonly number[]): number[][] {
  const sums = new Map<number, number[]>();
  for (let i = 0; i < attempts.length; i++) {
    const { settled } = attempts[i]!;
    const usage = settled.usage;
    const hour = Math.floor(settled.at / msPerHour);
    // Hours stay below 2²¹ for a century and series below 2³¹: both fit one number.
    const slot = series[i]! * 2_097_152 + hour;
    let sum = sums.get(slot);
    if (sum === undefined) {
      sum = [hour, series[i]!, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
      sums.set(slot, sum);
    }
    const failed = settled.outcome !== 'ok' && settled.outcome !== 'cancelled';
    sum[2]! += settled.final ? 1 : 0;
    sum[3]! += 1;
    sum[4]! += settled.nanoUsd === undefined && !usedNothing(usage) ? 1 : 0;
    sum[5]! += settled.estimated ? 1 : 0;
    sum[6]! += failed ? 1 : 0;
    sum[7]! += usage.input;
    sum[8]! += usage.cacheRead;
    sum[9]! += usage.cacheWrite5m + usage.cacheWrite1h;
    sum[10]! += usage.output;
    sum[11]! += usage.reasoning;
    sum[12]! += settled.nanoUsd ?? 0;
    sum[13]! += settled.sellNanoUsd ?? settled.nanoUsd ?? 0;
  }
  // Every node locks them in the same order, so that none waits for one that waits for it.
  return [...sums.values()].sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
}

function seriesOf({
  priceSource,
  priceVersion = '',
  price: _,
  operation = 'chat',
  why = '',
  ...rest
}: Names) {
  return { ...rest, price_source: priceSource, operation, why, price_version: priceVersion };
}

export function seriesName(n: Names): string {
  return `${n.key}\n${n.team}\n${n.organisation}\n${n.model}\n${n.target}\n${n.provider}\n${n.tags}\n${n.priceSource}\n${n.operation ?? ''}\n${n.why ?? ''}\n${n.priceVersion ?? ''}`;
}

/** Ids of names, by whatever tells them apart; those that are new are added. */
export async function findSeries(
  trx: Transaction<Schema>,
  unknown: ReadonlyMap<string, Names>,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  // In the same order on every node, as the sums are.
  for (const [name, names] of [...unknown].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const series = seriesOf(names);
    await trx
      .insertInto('series')
      .values(series)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    let query = trx.selectFrom('series').select('id');
    for (const [column, value] of Object.entries(series)) {
      query = query.where(column as keyof typeof series, '=', value);
    }
    if (isPostgres(trx)) {
      // The only index there is.
      query = query.where(
        sql`md5(${textOf(Object.keys(series))})`,
        '=',
        sql<string>`md5(${textOfRow(series)})`,
      );
    }
    found.set(name, (await query.executeTakeFirstOrThrow()).id);
  }
  return found;
}

/** The attempts the store does not have yet, each once. */
async function withoutStored(db: Kysely<Schema>, attempts: readonly Attempt[]): Promise<Attempt[]> {
  const fresh = new Map<string, Attempt>();
  for (const attempt of attempts) {
    const id = `${attempt.settled.call} ${attempt.settled.attempt}`;
    if (!fresh.has(id)) fresh.set(id, attempt);
  }
  const calls = [...new Set(attempts.map((attempt) => attempt.settled.call))];
  for (let i = 0; i < calls.length; i += 500) {
    const stored = await db
      .selectFrom('attempts')
      .select(['call', 'attempt'])
      .where('call', 'in', calls.slice(i, i + 500))
      .execute();
    for (const row of stored) fresh.delete(`${row.call} ${row.attempt}`);
  }
  return [...fresh.values()];
}

/** Where the only node of an older version's store was. */
const onlyPosition = 'journal';
const positionOf = (node: string) => `journal:${node}`;

async function readPosition(db: Kysely<Schema>, node: string): Promise<string | undefined> {
  const rows = await db
    .selectFrom('meta')
    .selectAll()
    .where('name', 'in', [positionOf(node), onlyPosition])
    .execute();
  const row = rows.find(({ name }) => name === positionOf(node)) ?? rows[0];
  return row?.value;
}

async function writePosition(trx: Transaction<Schema>, node: string, position: string): Promise<void> {
  await trx
    .insertInto('meta')
    .values({ name: positionOf(node), value: position })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: position }))
    .execute();
}
