/** Keys: made, changed, rotated, revoked; those of the configuration file are shown beside them, and changed there. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Kysely } from 'kysely';
import { keySchema, tenantName } from '../config/tenant-schema.ts';
import { grace as graceSpan } from '../config/values.ts';
import type { JsonObject } from '../core/json.ts';
import type { StoredKey } from '../core/tenants.ts';
import { createKey, findKey, listKeys, revokeKey, rotateKey, updateKey } from '../store/keys.ts';
import type { Schema } from '../store/schema.ts';
import { covers, type Scope, scopeOf } from './access.ts';
import { change, etagOf, requireMatch } from './change.ts';
import { unknown } from './errors.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  type AdminEnv,
  body,
  changeHeaders,
  changeRefusals,
  guard,
  idParam,
  iso,
  json,
  matchHeaders,
  newResource,
  refusals,
  word,
} from './resource.ts';
import {
  approve,
  commonScope,
  discreetly,
  documentIn,
  noSuch,
  organisationOf,
  ownedByFile,
  ownership,
  patch,
  patched,
  teamsWithin,
  writtenDocument,
  writtenOf,
} from './tenancy.ts';

const keyShape = z
  .object({
    id: z.string(),
    name: z.string(),
    team: z.string(),
    owned_by: ownership,
    state: z.enum(['active', 'disabled', 'expired', 'revoked']),
    document: writtenDocument,
    previous_until: z.iso.datetime().nullable().describe('Until then the secret before works, too.'),
    created_at: z.iso.datetime().nullable(),
    updated_at: z.iso.datetime().nullable(),
    revoked_at: z.iso.datetime().nullable(),
  })
  .openapi('Key');
const withSecret = keyShape
  .extend({ secret: z.string().describe('Shown this once.') })
  .openapi('KeyAndSecret');

const base = '/admin/v1/keys';
const wish = z
  .object({ name: tenantName })
  .catchall(z.unknown())
  .openapi('NewKey', { description: 'Its name, and all that the configuration file may say of one.' });
const rotation = z
  .strictObject({ grace: graceSpan.default(24 * 3_600_000).openapi({ type: 'string', example: '24h' }) })
  .openapi('Rotation');

const list = createRoute({
  method: 'get',
  path: base,
  summary: 'Keys by name, revoked ones too; their secrets are kept nowhere.',
  ...guard('tenants:read'),
  request: { query: pageQuery.extend({ team: word.optional() }) },
  responses: { 200: json(pageOf(keyShape), 'A page.'), ...refusals },
});
const read = createRoute({
  method: 'get',
  path: `${base}/{id}`,
  summary: 'One key, with an ETag.',
  ...guard('tenants:read'),
  request: { params: idParam },
  responses: { 200: json(keyShape, 'As it is.'), ...refusals },
});
const create = createRoute({
  method: 'post',
  path: base,
  summary: 'Make a key; its secret is answered this once.',
  ...guard('keys:write'),
  request: { headers: changeHeaders, body: body(wish) },
  responses: { 201: json(withSecret, 'The key and its secret.'), ...changeRefusals },
});
const update = createRoute({
  method: 'patch',
  path: `${base}/{id}`,
  summary: 'Change a key; "disabled": true switches it off.',
  ...guard('keys:write'),
  request: { headers: matchHeaders, params: idParam, body: body(patch) },
  responses: { 200: json(keyShape, 'As it is now.'), ...changeRefusals },
});
const rotate = createRoute({
  method: 'post',
  path: `${base}/{id}/rotate`,
  summary: 'Give a key another secret, answered this once; the one before works for a time of grace.',
  ...guard('keys:write'),
  request: { headers: matchHeaders, params: idParam, body: body(rotation) },
  responses: { 200: json(withSecret, 'The key and its new secret.'), ...changeRefusals },
});
const revoke = createRoute({
  method: 'delete',
  path: `${base}/{id}`,
  summary: 'Revoke a key, for good.',
  ...guard('keys:write'),
  request: { headers: matchHeaders, params: idParam },
  responses: { 200: json(keyShape, 'As it is now.'), ...changeRefusals },
});

export function keysResource(powers: AdminPowers) {
  const { file } = powers;

  const inFile = (): Said[] =>
    file().keys.map((key) => ({
      id: `key_${key.name}`,
      name: key.name,
      team: key.team,
      owned_by: 'file',
      state: key.disabled ? 'disabled' : (key.expires ?? Infinity) <= Date.now() ? 'expired' : 'active',
      document: writtenOf(key),
      previous_until: iso(key.previous?.until) ?? null,
      created_at: null,
      updated_at: null,
      revoked_at: null,
    }));

  async function sees(db: Kysely<Schema>, scope: Scope, team: string): Promise<boolean> {
    return covers(scope, { organisation: await organisationOf(db, file(), team), team });
  }

  /** @throws AdminError where there is no such key, or it is not for this token to know. */
  async function requireKey(db: Kysely<Schema>, c: Context<AdminEnv>, id: string): Promise<Said> {
    const stored = await findKey(db, id);
    const found = stored?.id === id ? say(stored) : inFile().find((key) => key.id === id);
    if (found === undefined || !(await sees(db, scopeOf(c.get('token')), found.team)))
      throw unknown('key', id);
    return found;
  }

  /** Whoever is confined to a team makes keys of that team. @throws TenantError */
  async function placed(db: Kysely<Schema>, scope: Scope, written: JsonObject): Promise<JsonObject> {
    const document = scope.team === undefined ? written : { team: scope.team, ...written };
    const team = typeof document.team === 'string' ? document.team : 'default';
    if (!(await sees(db, scope, team))) throw noSuch('team', team);
    return document;
  }

  const whose = async (db: Kysely<Schema>, team: string) => ({
    organisation: await organisationOf(db, file(), team),
    team,
  });

  /** By which it is looked up in the store: one of the file is known there by its name, and refused. */
  const handle = ({ id, name, owned_by }: Said) => (owned_by === 'file' ? name : id);

  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor, team } = c.req.valid('query');
      const place = readCursor(cursor, ['', '']);
      const after = place && { name: place[0], id: place[1] };
      const db = await powers.store();
      const seen = await teamsWithin(db, file(), scopeOf(c.get('token')));
      const teams = team === undefined ? seen : seen === undefined || seen.includes(team) ? [team] : [];
      const stored = await listKeys(db, {
        ...(after && { after }),
        ...(teams && { teams }),
        limit: limit + 1,
      });
      const owned = inFile().filter(
        (key) => teams?.includes(key.team) !== false && (after === undefined || inOrder(key, after) > 0),
      );
      const rows = [...owned, ...stored.map(say)].sort(inOrder);
      return c.json(
        toPage(
          rows,
          limit,
          ({ name, id }) => [name, id],
          (row) => row,
        ),
        200,
      );
    })
    .openapi(read, async (c) => {
      const found = await requireKey(await powers.store(), c, c.req.valid('param').id);
      c.header('etag', etagOf(found));
      return c.json(found, 200);
    })
    .openapi(create, async (c) => {
      const { name } = c.req.valid('json');
      const written = await documentIn(c);
      const scope = scopeOf(c.get('token'));
      approve(keySchema, written);
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const document = await placed(trx, scope, written);
        const { key, secret } = await discreetly(scope, () =>
          createKey(trx, name, document, ownedByFile(file())),
        );
        const said = say(key);
        await audit({
          action: 'create',
          subject: `key:${key.id}`,
          after: said,
          ...(await whose(trx, key.team)),
        });
        return { ...said, secret };
      });
      return c.json(answer, 201);
    })
    .openapi(update, async (c) => {
      const { id } = c.req.valid('param');
      const changes = c.req.valid('json');
      const scope = scopeOf(c.get('token'));
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const now = await requireKey(trx, c, id);
        requireMatch(c, now);
        const document = await placed(trx, scope, approve(keySchema, patched(now.document, changes)));
        const { before, after } = await updateKey(trx, handle(now), document, ownedByFile(file()));
        const said = say(after);
        await audit({
          action: 'update',
          subject: `key:${id}`,
          before: say(before),
          after: said,
          ...commonScope(await whose(trx, before.team), await whose(trx, after.team)),
        });
        return said;
      });
      c.header('etag', etagOf(answer));
      return c.json(answer, 200);
    })
    .openapi(rotate, async (c) => {
      const { id } = c.req.valid('param');
      const { grace } = c.req.valid('json');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const now = await requireKey(trx, c, id);
        requireMatch(c, now);
        const { before, after, secret } = await rotateKey(trx, handle(now), grace, ownedByFile(file()));
        const said = say(after);
        await audit({
          action: 'rotate',
          subject: `key:${id}`,
          before: say(before),
          after: said,
          ...(await whose(trx, after.team)),
        });
        return { ...said, secret };
      });
      return c.json(answer, 200);
    })
    .openapi(revoke, async (c) => {
      const { id } = c.req.valid('param');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const now = await requireKey(trx, c, id);
        requireMatch(c, now);
        const { before, after } = await revokeKey(trx, handle(now), ownedByFile(file()));
        const said = say(after);
        await audit({
          action: 'revoke',
          subject: `key:${id}`,
          before: say(before),
          after: said,
          ...(await whose(trx, after.team)),
        });
        return said;
      });
      return c.json(answer, 200);
    });
}

type Said = z.infer<typeof keyShape>;

function say(key: StoredKey): Said {
  const { id, name, team, document, previousUntil, createdAt, updatedAt, revokedAt } = key;
  return {
    id,
    name,
    team,
    owned_by: 'store',
    state: stateOf(key, Date.now()),
    document,
    previous_until: iso(previousUntil) ?? null,
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
    revoked_at: iso(revokedAt) ?? null,
  };
}

/** That of the store, which compares bytes. */
function inOrder(a: Pick<Said, 'name' | 'id'>, b: Pick<Said, 'name' | 'id'>): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)) || (a.id < b.id ? -1 : Number(a.id > b.id));
}

function stateOf({ revokedAt, document: { disabled, expires } }: StoredKey, now: number): Said['state'] {
  if (revokedAt !== undefined) return 'revoked';
  if (typeof expires === 'string' && Date.parse(expires) <= now) return 'expired';
  return disabled === true ? 'disabled' : 'active';
}
