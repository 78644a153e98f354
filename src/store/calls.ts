/** Calls as they were recorded: what was planned, their attempts, and why each was made. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { packCallId, unpackCallId } from '../core/id.ts';
import type { Schema } from './schema.ts';

/** Times are milliseconds since 1970; money is nano-dollars; flags are 0 or 1. */
export interface RecordedAttempt {
  call: string;
  attempt: number;
  /** When it ended. */
  at: number;
  /** Id of the key. */
  key: string;
  team: string;
  organisation: string;
  model: string;
  target: string;
  provider: string;
  /** `a=b,c=d`; '' for none. */
  tags: string;
  operation: string;
  price_source: string;
  price_version: string;
  /** The way through the route; '' where the client named the target. */
  why: string;
  session: string;
  end_user: string;
  outcome: string;
  upstream_status: number;
  client_status: number;
  stream: number;
  /** 1: the last one of its call. */
  final: number;
  first_byte_ms: number | null;
  duration_ms: number;
  input: number;
  cache_read: number;
  cache_write_5m: number;
  cache_write_1h: number;
  output: number;
  reasoning: number;
  audio_input: number;
  audio_output: number;
  estimated: number;
  /** What is not told in those tokens, as a JSON object; '' for nothing. */
  units: string;
  /** Null: unpriced. */
  nano_usd: number | null;
  /** What the organisation was charged; null: as much as it cost. */
  sell_nano_usd: number | null;
  /** Paths of request members that were lost, one per line. */
  lost: string;
}

/** @returns its attempts in their order; none where nobody knows the call. */
export async function readCall(db: Kysely<Schema>, call: string): Promise<RecordedAttempt[]> {
  const rows = await selectAttempts(db)
    .where('attempts.call', '=', packCallId(call))
    .orderBy('attempts.attempt')
    .execute();
  return rows.map(toRecord);
}

/** @returns its plan, JSON of a RecordedPlan; undefined where its route left nothing to choose. */
export async function readPlan(db: Kysely<Schema>, call: string): Promise<string | undefined> {
  const row = await db.selectFrom('plans').select('plan').where('call', '=', call).executeTakeFirst();
  return row?.plan;
}

/** Attempts with all that is known of them; `toRecord` makes one of each row. */
export function selectAttempts(db: Kysely<Schema>) {
  return db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .leftJoin('labels as sessions', 'sessions.id', 'attempts.session')
    .leftJoin('labels as users', 'users.id', 'attempts.end_user')
    .select([
      'attempts.call',
      'attempts.attempt',
      'attempts.at',
      'series.key',
      'series.team',
      'series.organisation',
      'series.model',
      'series.target',
      'series.provider',
      'series.tags',
      'series.operation',
      'series.price_source',
      'series.price_version',
      'series.why',
      textOf('sessions.label').as('session'),
      textOf('users.label').as('end_user'),
      'attempts.outcome',
      'attempts.upstream_status',
      'attempts.client_status',
      'attempts.stream',
      'attempts.final',
      'attempts.first_byte_ms',
      'attempts.duration_ms',
      'attempts.input',
      countOf('cache_read').as('cache_read'),
      countOf('cache_write_5m').as('cache_write_5m'),
      countOf('cache_write_1h').as('cache_write_1h'),
      'attempts.output',
      countOf('reasoning').as('reasoning'),
      countOf('audio_input').as('audio_input'),
      countOf('audio_output').as('audio_output'),
      'attempts.estimated',
      textOf('attempts.units').as('units'),
      'attempts.nano_usd',
      'attempts.sell_nano_usd',
      textOf('attempts.lost').as('lost'),
    ]);
}

export function toRecord(row: Omit<RecordedAttempt, 'call'> & { call: Uint8Array }): RecordedAttempt {
  return { ...row, call: unpackCallId(row.call) };
}

function countOf(column: string): RawBuilder<number> {
  return sql<number>`coalesce(${sql.ref(`attempts.${column}`)}, 0)`;
}

function textOf(column: string): RawBuilder<string> {
  return sql<string>`coalesce(${sql.ref(column)}, '')`;
}
