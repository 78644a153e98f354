/** Virtual keys made at run time: created, changed, rotated, revoked, listed; only hashes of their secrets are kept. */
import { randomBytes } from 'node:crypto';
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { JsonObject } from '../core/json.ts';
import { hashSecret } from '../core/secret.ts';
import { type FileTenants, noFile, type StoredKey } from '../core/tenants.ts';
import { bumpControl } from './control.ts';
import type { KeysTable, Schema } from './schema.ts';
import { requireNotOwned, TenantError } from './tenant-error.ts';
import { findTenant } from './tenants.ts';

/**
 * @param document one that the schema of keys has approved of, as it was written.
 * @returns the key and its secret, which is kept nowhere.
 * @throws TenantError `owned`, `taken` when a key of that name is in use; `unknown` when its team is.
 */
export async function createKey(
  trx: Transaction<Schema>,
  name: string,
  document: JsonObject = {},
  file: FileTenants = noFile,
  now = Date.now(),
): Promise<{ key: StoredKey; secret: string }> {
  const revision = await bumpControl(trx);
  requireNotOwned(file, 'keys', name);
  const taken = await trx
    .selectFrom('keys')
    .select('id')
    .where('name', '=', name)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (taken !== undefined)
    throw new TenantError(
      'taken',
      `A key named ${name} exists (${taken.id}). Revoke it first, or choose another name.`,
    );
  const secret = newSecret();
  const row: KeysTable = {
    id: `key_${randomBytes(6).toString('hex')}`,
    name,
    hash: hashSecret(secret),
    team: await requireTeam(trx, document, file),
    document: JSON.stringify(document),
    revision,
    previous_hash: null,
    previous_until: null,
    created_at: now,
    updated_at: now,
    revoked_at: null,
  };
  await trx.insertInto('keys').values(row).execute();
  return { key: keyOf(row), secret };
}

export interface KeyPage {
  /** Goes on behind this key. */
  after?: Pick<StoredKey, 'name' | 'id'>;
  limit?: number;
  /** Only those of these teams. */
  teams?: readonly string[];
}

/** Keys, revoked ones too, in the order of their names. */
export async function listKeys(
  db: Kysely<Schema>,
  { after, limit, teams }: KeyPage = {},
): Promise<StoredKey[]> {
  let query = db.selectFrom('keys').selectAll().orderBy('name').orderBy('id');
  if (after !== undefined)
    query = query.where((eb) =>
      eb.or([eb('name', '>', after.name), eb.and([eb('name', '=', after.name), eb('id', '>', after.id)])]),
    );
  if (teams !== undefined) query = query.where('team', 'in', teams.length === 0 ? [''] : teams);
  if (limit !== undefined) query = query.limit(limit);
  return (await query.execute()).map(keyOf);
}

/** By id or name; of several of a name, the one in use. One that is named like the id of another stands behind that. */
export async function findKey(db: Kysely<Schema>, nameOrId: string): Promise<StoredKey | undefined> {
  const row = await db
    .selectFrom('keys')
    .selectAll()
    .where((eb) => eb.or([eb('id', '=', nameOrId), eb('name', '=', nameOrId)]))
    .orderBy(sql`case when id = ${nameOrId} then 0 else 1 end`)
    .orderBy('revoked_at', (order) => order.asc().nullsFirst())
    .orderBy('id')
    .executeTakeFirst();
  return row && keyOf(row);
}

/** A key before a change and after it. */
export interface KeyChange {
  before: StoredKey;
  after: StoredKey;
}

/** Puts another document in the place of the one before. @throws TenantError `not_found`, `unknown`. */
export async function updateKey(
  trx: Transaction<Schema>,
  nameOrId: string,
  document: JsonObject,
  file: FileTenants = noFile,
  now = Date.now(),
): Promise<KeyChange> {
  const revision = await bumpControl(trx);
  const before = await requireKey(trx, nameOrId, file);
  const team = await requireTeam(trx, document, file);
  return write(trx, before, { document, team, revision, updatedAt: now });
}

/**
 * Gives a key another secret; the one before goes on working for `graceMs`.
 * @returns the change, and the secret, which is kept nowhere. @throws TenantError `not_found`.
 */
export async function rotateKey(
  trx: Transaction<Schema>,
  nameOrId: string,
  graceMs: number,
  file: FileTenants = noFile,
  now = Date.now(),
): Promise<KeyChange & { secret: string }> {
  const revision = await bumpControl(trx);
  const before = await requireKey(trx, nameOrId, file);
  const secret = newSecret();
  const change = await write(trx, before, {
    hash: hashSecret(secret),
    // The one before that is good for nothing from now on, whatever was left of its time.
    previousHash: before.hash,
    previousUntil: now + graceMs,
    revision,
    updatedAt: now,
  });
  return { ...change, secret };
}

/** Revokes a key, and the secret it had before, for good. @throws TenantError `not_found`. */
export async function revokeKey(
  trx: Transaction<Schema>,
  nameOrId: string,
  file: FileTenants = noFile,
  now = Date.now(),
): Promise<KeyChange> {
  const revision = await bumpControl(trx);
  const before = await requireKey(trx, nameOrId, file);
  return write(trx, before, { revokedAt: now, revision, updatedAt: now });
}

/** @throws TenantError `not_found` when there is no such key in use; `owned` by the file. */
async function requireKey(trx: Transaction<Schema>, nameOrId: string, file: FileTenants): Promise<StoredKey> {
  const found = await findKey(trx, nameOrId);
  if (found?.revokedAt !== undefined)
    throw new TenantError('not_found', `The key ${nameOrId} is revoked already.`);
  if (found !== undefined) return found;
  requireNotOwned(file, 'keys', nameOrId);
  throw new TenantError(
    'not_found',
    `There is no key ${nameOrId} here. Keys of the configuration file are changed there.`,
  );
}

/** @throws TenantError `unknown` */
async function requireTeam(
  trx: Transaction<Schema>,
  document: JsonObject,
  file: FileTenants,
): Promise<string> {
  const name = typeof document.team === 'string' ? document.team : 'default';
  if (name === 'default' || file.teams.has(name)) return name;
  if ((await findTenant(trx, 'teams', name)) !== undefined) return name;
  throw new TenantError('unknown', `There is no team "${name}". Make it first, or name another.`);
}

async function write(
  trx: Transaction<Schema>,
  before: StoredKey,
  change: Partial<StoredKey>,
): Promise<KeyChange> {
  const after = { ...before, ...change };
  await trx
    .updateTable('keys')
    .set({
      hash: after.hash,
      team: after.team,
      document: JSON.stringify(after.document),
      revision: after.revision,
      previous_hash: after.previousHash ?? null,
      previous_until: after.previousUntil ?? null,
      updated_at: after.updatedAt,
      revoked_at: after.revokedAt ?? null,
    })
    .where('id', '=', before.id)
    .execute();
  return { before, after };
}

function newSecret(): string {
  return `sk-sluice-${randomBytes(16).toString('hex')}`;
}

export function keyOf(row: Selectable<KeysTable>): StoredKey {
  return {
    id: row.id,
    name: row.name,
    hash: row.hash,
    team: row.team,
    document: JSON.parse(row.document) as JsonObject,
    revision: Number(row.revision),
    previousHash: row.previous_hash ?? undefined,
    previousUntil: row.previous_until === null ? undefined : Number(row.previous_until),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    revokedAt: row.revoked_at === null ? undefined : Number(row.revoked_at),
  };
}
