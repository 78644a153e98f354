/** Prices: what is known of every target, and those that operators set beside the configuration file. */
import { createRoute, z } from '@hono/zod-openapi';
import { sayIssues } from '../config/mistakes.ts';
import { price as priceSchema } from '../config/price-schema.ts';
import { targetsOf } from '../config/targets.ts';
import { writePrice } from '../core/money.ts';
import { listAdditions, putPrice, removePrice } from '../store/additions.ts';
import { change } from './change.ts';
import { AdminError, mistaken, unknown } from './errors.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import {
  body,
  changeHeaders,
  changeRefusals,
  document,
  guard,
  json,
  newResource,
  refusals,
  word,
} from './resource.ts';

const targetPrice = z
  .object({
    target: z.string().describe('provider/model.'),
    source: z
      .string()
      .nullable()
      .describe('config, store, the price list with its version; null: no price is known.'),
    version: z.string().nullable().describe('Of the price: charges keep it.'),
    price: document('All its rates, in pico-dollars (USD per million tokens times a million).').nullable(),
    override: document('What operators set here, in the words of the configuration file.').nullable(),
  })
  .openapi('TargetPrice');

const targetParam = z.object({
  target: word.min(3).describe('provider/model, with / written as %2F.'),
});

const list = createRoute({
  method: 'get',
  path: '/admin/v1/prices',
  summary: 'What is known of every target that is configured, listed or has a price here, by name.',
  ...guard('prices:read'),
  request: { query: pageQuery.extend({ target: word.optional() }) },
  responses: { 200: json(pageOf(targetPrice), 'A page.'), ...refusals },
});

const put = createRoute({
  method: 'put',
  path: '/admin/v1/prices/{target}',
  summary: 'Set the price of a target; what the configuration file says of one wins, and is changed there.',
  ...guard('prices:write'),
  request: {
    headers: changeHeaders,
    params: targetParam,
    body: body(document('As in the configuration file.')),
  },
  responses: { 200: json(targetPrice.pick({ target: true, override: true }), 'Set.'), ...changeRefusals },
});

const remove = createRoute({
  method: 'delete',
  path: '/admin/v1/prices/{target}',
  summary: 'Take back a price that was set here.',
  ...guard('prices:write'),
  request: { headers: changeHeaders, params: targetParam },
  responses: {
    200: json(targetPrice.pick({ target: true, override: true }), 'Taken back.'),
    ...changeRefusals,
  },
});

export function pricesResource(powers: AdminPowers) {
  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor, target } = c.req.valid('query');
      const after = readCursor(cursor, [''])?.[0];
      const { prices } = await listAdditions(await powers.store());
      const overrides = new Map(prices.map((each) => [each.target, each.price]));
      const snapshot = powers.snapshot();
      const names = new Set([
        ...[...snapshot.models.values()].flatMap(targetsOf).map(({ id }) => id),
        ...snapshot.listed.filter((name) => !snapshot.models.has(name)),
        ...overrides.keys(),
      ]);
      const shown = (target === undefined ? [...names] : [target])
        .filter((name) => after === undefined || name > after)
        .sort()
        .slice(0, limit + 1);
      const page = toPage(
        shown,
        limit,
        (name) => [name],
        (name) => {
          const route = snapshot.models.has(name) ? undefined : snapshot.resolve(name);
          const price = route?.type === 'target' ? route.target.price : undefined;
          return {
            target: name,
            source: price?.source ?? null,
            version: price?.version ?? null,
            price: price === undefined ? null : JSON.parse(writePrice(price)),
            override: overrides.get(name) ?? null,
          };
        },
      );
      return c.json(page, 200);
    })
    .openapi(put, async (c) => {
      const { target } = c.req.valid('param');
      const stated = c.req.valid('json');
      const read = priceSchema.safeParse(stated);
      if (!read.success) throw mistaken(sayIssues(read.error.issues, stated, priceSchema), 'The price');
      requireTarget(powers, target);
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const before = await putPrice(trx, target, stated);
        await audit({
          action: before === undefined ? 'create' : 'update',
          subject: `price:${target}`,
          before,
          after: stated,
        });
        return { target, override: stated };
      });
      return c.json(answer, 200);
    })
    .openapi(remove, async (c) => {
      const { target } = c.req.valid('param');
      const answer = await change(c, powers, async ({ trx, audit }) => {
        const before = await removePrice(trx, target);
        if (before === undefined) throw unknown('price that was set here of', target);
        await audit({ action: 'delete', subject: `price:${target}`, before });
        return { target, override: null };
      });
      return c.json(answer, 200);
    });
}

/** @throws AdminError where nothing at all would have that price, or the file says another. */
function requireTarget({ snapshot }: AdminPowers, target: string): void {
  const { providers } = snapshot();
  const slash = target.indexOf('/');
  if (slash < 0 || !providers.has(target.slice(0, slash))) {
    const message = `is no provider/model of a provider that is on: ${[...providers.keys()].slice(0, 20).join(', ')}`;
    throw new AdminError('bad_request', `target: ${message}.`, { mistakes: [{ path: 'target', message }] });
  }
  const route = snapshot().resolve(target);
  if (route?.type === 'target' && route.target.price?.source === 'config') {
    throw new AdminError('conflict', `The configuration file has a price of ${target}: change it there.`);
  }
}
