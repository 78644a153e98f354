/** What was spent since a moment: how limits find out, after a restart, how much of their window is used up. */
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely';
import type { NanoUsd } from '../core/money.ts';
import type { RollupsTable, Schema } from './schema.ts';
import { type Stretch, stretchesOf } from './stretches.ts';

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
 * There may be several rows of a key, which are to be added.
 * @param until only what ended before.
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
    rows.push(...(await group(part).execute()));
  }
  return rows.map(toNumbers);
}

function toNumbers<Row extends Sums>(row: Row): Row {
  const { calls, tokens, nanoUsd } = row;
  return { ...row, calls: Number(calls), tokens: Number(tokens), nanoUsd: Number(nanoUsd) };
}

/** Whole hours and days from the roll-ups, what is left of the last one from the attempts. */
function partsOf(db: Kysely<Schema>, since: number, until: number | undefined) {
  // A lifetime began before the first hour there is.
  const from = Math.max(0, since);
  if (from % msPerHour !== 0) return [attemptsWithin(db, from, until)];
  const lastHour = until === undefined ? undefined : Math.floor(until / msPerHour);
  const parts = stretchesOf(from / msPerHour, lastHour).map((stretch) => fromSums(db, stretch));
  if (lastHour !== undefined) parts.push(attemptsWithin(db, Math.max(from, lastHour * msPerHour), until));
  return parts;
}

function fromSums(db: Kysely<Schema>, { table, time, from, to }: Stretch) {
  const at = sql.ref<number>(`sums.${time}`);
  const sums = db
    .selectFrom(sql<RollupsTable>`${sql.table(table)}`.as<'sums'>('sums'))
    .innerJoin('series', 'series.id', 'sums.series')
    .select([
      sql<number>`sum(sums.calls)`.as('calls'),
      sql<number>`sum(sums.input + sums.output)`.as('tokens'),
      sql<number>`sum(sums.sell_nano_usd)`.as('nanoUsd'),
    ])
    .where(at, '>=', from)
    .$if(to !== undefined, (select) => select.where(at, '<', to!));
  // What is summed over adds nothing to group by.
  return sums as unknown as Rows<Sums>;
}

function attemptsWithin(db: Kysely<Schema>, since: number, until: number | undefined) {
  const sums = fromAttempts(db, since).$if(until !== undefined, (select) =>
    select.where('attempts.at', '<', until!),
  );
  return sums as unknown as Rows<Sums>;
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
