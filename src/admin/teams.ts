/** Teams: made, changed, removed; those of the configuration file are shown beside them, and changed there. */
import { createRoute, z } from '@hono/zod-openapi';
import { teamSchema, tenantName } from '../config/tenant-schema.ts';
import type { JsonObject } from '../core/json.ts';
import { pageOf, pageQuery } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  body,
  changeHeaders,
  changeRefusals,
  guard,
  json,
  matchHeaders,
  newResource,
  refusals,
  word,
} from './resource.ts';
import { ownership, patch, writtenDocument } from './tenancy.ts';
import { tenantDocuments } from './tenant-documents.ts';

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
  const teams = tenantDocuments<z.infer<typeof team>>(powers, {
    kind: 'teams',
    word: 'team',
    schema: teamSchema,
    say: ({ name, ...told }) => ({ name, organisation: organisationIn(told.document), ...told }),
    scope: (name, document) => ({ organisation: organisationIn(document), team: name }),
  });

  return newResource()
    .openapi(list, async (c) => c.json(await teams.page(c, c.req.valid('query')), 200))
    .openapi(read, async (c) => c.json(await teams.read(c, c.req.valid('param').name), 200))
    .openapi(create, async (c) => c.json(await teams.create(c, c.req.valid('json').name), 201))
    .openapi(update, async (c) =>
      c.json(await teams.update(c, c.req.valid('param').name, c.req.valid('json')), 200),
    )
    .openapi(remove, async (c) => c.json(await teams.remove(c, c.req.valid('param').name), 200));
}

function organisationIn(document: JsonObject): string {
  return (document.organisation as string | undefined) ?? 'default';
}
