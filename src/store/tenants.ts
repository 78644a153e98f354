/** Organisations and teams of the store: made, changed, removed, listed. */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { JsonObject } from '../core/json.ts';
import type { FileTenants, StoredTenant } from '../core/tenants.ts';
import { bumpControl } from './control.ts';
import type { OrganisationsTable, Schema } from './schema.ts';
import { requireNotOwned, TenantError } from './tenant-error.ts';

/** What has documents beside keys. */
export type TenantKind = 'organisations' | 'teams';

export interface Page {
  /** Goes on behind this name. */
  after?: string;
  limit?: number;
}

const words = { organisations: 'organisation', teams: 'team' } as const;

/**
 * @param document one that the schema of its kind has approved of, as it was written.
 * @throws TenantError `owned`, `taken`; `unknown` when a team's organisation is.
 */
export async function createTenant(
  trx: Transaction<Schema>,
  kind: TenantKind,
  name: string,
  document: JsonObject,
  file: FileTenants,
  now = Date.now(),
): Promise<StoredTenant> {
  const revision = await bumpControl(trx);
  requireNotOwned(file, kind, name);
  if ((await findTenant(trx, kind, name)) !== undefined)
    throw new TenantError('taken', `The ${words[kind]} "${name}" exists already.`);
  const row = { name, document: JSON.stringify(document), revision, created_at: now, updated_at: now };
  if (kind === 'organisations') await trx.insertInto('organisations').values(row).execute();
  else {
    const organisation = await requireOrganisation(trx, document, file);
    await trx
      .insertInto('teams')
      .values({ ...row, organisation })
      .execute();
  }
  return tenantOf(row);
}

export async function findTenant(
  db: Kysely<Schema>,
  kind: TenantKind,
  name: string,
): Promise<StoredTenant | undefined> {
  const row = await db
    .selectFrom(kind)
    .select(['name', 'document', 'revision', 'created_at', 'updated_at'])
    .where('name', '=', name)
    .executeTakeFirst();
  return row && tenantOf(row);
}

/** In the order of their names. @param of the organisation whose teams are wanted; undefined: all. */
export async function listTenantsOf(
  db: Kysely<Schema>,
  kind: TenantKind,
  { after, limit, of }: Page & { of?: string } = {},
): Promise<StoredTenant[]> {
  let query = db
    .selectFrom(kind)
    .select(['name', 'document', 'revision', 'created_at', 'updated_at'])
    .orderBy('name');
  if (after !== undefined) query = query.where('name', '>', after);
  if (of !== undefined) query = query.where(sql.ref('organisation'), '=', of);
  if (limit !== undefined) query = query.limit(limit);
  return (await query.execute()).map(tenantOf);
}

/** Puts another document in the place of the one before. @throws TenantError `not_found`, `unknown`. */
export async function updateTenant(
  trx: Transaction<Schema>,
  kind: TenantKind,
  name: string,
  document: JsonObject,
  file: FileTenants,
  now = Date.now(),
): Promise<{ before: StoredTenant; after: StoredTenant }> {
  const revision = await bumpControl(trx);
  const before = await requireTenant(trx, kind, name, file);
  const change = { document: JSON.stringify(document), revision, updated_at: now };
  if (kind === 'organisations')
    await trx.updateTable('organisations').set(change).where('name', '=', name).execute();
  else {
    const organisation = await requireOrganisation(trx, document, file);
    await trx
      .updateTable('teams')
      .set({ ...change, organisation })
      .where('name', '=', name)
      .execute();
  }
  return { before, after: { ...before, document, revision, updatedAt: now } };
}

/** @throws TenantError `not_found`; `in_use` while something belongs to it. */
export async function removeTenant(
  trx: Transaction<Schema>,
  kind: TenantKind,
  name: string,
  file: FileTenants,
): Promise<StoredTenant> {
  await bumpControl(trx);
  const before = await requireTenant(trx, kind, name, file);
  if (kind === 'teams') {
    const key = await trx
      .selectFrom('keys')
      .select('name')
      .where('team', '=', name)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (key !== undefined)
      throw new TenantError(
        'in_use',
        `The team "${name}" has keys, such as "${key.name}". Revoke them first, or move them to another team.`,
      );
  } else {
    const team = await trx
      .selectFrom('teams')
      .select('name')
      .where('organisation', '=', name)
      .executeTakeFirst();
    if (team !== undefined)
      throw new TenantError(
        'in_use',
        `The organisation "${name}" has teams, such as "${team.name}". Remove them first, or move them.`,
      );
  }
  await trx.deleteFrom(kind).where('name', '=', name).execute();
  return before;
}

/** @throws TenantError `not_found`; `owned` by the file. */
async function requireTenant(
  trx: Transaction<Schema>,
  kind: TenantKind,
  name: string,
  file: FileTenants,
): Promise<StoredTenant> {
  requireNotOwned(file, kind, name);
  const found = await findTenant(trx, kind, name);
  if (found === undefined) throw new TenantError('not_found', `There is no ${words[kind]} "${name}" here.`);
  return found;
}

/** @throws TenantError `unknown` */
async function requireOrganisation(
  trx: Transaction<Schema>,
  document: JsonObject,
  file: FileTenants,
): Promise<string> {
  const name = typeof document.organisation === 'string' ? document.organisation : 'default';
  if (name === 'default' || file.organisations.has(name)) return name;
  if ((await findTenant(trx, 'organisations', name)) !== undefined) return name;
  throw new TenantError('unknown', `There is no organisation "${name}". Make it first, or name another.`);
}

function tenantOf(row: Selectable<OrganisationsTable>): StoredTenant {
  return {
    name: row.name,
    document: JSON.parse(row.document) as JsonObject,
    revision: Number(row.revision),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
  };
}
