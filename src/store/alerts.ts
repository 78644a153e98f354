/** The outbox of alerts: each event once, whichever node saw it, until every webhook that wants it has it. */
import type { Kysely } from 'kysely';
import type { AlertIdentity } from '../core/alert.ts';
import type { Message } from '../core/webhook.ts';
import type { Schema } from './schema.ts';

export interface NewAlert extends Message {
  identity: AlertIdentity;
  at: number;
  /** Names of the webhooks that are to be told, and whether they were already. */
  deliveries: readonly { webhook: string; delivered: boolean }[];
}

/** A message that is due, for a webhook; whoever took it has it until the lease is over. */
export interface Due extends Message {
  webhook: string;
  /** How often it was tried before. */
  tries: number;
  at: number;
}

/** Adds an event with all its deliveries, unless it is there already. */
export async function addAlert(db: Kysely<Schema>, alert: NewAlert): Promise<void> {
  const { id, body, at, identity, deliveries } = alert;
  await db.transaction().execute(async (trx) => {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('alerts')
      .values({ id, body, at, ...identity })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (!numInsertedOrUpdatedRows || deliveries.length === 0) return;
    const rows = deliveries.map(({ webhook, delivered }) => ({
      alert: id,
      webhook,
      due_at: delivered ? null : at,
      tries: delivered ? 1 : 0,
      delivered_at: delivered ? at : null,
      last_error: null,
    }));
    await trx.insertInto('alert_deliveries').values(rows).execute();
  });
}

/** Takes what is due at `now` for these webhooks: nobody else does before `until`. */
export async function takeDue(
  db: Kysely<Schema>,
  webhooks: readonly string[],
  { now, until, limit }: { now: number; until: number; limit: number },
): Promise<Due[]> {
  const rows = await db
    .selectFrom('alert_deliveries')
    .innerJoin('alerts', 'alerts.id', 'alert_deliveries.alert')
    .select(['alerts.id', 'alerts.at', 'alerts.body', 'webhook', 'tries', 'due_at'])
    .where('due_at', '<=', now)
    .where('webhook', 'in', [...webhooks])
    .orderBy('due_at')
    .limit(limit)
    .execute();
  const taken: Due[] = [];
  for (const { due_at, ...due } of rows) {
    // Of several nodes that saw it as due, one finds it unchanged.
    const { numUpdatedRows } = await db
      .updateTable('alert_deliveries')
      .set({ due_at: until })
      .where('alert', '=', due.id)
      .where('webhook', '=', due.webhook)
      .where('due_at', '=', due_at)
      .executeTakeFirst();
    if (numUpdatedRows === 1n) taken.push(due);
  }
  return taken;
}

/** How a delivery went. `dueAt` undefined: it is over, well where there is no error. */
export async function noteDelivery(
  db: Kysely<Schema>,
  { id, webhook, tries }: Due,
  now: number,
  failure?: { error: string; dueAt: number | undefined },
): Promise<void> {
  await db
    .updateTable('alert_deliveries')
    .set({
      tries: tries + 1,
      due_at: failure?.dueAt ?? null,
      delivered_at: failure === undefined ? now : null,
      last_error: failure?.error ?? null,
    })
    .where('alert', '=', id)
    .where('webhook', '=', webhook)
    .execute();
}

/** Forgets what happened before a moment; of windows that never end, each is told once for ever. */
export async function forgetAlerts(db: Kysely<Schema>, before: number): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const old = trx
      .selectFrom('alerts')
      .select('id')
      .where('at', '<', before)
      .where('window', '!=', 'lifetime');
    await trx.deleteFrom('alert_deliveries').where('alert', 'in', old).execute();
    await trx.deleteFrom('alerts').where('at', '<', before).where('window', '!=', 'lifetime').execute();
  });
}
