/** Virtual keys made at run time: created, listed, revoked; only hashes of their secrets are kept. */
import { randomBytes } from 'node:crypto';
import type { Kysely, Selectable } from 'kysely';
import type { PlainLimit } from '../core/limit.ts';
import { hashSecret } from '../core/secret.ts';
import { bumpControl } from './control.ts';
import type { KeysTable, Schema } from './schema.ts';

/** A key as plain data, fit to be posted between threads. */
export interface StoreKey {
  id: string;
  name: string;
  /** SHA-256 of the secret, hex. */
  hash: string;
  team: string;
  organisation: string;
  /** Undefined: all. */
  models: string[] | undefined;
  limits: PlainLimit[];
  createdAt: number;
  expiresAt: number | undefined;
  /** Revoked keys stay, so that what they spent keeps its name. */
  revokedAt: number | undefined;
  disabled: boolean;
}

export interface NewKey {
  name: string;
  /** `default` unless named, as in the configuration file. */
  team?: string;
  organisation?: string;
  models?: string[];
  limits?: PlainLimit[];
  expiresAt?: number;
}

/** A wish that cannot be met; its message is for whoever asked. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/**
 * @returns the key and its secret, which is kept nowhere.
 * @throws KeyError when a key of that name is in use.
 */
export async function createKey(
  db: Kysely<Schema>,
  wish: NewKey,
): Promise<{ key: StoreKey; secret: string }> {
  const secret = `sk-sluice-${randomBytes(16).toString('hex')}`;
  const row: KeysTable = {
    id: `key_${randomBytes(6).toString('hex')}`,
    name: wish.name,
    hash: hashSecret(secret),
    team: wish.team ?? 'default',
    organisation: wish.organisation ?? 'default',
    models: wish.models === undefined ? null : JSON.stringify(wish.models),
    limits: JSON.stringify(wish.limits ?? []),
    created_at: Date.now(),
    expires_at: wish.expiresAt ?? null,
    revoked_at: null,
  };
  await db.transaction().execute(async (trx) => {
    const taken = await trx
      .selectFrom('keys')
      .select('id')
      .where('name', '=', wish.name)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (taken !== undefined) {
      throw new KeyError(
        `A key named ${wish.name} exists (${taken.id}). Revoke it first, or choose another name.`,
      );
    }
    await trx.insertInto('keys').values(row).execute();
    await bumpControl(trx);
  });
  return { key: keyOf(row), secret };
}

/** All keys, revoked ones too, in the order they were made. */
export async function listKeys(db: Kysely<Schema>): Promise<StoreKey[]> {
  const rows = await db.selectFrom('keys').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map(keyOf);
}

/**
 * Revokes a key by name or id, for good.
 * @throws KeyError when there is no such key in use.
 */
export async function revokeKey(db: Kysely<Schema>, nameOrId: string): Promise<StoreKey> {
  return await db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('keys')
      .selectAll()
      .where((eb) => eb.or([eb('id', '=', nameOrId), eb('name', '=', nameOrId)]))
      .orderBy('revoked_at', (order) => order.asc().nullsFirst())
      .executeTakeFirst();
    if (row === undefined) {
      throw new KeyError(
        `There is no key ${nameOrId} here. Keys of the configuration file are removed there.`,
      );
    }
    if (row.revoked_at !== null) throw new KeyError(`The key ${nameOrId} is revoked already.`);
    const revokedAt = Date.now();
    await trx.updateTable('keys').set({ revoked_at: revokedAt }).where('id', '=', row.id).execute();
    await bumpControl(trx);
    return keyOf({ ...row, revoked_at: revokedAt });
  });
}

function keyOf(row: Selectable<KeysTable>): StoreKey {
  return {
    id: row.id,
    name: row.name,
    hash: row.hash,
    team: row.team,
    organisation: row.organisation,
    models: row.models === null ? undefined : (JSON.parse(row.models) as string[]),
    limits: JSON.parse(row.limits) as PlainLimit[],
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    disabled: row.revoked_at !== null,
  };
}
