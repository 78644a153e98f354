/** What was used and spent: summed by any dimensions, filtered by any, as pages or as files. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { nameOfUsage, type UsageQuery, usageDimensions } from '../store/usage.ts';
import { scopeOf } from './access.ts';
import { AdminError } from './errors.ts';
import { type ExportRow, exported, exportFormats } from './exported.ts';
import { filterOf, seriesFilters } from './filters.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import { type AdminEnv, guard, json, newResource, refusals } from './resource.ts';

const sums = {
  calls: z.int(),
  attempts: z.int(),
  unpriced: z.int().describe('Attempts that no price is known for: they are missing in usd.'),
  estimated: z.int().describe('Attempts whose tokens the gateway counted itself.'),
  input_tokens: z.int().describe('cached_tokens included.'),
  cached_tokens: z.int(),
  output_tokens: z.int(),
  usd: z.string().describe('What it cost, exact.'),
  sell_usd: z.string().describe('What organisations were charged.'),
};

const dimensions = Object.fromEntries(usageDimensions.map((name) => [name, z.string().optional()])) as Record<
  (typeof usageDimensions)[number],
  z.ZodOptional<z.ZodString>
>;

const usageRow = z.object({ ...dimensions, ...sums }).openapi('Usage');

const by = z
  .string()
  .default('model')
  .transform((said) => [...new Set(said.split(','))])
  .pipe(z.array(z.enum(usageDimensions)).max(5))
  .openapi({
    type: 'string',
    description: `One row for each combination of these, with commas between: ${usageDimensions.join(', ')}. Times are UTC.`,
    example: 'day,model',
  });

const filters = { by, ...seriesFilters };

const list = createRoute({
  method: 'get',
  path: '/admin/v1/usage',
  summary: 'What was used and spent: by time, then the most expensive first. Whole hours are counted.',
  ...guard('usage:read'),
  request: { query: pageQuery.extend(filters) },
  responses: { 200: json(pageOf(usageRow), 'A page.'), ...refusals },
});

const file = createRoute({
  method: 'get',
  path: '/admin/v1/usage/export',
  summary: 'The same as a file.',
  ...guard('usage:read'),
  request: { query: z.strictObject({ format: z.enum(exportFormats).default('csv'), ...filters }) },
  responses: {
    200: { description: 'A file.', content: { 'text/csv': { schema: z.string() } } },
    ...refusals,
  },
});

export function usageResource(powers: AdminPowers) {
  async function queryOf(c: Context<AdminEnv>, asked: z.output<z.ZodObject<typeof filters>>) {
    const db = await powers.store();
    const filter = await filterOf(db, asked, scopeOf(c.get('token')));
    const { by, since, until } = asked;
    return {
      by,
      filter,
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    } satisfies UsageQuery;
  }

  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor, ...asked } = c.req.valid('query');
      const after = readCursor(cursor, [''])?.[0];
      const query = { ...(await queryOf(c, asked)), after, limit: limit + 1 };
      const rows = await powers.questions.usagePage(query);
      if (rows === undefined)
        throw new AdminError(
          'bad_request',
          'cursor: is of another question; take `next` of the page before.',
        );
      return c.json(
        toPage(
          rows,
          limit,
          (row) => [nameOfUsage(row, asked.by)],
          (row) => row,
        ),
        200,
      );
    })
    .openapi(file, async (c) => {
      const { format, ...asked } = c.req.valid('query');
      let rows = await powers.questions.usage(await queryOf(c, asked));
      const next = async (): Promise<ExportRow[]> => {
        const some = rows.slice(0, 1000);
        rows = rows.slice(1000);
        return some.map((row) => ({ ...row }));
      };
      return (await exported(c, format, 'usage', [...asked.by, ...Object.keys(sums)], next)) as never;
    });
}
