/** Tokens of the admin API: who may administer what. Only hashes of their secrets are kept. */
import { randomBytes } from 'node:crypto';
import type { Kysely, Selectable, Transaction } from 'kysely';
import { hashSecret } from '../core/secret.ts';
import { cliActor, writeAudit } from './audit.ts';
import type { Schema, TokensTable } from './schema.ts';

export const roles = ['owner', 'admin', 'billing', 'viewer', 'member'] as const;
export type Role = (typeof roles)[number];

export interface AdminToken {
  id: string;
  name: string;
  role: Role;
  /** All that it sees and changes; undefined: everything. A team's has its organisation too. */
  organisation: string | undefined;
  team: string | undefined;
  createdAt: number;
  expiresAt: number | undefined;
  /** Revoked tokens stay, so that what they changed keeps its name. */
  revokedAt: number | undefined;
}

export type NewToken = Pick<AdminToken, 'name' | 'role' | 'organisation' | 'team' | 'expiresAt'>;

/** The token of the first start: the only one whose id is known beforehand, so that several nodes make it once. */
const firstId = 'token_first';

/** @returns the token and its secret, which is kept nowhere. */
export async function createToken(
  db: Kysely<Schema>,
  wish: NewToken,
): Promise<{ token: AdminToken; secret: string }> {
  const secret = newSecret();
  const row = rowOf(`token_${randomBytes(6).toString('hex')}`, secret, wish);
  await db.insertInto('tokens').values(row).execute();
  return { token: tokenOf(row), secret };
}

/** The token of a secret, as long as it may be used. */
export async function findToken(
  db: Kysely<Schema>,
  hash: string,
  now: number,
): Promise<AdminToken | undefined> {
  const row = await db.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst();
  return row !== undefined && isLive(tokenOf(row), now) ? tokenOf(row) : undefined;
}

/** All, revoked ones too, in the order they were made. */
export async function listTokens(db: Kysely<Schema>): Promise<AdminToken[]> {
  const rows = await db.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map(tokenOf);
}

/** Whether it may still be used or not. */
export async function readToken(db: Kysely<Schema>, id: string): Promise<AdminToken | undefined> {
  const row = await db.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst();
  return row && tokenOf(row);
}

/** How many tokens of owners may be used. */
export async function liveOwners(db: Kysely<Schema>, now: number): Promise<number> {
  const tokens = await listTokens(db);
  return tokens.filter((token) => token.role === 'owner' && isLive(token, now)).length;
}

/** For good. */
export async function revokeToken(trx: Transaction<Schema>, id: string, now: number): Promise<void> {
  await trx.updateTable('tokens').set({ revoked_at: now }).where('id', '=', id).execute();
}

export function isLive({ revokedAt, expiresAt }: AdminToken, now: number): boolean {
  return revokedAt === undefined && (expiresAt === undefined || now < expiresAt);
}

/** @returns the secret of the very first token; undefined where there has been one. */
export async function createFirstToken(db: Kysely<Schema>): Promise<string | undefined> {
  if ((await db.selectFrom('tokens').select('id').limit(1).executeTakeFirst()) !== undefined)
    return undefined;
  const secret = newSecret();
  const made = await db
    .insertInto('tokens')
    .values(rowOf(firstId, secret, first))
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return made.numInsertedOrUpdatedRows === 1n ? secret : undefined;
}

/** Gives the first token another secret, whatever had become of it. @returns the secret. */
export async function renewFirstToken(db: Kysely<Schema>): Promise<string> {
  const secret = newSecret();
  const row = rowOf(firstId, secret, first);
  const { id, ...anew } = row;
  await db.transaction().execute(async (trx) => {
    await trx
      .insertInto('tokens')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doUpdateSet(anew))
      .execute();
    await writeAudit(trx, { actor: cliActor, action: 'renew', subject: `token:${id}`, after: first });
  });
  return secret;
}

const first: NewToken = {
  name: 'first',
  role: 'owner',
  organisation: undefined,
  team: undefined,
  expiresAt: undefined,
};

function newSecret(): string {
  return `sluice-admin-${randomBytes(16).toString('hex')}`;
}

function rowOf(id: string, secret: string, wish: NewToken): TokensTable {
  return {
    id,
    name: wish.name,
    hash: hashSecret(secret),
    role: wish.role,
    organisation: wish.organisation ?? null,
    team: wish.team ?? null,
    created_at: Date.now(),
    expires_at: wish.expiresAt ?? null,
    revoked_at: null,
  };
}

function tokenOf(row: Selectable<TokensTable>): AdminToken {
  return {
    id: row.id,
    name: row.name,
    role: row.role as Role,
    organisation: row.organisation ?? undefined,
    team: row.team ?? undefined,
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at === null ? undefined : Number(row.expires_at),
    revokedAt: row.revoked_at === null ? undefined : Number(row.revoked_at),
  };
}
