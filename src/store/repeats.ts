/** Requests that may be sent again: done once, answered the same for a day. */
import type { Transaction } from 'kysely';
import { seal, unseal } from '../core/seal.ts';
import type { Schema } from './schema.ts';

const keptMs = 24 * 3_600_000;

export interface Repeatable {
  /** Id of the token, and its secret: only who has that can read the answer again. */
  token: string;
  secret: string;
  /** `Idempotency-Key`. */
  key: string;
  /** SHA-256 of the request, hex. */
  request: string;
}

/**
 * Takes the key for this request. Another node that does the same waits until this transaction ends.
 * @returns undefined: it is new, do it; else the answer it had, or `other`: the key stands for another request.
 */
export async function findRepeat(
  trx: Transaction<Schema>,
  { token, secret, key, request }: Repeatable,
  now: number,
): Promise<{ answer: string } | 'other' | undefined> {
  await trx
    .deleteFrom('repeats')
    .where('created_at', '<', now - keptMs)
    .execute();
  const made = await trx
    .insertInto('repeats')
    .values({ token, key, request, answer: null, created_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (made.numInsertedOrUpdatedRows === 1n) return undefined;
  const row = await trx
    .selectFrom('repeats')
    .select(['request', 'answer'])
    .where('token', '=', token)
    .where('key', '=', key)
    .executeTakeFirstOrThrow();
  const answer =
    row.request === request ? unseal(row.answer ?? '', secret, purposeOf(token, key)) : undefined;
  return answer === undefined ? 'other' : { answer };
}

/** Keeps the answer, in the transaction that took the key. */
export async function keepRepeat(
  trx: Transaction<Schema>,
  { token, secret, key }: Repeatable,
  answer: string,
): Promise<void> {
  await trx
    .updateTable('repeats')
    .set({ answer: seal(answer, secret, purposeOf(token, key)) })
    .where('token', '=', token)
    .where('key', '=', key)
    .execute();
}

function purposeOf(token: string, key: string): string {
  return `repeat ${token} ${key}`;
}
