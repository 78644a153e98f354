/** What of the store a gateway serves calls by: organisations, teams and keys. */
import type { Kysely } from 'kysely';
import type { TenantsChange } from '../core/tenants.ts';
import { controlRevision } from './control.ts';
import { keyOf } from './keys.ts';
import type { Schema } from './schema.ts';
import { listTenantsOf } from './tenants.ts';

/** The keys that changed after the revision `since`, and all teams and organisations. */
export async function listTenants(db: Kysely<Schema>, since = -1): Promise<TenantsChange> {
  // Read first: what changes from here on is told again, and not missed.
  const revision = await controlRevision(db);
  const organisations = await listTenantsOf(db, 'organisations');
  const teams = await listTenantsOf(db, 'teams');
  const keys = await db.selectFrom('keys').selectAll().where('revision', '>', since).execute();
  return { revision, organisations, teams, keys: keys.map(keyOf) };
}
