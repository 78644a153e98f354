/** How the admin API changes something: what is changed, its line in the audit log and what is answered to a repeated request are one transaction. */
import type { Context } from 'hono';
import type { Transaction } from 'kysely';
import { hashSecret } from '../core/secret.ts';
import { type Change, writeAudit } from '../store/audit.ts';
import { bumpControl } from '../store/control.ts';
import { findRepeat, keepRepeat, type Repeatable } from '../store/repeats.ts';
import type { Schema } from '../store/schema.ts';
import { findToken } from '../store/tokens.ts';
import { AdminError, unauthorised } from './errors.ts';
import type { AdminPowers } from './powers.ts';
import type { AdminEnv } from './resource.ts';

/** A change that is being made. */
export interface Changing {
  trx: Transaction<Schema>;
  /** Writes a line of the audit log in the name of whoever asks. */
  audit(change: Omit<Change, 'actor'>): Promise<void>;
}

/**
 * Does `act` once, however often the same request comes with the same `Idempotency-Key`.
 * @returns what `act` returned, which is JSON.
 * @throws AdminError `other_request` where the key stands for another request; then and whenever `act` throws nothing is changed.
 */
export async function change<Made>(
  c: Context<AdminEnv>,
  powers: Pick<AdminPowers, 'store'>,
  act: (changing: Changing) => Promise<Made>,
): Promise<Made> {
  const repeatable = await repeatableOf(c);
  const { id, name } = c.get('token');
  const hash = hashSecret(c.get('secret'));
  const db = await powers.store();
  return await db.transaction().execute(async (trx) => {
    // First of all: no other change is under way until this one ends, on any node.
    await bumpControl(trx);
    // It may have been revoked while the request was still being sent.
    if ((await findToken(trx, hash, Date.now())) === undefined) throw unauthorised();
    if (repeatable !== undefined) {
      const before = await findRepeat(trx, repeatable, Date.now());
      if (before === 'other') {
        throw new AdminError(
          'other_request',
          'This Idempotency-Key was sent with another request before. Take a new one for each change.',
        );
      }
      if (before !== undefined) {
        c.header('idempotent-replayed', 'true');
        return JSON.parse(before.answer) as Made;
      }
    }
    const audit = async (told: Omit<Change, 'actor'>) => {
      await writeAudit(trx, { ...told, actor: `${id} (${name})` });
    };
    const made = await act({ trx, audit });
    if (repeatable !== undefined) await keepRepeat(trx, repeatable, JSON.stringify(made));
    return made;
  });
}

async function repeatableOf(c: Context<AdminEnv>): Promise<Repeatable | undefined> {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return undefined;
  const { pathname, search } = new URL(c.req.url);
  // What it was to be done upon is part of the request: with another ETag it is another one.
  const parts = [c.req.method, pathname, search, c.req.header('if-match') ?? '', await c.req.text()];
  return {
    token: c.get('token').id,
    secret: c.get('secret'),
    key,
    request: hashSecret(JSON.stringify(parts)),
  };
}

/** What a document is known by, to be sent back as `If-Match`. */
export function etagOf(document: unknown): string {
  return `"${hashSecret(JSON.stringify(document)).slice(0, 16)}"`;
}

/** @throws AdminError `changed_meanwhile` where the request was made upon another state than this one. */
export function requireMatch(c: Context<AdminEnv>, document: unknown): void {
  const wanted = c.req.header('if-match');
  if (wanted === undefined || wanted === '*') return;
  const now = etagOf(document);
  if (wanted.split(',').some((tag) => tag.trim() === now)) return;
  throw new AdminError(
    'changed_meanwhile',
    'It was changed since it was read: read it again, then change it.',
  );
}
