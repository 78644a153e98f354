/** Prices that were charged by, in the store: each version once. */
import type { Transaction } from 'kysely';
import type { PriceRecord } from '../core/record.ts';
import type { Schema } from './schema.ts';

/** Adds those that are not there yet. @param now milliseconds since 1970. */
export async function addPrices(
  trx: Transaction<Schema>,
  prices: readonly PriceRecord[],
  now: number,
): Promise<void> {
  for (const { version, source, json } of prices) {
    await trx
      .insertInto('prices')
      .values({ version, source, price: json, first_seen: now })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}
