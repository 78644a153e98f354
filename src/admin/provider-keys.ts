/** Keys of providers that the store keeps: written and never read, encrypted with a key derived from `SLUICE_SECRET`. */
import { createHmac, randomBytes } from 'node:crypto';
import { createRoute, z } from '@hono/zod-openapi';
import { providerKeyPurpose } from '../core/additions.ts';
import { seal, unseal } from '../core/seal.ts';
import {
  addProviderKey,
  listProviderKeys,
  type ProviderKeyRow,
  removeProviderKey,
} from '../store/additions.ts';
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
  newResource,
  refusals,
  word,
} from './resource.ts';

const keyShape = z
  .object({
    id: z.string(),
    provider: z.string(),
    name: z.string(),
    fingerprint: z.string().describe('Tells secrets apart; says nothing of them.'),
    state: z
      .enum(['in_use', 'no_provider', 'sealed'])
      .describe('sealed: SLUICE_SECRET is not set, or not the one it was sealed with.'),
    created_at: z.iso.datetime(),
  })
  .openapi('ProviderKey');

const wish = z
  .strictObject({
    provider: word.min(1).describe('Name of a provider that is on.'),
    name: label.describe('For people.'),
    secret: z
      .string()
      .trim()
      .min(1)
      .max(4096)
      .regex(/^[\x21-\x7e]*$/, 'must be printable ASCII without spaces, as headers are')
      .describe('Never given back.'),
  })
  .openapi('NewProviderKey');

const list = createRoute({
  method: 'get',
  path: '/admin/v1/provider-keys',
  summary: 'Keys of providers that are kept here, without their secrets.',
  ...guard('provider-keys:read'),
  request: { query: pageQuery },
  responses: { 200: json(pageOf(keyShape), 'A page.'), ...refusals },
});

const create = createRoute({
  method: 'post',
  path: '/admin/v1/provider-keys',
  summary: "Add a key to a provider's pool; all nodes use it within a second.",
  ...guard('provider-keys:write'),
  request: { headers: changeHeaders, body: body(wish) },
  responses: { 201: json(keyShape, 'Kept.'), ...changeRefusals },
});

const remove = createRoute({
  method: 'delete',
  path: '/admin/v1/provider-keys/{id}',
  summary: "Take a key out of its provider's pool and forget it.",
  ...guard('provider-keys:write'),
  request: { headers: changeHeaders, params: idParam },
  responses: { 200: json(keyShape, 'As it was.'), ...changeRefusals },
});

export function providerKeysResource(powers: AdminPowers) {
  const say = (row: ProviderKeyRow) => sayKey(row, powers);

  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor } = c.req.valid('query');
      const after = readCursor(cursor, [0, '']);
      const rows = (await listProviderKeys(await powers.store())).filter(
        ({ created_at, id }) =>
          after === undefined ||
          Number(created_at) > after[0] ||
          (Number(created_at) === after[0] && id > after[1]),
      );
      return c.json(
        toPage(rows, limit, ({ created_at, id }) => [Number(created_at), id], say),
        200,
      );
    })
    .openapi(create, async (c) => {
      const { provider, name, secret } = c.req.valid('json');
      const own = powers.secret;
      if (!own) {
        throw new AdminError(
          'not_configured',
          'Keys of providers are kept encrypted: set SLUICE_SECRET to a long random text, the same on all nodes, and start again.',
        );
      }
      const pool = powers.snapshot().providers.get(provider);
      if (pool === undefined) throw unknown('provider', provider);
      if (pool.keys.some(({ authorise }) => authorise !== undefined))
        throw new AdminError(
          'conflict',
          `The provider ${provider} takes credentials, not keys: see its settings.`,
        );
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const id = `pk_${randomBytes(6).toString('hex')}`;
        const row: ProviderKeyRow = {
          id,
          provider,
          name,
          fingerprint: createHmac('sha256', own).update(secret).digest('hex').slice(0, 12),
          sealed: seal(secret, own, providerKeyPurpose({ id, provider })),
          created_at: Date.now(),
        };
        if (!(await addProviderKey(trx, row)))
          throw new AdminError('conflict', `The provider ${provider} has that key already.`);
        const said = say(row);
        await audit({ action: 'create', subject: `provider-key:${id}`, after: said });
        return said;
      });
      return c.json(answer, 201);
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid('param');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const row = await removeProviderKey(trx, id);
        if (row === undefined) throw unknown('provider key', id);
        const before = say(row);
        await audit({ action: 'delete', subject: `provider-key:${id}`, before });
        return before;
      });
      return c.json(answer, 200);
    });
}

function sayKey(row: ProviderKeyRow, { secret, snapshot }: AdminPowers): z.infer<typeof keyShape> {
  const { id, provider, name, fingerprint, sealed, created_at } = row;
  const opens = secret !== undefined && unseal(sealed, secret, providerKeyPurpose(row)) !== undefined;
  const state = !opens ? 'sealed' : snapshot().providers.has(provider) ? 'in_use' : 'no_provider';
  return { id, provider, name, fingerprint, state, created_at: iso(Number(created_at)) };
}
