/** The admin API, `/admin/v1`: for operators with an admin token. Published as OpenAPI at `/admin/v1/openapi.json`. */
import { createRoute, z } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { GatewayError } from '../core/error.ts';
import { controlRevision } from '../store/control.ts';
import { TenantError } from '../store/tenant-error.ts';
import { auditResource } from './audit.ts';
import { authenticate } from './authenticate.ts';
import { callsResource } from './calls.ts';
import { AdminError } from './errors.ts';
import { explainResource } from './explain.ts';
import { healthResource } from './health.ts';
import { keysResource } from './keys.ts';
import { latenciesResource } from './latencies.ts';
import { limitsResource } from './limits.ts';
import { organisationsResource } from './organisations.ts';
import type { AdminPowers } from './powers.ts';
import { pricesResource } from './prices.ts';
import { providerKeysResource } from './provider-keys.ts';
import { guard, json, newResource } from './resource.ts';
import { teamsResource } from './teams.ts';
import { tokensResource } from './tokens.ts';
import { usageResource } from './usage.ts';

/** Answers requests below `/admin/`. */
export function createAdmin(powers: AdminPowers): (request: Request) => Response | Promise<Response> {
  const app = newResource();
  app.onError(async (error, c) => {
    const refused = toRefusal(error) ?? (await storeTrouble(powers));
    if (refused === undefined) {
      powers.alarm('internal', {
        path: c.req.path,
        error: error instanceof GatewayError ? (error.cause ?? error) : error,
      });
      return c.json(somethingWrong, 500);
    }
    const { status, answer } = refused;
    return c.json(answer, status as 400);
  });
  app.use('/admin/v1/*', async (c, next) => {
    // Some answers have secrets in them, and none is for anybody else.
    c.header('cache-control', 'no-store');
    await next();
  });
  app.use('/admin/v1/*', authenticate(powers));
  app.use(
    '/admin/v1/*',
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw new AdminError('too_large', `The body is larger than ${maxBodyBytes} bytes.`);
      },
    }),
  );
  const parts = addResources(app, powers);
  parts.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  parts.openapi(describe, (c) =>
    c.json(
      parts.getOpenAPI31Document({
        openapi: '3.1.0',
        info: { title: 'Sluice admin API', version: powers.version },
      }) as object,
      200,
    ),
  );
  const methodsAt = rememberMethods(parts.routes);
  app.notFound((c) => {
    const { method, path } = c.req;
    const methods = methodsAt(path);
    const refused =
      methods.length === 0
        ? new AdminError('not_found', `There is nothing at ${method} ${path}.`)
        : new AdminError('method_not_allowed', `${path} takes ${methods.join(' or ')}, not ${method}.`);
    return c.json(refused.answer, refused.status as 404);
  });
  return (request) => app.fetch(asJson(request));
}

/** The type of all that the API answers: what its client is made of. */
export type AdminApi = ReturnType<typeof addResources>;

function addResources(app: ReturnType<typeof newResource>, powers: AdminPowers) {
  return app
    .route('/', tokensResource(powers))
    .route('/', auditResource(powers))
    .route('/', organisationsResource(powers))
    .route('/', teamsResource(powers))
    .route('/', keysResource(powers))
    .route('/', limitsResource(powers))
    .route('/', usageResource(powers))
    .route('/', callsResource(powers))
    .route('/', latenciesResource(powers))
    .route('/', pricesResource(powers))
    .route('/', providerKeysResource(powers))
    .route('/', healthResource(powers))
    .route('/', explainResource(powers));
}

/** As large as a client's request may be by default: it is what is asked about. */
const maxBodyBytes = 32 * 1024 * 1024;

const somethingWrong = new AdminError(
  'internal',
  'Something went wrong inside the gateway; its log has the details.',
).answer;

const describe = createRoute({
  method: 'get',
  path: '/admin/v1/openapi.json',
  summary: 'This description.',
  ...guard('me'),
  responses: { 200: json(z.object({}).catchall(z.unknown()), 'OpenAPI 3.1.') },
});

const tenantCodes = {
  not_found: 'not_found',
  taken: 'conflict',
  owned: 'conflict',
  in_use: 'conflict',
  unknown: 'bad_request',
} as const;

/** What whoever asks may hear; undefined: nothing of it. */
function toRefusal(error: Error): { status: number; answer: object } | undefined {
  if (error instanceof AdminError) return error.code === 'internal' ? undefined : error;
  if (error instanceof TenantError) return new AdminError(tenantCodes[error.kind], error.message);
  if (error instanceof HTTPException && error.status === 400)
    return new AdminError('bad_request', 'The body is no valid JSON.');
  if (error instanceof GatewayError && error.kind !== 'internal') {
    const { kind, message, status } = error;
    return { status, answer: { error: { code: kind, message } } };
  }
  return undefined;
}

/** Asked after a failure that nobody expected: a store that is away is no fault of the gateway's own. */
async function storeTrouble({ store }: AdminPowers): Promise<AdminError | undefined> {
  try {
    await controlRevision(await store());
    return undefined;
  } catch (cause) {
    return new AdminError('store_unavailable', 'The store cannot be asked: try again soon.', { cause });
  }
}

/** Path → the methods it takes. */
function rememberMethods(
  routes: readonly { path: string; method: string }[],
): (path: string) => readonly string[] {
  const named = routes.filter(({ path, method }) => method !== 'ALL' && !path.includes('*'));
  const known = named.map(({ path, method }) => ({
    method,
    form: new RegExp(`^${path.replaceAll('.', '\\.').replace(/:[^/]+/g, '[^/]+')}$`),
  }));
  return (path) => [...new Set(known.filter(({ form }) => form.test(path)).map(({ method }) => method))];
}

/** What is sent here is JSON, whether it says so or not: curl does not by itself. */
function asJson(request: Request): Request {
  if (request.method === 'GET' || request.method === 'HEAD') return request;
  const headers = new Headers(request.headers);
  headers.set('content-type', 'application/json');
  return new Request(request, { headers });
}
