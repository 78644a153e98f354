/** The audit log, to be read: who changed what, and when. */
import { createRoute, z } from '@hono/zod-openapi';
import { queryAudit } from '../store/audit-log.ts';
import { scopeOf } from './access.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import { guard, iso, json, moment, newResource, refusals, word } from './resource.ts';

const line = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    actor: z.string().describe('Id and name of an admin token; `cli`: the command line.'),
    action: z.string(),
    subject: z.string().describe('Kind and id: key:key_1a2b.'),
    before: z.unknown().describe('As it was; null: there was nothing.'),
    after: z.unknown().describe('As it became; null: there is nothing any more.'),
    organisation: z.string().nullable(),
    team: z.string().nullable(),
  })
  .openapi('AuditLine');

const list = createRoute({
  method: 'get',
  path: '/admin/v1/audit',
  summary: 'What was changed, the newest first.',
  ...guard('audit:read'),
  request: {
    query: pageQuery.extend({
      actor: word.optional().describe('Id of a token, or cli.'),
      action: word.optional(),
      subject: word.optional().describe('One thing, key:key_1a2b, or all of a kind, key.'),
      since: moment.optional(),
      until: moment.optional(),
    }),
  },
  responses: { 200: json(pageOf(line), 'A page.'), ...refusals },
});

export function auditResource(powers: AdminPowers) {
  return newResource().openapi(list, async (c) => {
    const { limit, cursor, ...filters } = c.req.valid('query');
    const rows = await queryAudit(await powers.store(), {
      ...filters,
      ...scopeOf(c.get('token')),
      after: readCursor(cursor, [''])?.[0],
      limit: limit + 1,
    });
    const page = toPage(
      rows,
      limit,
      ({ id }) => [id],
      (row) => ({
        id: row.id,
        at: iso(Number(row.at)),
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        before: parse(row.before),
        after: parse(row.after),
        organisation: row.scope_organisation,
        team: row.scope_team,
      }),
    );
    return c.json(page, 200);
  });
}

function parse(json: string | null): unknown {
  return json === null ? null : JSON.parse(json);
}
