/** Teams: made, changed, removed; those of the configuration file are shown beside them, and changed there. */
import { createRoute, z } from '@hono/zod-openapi';
import { teamSchema, tenantName } from '../config/tenant-schema.ts';
import type { JsonObject } from '../core/json.ts';
import type { StoredTenant } from '../core/tenants.ts';
import { createTenant, findTenant, listTenantsOf, removeTenant, updateTenant } from '../store/tenants.ts';
import { covers, type Scope, scopeOf } from './access.ts';
import { type Changing, change, etagOf, requireMatch } from './change.ts';
import { unknown } from './errors.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  body,
  changeHeaders,
  changeRefusals,
  guard,
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
  ownedByFile,
  ownership,
  patch,
  patched,
  requireNew,
  writtenDocument,
  writtenOf,
} from './tenancy.ts';

const team = z
  .object({
    name: z.string(),
    organisation: z.string(),
    owned_by: ownership,
    document: writtenDocument,
    created_at: z.iso.datetime().nullable(),
    updated_at: z.iso.datetime().nullable(),
  })
  .openapi('Team');

const base = '/admin/v1/teams';
const param = z.object({ name: word.min(1) });
const wish = z
  .object({ name: tenantName })
  .catchall(z.unknown())
  .openapi('NewTeam', { description: 'Its name, and all that the configuration file may say of one.' });

const list = createRoute({
  method: 'get',
  path: base,
  summary: 'Teams, by name.',
  ...guard('tenants:read'),
  request: { query: pageQuery },
  responses: { 200: json(pageOf(team), 'A page.'), ...refusals },
});
const read = createRoute({
  method: 'get',
  path: `${base}/{name}`,
  summary: 'One team, with an ETag.',
  ...guard('tenants:read'),
  request: { params: param },
  responses: { 200: json(team, 'As it is.'), ...refusals },
});
const create = createRoute({
  method: 'post',
  path: base,
  summary: 'Make a team.',
  ...guard('teams:write'),
  request: { headers: changeHeaders, body: body(wish) },
  responses: { 201: json(team, 'Made.'), ...changeRefusals },
});
const update = createRoute({
  method: 'patch',
  path: `${base}/{name}`,
  summary: 'Change a team.',
  ...guard('teams:write'),
  request: { headers: matchHeaders, params: param, body: body(patch) },
  responses: { 200: json(team, 'As it is now.'), ...changeRefusals },
});
const remove = createRoute({
  method: 'delete',
  path: `${base}/{name}`,
  summary: 'Remove a team without keys.',
  ...guard('teams:write'),
  request: { headers: matchHeaders, params: param },
  responses: { 200: json(team, 'As it was.'), ...changeRefusals },
});

export function teamsResource(powers: AdminPowers) {
  const { file } = powers;
  const inFile = (): Said[] =>
    Object.entries(file().teams).map(([name, each]) => ({
      name,
      organisation: each.organisation,
      owned_by: 'file',
      document: writtenOf(each),
      created_at: null,
      updated_at: null,
    }));

  /** @throws AdminError where there is no such team, or it is not for this token to know. */
  const requireSeen = (scope: Scope, name: string, stored: StoredTenant | undefined): void => {
    const found = inFile().find((each) => each.name === name) ?? (stored && say(stored));
    if (found === undefined || !covers(scope, whose(found))) throw unknown('team', name);
  };

  async function changeDocument(
    { trx, audit }: Changing,
    scope: Scope,
    name: string,
    match: (before: unknown) => void,
    next: (before: JsonObject) => JsonObject,
  ): Promise<Said> {
    const stored = await findTenant(trx, 'teams', name);
    requireSeen(scope, name, stored);
    if (stored !== undefined) match(say(stored));
    const document = approve(teamSchema, next(stored?.document ?? {}));
    requireWithin(scope, name, document);
    const { before, after } = await updateTenant(trx, 'teams', name, document, ownedByFile(file()));
    await audit({
      action: 'update',
      subject: `team:${name}`,
      before: before.document,
      after: after.document,
      ...commonScope(whose(say(before)), whose(say(after))),
    });
    return say(after);
  }

  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor } = c.req.valid('query');
      const after = readCursor(cursor, [''])?.[0] ?? '';
      const scope = scopeOf(c.get('token'));
      const stored = await listTenantsOf(await powers.store(), 'teams');
      const owned = inFile();
      const names = new Set(owned.map(({ name }) => name));
      const rows = [...owned, ...stored.filter(({ name }) => !names.has(name)).map(say)]
        .filter(({ name, organisation }) => name > after && covers(scope, { organisation, team: name }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      return c.json(
        toPage(
          rows,
          limit,
          ({ name }) => [name],
          (row) => row,
        ),
        200,
      );
    })
    .openapi(read, async (c) => {
      const { name } = c.req.valid('param');
      const stored = await findTenant(await powers.store(), 'teams', name);
      const found = inFile().find((each) => each.name === name) ?? (stored && say(stored));
      if (found === undefined || !covers(scopeOf(c.get('token')), whose(found))) throw unknown('team', name);
      c.header('etag', etagOf(found));
      return c.json(found, 200);
    })
    .openapi(create, async (c) => {
      const { name } = c.req.valid('json');
      const written = await documentIn(c);
      const document = approve(teamSchema, written);
      const scope = scopeOf(c.get('token'));
      requireWithin(scope, name, document);
      const answer = await change(c, powers, async ({ trx, audit }) => {
        await requireNew(trx, file(), scope, name);
        const made = await discreetly(scope, () =>
          createTenant(trx, 'teams', name, document, ownedByFile(file())),
        );
        await audit({ action: 'create', subject: `team:${name}`, after: document, ...whose(say(made)) });
        return say(made);
      });
      c.header('etag', etagOf(answer));
      return c.json(answer, 201);
    })
    .openapi(update, async (c) => {
      const { name } = c.req.valid('param');
      const changes = c.req.valid('json');
      const answer = await change(c, powers, (changing) =>
        changeDocument(
          changing,
          scopeOf(c.get('token')),
          name,
          (now) => requireMatch(c, now),
          (before) => patched(before, changes),
        ),
      );
      c.header('etag', etagOf(answer));
      return c.json(answer, 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid('param');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const stored = await findTenant(trx, 'teams', name);
        const scope = scopeOf(c.get('token'));
        requireSeen(scope, name, stored);
        if (stored !== undefined) requireMatch(c, say(stored));
        const before = await removeTenant(trx, 'teams', name, ownedByFile(file()));
        await audit({
          action: 'delete',
          subject: `team:${name}`,
          before: before.document,
          ...whose(say(before)),
        });
        return say(before);
      });
      return c.json(answer, 200);
    });
}

type Said = z.infer<typeof team>;

function say({ name, document, createdAt, updatedAt }: StoredTenant): Said {
  const organisation = organisationIn(document);
  return {
    name,
    organisation,
    owned_by: 'store',
    document,
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  };
}

function organisationIn(document: JsonObject): string {
  return (document.organisation as string | undefined) ?? 'default';
}

function whose({ name, organisation }: { name: string; organisation: string }): Scope {
  return { organisation, team: name };
}

/** @throws TenantError where the organisation is not for this token to know. */
function requireWithin(scope: Scope, name: string, document: JsonObject): void {
  const organisation = organisationIn(document);
  if (!covers(scope, { organisation, team: name })) throw noSuch('organisation', organisation);
}
