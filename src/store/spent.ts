/** What was spent since a moment: how limits find out, after a restart, how much of their window is used up. */
import { type Kysely, sql } from 'kysely';
import type { NanoUsd } from '../core/money.ts';
import type { Schema } from './schema.ts';

/** Sums of one key's attempts (in one team, if it moved). `tokens` is input and output. */
export interface Spent {
  key: string;
  team: string;
  organisation: string;
  calls: number;
  tokens: number;
  nanoUsd: NanoUsd;
}

const msPerHour = 3_600_000;

/**
 * All that ended at or after `since` (milliseconds since 1970): from the roll-ups when it is a whole hour, as the start
 * of an hour, a day or a month is, and from the attempts themselves for shorter windows.
 */
export async function spentSince(db: Kysely<Schema>, since: number): Promise<Spent[]> {
  const rows =
    since % msPerHour === 0 ? await fromRollups(db, since / msPerHour) : await fromAttempts(db, since);
  return rows.map((row) => ({
    ...row,
    calls: Number(row.calls),
    tokens: Number(row.tokens),
    nanoUsd: Number(row.nanoUsd),
  }));
}

const owner = ['series.key', 'series.team', 'series.organisation'] as const;

async function fromRollups(db: Kysely<Schema>, hour: number): Promise<Spent[]> {
  return await db
    .selectFrom('rollups')
    .innerJoin('series', 'series.id', 'rollups.series')
    .select([...owner])
    .select([
      sql<number>`sum(rollups.calls)`.as('calls'),
      sql<number>`sum(rollups.input + rollups.output)`.as('tokens'),
      sql<number>`sum(rollups.nano_usd)`.as('nanoUsd'),
    ])
    .where('rollups.hour', '>=', hour)
    .groupBy([...owner])
    .execute();
}

async function fromAttempts(db: Kysely<Schema>, since: number): Promise<Spent[]> {
  return await db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .select([...owner])
    .select([
      sql<number>`sum(attempts.final)`.as('calls'),
      sql<number>`sum(attempts.input + attempts.output)`.as('tokens'),
      sql<number>`sum(coalesce(attempts.nano_usd, 0))`.as('nanoUsd'),
    ])
    .where('attempts.at', '>=', since)
    .groupBy([...owner])
    .execute();
}
