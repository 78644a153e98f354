/** The audit log: who changed what, and when. Written in the transaction of the change, so that neither is without the other. */
import type { Transaction } from 'kysely';
import { newCallId } from '../core/id.ts';
import type { Schema } from './schema.ts';

export interface Change {
  /** `token_1a2b (name)` of the admin API, `cli`, or what else changed something. */
  actor: string;
  /** A verb: `create`, `update`, `revoke`, `rotate`, `delete`, `reprice` … */
  action: string;
  /** Kind and id of what was changed: `key:key_1a2b`, `team:web`. */
  subject: string;
  /** What it was and what it became, as plain data without secrets or their hashes; absent: there was nothing, there is nothing. */
  before?: unknown;
  after?: unknown;
  /** Whose it is: tokens of others do not see it. Absent: the gateway's own. */
  organisation?: string | undefined;
  team?: string | undefined;
}

/** Who changes something without a token. */
export const cliActor = 'cli';

/** @returns the line's id. */
export async function writeAudit(trx: Transaction<Schema>, change: Change): Promise<string> {
  const { actor, action, subject, before, after, organisation, team } = change;
  const at = Date.now();
  const id = newCallId();
  await trx
    .insertInto('audit')
    .values({
      id,
      at,
      actor,
      action,
      subject,
      before: before === undefined ? null : JSON.stringify(before),
      after: after === undefined ? null : JSON.stringify(after),
      scope_organisation: organisation ?? null,
      scope_team: team ?? null,
    })
    .execute();
  return id;
}
