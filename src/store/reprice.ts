/** Attempts at other prices than they were recorded with: rows, roll-ups and the audit log change together. */
import type { Kysely, Transaction } from 'kysely';
import { packCallId } from '../core/id.ts';
import { formatUsd, type NanoUsd, type Price, writePrice } from '../core/money.ts';
import type { Names, Settled } from '../core/record.ts';
import { usedNothing } from '../core/usage.ts';
import { retried } from './attempts.ts';
import { cliActor, writeAudit } from './audit.ts';
import { selectAttempts, toRecord } from './calls.ts';
import { addPrices } from './prices.ts';
import { namesOf, settledOf } from './recorded.ts';
import { createRollups, removeEmpty, type Sums, sumInto } from './rollups.ts';
import type { Schema } from './schema.ts';
import { findSeries, type Known, seriesName } from './series.ts';

/** What an attempt costs, by which price, and what its organisation is charged. */
export interface Charged {
  price: Price;
  nanoUsd: NanoUsd;
  sellNanoUsd: NanoUsd;
}

export interface RepriceQuery {
  /** Milliseconds since 1970: when attempts ended; `until` is not within. */
  since: number;
  until: number;
  /** Those that have a price, too. */
  all: boolean;
  /** Finds out what would change, and changes nothing. */
  dryRun: boolean;
  /** Undefined: what was recorded stays. */
  charge(names: Names, settled: Settled): Charged | undefined;
}

/** What changed at one target; sums are of the attempts that changed. */
export interface Repriced {
  target: string;
  attempts: number;
  unpriced_before: number;
  usd_before: string;
  usd_after: string;
  sell_usd_before: string;
  sell_usd_after: string;
}

const rowsPerBatch = 500;

/** In batches, each a transaction: it may be stopped at any time and run again, and a gateway may go on writing. */
export async function reprice(db: Kysely<Schema>, query: RepriceQuery): Promise<Repriced[]> {
  const totals = new Totals();
  let after: Place = { at: query.since, call: new Uint8Array(), attempt: 0 };
  let auditId: string | undefined;
  for (;;) {
    const rows = await readBatch(db, query, after);
    if (rows.length === 0) return totals.rows();
    const changes = rows.flatMap((row) => changeOf(row, query));
    if (query.dryRun) for (const change of changes) totals.add(change);
    else if (changes.length > 0) {
      const before = totals.copy();
      auditId = await retried(() =>
        db.transaction().execute(async (trx) => {
          totals.reset(before);
          for (const change of await apply(trx, changes)) totals.add(change);
          return totals.isEmpty ? auditId : await note(trx, auditId, totals);
        }),
      );
    }
    const { at, call, attempt } = rows.at(-1)!;
    after = { at, call, attempt };
  }
}

interface Place {
  at: number;
  call: Uint8Array;
  attempt: number;
}

type Row = Awaited<ReturnType<typeof readBatch>>[number];

/** In the order of time, behind `after`. */
function readBatch(db: Kysely<Schema>, { until, all }: RepriceQuery, { at, call, attempt }: Place) {
  return selectAttempts(db)
    .select('attempts.series')
    .where('at', '>=', at)
    .where('at', '<', until)
    .where((eb) =>
      eb.or([
        eb('at', '>', at),
        eb('call', '>', call),
        eb.and([eb('call', '=', call), eb('attempt', '>', attempt)]),
      ]),
    )
    .$if(!all, (select) => select.where('nano_usd', 'is', null))
    .orderBy('at')
    .orderBy('call')
    .orderBy('attempt')
    .limit(rowsPerBatch)
    .execute();
}

interface Change {
  seriesBefore: number;
  before: Settled;
  names: Names;
  after: Settled;
  price: Price;
}

function changeOf(row: Row, { charge }: RepriceQuery): Change[] {
  const record = toRecord(row);
  const names = namesOf(record);
  const before = settledOf(record);
  // What used nothing costs nothing; what was interrupted is charged what was held, whatever it used.
  if (usedNothing(before.usage)) return [];
  const charged = charge(names, before);
  if (charged === undefined) return [];
  const { price, nanoUsd, sellNanoUsd } = charged;
  const { sellNanoUsd: soldBefore = before.nanoUsd, ...kept } = before;
  if (before.nanoUsd === nanoUsd && soldBefore === sellNanoUsd && names.priceVersion === price.version)
    return [];
  return [
    {
      seriesBefore: Number(row.series),
      before,
      names: { ...names, priceSource: price.source, priceVersion: price.version },
      after: { ...kept, nanoUsd, ...(sellNanoUsd !== nanoUsd && { sellNanoUsd }) },
      price,
    },
  ];
}

/** @returns those that were still as they had been read. */
async function apply(trx: Transaction<Schema>, changes: readonly Change[]): Promise<Change[]> {
  const prices = new Map(changes.map(({ price }) => [price.version, price]));
  const records = [...prices.values()].map((price) => ({
    version: price.version,
    source: price.source,
    json: writePrice(price),
  }));
  await addPrices(trx, records, Date.now());
  const series = await findSeries(trx, new Map(changes.map(({ names }) => [seriesName(names), names])));
  const applied: Change[] = [];
  for (const change of changes) {
    const { before, after, names, seriesBefore } = change;
    const { numUpdatedRows } = await trx
      .updateTable('attempts')
      .set({
        nano_usd: after.nanoUsd ?? null,
        sell_nano_usd: after.sellNanoUsd ?? null,
        series: series.get(seriesName(names))!.series,
      })
      .where('call', '=', packCallId(before.call))
      .where('attempt', '=', before.attempt)
      .where('series', '=', seriesBefore)
      .where('nano_usd', before.nanoUsd === undefined ? 'is' : '=', before.nanoUsd ?? null)
      .where('sell_nano_usd', before.sellNanoUsd === undefined ? 'is' : '=', before.sellNanoUsd ?? null)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) applied.push(change);
  }
  await moveSums(trx, applied, series);
  return applied;
}

async function moveSums(
  trx: Transaction<Schema>,
  changes: readonly Change[],
  series: ReadonlyMap<string, Known>,
): Promise<void> {
  const before = changes.map((change) => ({ settled: change.before }));
  const after = changes.map((change) => ({ settled: change.after }));
  const sums: Sums = new Map();
  sumInto(
    sums,
    before,
    changes.map(({ seriesBefore }) => seriesBefore),
    -1,
  );
  sumInto(
    sums,
    after,
    changes.map(({ names }) => series.get(seriesName(names))!.series),
  );
  await createRollups(trx)(trx, sums);
  await removeEmpty(trx, sums);
}

/** One line for the whole run, which grows with every batch: neither is ever without the other. */
async function note(trx: Transaction<Schema>, id: string | undefined, totals: Totals): Promise<string> {
  const { before, after } = totals.summary();
  if (id === undefined) {
    return await writeAudit(trx, { actor: cliActor, action: 'reprice', subject: 'calls', before, after });
  }
  await trx
    .updateTable('audit')
    .set({ before: JSON.stringify(before), after: JSON.stringify(after) })
    .where('id', '=', id)
    .execute();
  return id;
}

interface Sum {
  attempts: number;
  unpriced: number;
  before: bigint;
  after: bigint;
  sellBefore: bigint;
  sellAfter: bigint;
}

/** Sums of what changed, by target. */
class Totals {
  private sums = new Map<string, Sum>();

  add({ names, before, after }: Change): void {
    const sum = this.sums.get(names.target) ?? emptySum();
    this.sums.set(names.target, sum);
    sum.attempts++;
    if (before.nanoUsd === undefined) sum.unpriced++;
    sum.before += BigInt(before.nanoUsd ?? 0);
    sum.after += BigInt(after.nanoUsd ?? 0);
    sum.sellBefore += BigInt(before.sellNanoUsd ?? before.nanoUsd ?? 0);
    sum.sellAfter += BigInt(after.sellNanoUsd ?? after.nanoUsd ?? 0);
  }

  get isEmpty(): boolean {
    return this.sums.size === 0;
  }

  copy(): ReadonlyMap<string, Sum> {
    return new Map([...this.sums].map(([target, sum]) => [target, { ...sum }]));
  }

  /** A transaction that is tried again has changed nothing before. */
  reset(sums: ReadonlyMap<string, Sum>): void {
    this.sums = new Map([...sums].map(([target, sum]) => [target, { ...sum }]));
  }

  rows(): Repriced[] {
    return [...this.sums]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([target, sum]) => ({
        target,
        attempts: sum.attempts,
        unpriced_before: sum.unpriced,
        usd_before: formatUsd(sum.before),
        usd_after: formatUsd(sum.after),
        sell_usd_before: formatUsd(sum.sellBefore),
        sell_usd_after: formatUsd(sum.sellAfter),
      }));
  }

  summary(): { before: object; after: object } {
    const all = emptySum();
    for (const sum of this.sums.values()) {
      all.attempts += sum.attempts;
      all.unpriced += sum.unpriced;
      all.before += sum.before;
      all.after += sum.after;
      all.sellBefore += sum.sellBefore;
      all.sellAfter += sum.sellAfter;
    }
    const { attempts, unpriced } = all;
    const before = { attempts, unpriced, usd: formatUsd(all.before), sell_usd: formatUsd(all.sellBefore) };
    const after = { attempts, unpriced: 0, usd: formatUsd(all.after), sell_usd: formatUsd(all.sellAfter) };
    return { before, after };
  }
}

function emptySum(): Sum {
  return { attempts: 0, unpriced: 0, before: 0n, after: 0n, sellBefore: 0n, sellAfter: 0n };
}
