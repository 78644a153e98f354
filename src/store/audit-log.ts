/** Reading the audit log, newest first. */
import type { Kysely, Selectable } from 'kysely';
import type { AuditTable, Schema } from './schema.ts';

export interface AuditQuery {
  /** What only whoever is confined to a tenant sees. */
  organisation?: string | undefined;
  team?: string | undefined;
  /** Id of a token, or what else the actor is. */
  actor?: string | undefined;
  action?: string | undefined;
  /** `key:key_1a2b`, or all of a kind: `key`. */
  subject?: string | undefined;
  /** Milliseconds since 1970; `until` is not within. */
  since?: number | undefined;
  until?: number | undefined;
  /** Id of the line before the first. */
  after?: string | undefined;
  limit: number;
}

export async function queryAudit(db: Kysely<Schema>, asked: AuditQuery): Promise<Selectable<AuditTable>[]> {
  const { organisation, team, actor, action, subject, since, until, after, limit } = asked;
  let query = db.selectFrom('audit').selectAll();
  if (organisation !== undefined) query = query.where('scope_organisation', '=', organisation);
  if (team !== undefined) query = query.where('scope_team', '=', team);
  // `token_1 (name)`: from the id and a space up to what follows a space.
  if (actor !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('actor', '=', actor),
        eb.and([eb('actor', '>=', `${actor} (`), eb('actor', '<', `${actor} )`)]),
      ]),
    );
  }
  if (action !== undefined) query = query.where('action', '=', action);
  if (subject !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('subject', '=', subject),
        eb.and([eb('subject', '>=', `${subject}:`), eb('subject', '<', `${subject};`)]),
      ]),
    );
  }
  if (since !== undefined) query = query.where('at', '>=', since);
  if (until !== undefined) query = query.where('at', '<', until);
  if (after !== undefined) query = query.where('id', '<', after);
  return await query.orderBy('id', 'desc').limit(limit).execute();
}
