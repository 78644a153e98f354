/** The very first start: a key to call with and a token to administer with, so that nothing has to be set up. */
import type { Kysely } from 'kysely';
import { createKey, listKeys } from './keys.ts';
import type { Schema } from './schema.ts';
import { createFirstToken } from './tokens.ts';

export interface FirstSecrets {
  /** Undefined where the configuration has keys of its own. */
  key: string | undefined;
  adminToken: string;
}

/** @returns the secrets at the first start of a store, undefined ever after: only hashes are kept. */
export async function createFirstSecrets(
  db: Kysely<Schema>,
  configured: boolean,
): Promise<FirstSecrets | undefined> {
  const adminToken = await createFirstToken(db);
  if (adminToken === undefined) return undefined;
  const wanted = !configured && (await listKeys(db)).length === 0;
  const key = wanted
    ? (await db.transaction().execute((trx) => createKey(trx, 'default'))).secret
    : undefined;
  return { key, adminToken };
}
