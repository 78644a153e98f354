/** How long answers took: percentiles by model, target or key. */
import { createRoute, z } from '@hono/zod-openapi';
import { type LatencyDimension, type LatencyRow, latencyDimensions } from '../store/percentiles.ts';
import { AdminError } from './errors.ts';
import { idsOf, seriesFilters } from './filters.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import { guard, json, newResource, refusals } from './resource.ts';

const percentiles = z
  .object({ count: z.int().describe('Attempts.'), p50: z.number(), p95: z.number(), p99: z.number() })
  .nullable();

const latencyRow = z
  .object({
    ...(Object.fromEntries(latencyDimensions.map((name) => [name, z.string().optional()])) as Record<
      LatencyDimension,
      z.ZodOptional<z.ZodString>
    >),
    duration: percentiles.describe('To the end of the answer.'),
    first_byte: percentiles.describe('To the first meaningful bytes, of streams; null: there were none.'),
  })
  .openapi('Latency');

const by = z
  .string()
  .default('model')
  .transform((said) => [...new Set(said.split(','))])
  .pipe(z.array(z.enum(latencyDimensions)))
  .openapi({
    type: 'string',
    description: `One row for each combination of these, with commas between: ${latencyDimensions.join(', ')}. By key neither model nor target is known.`,
    example: 'day,model',
  });

const { key, model, target, since, until } = seriesFilters;

const list = createRoute({
  method: 'get',
  path: '/admin/v1/latencies',
  summary: 'How long attempts took that went well, in milliseconds, within 5 %. Whole hours are counted.',
  ...guard('health'),
  request: { query: pageQuery.extend({ by, key, model, target, since, until }) },
  responses: { 200: json(pageOf(latencyRow), 'A page.'), ...refusals },
});

export function latenciesResource(powers: AdminPowers) {
  return newResource().openapi(list, async (c) => {
    const { limit, cursor, ...asked } = c.req.valid('query');
    const after = readCursor(cursor, [''])?.[0];
    const nameOf = (row: LatencyRow) => asked.by.map((each) => row[each]).join('\n');
    const rows = await ask(powers, asked);
    // Sorted by their names: one that is gone has left its place.
    const from = after === undefined ? 0 : rows.findIndex((row) => nameOf(row) > after);
    const page = from < 0 ? [] : rows.slice(from, from + limit + 1);
    return c.json(
      toPage(
        page,
        limit,
        (row) => [nameOf(row)],
        (row) => row,
      ),
      200,
    );
  });
}

type Asked = Omit<z.output<(typeof list)['request']['query']>, 'limit' | 'cursor'>;

async function ask(
  powers: AdminPowers,
  { by, key, model, target, since, until }: Asked,
): Promise<LatencyRow[]> {
  const keys = key === undefined ? undefined : await idsOf(await powers.store(), key);
  try {
    return await powers.questions.latencies({
      by,
      ...(keys !== undefined && { key: keys }),
      ...(model !== undefined && { model }),
      ...(target !== undefined && { target }),
      ...(since !== undefined && { since }),
      ...(until !== undefined && { until }),
    });
  } catch (error) {
    // It may come from another thread, which has classes of its own.
    if ((error as Error).name === 'LatencyError')
      throw new AdminError('bad_request', (error as Error).message);
    throw error;
  }
}
