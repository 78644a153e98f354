/** What organisations, teams and keys have in common here: who owns them, whose they are, and what is written of them. */
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Kysely, Transaction } from 'kysely';
import { sayIssues } from '../config/mistakes.ts';
import type { Config } from '../config/schema.ts';
import type { JsonObject } from '../core/json.ts';
import type { FileTenants } from '../core/tenants.ts';
import { listKeys } from '../store/keys.ts';
import type { Schema } from '../store/schema.ts';
import { TenantError } from '../store/tenant-error.ts';
import { findTenant, listTenantsOf } from '../store/tenants.ts';
import { isConfined, type Scope } from './access.ts';
import { AdminError, mistaken } from './errors.ts';
import { document } from './resource.ts';

/** What the configuration file has of them. */
export type FileSections = Pick<Config, 'keys' | 'teams' | 'organisations'>;

export const ownership = z.enum(['file', 'store']).describe('file: it is changed in the configuration file.');

export const writtenDocument = document('As the configuration file would say it.');

export const patch = document(
  'Members take the place of those there; null takes one away. All are those of the configuration file.',
);

export function ownedByFile({ keys, teams, organisations }: FileSections): FileTenants {
  return {
    keys: new Set(keys.map(({ name }) => name)),
    teams: new Set(Object.keys(teams)),
    organisations: new Set(Object.keys(organisations)),
  };
}

/** @returns the document as it was written, approved of. @throws AdminError with all that is wrong. */
export function approve(schema: z.ZodType, written: JsonObject): JsonObject {
  // Compared by its own JSON: what is no JSON is not in it.
  const read = schema.safeParse(written);
  if (!read.success) throw mistaken(sayIssues(read.error.issues, written, schema), 'The document');
  if (JSON.stringify(written).includes('\\u0000'))
    throw new AdminError('bad_request', 'The document has a character U+0000.');
  return written;
}

/** Of a request that has a name beside it. As it was sent: a schema that lets others pass drops what is called `__proto__`. */
export async function documentIn(c: Context): Promise<JsonObject> {
  const { name, ...document } = await c.req.json<JsonObject>();
  return document;
}

export function patched(before: JsonObject, change: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries({ ...before, ...change }).filter(([, value]) => value !== null),
  ) as JsonObject;
}

/** Of the configuration, as it would have been written: without what is not said, and without any secret. */
export function writtenOf(parsed: object): JsonObject {
  const { name, key, previous, ...said } = parsed as Record<string, unknown>;
  const written: Record<string, unknown> = {};
  for (const [member, value] of Object.entries(said)) {
    if (value === undefined || value === false) continue;
    if (member === 'limits' && (value as []).length === 0) continue;
    if (member === 'end_users' && (value as { limits: [] }).limits.length === 0) continue;
    if (member === 'expires') written.expires = new Date(value as number).toISOString();
    else if (member === 'pricing') written.pricing = percentages(value as Record<string, number>);
    else written[member] = value;
  }
  return written as JsonObject;
}

/** From parts per million. */
function percentages(ppm: Record<string, number>): JsonObject {
  return Object.fromEntries(
    Object.entries(ppm).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, `${value / 10_000}%`]],
    ),
  );
}

/** Whose a team is. Undefined: there is no such team. */
export async function organisationOf(
  db: Kysely<Schema>,
  file: FileSections,
  team: string,
): Promise<string | undefined> {
  if (Object.hasOwn(file.teams, team)) return file.teams[team]!.organisation;
  const stored = await findTenant(db, 'teams', team);
  if (stored !== undefined) return (stored.document.organisation as string | undefined) ?? 'default';
  return team === 'default' ? 'default' : undefined;
}

/** The teams that a token sees; undefined: all. */
export async function teamsWithin(
  db: Kysely<Schema>,
  file: FileSections,
  { organisation, team }: Scope,
): Promise<string[] | undefined> {
  // A team may have gone to another organisation since the token was made.
  if (team !== undefined) return (await organisationOf(db, file, team)) === organisation ? [team] : [];
  if (organisation === undefined) return undefined;
  const inFile = Object.entries(file.teams).flatMap(([name, each]) =>
    each.organisation === organisation ? [name] : [],
  );
  const stored = await listTenantsOf(db, 'teams', { of: organisation });
  const others = stored.map(({ name }) => name).filter((name) => !Object.hasOwn(file.teams, name));
  const usual = (await organisationOf(db, file, 'default')) === organisation ? ['default'] : [];
  return [...new Set([...inFile, ...others, ...usual])];
}

/** In the words of the store's own refusal: what belongs to others is not there. */
export function noSuch(kind: 'team' | 'organisation', name: string): TenantError {
  return new TenantError('unknown', `There is no ${kind} "${name}". Make it first, or name another.`);
}

/**
 * Of what has been changed, for the audit log. What went from one tenant to another is for whoever sees both: neither is
 * to learn of the other.
 */
export function commonScope(before: Scope, after: Scope): Scope {
  if (before.organisation !== after.organisation) return {};
  return { organisation: after.organisation, team: before.team === after.team ? after.team : undefined };
}

/** @throws AdminError that tells no more of others' names than that they are taken. */
export async function discreetly<Made>(scope: Scope, act: () => Promise<Made>): Promise<Made> {
  try {
    return await act();
  } catch (error) {
    if (
      isConfined(scope) &&
      error instanceof TenantError &&
      (error.kind === 'taken' || error.kind === 'owned')
    )
      throw nameTaken();
    throw error;
  }
}

/**
 * Keys name their team: whoever made one of a name that keys have would get them, be they revoked or without any team.
 * @throws AdminError where the team would not begin without keys, and whoever asks sees but a part of the gateway.
 */
export async function requireNew(
  trx: Transaction<Schema>,
  file: FileSections,
  scope: Scope,
  team: string,
): Promise<void> {
  if (!isConfined(scope)) return;
  const [stored] = await listKeys(trx, { teams: [team], limit: 1 });
  const named = team === 'default' || stored !== undefined || file.keys.some((key) => key.team === team);
  if (named) throw nameTaken();
}

function nameTaken(): AdminError {
  return new AdminError('conflict', 'That name is taken. Choose another one.');
}
