/** Removes what is older than it is kept: a little at a time, so that nobody waits for it, and by one node at a time. */
import { type Kysely, sql } from 'kysely';
import type { Retention } from '../core/retention.ts';
import type { Schema } from './schema.ts';

export interface RemoveOptions {
  /** It ends after the batch it is at. */
  signal?: AbortSignal;
  /** Rows that are removed at once, in a transaction of some milliseconds. */
  batchRows?: number;
}

const msPerDay = 86_400_000;
/** A node that died while it removed keeps the others from it for so long. */
const leaseMs = 60_000;
/** Between batches, at least; and so many times as long as the batch took: most of the time is everybody else's. */
const pauseMs = 5;
const pauseTimes = 4;
const longestPauseMs = 2000;

/**
 * Goes on until nothing is old any more. Sums, and how long calls took, stay.
 * @param now milliseconds since 1970.
 * @returns how many attempts, plans and labels were removed; undefined where another node is at it.
 * @throws the database's error; what was removed before stays removed.
 */
export async function removeOld(
  db: Kysely<Schema>,
  { callsMs, plansMs }: Retention,
  now: number,
  { signal, batchRows = 1000 }: RemoveOptions = {},
): Promise<number | undefined> {
  if (callsMs === undefined && plansMs === undefined) return 0;
  const lease = new Lease(db);
  if (!(await lease.take())) return undefined;
  let removed = 0;

  async function all(batch: () => Promise<bigint>): Promise<void> {
    while (!signal?.aborted) {
      const began = performance.now();
      const rows = Number(await batch());
      removed += rows;
      if (rows < batchRows || !(await lease.keep())) return;
      const pause = Math.max(pauseMs, pauseTimes * (performance.now() - began));
      await Bun.sleep(Math.min(longestPauseMs, pause));
    }
  }

  if (callsMs !== undefined) {
    await all(() => removeAttempts(db, now - callsMs, batchRows));
    // Whoever uses a label looks it up again the next day: one that nobody has for so long is in none of the attempts left.
    await all(() => removeLabels(db, Math.floor((now - callsMs) / msPerDay) - 1, batchRows));
  }
  if (plansMs !== undefined) await all(() => removePlans(db, now - plansMs, batchRows));
  await lease.giveBack();
  return removed;
}

async function removeAttempts(db: Kysely<Schema>, before: number, rows: number): Promise<bigint> {
  const { numAffectedRows = 0n } = await sql`
    delete from attempts where (call, attempt) in (
      select call, attempt from attempts where at < ${before} order by at limit ${rows}
    )
  `.execute(db);
  return numAffectedRows;
}

async function removeLabels(db: Kysely<Schema>, before: number, rows: number): Promise<bigint> {
  const old = db.selectFrom('labels').select('id').where('seen', '<', before).limit(rows);
  const { numDeletedRows } = await db.deleteFrom('labels').where('id', 'in', old).executeTakeFirst();
  return numDeletedRows;
}

async function removePlans(db: Kysely<Schema>, before: number, rows: number): Promise<bigint> {
  const old = db.selectFrom('plans').select('call').where('at', '<', before).orderBy('at').limit(rows);
  const { numDeletedRows } = await db.deleteFrom('plans').where('call', 'in', old).executeTakeFirst();
  return numDeletedRows;
}

/** One node at a time: a row that says until when it is somebody's. */
class Lease {
  private value = '';
  private until = 0;

  constructor(private readonly db: Kysely<Schema>) {}

  /** @returns whether it is ours now. */
  async take(): Promise<boolean> {
    const now = Date.now();
    const value = this.next(now);
    const { numInsertedOrUpdatedRows = 0n } = await this.db
      .insertInto('meta')
      .values({ name: 'retention', value })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet({ value })
          // Times have as many digits for two centuries: they sort as text.
          .where('meta.value', '<', String(now)),
      )
      .executeTakeFirst();
    this.value = value;
    return numInsertedOrUpdatedRows > 0n;
  }

  /** Makes it last where it is about to end. @returns whether it is still ours. */
  async keep(): Promise<boolean> {
    const now = Date.now();
    return this.until - now > leaseMs / 2 || (await this.change(this.next(now)));
  }

  async giveBack(): Promise<void> {
    await this.change('0');
  }

  private next(now: number): string {
    this.until = now + leaseMs;
    return `${this.until}-${crypto.randomUUID()}`;
  }

  private async change(value: string): Promise<boolean> {
    const { numUpdatedRows } = await this.db
      .updateTable('meta')
      .set({ value })
      .where('name', '=', 'retention')
      .where('value', '=', this.value)
      .executeTakeFirst();
    this.value = value;
    return numUpdatedRows > 0n;
  }
}
