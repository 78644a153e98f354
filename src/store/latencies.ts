/** How long attempts took, per hour, by key and by model at its target: histograms that attempts are added to. */
import type { Kysely, Transaction } from 'kysely';
import type { Attempt } from './attempts.ts';
import { type Batch, compileBatch } from './batch.ts';
import { isPostgres } from './dialect-of.ts';
import { addBytes, addValue, emptyHistogram, type Histogram, toBytes } from './histogram.ts';
import { msPerHour } from './rollups.ts';
import type { Schema } from './schema.ts';
import type { Known } from './series.ts';

/** Adds attempts, each known by what is beside it. Those that failed took no time that says something. */
export type AddLatencies = (
  trx: Transaction<Schema>,
  attempts: readonly Attempt[],
  known: readonly Known[],
) => Promise<void>;

interface Sums {
  hour: number;
  facet: number;
  duration: Histogram;
  firstByte: Histogram;
}

const columns = ['hour', 'facet', 'duration', 'first_byte'] as const;
const nothing = Buffer.alloc(0);

export function createLatencies(db: Kysely<Schema>): AddLatencies {
  const put = compileBatch(db, 'latencies', columns, (conflict) =>
    conflict.columns(['hour', 'facet']).doUpdateSet((eb) => ({
      duration: eb.ref('excluded.duration'),
      first_byte: eb.ref('excluded.first_byte'),
    })),
  );
  const begin = compileBatch(db, 'latencies', columns, (conflict) => conflict.doNothing());
  return async (trx, attempts, known) => {
    const sums = sumUp(attempts, known);
    if (sums.length === 0) return;
    if (isPostgres(trx)) await lock(trx, begin, sums);
    await readInto(trx, sums);
    await put(
      trx,
      sums.map(({ hour, facet, duration, firstByte }) => [
        hour,
        facet,
        toBytes(duration),
        toBytes(firstByte),
      ]),
    );
  };
}

/** Sorted: nodes that add to the same rows at once wait for each other in one order. */
function sumUp(attempts: readonly Attempt[], known: readonly Known[]): Sums[] {
  const sums = new Map<number, Sums>();
  for (let i = 0; i < attempts.length; i++) {
    const { settled, dispatch } = attempts[i]!;
    if (settled.outcome !== 'ok') continue;
    const hour = Math.floor(settled.at / msPerHour);
    for (const facet of known[i]!.facets) {
      const slot = hour * 2 ** 31 + facet;
      let sum = sums.get(slot);
      if (sum === undefined) {
        sum = { hour, facet, duration: emptyHistogram(), firstByte: emptyHistogram() };
        sums.set(slot, sum);
      }
      addValue(sum.duration, settled.durationMs);
      if (dispatch.stream && settled.firstByteMs !== undefined) addValue(sum.firstByte, settled.firstByteMs);
    }
  }
  return [...sums].sort(([a], [b]) => a - b).map(([, sum]) => sum);
}

/** Another node may add to the same rows: they are there first, then ours until the end of the transaction. */
async function lock(trx: Transaction<Schema>, begin: Batch, sums: readonly Sums[]): Promise<void> {
  await begin(
    trx,
    sums.map(({ hour, facet }) => [hour, facet, nothing, nothing]),
  );
}

/** Adds what is stored already. */
async function readInto(trx: Transaction<Schema>, sums: readonly Sums[]): Promise<void> {
  const byHour = Map.groupBy(sums, ({ hour }) => hour);
  for (const [hour, ofHour] of byHour) {
    const byFacet = new Map(ofHour.map((sum) => [sum.facet, sum]));
    for (let i = 0; i < ofHour.length; i += 500) {
      const facets = ofHour.slice(i, i + 500).map(({ facet }) => facet);
      const rows = await trx
        .selectFrom('latencies')
        .select(['facet', 'duration', 'first_byte'])
        .where('hour', '=', hour)
        .where('facet', 'in', facets)
        .$if(isPostgres(trx), (query) => query.orderBy('facet').forUpdate())
        .execute();
      for (const row of rows) {
        const sum = byFacet.get(row.facet)!;
        addBytes(sum.duration, row.duration);
        addBytes(sum.firstByte, row.first_byte);
      }
    }
  }
}
