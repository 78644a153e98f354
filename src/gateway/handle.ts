/** One call, top to bottom: authenticate, read, peek, plan, reserve, then targets until one answers. */
import type { Target } from '../config/snapshot.ts';
import { GatewayError, toGatewayError } from '../core/error.ts';
import { charge } from '../core/money.ts';
import { emptyUsage } from '../core/usage.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { authorise, extractSecret } from '../governance/keys.ts';
import { type Plan, plan } from '../routing/route.ts';
import { answer } from './attempt.ts';
import { type Peek, peekBody, readBody } from './body.ts';
import { Call } from './call.ts';
import type { Gateway } from './gateway.ts';
import { readLabels } from './labels.ts';
import { Inbound, type Outbound } from './render.ts';
import { errorResponse } from './respond.ts';

/** A chat call in the client's `dialect`. Never rejects: every failure is an answer the client's SDK understands. */
export async function handleChat(request: Request, dialect: Dialect, gateway: Gateway): Promise<Response> {
  const call = new Call(gateway, dialect, gateway.snapshot());
  try {
    if (gateway.inflight.draining) throw new GatewayError('draining', 'This gateway is shutting down; retry.');
    call.key = gateway.keyring.authenticate(extractSecret(request.headers, request.url), Date.now());
    call.labels = readLabels(request.headers);
    const peek = peekBody(await readBody(request, call.snapshot.settings.bodyLimitBytes), dialect);
    const targets = planTargets(call, peek);
    return await tryTargets(call, new Inbound(peek, dialect, gateway.forceTranslate), targets, request);
  } catch (thrown) {
    const error = toGatewayError(thrown);
    if (error.kind === 'internal') gateway.observer.alarm('internal', { call: call.id, error: error.cause ?? error });
    const response = errorResponse(error, dialect, call, call.id);
    call.end(response.status, error);
    return response;
  }
}

interface Targets {
  first: Target;
  rest: Plan;
}

/** The targets this key may reach by this name, with what the call may need held by every limit. */
function planTargets(call: Call, peek: Peek): Targets {
  const { gateway, snapshot } = call;
  call.model = peek.model;
  authorise(call.key!, peek.model);
  const route = snapshot.resolve(peek.model);
  if (route === undefined) throw unknownModel(peek.model);
  const { isHealthy } = gateway.health;
  const rest = plan(route, { isHealthy, random: gateway.random, nowMs: Date.now() });
  const first = rest.next();
  if (first === undefined) throw new GatewayError('internal', `The route "${peek.model}" has no targets.`);
  reserve(call, peek, first);
  return { first, rest };
}

/** Holds with every limit what this call may need, before anything is sent. */
function reserve(call: Call, peek: Peek, target: Target): void {
  const usage = emptyUsage();
  usage.input = Math.ceil(Math.min(peek.body.length, maxTextBytes) / 4);
  usage.output = peek.maxTokens ?? target.quirks.defaultMaxTokens ?? defaultOutputTokens;
  call.reserved = target.price === undefined ? 0 : charge(usage, target.price);
  const limits = call.gateway.limiter.limitsOf(call.snapshot, call.key!);
  const estimate = { tokens: usage.input + usage.output, nanoUsd: call.reserved };
  call.lease = call.gateway.limiter.reserve(limits, estimate, Date.now());
}

/** Larger bodies are so because of images and files, which are not a token per four bytes. */
const maxTextBytes = 512 * 1024;
const defaultOutputTokens = 1024;

/**
 * Target after target, each with the keys of its pool, until one answers: a key that is refused or limited makes way
 * for the next live one, a target that fails for the next target of the plan.
 * @throws GatewayError of the last attempt that reached a provider; else why the first target could not be asked.
 */
async function tryTargets(call: Call, inbound: Inbound, targets: Targets, request: Request): Promise<Response> {
  const { health } = call.gateway;
  let unasked: GatewayError | undefined;
  let failure: GatewayError | undefined;
  for (let target: Target | undefined = targets.first; target !== undefined; target = targets.rest.next()) {
    const outbound = renderFor(target, inbound);
    if (outbound instanceof GatewayError) {
      unasked ??= outbound;
      targets.rest.report(target, outbound);
      continue;
    }
    const { provider } = target;
    let key = health.pickKey(provider, Date.now());
    for (let tries = 1; ; tries++) {
      try {
        const response = await answer(call, inbound, outbound, key, request);
        health.report(target, key, 'ok', Date.now());
        return response;
      } catch (thrown) {
        failure = toGatewayError(thrown);
        health.report(target, key, failure, Date.now());
        if (!keyTrouble.has(failure.kind) || tries >= provider.keys.length) break;
        key = health.pickLiveKey(provider, Date.now());
        if (key === undefined) break;
      }
    }
    targets.rest.report(target, failure);
  }
  throw failure ?? unasked ?? new GatewayError('internal', 'The route has no targets.');
}

const keyTrouble: ReadonlySet<string> = new Set(['upstream_auth', 'upstream_quota', 'upstream_rate_limited']);

/** The request for this target, or why it cannot be asked. @throws GatewayError when no target could be. */
function renderFor(target: Target, inbound: Inbound): Outbound | GatewayError {
  try {
    return inbound.render(target);
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.retry) return thrown;
    throw thrown;
  }
}

function unknownModel(model: string): GatewayError {
  return new GatewayError(
    'not_found',
    `The model "${model}" is not known here. Use a name that GET /v1/models lists, or provider/model of a configured provider.`,
    { param: 'model', code: 'model_not_found' },
  );
}
