/** What was spent since a moment: how limits find out, after a restart, how much of their window is used up. */
import { type Kysely, sql } from 'kysely';
import type { NanoUsd } from '../core/money.ts';
import type { RollupsTable, Schema } from './schema.ts';
import { type Stretch, stretchesOf } from './stretches.ts';

/** Sums of one key's attempts (in one team, if it moved). `tokens` is input and output. */
interface Spent {
  key: string;
  team: string;
  organisation: string;
  calls: number;
  tokens: number;
  /** What was charged, where that is not what it cost. */
  nanoUsd: NanoUsd;
}

const msPerHour = 3_600_000;

/** Whose it is: that of keys, or of the shadows of models. */
const groups = {
  keys: ['series.key', 'series.team', 'series.organisation'],
  shadows: ['series.model'],
} as const;

interface Owners {
  keys: Pick<Spent, 'key' | 'team' | 'organisation'>;
  shadows: { model: string };
}

/** When it was used: within `partMs` before `untilMs`. */
type SpentPart = Pick<Spent, 'calls' | 'tokens' | 'nanoUsd'> & { untilMs: number };

export interface Time {
  /** Milliseconds since 1970; -Infinity: ever. */
  since: number;
  /** Only what ended before; absent: all. */
  until?: number | undefined;
  /**
   * Tells apart what was used in each such part of the time, of an hour at most or of whole hours: then what was used in
   * the first part counts whole. Absent: all is told as one.
   */
  partMs?: number | undefined;
}

/**
 * All that ended at or after `since`: from the sums of whole hours, and from
 * the attempts where the first hour is not whole, as where a time zone is off by half an hour.
 * What is told of one owner may be told in several rows, which are to be added.
 */
export async function spentSince<Of extends keyof Owners>(
  db: Kysely<Schema>,
  of: Of,
  { since, until, partMs }: Time,
): Promise<(Owners[Of] & SpentPart)[]> {
  const from = Math.max(0, partMs === undefined ? since : Math.floor(since / partMs) * partMs);
  if (partMs !== undefined && partMs % msPerHour !== 0) return await attempted(db, of, from, until, partMs);
  const hour = Math.ceil(from / msPerHour);
  const endHour = until === undefined ? undefined : Math.max(hour, Math.floor(until / msPerHour));
  const rows: (Owners[Of] & SpentPart)[] = [];
  for (const stretch of stretchesOf(hour, endHour, partMs !== undefined))
    rows.push(...(await summed(db, of, stretch, partMs)));
  const firstEnd = Math.min(hour * msPerHour, until ?? Infinity);
  if (from < firstEnd) rows.push(...(await attempted(db, of, from, firstEnd, partMs)));
  if (endHour !== undefined && endHour * msPerHour < until!)
    rows.push(...(await attempted(db, of, endHour * msPerHour, until, partMs)));
  return rows;
}

/** What end users of keys spent, '' for calls that named none; always from the attempts themselves. */
export async function endUsersSpentSince(
  db: Kysely<Schema>,
  since: number,
  until = Number.MAX_SAFE_INTEGER,
): Promise<(Spent & { endUser: string })[]> {
  const rows = await db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .leftJoin('labels as users', 'users.id', 'attempts.end_user')
    .select(attemptSums)
    .select(['series.key', 'series.team', 'series.organisation', 'users.label as endUser'])
    .where('attempts.at', '>=', since)
    .where('attempts.at', '<', until)
    .where('series.operation', '!=', 'mirror')
    .groupBy(['series.key', 'series.team', 'series.organisation', 'users.label'])
    .execute();
  return rows.map((row) => ({
    ...row,
    endUser: row.endUser ?? '',
    calls: Number(row.calls),
    tokens: Number(row.tokens),
    nanoUsd: Number(row.nanoUsd),
  }));
}

const attemptSums = [
  sql<number>`sum(attempts.final)`.as('calls'),
  // Wider than the columns: PostgreSQL refuses a sum that its `integer` does not hold.
  sql<number>`sum(cast(attempts.input as bigint) + attempts.output)`.as('tokens'),
  sql<number>`sum(coalesce(attempts.sell_nano_usd, attempts.nano_usd, 0))`.as('nanoUsd'),
] as const;

/** The part that a moment is in, as a number. Literal, because what is grouped by has to be the same in both places. */
function partOf(column: string, partMs: number | undefined) {
  return partMs === undefined ? sql<number>`0` : sql<number>`${sql.ref(column)} / ${sql.lit(partMs)}`;
}

async function summed<Of extends keyof Owners>(
  db: Kysely<Schema>,
  of: Of,
  { table, time, from, to }: Stretch,
  partMs: number | undefined,
) {
  const at = sql.ref<number>(`sums.${time}`);
  const part = partOf(`sums.${time}`, partMs === undefined ? undefined : partMs / msPerHour);
  const rows = await db
    .selectFrom(sql<RollupsTable>`${sql.table(table)}`.as<'sums'>('sums'))
    .innerJoin('series', 'series.id', 'sums.series')
    .select([
      sql<number>`sum(sums.calls)`.as('calls'),
      sql<number>`sum(sums.input + sums.output)`.as('tokens'),
      sql<number>`sum(sums.sell_nano_usd)`.as('nanoUsd'),
      part.as('part'),
    ])
    .select([...groups[of as 'keys']])
    .where(at, '>=', from)
    .$if(to !== undefined, (query) => query.where(at, '<', to!))
    .$if(of === 'shadows', (query) => query.where('series.operation', '=', 'mirror'))
    .groupBy(partMs === undefined ? ownersOf(of) : [...ownersOf(of), part])
    .execute();
  return rows.map((row) => plain<Of>(row, partMs));
}

async function attempted<Of extends keyof Owners>(
  db: Kysely<Schema>,
  of: Of,
  from: number,
  before: number | undefined,
  partMs?: number,
) {
  const part = partOf('attempts.at', partMs);
  const rows = await db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .select([...attemptSums, part.as('part')])
    .select([...groups[of as 'keys']])
    .where('attempts.at', '>=', from)
    .$if(before !== undefined, (query) => query.where('attempts.at', '<', before!))
    .$if(of === 'shadows', (query) => query.where('series.operation', '=', 'mirror'))
    .groupBy(partMs === undefined ? ownersOf(of) : [...ownersOf(of), part])
    .execute();
  return rows.map((row) => plain<Of>(row, partMs));
}

function ownersOf(of: keyof Owners) {
  return groups[of].map((column) => sql.ref(column));
}

function plain<Of extends keyof Owners>(row: object, partMs: number | undefined): Owners[Of] & SpentPart {
  const { calls, tokens, nanoUsd, part, ...owner } = row as Record<string, unknown>;
  const sums = {
    ...owner,
    calls: Number(calls),
    tokens: Number(tokens),
    nanoUsd: Number(nanoUsd),
    untilMs: partMs === undefined ? Infinity : (Math.floor(Number(part)) + 1) * partMs - 1,
  };
  return sums as unknown as Owners[Of] & SpentPart;
}
