/** Organisations: made, changed, removed; those of the configuration file are shown beside them, and changed there. */
import { createRoute, z } from '@hono/zod-openapi';
import { organisationSchema, tenantName } from '../config/tenant-schema.ts';
import type { JsonObject } from '../core/json.ts';
import type { StoredTenant } from '../core/tenants.ts';
import { createTenant, findTenant, listTenantsOf, removeTenant, updateTenant } from '../store/tenants.ts';
import { covers, scopeOf } from './access.ts';
import { type Changing, change, etagOf, requireMatch } from './change.ts';
import { unknown } from './errors.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  body,
  changeHeaders,
  changeRefusals,
  document,
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
  documentIn,
  ownedByFile,
  ownership,
  patch,
  patched,
  writtenDocument,
  writtenOf,
} from './tenancy.ts';

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
  const { file } = powers;
  const inFile = (): Said[] =>
    Object.entries(file().organisations).map(([name, each]) => ({
      name,
      owned_by: 'file',
      document: writtenOf(each),
      created_at: null,
      updated_at: null,
    }));

  async function changeDocument(
    { trx, audit }: Changing,
    name: string,
    match: (before: unknown) => void,
    next: (before: JsonObject) => JsonObject,
  ): Promise<Said> {
    const stored = await findTenant(trx, 'organisations', name);
    if (stored !== undefined) match(say(stored));
    const document = approve(organisationSchema, next(stored?.document ?? {}));
    const { before, after } = await updateTenant(trx, 'organisations', name, document, ownedByFile(file()));
    await audit({
      action: 'update',
      subject: `organisation:${name}`,
      before: before.document,
      after: after.document,
      organisation: name,
    });
    return say(after);
  }

  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor } = c.req.valid('query');
      const after = readCursor(cursor, [''])?.[0] ?? '';
      const scope = scopeOf(c.get('token'));
      const stored = await listTenantsOf(await powers.store(), 'organisations');
      const owned = inFile();
      const names = new Set(owned.map(({ name }) => name));
      const rows = [...owned, ...stored.filter(({ name }) => !names.has(name)).map(say)]
        .filter(({ name }) => name > after && covers(scope, { organisation: name }))
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
      const stored = await findTenant(await powers.store(), 'organisations', name);
      const found = inFile().find((each) => each.name === name) ?? (stored && say(stored));
      if (found === undefined || !covers(scopeOf(c.get('token')), { organisation: name }))
        throw unknown('organisation', name);
      c.header('etag', etagOf(found));
      return c.json(found, 200);
    })
    .openapi(create, async (c) => {
      const { name } = c.req.valid('json');
      const written = await documentIn(c);
      const document = approve(organisationSchema, written);
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const made = await createTenant(trx, 'organisations', name, document, ownedByFile(file()));
        await audit({
          action: 'create',
          subject: `organisation:${name}`,
          after: document,
          organisation: name,
        });
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
          name,
          (now) => requireMatch(c, now),
          (before) => patched(before, changes),
        ),
      );
      c.header('etag', etagOf(answer));
      return c.json(answer, 200);
    })
    .openapi(sell, async (c) => {
      const { name } = c.req.valid('param');
      const said = c.req.valid('json');
      const pricing = Object.keys(said).length === 0 ? null : said;
      const answer = await change(c, powers, (changing) =>
        changeDocument(
          changing,
          name,
          (now) => requireMatch(c, now),
          (before) => patched(before, { pricing }),
        ),
      );
      c.header('etag', etagOf(answer));
      return c.json(answer, 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid('param');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const stored = await findTenant(trx, 'organisations', name);
        if (stored !== undefined) requireMatch(c, say(stored));
        const before = await removeTenant(trx, 'organisations', name, ownedByFile(file()));
        await audit({
          action: 'delete',
          subject: `organisation:${name}`,
          before: before.document,
          organisation: name,
        });
        return say(before);
      });
      return c.json(answer, 200);
    });
}

type Said = z.infer<typeof organisation>;

function say({ name, document, createdAt, updatedAt }: StoredTenant): Said {
  return { name, owned_by: 'store', document, created_at: iso(createdAt), updated_at: iso(updatedAt) };
}
