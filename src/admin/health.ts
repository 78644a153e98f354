/** Health as the admin API tells it. */
import { createRoute, z } from '@hono/zod-openapi';
import type { HealthReport } from '../core/health.ts';
import type { AdminPowers } from './powers.ts';
import { guard, json, newResource, refusals } from './resource.ts';

const moment = z.iso.datetime();

export const healthPage = z
  .object({
    at: moment,
    providers: z.array(
      z.object({
        name: z.string(),
        keys: z.array(
          z.object({
            id: z.string().describe('Of the key, never its secret.'),
            state: z.enum(['live', 'aside']).describe('For all models.'),
            until: moment.optional(),
            why: z.literal('refused').optional(),
            limited: z
              .array(z.object({ model: z.string(), until: moment, why: z.enum(['rate_limited', 'used_up']) }))
              .describe('Models that it is set aside for, whatever its state.'),
          }),
        ),
      }),
    ),
    targets: z
      .array(
        z.object({
          target: z.string(),
          state: z.enum(['closed', 'open', 'half-open']),
          since: moment.optional(),
          until: moment.optional(),
          failures: z.int().describe('In a row.'),
          recent: z.object({ calls: z.int(), failed: z.int() }).describe('Within the last half minute.'),
          last_error: z.string().optional(),
        }),
      )
      .describe('Those that failed lately; all others are well.'),
  })
  .openapi('Health');

const read = createRoute({
  method: 'get',
  path: '/admin/v1/health',
  summary: 'How the provider keys are, and the targets that failed lately.',
  ...guard('health'),
  responses: { 200: json(healthPage, 'As it is now.'), ...refusals },
});

export function healthResource(powers: AdminPowers) {
  return newResource().openapi(read, (c) => c.json(toHealthPage(powers.health()), 200));
}

export function toHealthPage({ atMs, providers, targets }: HealthReport): z.infer<typeof healthPage> {
  return {
    at: say(atMs)!,
    providers: providers.map(({ name, keys }) => ({
      name,
      keys: keys.map(({ id, state, untilMs, why, limited = [] }) => ({
        id,
        state,
        until: say(untilMs),
        why,
        limited: limited.map((each) => ({ model: each.model, until: say(each.untilMs)!, why: each.why })),
      })),
    })),
    targets: targets.map(({ id, state, sinceMs, untilMs, failures, recent, lastError }) => ({
      target: id,
      state,
      since: say(sinceMs),
      until: say(untilMs),
      failures,
      recent,
      last_error: lastError,
    })),
  };
}

/** Undefined for what has no moment. */
function say(ms: number | undefined): string | undefined {
  return ms === undefined || !Number.isFinite(ms) ? undefined : new Date(ms).toISOString();
}
