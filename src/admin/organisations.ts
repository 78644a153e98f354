/** Organisations: made, changed, removed; those of the configuration file are shown beside them, and changed there. */
import { createRoute, z } from '@hono/zod-openapi';
import { organisationSchema, tenantName } from '../config/tenant-schema.ts';
import { pageOf, pageQuery } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  body,
  changeHeaders,
  changeRefusals,
  document,
  guard,
  json,
  matchHeaders,
  newResource,
  refusals,
  word,
} from './resource.ts';
import { ownership, patch, writtenDocument } from './tenancy.ts';
import { tenantDocuments } from './tenant-documents.ts';

const organisation = z
  .object({
    name: z.string(),
    owned_by: ownership,
    document: writtenDocument,
    created_at: z.iso.datetime().nullable(),
    updated_at: z.iso.datetime().nullable(),
  })
  .openapi('Organisation');

const base = '/admin/v1/organisations';
const param = z.object({ name: word.min(1) });
const wish = z.object({ name: tenantName }).catchall(z.unknown()).openapi('NewOrganisation', {
  description: 'Its name, and all that the configuration file may say of one.',
});

const list = createRoute({
  method: 'get',
  path: base,
  summary: 'Organisations, by name.',
  ...guard('tenants:read'),
  request: { query: pageQuery },
  responses: { 200: json(pageOf(organisation), 'A page.'), ...refusals },
});
const read = createRoute({
  method: 'get',
  path: `${base}/{name}`,
  summary: 'One organisation, with an ETag.',
  ...guard('tenants:read'),
  request: { params: param },
  responses: { 200: json(organisation, 'As it is.'), ...refusals },
});
const create = createRoute({
  method: 'post',
  path: base,
  summary: 'Make an organisation.',
  ...guard('organisations:write'),
  request: { headers: changeHeaders, body: body(wish) },
  responses: { 201: json(organisation, 'Made.'), ...changeRefusals },
});
const update = createRoute({
  method: 'patch',
  path: `${base}/{name}`,
  summary: 'Change an organisation.',
  ...guard('organisations:write'),
  request: { headers: matchHeaders, params: param, body: body(patch) },
  responses: { 200: json(organisation, 'As it is now.'), ...changeRefusals },
});
const sell = createRoute({
  method: 'put',
  path: `${base}/{name}/pricing`,
  summary: 'Say what an organisation pays for its calls.',
  ...guard('pricing:write'),
  request: {
    headers: matchHeaders,
    params: param,
    body: body(document('{ "markup": "20%" } or { "discount": "10%" }; {}: what they cost.')),
  },
  responses: { 200: json(organisation, 'As it is now.'), ...changeRefusals },
});
const remove = createRoute({
  method: 'delete',
  path: `${base}/{name}`,
  summary: 'Remove an organisation without teams.',
  ...guard('organisations:write'),
  request: { headers: matchHeaders, params: param },
  responses: { 200: json(organisation, 'As it was.'), ...changeRefusals },
});

export function organisationsResource(powers: AdminPowers) {
  const organisations = tenantDocuments<z.infer<typeof organisation>>(powers, {
    kind: 'organisations',
    word: 'organisation',
    schema: organisationSchema,
    say: (told) => told,
    scope: (name) => ({ organisation: name }),
  });

  return newResource()
    .openapi(list, async (c) => c.json(await organisations.page(c, c.req.valid('query')), 200))
    .openapi(read, async (c) => c.json(await organisations.read(c, c.req.valid('param').name), 200))
    .openapi(create, async (c) => c.json(await organisations.create(c, c.req.valid('json').name), 201))
    .openapi(update, async (c) =>
      c.json(await organisations.update(c, c.req.valid('param').name, c.req.valid('json')), 200),
    )
    .openapi(sell, async (c) => {
      const said = c.req.valid('json');
      const pricing = Object.keys(said).length === 0 ? null : said;
      return c.json(await organisations.update(c, c.req.valid('param').name, { pricing }), 200);
    })
    .openapi(remove, async (c) => c.json(await organisations.remove(c, c.req.valid('param').name), 200));
}
