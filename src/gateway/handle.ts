/**
 * One call, top to bottom: authenticate, read, peek, plan, reserve, then targets until one answers.
 *
 * Asynchronous functions are few and short here, and closures are avoided: each scope of the former and each of the
 * latter is an allocation per call, and together they cost more than all the work between them.
 */
import { clientGone, GatewayError, toGatewayError } from '../core/error.ts';
import type { Asked, ClientDialect } from '../dialects/dialect.ts';
import { authorise } from '../governance/allow.ts';
import { extractSecret } from '../governance/keys.ts';
import type { BoundLimit } from '../governance/leases.ts';
import { whenExhausted } from '../governance/limits.ts';
import { Plan, type Step } from '../routing/plan.ts';
import { chooses, Thoughts } from '../routing/planned.ts';
import type { Answer, ClientRequest } from '../wire/http/server/messages.ts';
import { admitFrom } from './admit-from.ts';
import { answer } from './answer.ts';
import { type Asking, CallAsk } from './ask.ts';
import { type Peek, peekBody, readBody } from './body.ts';
import { Call } from './call.ts';
import type { Gateway } from './gateway.ts';
import { readLabels } from './labels.ts';
import { draftPlan } from './plan-record.ts';
import { digestPrompt } from './prompt-digest.ts';
import { Inbound } from './render.ts';
import { errorResponse } from './respond.ts';
import { type Renderer, Tries } from './tries.ts';

/** What is particular to calls of a kind, of which the path says `A`. */
export interface Kind<A, I extends Renderer> {
  /**
   * What is asked, whom it may be asked of, and that the limits bear it.
   * @returns a promise only where other nodes have to be asked. @throws GatewayError
   */
  plan(call: Call, body: Uint8Array, asked: A, request: ClientRequest): Tries<I> | Promise<Tries<I>>;
  /** Looks up what the request refers to. @returns a promise only where it does. */
  prepare?(inbound: I): Promise<void> | undefined;
  /** One attempt. @throws GatewayError when the provider did not answer: nothing has reached the client then. */
  answer(tries: Tries<I>): Promise<Answer>;
  /** It is answered, or begins to be. Never throws. */
  answered?(tries: Tries<I>): void;
}

const chat: Kind<Asked, Inbound> = {
  plan: planTries,
  prepare: (inbound) => inbound.lookBack(),
  answer,
  answered: (tries) => {
    if (tries.shadows.length > 0) tries.call.gateway.shadows.follow(tries);
  },
};

/** A chat call in the client's `dialect`. */
export function handleChat(
  request: ClientRequest,
  dialect: ClientDialect,
  asked: Asked,
  gateway: Gateway,
): Promise<Answer> {
  return handle(request, asked, chat, new Call(gateway, dialect, gateway.snapshot()));
}

/** Never rejects: every failure is an answer the client's SDK understands. */
export async function handle<A, I extends Renderer>(
  request: ClientRequest,
  asked: A,
  kind: Kind<A, I>,
  call: Call,
): Promise<Answer> {
  try {
    admit(call, request);
    const reading = readBody(request, call.snapshot.settings.bodyLimitBytes);
    const body = reading instanceof Promise ? await reading : reading;
    if (request.gone) throw clientGone();
    const guarding = call.gateway.objects.guard(call.key!, body);
    if (guarding !== undefined) call.pins = await guarding;
    const planned = kind.plan(call, body, asked, request);
    const tries = planned instanceof Promise ? await planned : planned;
    const looking = kind.prepare?.(tries.inbound);
    if (looking !== undefined) await looking;
    for (;;) {
      const next = tries.next();
      if (!(next instanceof Promise ? await next : next)) throw tries.failure;
      try {
        const response = await kind.answer(tries);
        kind.answered?.(tries);
        return response;
      } catch (thrown) {
        tries.failed(thrown);
      }
    }
  } catch (thrown) {
    return refuse(call, thrown, request);
  }
}

/**
 * Who calls, and whether that may be asked for from there.
 * @throws GatewayError `unauthorized`, `forbidden`, `bad_request`, `draining`, `unavailable`.
 */
export function admit(
  call: Call,
  request: ClientRequest,
  secret = extractSecret(request.headers, request.url),
): void {
  const { gateway } = call;
  if (gateway.inflight.draining) throw shuttingDown();
  if (gateway.journal.full) throw journalFull();
  const key = gateway.keyring.authenticate(secret, Date.now());
  call.key = key;
  admitFrom(key, call.operation, request, call.snapshot);
  call.labels = readLabels(request.headers);
}

export function shuttingDown(): GatewayError {
  return new GatewayError('draining', 'This gateway is shutting down; retry.');
}

/** What a call costs has to be written down somewhere: rather none than one that nobody is charged for. */
function journalFull(): GatewayError {
  return new GatewayError(
    'unavailable',
    'This gateway takes no new calls just now: its store cannot be written, and its journal holds as much as it may. Retry later.',
    { retryAfterS: 10 },
  );
}

function planTries(
  call: Call,
  body: Uint8Array,
  asked: Asked,
  request: ClientRequest,
): Tries | Promise<Tries> {
  const peek = peekBody(body, call.dialect, asked);
  const { plan, first } = openRoute(call, peek.model, askingOf(peek, call.dialect));
  const inbound = new Inbound(peek, call, request);
  bindLimits(call);
  const reserving = call.reserve(call.limits, inbound.needs(first.target), first.target);
  const tries = new Tries(call, inbound, request, plan, first);
  return reserving === undefined ? tries : reserving.then(() => tries);
}

/** Whom `model` may be asked of, for this caller. @throws GatewayError `forbidden`, `not_found`. */
export function openRoute(call: Call, model: string, asking: Asking): { plan: Plan; first: Step } {
  const { gateway, snapshot } = call;
  call.model = model;
  authorise(call.key!, model);
  const route = snapshot.resolve(model);
  if (route === undefined) throw unknownModel(model);
  const nowMs = Date.now();
  const { random, sight } = gateway;
  const moment = { nowMs, random, sight, ask: new CallAsk(call, asking) };
  const thoughts = chooses(route) ? new Thoughts() : undefined;
  const plan = new Plan(route, moment, thoughts?.trace);
  const first = plan.next(nowMs);
  if (first === undefined) throw noTarget(model);
  if (thoughts !== undefined) call.plan = draftPlan(thoughts, moment, first);
  return { plan, first };
}

/** No condition of the route holds for this request. */
export function noTarget(model: string): GatewayError {
  return new GatewayError('not_found', `The model "${model}" has no target for a request like this one.`, {
    param: 'model',
    code: 'model_not_found',
  });
}

export function askingOf(
  { body, members, stream, maxTokens, tokens }: Peek,
  { turns }: ClientDialect,
): Asking {
  return {
    stream,
    maxTokens,
    inputTokens: tokens,
    digest: () => digestPrompt(body, members, turns),
  };
}

/** Which limits are on the path of a call whose caller is known, and what they want of it. */
export function bindLimits(call: Call): void {
  const limits = call.limitsOnPath();
  call.limits = limits;
  call.hasBudget = limits.some(isBudget);
  call.whenExhausted = whenExhausted(limits);
}

function isBudget({ limit }: BoundLimit): boolean {
  return limit.unit === 'usd';
}

/** The call has failed: it is over, and this is its answer. */
export function refuse(call: Call, thrown: unknown, request: ClientRequest): Answer {
  const error = request.gone ? clientGone() : toGatewayError(thrown);
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
