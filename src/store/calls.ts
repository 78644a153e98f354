/** One call as it was recorded: what was planned, its attempts, and why each was made. */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface RecordedAttempt {
  attempt: number;
  /** When it ended, in milliseconds since 1970. */
  at: number;
  key: string;
  team: string;
  organisation: string;
  model: string;
  target: string;
  /** The way through the route; '' where the client named the target. */
  why: string;
  outcome: string;
  upstream_status: number;
  client_status: number;
  first_byte_ms: number | null;
  duration_ms: number;
  input: number;
  output: number;
  estimated: number;
  /** Null: unpriced. */
  nano_usd: number | null;
  /** What the organisation was charged; null: as much as it cost. */
  sell_nano_usd: number | null;
  /** Where the price comes from, and which version of it; '' where there is none. */
  price_source: string;
  price_version: string;
  /** Paths of request members that were lost, one per line. */
  lost: string;
}

/** @returns its attempts in their order; none where nobody knows the call. */
export function readCall(db: Kysely<Schema>, call: string): Promise<RecordedAttempt[]> {
  return db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .select([
      'attempt',
      'at',
      'key',
      'team',
      'organisation',
      'model',
      'target',
      'why',
      'outcome',
      'upstream_status',
      'client_status',
      'first_byte_ms',
      'duration_ms',
      'input',
      'output',
      'estimated',
      'nano_usd',
      'sell_nano_usd',
      'price_source',
      'price_version',
      'lost',
    ])
    .where('call', '=', call)
    .orderBy('attempt')
    .execute();
}

/** @returns its plan, JSON of a RecordedPlan; undefined where its route left nothing to choose. */
export async function readPlan(db: Kysely<Schema>, call: string): Promise<string | undefined> {
  const row = await db.selectFrom('plans').select('plan').where('call', '=', call).executeTakeFirst();
  return row?.plan;
}
