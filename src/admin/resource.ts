/** What routes of all resources have in common: whom they are for, how they refuse, and how they are described. */
import { OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { sayIssues } from '../config/mistakes.ts';
import type { JsonObject } from '../core/json.ts';
import type { AdminToken } from '../store/tokens.ts';
import { type Ability, abilities, requireAbility } from './access.ts';
import { errorShape, mistaken } from './errors.ts';

export interface AdminEnv {
  Variables: {
    /** Who asks, and with what secret. */
    token: AdminToken;
    secret: string;
  };
}

/** A part of the API. Whatever is wrong with a request is said at once, each mistake at its place. */
export function newResource(): OpenAPIHono<AdminEnv> {
  return new OpenAPIHono<AdminEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      // What was sent is there, though the type does not say so.
      const { data } = result as { data?: unknown };
      throw mistaken(sayIssues(result.error.issues, data, z.unknown()));
    },
  });
}

/** Members of a route: it is for tokens with that ability alone, which is asked before anything else. */
export function guard(ability: Ability) {
  const middleware: MiddlewareHandler<AdminEnv> = async (c, next) => {
    requireAbility(c.get('token'), ability);
    await next();
  };
  const { roles } = abilities[ability];
  return {
    middleware,
    security: [{ token: [] }],
    'x-ability': ability,
    description: `For the roles ${roles.join(', ')}.`,
  };
}

export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

export function body<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** How any route may refuse. */
export const refusals = {
  400: json(errorShape, 'The question is wrong.'),
  401: json(errorShape, 'No token, or none that is known.'),
  403: json(errorShape, 'The token may not do that.'),
  404: json(errorShape, 'Nobody knows that, or it is not for this token to know.'),
  503: json(errorShape, 'The store cannot be asked.'),
} satisfies RouteConfig['responses'];

/** How a route that changes something may refuse beside. */
export const changeRefusals = {
  ...refusals,
  409: json(errorShape, 'It does not go together with what is there.'),
  412: json(errorShape, 'It was changed since it was read.'),
  422: json(errorShape, 'The Idempotency-Key stands for another request.'),
} satisfies RouteConfig['responses'];

export const changeHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('The same request with the same key within 24 hours is done once and answered the same.'),
});

export const matchHeaders = changeHeaders.extend({
  'if-match': z
    .string()
    .max(100)
    .optional()
    .describe('The ETag of what was read: refused where it has changed since.'),
});

export const moment = z.iso
  .datetime({ offset: true, error: 'must be a moment, such as 2030-01-31T12:00:00Z' })
  .transform((said) => Date.parse(said))
  .openapi({ type: 'string', format: 'date-time' });

/** PostgreSQL's text holds no U+0000. */
export const word = z
  .string()
  .max(512)
  .refine((said) => !said.includes('\0'), { error: 'has a character U+0000' })
  .refine((said) => said.isWellFormed(), { error: 'has half a character' });

/** For people, and in the audit log. */
export const label = word
  .trim()
  .min(1)
  .max(128)
  .refine((said) => !/\p{Cc}/u.test(said), { error: 'has a control character' });

/** An object whose members are checked by a schema of the configuration. */
export function document(says: string) {
  return z
    .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
      error: 'must be an object',
    })
    .openapi({ type: 'object', description: says });
}

export const idParam = z.object({ id: word.min(1) });

export function iso(ms: number): string;
export function iso(ms: number | undefined): string | undefined;
export function iso(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
