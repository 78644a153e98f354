/** Hashes of secrets that are not keys, such as the admin token. */
import type { Kysely } from 'kysely';
import { hashSecret } from '../core/secret.ts';
import type { Schema } from './schema.ts';

/** SHA-256 (hex) of the secret of that name; undefined when there is none. */
export async function readSecretHash(db: Kysely<Schema>, name: string): Promise<string | undefined> {
  const row = await db.selectFrom('secrets').select('hash').where('name', '=', name).executeTakeFirst();
  return row?.hash;
}

/** Keeps the hash of a secret, replacing the one of the same name. */
export async function keepSecret(db: Kysely<Schema>, name: string, secret: string): Promise<void> {
  const hash = hashSecret(secret);
  await db
    .insertInto('secrets')
    .values({ name, hash, created_at: Date.now() })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ hash, created_at: Date.now() }))
    .execute();
}
