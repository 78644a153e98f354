/** What operators add at run time, in the store: prices by target, and keys of providers, encrypted. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { Additions } from '../core/additions.ts';
import type { JsonObject } from '../core/json.ts';
import type { ProviderKeysTable, Schema } from './schema.ts';

/** All of it: as a gateway serves calls by. */
export async function listAdditions(db: Kysely<Schema>): Promise<Additions> {
  const prices = await db.selectFrom('price_overrides').select(['target', 'price']).execute();
  const providerKeys = await db
    .selectFrom('provider_keys')
    .select(['id', 'provider', 'sealed'])
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return {
    prices: prices.map(({ target, price }) => ({ target, price: JSON.parse(price) as JsonObject })),
    providerKeys,
  };
}

/** @returns the price before. */
export async function putPrice(
  trx: Transaction<Schema>,
  target: string,
  price: JsonObject,
): Promise<JsonObject | undefined> {
  const before = await findPrice(trx, target);
  const values = { price: JSON.stringify(price), changed_at: Date.now() };
  await trx
    .insertInto('price_overrides')
    .values({ target, ...values })
    .onConflict((conflict) => conflict.column('target').doUpdateSet(values))
    .execute();
  return before;
}

/** @returns the price it had; undefined: there was none. */
export async function removePrice(trx: Transaction<Schema>, target: string): Promise<JsonObject | undefined> {
  const before = await findPrice(trx, target);
  await trx.deleteFrom('price_overrides').where('target', '=', target).execute();
  return before;
}

async function findPrice(db: Kysely<Schema>, target: string): Promise<JsonObject | undefined> {
  const row = await db
    .selectFrom('price_overrides')
    .select('price')
    .where('target', '=', target)
    .executeTakeFirst();
  return row && (JSON.parse(row.price) as JsonObject);
}

export type ProviderKeyRow = Selectable<ProviderKeysTable>;

/** In the order they were made. */
export async function listProviderKeys(db: Kysely<Schema>): Promise<ProviderKeyRow[]> {
  return await db.selectFrom('provider_keys').selectAll().orderBy('created_at').orderBy('id').execute();
}

/** @returns false where the provider has that very secret already. */
export async function addProviderKey(trx: Transaction<Schema>, row: ProviderKeyRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('provider_keys')
    .values(row)
    .onConflict((conflict) => conflict.columns(['provider', 'fingerprint']).doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** @returns what it was; undefined: there was none. */
export async function removeProviderKey(
  trx: Transaction<Schema>,
  id: string,
): Promise<ProviderKeyRow | undefined> {
  const row = await trx.selectFrom('provider_keys').selectAll().where('id', '=', id).executeTakeFirst();
  await trx.deleteFrom('provider_keys').where('id', '=', id).execute();
  return row;
}
