/** What the admin API takes and gives, as schemas: the one source of its validation and of its OpenAPI description. */
import { z } from '@hono/zod-openapi';
import { clientDialectNames } from '../core/chat.ts';
import type { ExplainedRoute, ExplainQuery, Explanation } from '../core/explain.ts';
import type { JsonObject } from '../core/json.ts';

const text = z.string().max(512);
const moment = z.iso
  .datetime({ offset: true, error: 'must be a moment, such as 2030-01-31T12:00:00Z' })
  .transform((said) => Date.parse(said));

export const errorShape = z
  .object({ error: z.object({ code: z.string(), message: z.string() }) })
  .openapi('Error');

export const explainQuery = z
  .strictObject({
    model: text.optional().describe('Public model name, or provider/model. Default: the one in body.'),
    body: z
      .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
        error: 'must be an object: the request as a client would send it',
      })
      .optional()
      .openapi({ type: 'object', description: 'A request, as a client would send it.' }),
    dialect: z.enum(clientDialectNames).default('openai-chat').describe('The language of body.'),
    key: text.optional().describe('Name of the key that asks; absent: one without any restriction.'),
    tags: z.record(text, text).default({}),
    session: text.default(''),
    end_user: text.default(''),
    tokens: z.int().min(0).default(0).describe('Tokens of the request, where no body tells.'),
    max_tokens: z.int().min(0).optional(),
    stream: z.boolean().default(false),
    at: moment.optional().describe('The moment; default: now.'),
    down: z
      .array(text)
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

export const explanation: z.ZodType<Explanation> = z
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
