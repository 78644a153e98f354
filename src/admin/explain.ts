/** What would become of a request, without sending it. */
import { createRoute, z } from '@hono/zod-openapi';
import { clientDialectNames } from '../core/chat.ts';
import type { ExplainedRoute, ExplainQuery, Explanation } from '../core/explain.ts';
import { covers, isConfined, scopeOf } from './access.ts';
import { unknown } from './errors.ts';
import type { AdminPowers } from './powers.ts';
import { body, document, guard, json, moment, newResource, refusals, word } from './resource.ts';

const explainQuery = z
  .strictObject({
    model: word.optional().describe('Public model name, or provider/model. Default: the one in body.'),
    body: document('A request, as a client would send it.')
      .refine(canBeWritten, { error: 'is nested too deeply' })
      .optional(),
    dialect: z.enum(clientDialectNames).default('openai-chat').describe('The language of body.'),
    key: word.optional().describe('Name of the key that asks; absent: one without any restriction.'),
    tags: z.record(word, word).default({}),
    session: word.default(''),
    end_user: word.default(''),
    tokens: z.int().min(0).default(0).describe('Tokens of the request, where no body tells.'),
    max_tokens: z.int().min(0).optional(),
    stream: z.boolean().default(false),
    at: moment.optional().describe('The moment; default: now.'),
    down: z
      .array(word)
      .max(1000)
      .default([])
      .describe('Targets that are taken not to be well; provider/* for all of a provider.'),
    seed: z.int().min(0).default(1).describe('Of the random numbers.'),
  })
  .refine(({ model, body }) => model !== undefined || body !== undefined, {
    error: 'must name a model, or hold a body that does',
  })
  .transform((said): ExplainQuery => ({ ...said, at: said.at ?? Date.now() }))
  .openapi('ExplainQuery');

const explainedRoute: z.ZodType<ExplainedRoute> = z
  .object({
    type: z.string(),
    target: z.string().optional(),
    score: z.number().optional(),
    unit: z.string().optional(),
    if: z.string().optional(),
    unused: z.boolean().optional(),
    unseen: z.boolean().optional(),
    get children() {
      return z.array(explainedRoute).optional();
    },
  })
  .openapi('ExplainedRoute');

const explanation: z.ZodType<Explanation> = z
  .object({
    model: z.string(),
    key: z.string().nullable(),
    tokens: z.number(),
    max_tokens: z.number().nullable(),
    refused: z.object({ kind: z.string(), message: z.string() }).optional(),
    route: explainedRoute.optional(),
    targets: z.array(
      z.object({
        target: z.string(),
        way: z.string(),
        healthy: z.boolean(),
        fits: z.boolean(),
        expected_cost_usd: z.string().nullable(),
        lost: z.array(z.string()),
        passed_over: z.string().optional(),
      }),
    ),
    limits: z.array(
      z.object({
        owner: z.string(),
        name: z.string(),
        unit: z.string(),
        per: z.string().nullable(),
        max: z.string(),
        used: z.string(),
        reserved: z.string(),
        needed: z.string(),
        refuses: z.boolean(),
      }),
    ),
  })
  .openapi('Explanation');

const ask = createRoute({
  method: 'post',
  path: '/admin/v1/explain',
  summary: 'Why a request would go where it goes: the plan, the limits and the costs, without sending it.',
  ...guard('explain'),
  request: { body: body(explainQuery) },
  responses: { 200: json(explanation, 'The plan.'), ...refusals },
});

/** The engine writes less deep nesting than it reads. */
function canBeWritten(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

export function explainResource(powers: AdminPowers) {
  return newResource().openapi(ask, (c) => {
    const query = c.req.valid('json');
    const scope = scopeOf(c.get('token'));
    // Whoever is confined to a tenant asks as one of its keys: what others may do is not theirs to know.
    if (isConfined(scope)) {
      const key = query.key === undefined ? undefined : powers.keyNamed(query.key);
      if (key === undefined || !covers(scope, key)) throw unknown('key', query.key ?? '');
    }
    const explained = powers.explain(query);
    // What the organisation has is not for one team to know.
    const limits = explained.limits.filter(
      ({ owner }) => scope.team === undefined || owner !== 'organisation',
    );
    return c.json({ ...explained, limits }, 200);
  });
}
