/** The admin API, `/admin/v1`: for operators with the admin token. Published as OpenAPI at `/admin/v1/openapi.json`. */
import { createRoute, OpenAPIHono, type z } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { GatewayError } from '../core/error.ts';
import type { ExplainQuery, Explanation } from '../core/explain.ts';
import type { HealthReport } from '../core/health.ts';
import { hashSecret } from '../core/secret.ts';
import type { Store } from '../store/open.ts';
import { findToken } from '../store/tokens.ts';
import { healthPage, toHealthPage } from './health-page.ts';
import { errorShape, explainQuery, explanation } from './shapes.ts';

/** What the API can do, handed in by app.ts. */
export interface AdminPowers {
  /** @throws where it cannot be opened. */
  store(): Promise<Store['db']>;
  version: string;
  /** @throws GatewayError */
  explain(query: ExplainQuery): Explanation;
  health(): HealthReport;
  /** Tells the operator of a fault of the gateway's own. */
  alarm(what: string, fields: Record<string, unknown>): void;
}

/** Answers requests below `/admin/`. */
export function createAdmin(powers: AdminPowers): (request: Request) => Response | Promise<Response> {
  const app = new OpenAPIHono({
    // Whatever is wrong with a request is said in one line, at its place.
    defaultHook: (result, c) => (result.success ? undefined : c.json(describeMistake(result.error), 400)),
  });
  app.use('/admin/v1/*', async (c, next) => {
    const token = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
    if (
      token !== undefined &&
      (await findToken(await powers.store(), hashSecret(token), Date.now())) !== undefined
    )
      return next();
    return c.json(errorOf('unauthorized', 'Send the admin token as `Authorization: Bearer TOKEN`.'), 401);
  });
  app.use('/admin/v1/*', bodyLimit({ maxSize: maxBodyBytes, onError: (c) => c.json(tooLarge, 413) }));
  app.openapi(explainRoute, (c) => c.json(powers.explain(c.req.valid('json')), 200));
  app.openapi(healthRoute, (c) => c.json(toHealthPage(powers.health()), 200));
  app.doc31('/admin/v1/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'Sluice admin API', version: powers.version },
  });
  app.notFound((c) => {
    const method = methods.get(c.req.path);
    if (method === undefined)
      return c.json(errorOf('not_found', `There is nothing at ${c.req.method} ${c.req.path}.`), 404);
    return c.json(errorOf('method_not_allowed', `${c.req.path} takes ${method}, not ${c.req.method}.`), 405);
  });
  app.onError((error, c) => {
    if (error instanceof HTTPException && error.status === 400)
      return c.json(errorOf('bad_request', 'The body is no valid JSON.'), 400);
    if (error instanceof GatewayError && error.kind !== 'internal')
      return c.json(errorOf(error.kind, error.message), error.status as 400);
    powers.alarm('internal', { path: c.req.path, error: error.cause ?? error });
    return c.json(
      errorOf('internal', 'Something went wrong inside the gateway; its log has the details.'),
      500,
    );
  });
  return (request) => app.fetch(asJson(request));
}

/** As large as a client's request may be by default: it is what is asked about. */
const maxBodyBytes = 32 * 1024 * 1024;
const tooLarge = errorOf('too_large', `The body is larger than ${maxBodyBytes} bytes.`);

const methods: ReadonlyMap<string, string> = new Map([
  ['/admin/v1/explain', 'POST'],
  ['/admin/v1/health', 'GET'],
  ['/admin/v1/openapi.json', 'GET'],
]);

/** What is sent here is JSON, whether it says so or not: curl does not by itself. */
function asJson(request: Request): Request {
  if (request.method === 'GET' || request.headers.get('content-type')?.includes('json')) return request;
  const headers = new Headers(request.headers);
  headers.set('content-type', 'application/json');
  return new Request(request, { headers });
}

const refusals = {
  400: { description: 'The question is wrong.', content: { 'application/json': { schema: errorShape } } },
  401: { description: 'Not the admin token.', content: { 'application/json': { schema: errorShape } } },
  404: { description: 'Nobody knows that.', content: { 'application/json': { schema: errorShape } } },
};

const explainRoute = createRoute({
  method: 'post',
  path: '/admin/v1/explain',
  summary: 'Why a request would go where it goes: the plan, the limits and the costs, without sending it.',
  request: {
    body: { required: true, content: { 'application/json': { schema: explainQuery } } },
  },
  responses: {
    200: { description: 'The plan.', content: { 'application/json': { schema: explanation } } },
    ...refusals,
  },
});

const healthRoute = createRoute({
  method: 'get',
  path: '/admin/v1/health',
  summary: 'How the provider keys are, and the targets that failed lately.',
  responses: {
    200: { description: 'As it is now.', content: { 'application/json': { schema: healthPage } } },
    401: refusals[401],
  },
});

function describeMistake(error: z.core.$ZodError) {
  const [first] = error.issues;
  const path = first?.path.join('.') ?? '';
  return errorOf('bad_request', `${path === '' ? 'The body' : path}: ${first?.message ?? 'is wrong'}.`);
}

function errorOf(code: string, message: string) {
  return { error: { code, message } };
}
