/** Tokens of the admin API itself: made with a role, confined to a tenant or not, revoked for good. */
import { createRoute, z } from '@hono/zod-openapi';
import {
  type AdminToken,
  createToken,
  isLive,
  listTokens,
  liveOwners,
  readToken,
  revokeToken,
  roles,
} from '../store/tokens.ts';
import { covers, isConfined, scopeOf } from './access.ts';
import { change } from './change.ts';
import { AdminError, unknown } from './errors.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  body,
  changeHeaders,
  changeRefusals,
  guard,
  idParam,
  iso,
  json,
  label,
  moment,
  newResource,
  refusals,
  word,
} from './resource.ts';
import { organisationOf } from './tenancy.ts';

const tokenShape = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(roles),
    organisation: z.string().nullable().describe('All that it sees and changes; null: everything.'),
    team: z.string().nullable(),
    state: z.enum(['active', 'expired', 'revoked']),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    revoked_at: z.iso.datetime().nullable(),
  })
  .openapi('AdminToken');

const wish = z
  .strictObject({
    name: label,
    role: z.enum(roles),
    organisation: word.min(1).optional().describe('Confines it to an organisation.'),
    team: word.min(1).optional().describe('Confines it to a team of that organisation.'),
    expires: moment.optional(),
  })
  .superRefine(({ role, organisation, team, expires }, context) => {
    const mistake = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (team !== undefined && organisation === undefined)
      mistake('organisation', 'is missing; a team is one of an organisation');
    if (role === 'member' && organisation === undefined)
      mistake('organisation', 'is missing; a member is one of an organisation or team');
    if (role === 'owner' && organisation !== undefined)
      mistake('organisation', 'is out of place; an owner has the whole gateway');
    if (expires !== undefined && expires <= Date.now()) mistake('expires', 'must be a time to come');
  })
  .openapi('NewAdminToken');

const made = tokenShape.extend({ secret: z.string().describe('Shown this once.') }).openapi('MadeAdminToken');

const list = createRoute({
  method: 'get',
  path: '/admin/v1/tokens',
  summary: 'All tokens, in the order they were made; their secrets are kept nowhere.',
  ...guard('tokens:read'),
  request: { query: pageQuery },
  responses: { 200: json(pageOf(tokenShape), 'A page.'), ...refusals },
});

const create = createRoute({
  method: 'post',
  path: '/admin/v1/tokens',
  summary: 'Make a token; its secret is answered this once.',
  ...guard('tokens:write'),
  request: { headers: changeHeaders, body: body(wish) },
  responses: { 201: json(made, 'The token and its secret.'), ...changeRefusals },
});

const revoke = createRoute({
  method: 'delete',
  path: '/admin/v1/tokens/{id}',
  summary: 'Revoke a token, for good.',
  ...guard('tokens:write'),
  request: { headers: changeHeaders, params: idParam },
  responses: { 200: json(tokenShape, 'As it is now.'), ...changeRefusals },
});

const me = createRoute({
  method: 'get',
  path: '/admin/v1/me',
  summary: 'The token that asks.',
  ...guard('me'),
  responses: { 200: json(tokenShape, 'Whose it is, and what it may do.'), ...refusals },
});

export function tokensResource(powers: AdminPowers) {
  return newResource()
    .openapi(me, (c) => c.json(say(c.get('token')), 200))
    .openapi(list, async (c) => {
      const { limit, cursor } = c.req.valid('query');
      const after = readCursor(cursor, [0, '']);
      const scope = scopeOf(c.get('token'));
      const rows = (await listTokens(await powers.store())).filter(
        (token) =>
          covers(scope, token) &&
          (after === undefined ||
            token.createdAt > after[0] ||
            (token.createdAt === after[0] && token.id > after[1])),
      );
      return c.json(
        toPage(rows, limit, ({ createdAt, id }) => [createdAt, id], say),
        200,
      );
    })
    .openapi(create, async (c) => {
      const { expires, ...asked } = c.req.valid('json');
      const wished = { organisation: undefined, team: undefined, ...asked, expiresAt: expires };
      requireRank(c.get('token'), wished.role);
      const scope = scopeOf(c.get('token'));
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const { organisation, team } = wished;
        const astray =
          team !== undefined && (await organisationOf(trx, powers.file(), team)) !== organisation;
        if (astray || !covers(scope, wished))
          throw new AdminError('not_found', 'There is no such organisation or team.');
        const { token, secret } = await createToken(trx, wished);
        const said = say(token);
        await audit({
          action: 'create',
          subject: `token:${token.id}`,
          after: said,
          ...scopeOf(token),
        });
        return { ...said, secret };
      });
      return c.json(answer, 201);
    })
    .openapi(revoke, async (c) => {
      const { id } = c.req.valid('param');
      const asking = c.get('token');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const token = await readToken(trx, id);
        if (token === undefined || !covers(scopeOf(asking), token)) throw unknown('token', id);
        requireRank(asking, token.role);
        if (token.revokedAt !== undefined)
          throw new AdminError('conflict', `The token ${id} is revoked already.`);
        const now = Date.now();
        const owners = token.role === 'owner' && isLive(token, now) ? await liveOwners(trx, now) : 0;
        if (owners === 1)
          throw new AdminError('conflict', `${id} is the last owner: make another one before it is revoked.`);
        await revokeToken(trx, id, now);
        const after = say({ ...token, revokedAt: now });
        await audit({
          action: 'revoke',
          subject: `token:${id}`,
          before: say(token),
          after,
          ...scopeOf(token),
        });
        return after;
      });
      return c.json(answer, 200);
    });
}

/** Nobody makes or ends tokens that may do more than the own one. */
function requireRank(asking: AdminToken, role: AdminToken['role']): void {
  if (role !== 'owner' || (asking.role === 'owner' && !isConfined(scopeOf(asking)))) return;
  throw new AdminError('forbidden', 'Tokens of owners are made and revoked by owners.');
}

function say(token: AdminToken): z.infer<typeof tokenShape> {
  const { id, name, role, organisation, team, createdAt, expiresAt, revokedAt } = token;
  return {
    id,
    name,
    role,
    organisation: organisation ?? null,
    team: team ?? null,
    state: revokedAt !== undefined ? 'revoked' : isLive(token, Date.now()) ? 'active' : 'expired',
    created_at: iso(createdAt),
    expires_at: iso(expiresAt) ?? null,
    revoked_at: iso(revokedAt) ?? null,
  };
}
