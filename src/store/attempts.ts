/** Attempts and plans into the store: rows, roll-ups and the journal's position in one transaction, each exactly once. */
import type { Kysely, Transaction } from 'kysely';
import { packCallId, unpackCallId } from '../core/id.ts';
import type { Dispatched, Planned, PriceRecord, Settled } from '../core/record.ts';
import type { Usage } from '../core/usage.ts';
import { compileBatch } from './batch.ts';
import { isConflict } from './dialect-of.ts';
import { createLabels, labelOf } from './labels.ts';
import { createLatencies } from './latencies.ts';
import { addPrices } from './prices.ts';
import { bounded, createRollups, type Sums, sumInto } from './rollups.ts';
import type { AttemptsTable, PlansTable, Schema } from './schema.ts';
import { createSeries, type Known } from './series.ts';

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
  'at',
  'nano_usd',
  'sell_nano_usd',
  'series',
  'key',
  'duration_ms',
  'input',
  'output',
  'first_byte_ms',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'reasoning',
  'audio_input',
  'audio_output',
  'session',
  'end_user',
  'attempt',
  'upstream_status',
  'client_status',
  'stream',
  'final',
  'estimated',
  'call',
  'outcome',
  'lost',
  'units',
] as const satisfies readonly (keyof AttemptsTable)[];

const planColumns = ['call', 'at', 'plan'] as const satisfies readonly (keyof PlansTable)[];

const maxSmallint = 32_767;
const maxTries = 5;

/**
 * Compiles its statements once: building them anew would cost more than running them.
 * @param node whose journal it is: each node of a store has a position of its own.
 * @param now milliseconds since 1970.
 */
export function createRecorder(db: Kysely<Schema>, node: string, now: () => number = Date.now): Recorder {
  const findSeries = createSeries(db);
  const labels = createLabels(db, now);
  const insertAttempts = compileBatch(db, 'attempts', attemptColumns, (conflict) => conflict.doNothing());
  const insertPlans = compileBatch(db, 'plans', planColumns, (conflict) => conflict.doNothing());
  const addToRollups = createRollups(db);
  const addLatencies = createLatencies(db);

  async function store(
    attempts: readonly Attempt[],
    position: string,
    plans: readonly Planned[],
    prices: readonly PriceRecord[],
  ): Promise<boolean> {
    const known = await findSeries(attempts.map(({ dispatch }) => dispatch.names));
    const said = await labels.resolve(
      attempts.flatMap(({ dispatch: { session, endUser } }) =>
        session === '' && endUser === '' ? [] : [session, endUser],
      ),
    );
    const sums: Sums = new Map();
    sumInto(
      sums,
      attempts,
      known.map(({ series }) => series),
    );
    const rows = attempts.map((attempt, i) => rowOf(attempt, known[i]!, said));
    const planRows = plans.map(({ call, at, text }) => [call, at, text]);
    try {
      await db.transaction().execute(async (trx) => {
        const stored = await insertAttempts(trx, rows);
        if (stored !== BigInt(rows.length)) throw new AlreadyStored();
        await insertPlans(trx, planRows);
        await addPrices(trx, prices, now());
        await addToRollups(trx, sums);
        await addLatencies(trx, attempts, known);
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

/** In the order of attemptColumns. */
function rowOf(
  { dispatch, settled }: Attempt,
  { series, facets }: Known,
  labels: ReadonlyMap<string, number>,
): unknown[] {
  const usage = settled.usage;
  return [
    settled.at,
    settled.nanoUsd ?? null,
    settled.sellNanoUsd ?? null,
    series,
    facets[0],
    bounded(settled.durationMs),
    bounded(usage.input),
    bounded(usage.output),
    settled.firstByteMs === undefined ? null : bounded(settled.firstByteMs),
    countOrNull(usage.cacheRead),
    countOrNull(usage.cacheWrite5m),
    countOrNull(usage.cacheWrite1h),
    countOrNull(usage.reasoning),
    countOrNull(usage.audioInput),
    countOrNull(usage.audioOutput),
    labels.get(labelOf(dispatch.session)) ?? null,
    labels.get(labelOf(dispatch.endUser)) ?? null,
    numberOf({ settled }),
    Math.min(settled.upstreamStatus, maxSmallint),
    Math.min(settled.clientStatus, maxSmallint),
    dispatch.stream ? 1 : 0,
    settled.final ? 1 : 0,
    settled.estimated ? 1 : 0,
    packCallId(settled.call),
    settled.outcome,
    settled.lost.length === 0 ? null : settled.lost.join('\n'),
    unitsOf(usage),
  ];
}

/** As its row has it: two that become the same there are one. */
function numberOf({ settled }: Pick<Attempt, 'settled'>): number {
  return Math.min(settled.attempt, maxSmallint);
}

function countOrNull(value: number): number | null {
  return value === 0 ? null : bounded(value);
}

function unitsOf(usage: Usage): string | null {
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
  return text === '{}' ? null : text;
}

/** The attempts the store does not have yet, each once. */
async function withoutStored(db: Kysely<Schema>, attempts: readonly Attempt[]): Promise<Attempt[]> {
  const fresh = new Map<string, Attempt>();
  for (const attempt of attempts) {
    const id = `${attempt.settled.call} ${numberOf(attempt)}`;
    if (!fresh.has(id)) fresh.set(id, attempt);
  }
  const calls = [...new Set(attempts.map((attempt) => attempt.settled.call))];
  for (let i = 0; i < calls.length; i += 500) {
    const stored = await db
      .selectFrom('attempts')
      .select(['call', 'attempt'])
      .where('call', 'in', calls.slice(i, i + 500).map(packCallId))
      .execute();
    for (const row of stored) fresh.delete(`${unpackCallId(row.call)} ${row.attempt}`);
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
