/** What was spent since a moment: how limits find out, after a restart, how much of their window is used up. */
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely';
import type { NanoUsd } from '../core/money.ts';
import type { Schema } from './schema.ts';

/** Sums of one key's attempts (in one team, if it moved). `tokens` is input and output. */
export interface Spent {
  key: string;
  team: string;
  organisation: string;
  calls: number;
  tokens: number;
  /** What was charged, where that is not what it cost. */
  nanoUsd: NanoUsd;
}

/** Sums of the shadows of one model. */
export type ShadowsSpent = Pick<Spent, 'calls' | 'tokens' | 'nanoUsd'> & { model: string };

const msPerHour = 3_600_000;

/**
 * All that ended at or after `since` (milliseconds since 1970): from the roll-ups when it is a whole hour, as the start
 * of an hour, a day or a month is, and from the attempts themselves for shorter windows.
 * @param until only what ended before; then there may be two rows of a key, which are to be added.
 */
export async function spentSince(db: Kysely<Schema>, since: number, until?: number): Promise<Spent[]> {
  const owner = ['series.key', 'series.team', 'series.organisation'] as const;
  return await sumBy(db, since, until, (rows) => rows.select([...owner]).groupBy([...owner]));
}

/** The same by end user, '' for calls that named none; always from the attempts themselves. */
export async function endUsersSpentSince(
  db: Kysely<Schema>,
  since: number,
  until = Number.MAX_SAFE_INTEGER,
): Promise<(Spent & { endUser: string })[]> {
  const rows = await fromAttempts(db, since)
    .leftJoin('labels as users', 'users.id', 'attempts.end_user')
    .select(['series.key', 'series.team', 'series.organisation', 'users.label as endUser'])
    .where('attempts.at', '<', until)
    .where('series.operation', '!=', 'mirror')
    .groupBy(['series.key', 'series.team', 'series.organisation', 'users.label'])
    .execute();
  return rows.map((row) => ({ ...toNumbers(row), endUser: row.endUser ?? '' }));
}

/** The same of calls whose answer nobody heard. */
export async function shadowsSince(
  db: Kysely<Schema>,
  since: number,
  until?: number,
): Promise<ShadowsSpent[]> {
  return await sumBy(db, since, until, (rows) =>
    rows.select('series.model').where('series.operation', '=', 'mirror').groupBy('series.model'),
  );
}

type Sums = Pick<Spent, 'calls' | 'tokens' | 'nanoUsd'>;
type Rows<Row> = SelectQueryBuilder<Schema, 'series', Row>;

async function sumBy<Row>(
  db: Kysely<Schema>,
  since: number,
  until: number | undefined,
  group: (rows: Rows<Sums>) => Rows<Sums & Row>,
): Promise<(Sums & Row)[]> {
  const rows: (Sums & Row)[] = [];
  for (const part of partsOf(db, since, until)) {
    // What is summed over adds nothing to group by.
    rows.push(...(await group(part as unknown as Rows<Sums>).execute()));
  }
  return rows.map(toNumbers);
}

function toNumbers<Row extends Sums>(row: Row): Row {
  const { calls, tokens, nanoUsd } = row;
  return { ...row, calls: Number(calls), tokens: Number(tokens), nanoUsd: Number(nanoUsd) };
}

/** Whole hours from the roll-ups, what is left of the last one from the attempts. */
function partsOf(db: Kysely<Schema>, since: number, until: number | undefined) {
  // A lifetime began before the first hour there is.
  const from = Math.max(0, since);
  const whole = from % msPerHour === 0;
  if (until === undefined) return [whole ? fromRollups(db, from / msPerHour) : fromAttempts(db, from)];
  const lastHour = Math.floor(until / msPerHour);
  const rest = whole ? Math.max(from, lastHour * msPerHour) : from;
  const attempts = fromAttempts(db, rest).where('attempts.at', '<', until);
  if (!whole) return [attempts];
  return [fromRollups(db, from / msPerHour).where('rollups.hour', '<', lastHour), attempts];
}

function fromRollups(db: Kysely<Schema>, hour: number) {
  return db
    .selectFrom('rollups')
    .innerJoin('series', 'series.id', 'rollups.series')
    .select([
      sql<number>`sum(rollups.calls)`.as('calls'),
      sql<number>`sum(rollups.input + rollups.output)`.as('tokens'),
      sql<number>`sum(rollups.sell_nano_usd)`.as('nanoUsd'),
    ])
    .where('rollups.hour', '>=', hour);
}

function fromAttempts(db: Kysely<Schema>, since: number) {
  return db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .select([
      sql<number>`sum(attempts.final)`.as('calls'),
      sql<number>`sum(attempts.input + attempts.output)`.as('tokens'),
      sql<number>`sum(coalesce(attempts.sell_nano_usd, attempts.nano_usd, 0))`.as('nanoUsd'),
    ])
    .where('attempts.at', '>=', since);
}
