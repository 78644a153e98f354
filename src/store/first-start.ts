/** The very first start: a key to call with and a token to administer with, so that nothing has to be set up. */
import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { createKey, listKeys } from './keys.ts';
import type { Schema } from './schema.ts';
import { keepSecret, readSecretHash } from './secrets.ts';

export interface FirstSecrets {
  /** Undefined where the configuration has keys of its own. */
  key: string | undefined;
  adminToken: string;
}

/** @returns the secrets at the first start of a data directory, undefined ever after: only hashes are kept. */
export async function createFirstSecrets(
  db: Kysely<Schema>,
  configured: boolean,
): Promise<FirstSecrets | undefined> {
  if ((await readSecretHash(db, 'admin')) !== undefined) return undefined;
  const wanted = !configured && (await listKeys(db)).length === 0;
  const key = wanted ? (await createKey(db, { name: 'default' })).secret : undefined;
  return { key, adminToken: await renewAdminToken(db) };
}

/** @returns the new one: from now on the one before is good for nothing. */
export async function renewAdminToken(db: Kysely<Schema>): Promise<string> {
  const adminToken = `sluice-admin-${randomBytes(16).toString('hex')}`;
  await keepSecret(db, 'admin', adminToken);
  return adminToken;
}
