/**
 * One call, top to bottom: authenticate, read, peek, plan, reserve, then targets until one answers.
 *
 * Asynchronous functions are few and short here, and closures are avoided: each scope of the former and each of the
 * latter is an allocation per call, and together they cost more than all the work between them.
 */
import type { Target } from '../config/snapshot.ts';
import { clientGone, GatewayError, toGatewayError } from '../core/error.ts';
import { charge } from '../core/money.ts';
import { emptyUsage } from '../core/usage.ts';
import type { Asked, ClientDialect } from '../dialects/dialect.ts';
import { authorise, extractSecret } from '../governance/keys.ts';
import type { BoundLimit } from '../governance/leases.ts';
import { Plan } from '../routing/route.ts';
import { answer } from './attempt.ts';
import { type Peek, peekBody, readBody } from './body.ts';
import { Call } from './call.ts';
import type { Gateway } from './gateway.ts';
import { readLabels } from './labels.ts';
import { Inbound } from './render.ts';
import { errorResponse } from './respond.ts';
import { Tries } from './tries.ts';

/** How long a client may be silent, in seconds, 0 for as long as it likes: Bun's server. */
export interface Patience {
  timeout(request: Request, seconds: number): void;
}

/** A chat call in the client's `dialect`. Never rejects: every failure is an answer the client's SDK understands. */
export async function handleChat(
  request: Request,
  dialect: ClientDialect,
  asked: Asked,
  gateway: Gateway,
  patience: Patience,
): Promise<Response> {
  const call = new Call(gateway, dialect, gateway.snapshot());
  try {
    admit(call, request);
    const body = await readBody(request, call.snapshot.settings.bodyLimitBytes);
    if (request.signal.aborted) throw clientGone();
    patience.timeout(request, 0);
    const tries = planTries(call, body, asked, request);
    const looking = tries.inbound.lookBack();
    if (looking !== undefined) await looking;
    for (;;) {
      const next = tries.next();
      if (!(next instanceof Promise ? await next : next)) throw tries.failure;
      try {
        return await answer(tries);
      } catch (thrown) {
        tries.failed(thrown);
      }
    }
  } catch (thrown) {
    return refuse(call, thrown, request);
  }
}

/** Who calls. @throws GatewayError `unauthorized`, `bad_request`, `draining`. */
function admit(call: Call, request: Request): void {
  const { gateway } = call;
  if (gateway.inflight.draining) throw new GatewayError('draining', 'This gateway is shutting down; retry.');
  call.key = gateway.keyring.authenticate(extractSecret(request.headers, request.url), Date.now());
  call.labels = readLabels(request.headers);
}

/** What is asked, whom it may be asked of, and that the limits bear it. @throws GatewayError */
function planTries(call: Call, body: Uint8Array, asked: Asked, request: Request): Tries {
  const { gateway, snapshot } = call;
  const peek = peekBody(body, call.dialect, asked);
  call.model = peek.model;
  authorise(call.key!, peek.model);
  const route = snapshot.resolve(peek.model);
  if (route === undefined) throw unknownModel(peek.model);
  const view = { isHealthy: gateway.health.isHealthy, random: gateway.random, nowMs: Date.now() };
  const plan = new Plan(route, view);
  const first = plan.next(view.nowMs);
  if (first === undefined) throw new GatewayError('internal', `The route "${peek.model}" has no targets.`);
  reserve(call, peek, first);
  const inbound = new Inbound(peek, call, request);
  return new Tries(call, inbound, request, plan, first);
}

/** Holds with every limit what this call may need, before anything is sent. */
function reserve(call: Call, peek: Peek, target: Target): void {
  const usage = emptyUsage();
  usage.input = Math.ceil(Math.min(peek.body.length, maxTextBytes) / 4);
  usage.output =
    (peek.maxTokens ?? target.quirks.defaultMaxTokens ?? defaultOutputTokens) * Math.max(1, peek.answers);
  call.reserved = target.price === undefined ? 0 : charge(usage, target.price);
  const limits = call.gateway.limiter.limitsOf(call.snapshot, call.key!);
  call.hasBudget = limits.some(isBudget);
  const estimate = { tokens: usage.input + usage.output, nanoUsd: call.reserved };
  call.lease = call.gateway.limiter.reserve(limits, estimate, Date.now());
}

function isBudget({ limit }: BoundLimit): boolean {
  return limit.unit === 'usd';
}

/** Larger bodies are so because of images and files, which are not a token per four bytes. */
const maxTextBytes = 512 * 1024;
const defaultOutputTokens = 1024;

function refuse(call: Call, thrown: unknown, request: Request): Response {
  const error = request.signal.aborted ? clientGone() : toGatewayError(thrown);
  if (error.kind === 'internal') {
    call.gateway.observer.alarm('internal', { call: call.id, error: error.cause ?? error });
  }
  let status = 500;
  try {
    const response = errorResponse(error, call.dialect, call, call.id);
    status = response.status;
    return response;
  } finally {
    // Whatever went wrong above, the call is over and its limits are free again.
    call.end(status, error);
  }
}

export function unknownModel(model: string): GatewayError {
  return new GatewayError(
    'not_found',
    `The model "${model}" is not known here. Use a name that GET /v1/models lists, or provider/model of a configured provider.`,
    { param: 'model', code: 'model_not_found' },
  );
}
