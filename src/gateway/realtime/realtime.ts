/** A realtime session is asked for: who asks, what for, whom it may be held with; then both sides are connected. */
import type { Target } from '../../config/snapshot.ts';
import { clientGone, GatewayError } from '../../core/error.ts';
import { newCallId } from '../../core/id.ts';
import { clientDialects } from '../../dialects/index.ts';
import {
  type RealtimeOffer,
  type RealtimeWish,
  readOffer,
  readWish,
  realtimePath,
  sessionPath,
} from '../../dialects/realtime.ts';
import { authorise } from '../../governance/allow.ts';
import { extractSecret } from '../../governance/keys.ts';
import type { Amounts, BoundLimit } from '../../governance/leases.ts';
import type { Answer, ClientRequest } from '../../wire/http/server/messages.ts';
import type { Switched } from '../../wire/tunnel.ts';
import {
  acceptHeaders,
  acceptKey,
  asksProperly,
  asksToSwitch,
  newHandshakeKey,
  switchHeaders,
} from '../../wire/websocket/handshake.ts';
import { admitFrom } from '../admit-from.ts';
import { askingFor } from '../ask.ts';
import type { Attempt } from '../attempt.ts';
import { checkModel } from '../body.ts';
import { Call } from '../call.ts';
import type { Gateway } from '../gateway.ts';
import { admit, openRoute, refuse, shuttingDown } from '../handle.ts';
import { readRefusal } from '../read-reply.ts';
import { type Outbound, plainOutbound } from '../render.ts';
import { answerHeaders, errorResponse } from '../respond.ts';
import { type Renderer, Tries } from '../tries.ts';
import { Upstream } from '../upstream.ts';
import { firstEstimate, RealtimeMeter, splitLimits } from './realtime-meter.ts';
import { RealtimeSession } from './realtime-session.ts';

/** Refusals are worded in it: it is the language that sessions are held in. */
const dialect = clientDialects[0]!;

/** Never rejects. */
export async function handleRealtime(
  request: ClientRequest,
  query: string,
  gateway: Gateway,
): Promise<Answer> {
  const refused = checkSwitch(request);
  if (refused !== undefined) return errorResponse(refused, dialect, undefined, newCallId());
  const call = new Call(gateway, dialect, gateway.snapshot(), 'realtime');
  try {
    const offer = readOffer(request.headers);
    const secret = extractSecret(request.headers, request.url) ?? offer.secret;
    admit(call, request, secret);
    if (gateway.inflight.stopping) throw shuttingDown();
    const wish = readWish(query);
    const tries = await plan(call, request, wish);
    for (;;) {
      const next = tries.next();
      if (!(next instanceof Promise ? await next : next)) throw tries.failure;
      try {
        return await open(tries, request, offer, wish, secret);
      } catch (thrown) {
        tries.failed(thrown);
      }
    }
  } catch (thrown) {
    return refuse(call, thrown, request);
  }
}

function checkSwitch({ method, headers }: ClientRequest): GatewayError | undefined {
  if (method !== 'GET') {
    return new GatewayError('method_not_allowed', `${realtimePath} takes GET, not ${method}.`);
  }
  const header = (name: string) => headers.get(name);
  if (asksToSwitch(header)) {
    return asksProperly(header)
      ? undefined
      : new GatewayError('bad_request', 'The request to open a WebSocket is not well-formed.');
  }
  return new GatewayError('bad_request', `${realtimePath} is a WebSocket: connect with ws:// or wss://.`, {
    status: 426,
    code: 'upgrade_required',
  });
}

/** Whom the session may be held with, and that the limits bear it. @throws GatewayError */
async function plan(call: Call, request: ClientRequest, wish: RealtimeWish): Promise<Tries<RealtimeInbound>> {
  if (wish.model === '') {
    throw new GatewayError(
      'bad_request',
      `"model" is missing: name one in the query, as in ${realtimePath}?model=mock/echo.`,
      { param: 'model' },
    );
  }
  const { plan, first } = openRoute(call, checkModel(wish.model), askingFor(0, true));
  const { limiter } = call.gateway;
  const limits = call.limitsOnPath();
  const { standing, spending } = splitLimits(limits);
  call.hasBudget = limits.some(({ limit }) => limit.unit === 'usd');
  call.standing = await limiter.reserve(standing, { tokens: 0, nanoUsd: 0 }, Date.now());
  await call.reserve(spending, firstEstimate(first.target, call), first.target);
  return new Tries(call, new RealtimeInbound(wish, call), request, plan, first);
}

/** What a client asks for, as each target is asked for it. */
class RealtimeInbound implements Renderer {
  constructor(
    private readonly wish: RealtimeWish,
    private readonly call: Call,
  ) {}

  needs(target: Target): Amounts {
    return firstEstimate(target, this.call);
  }

  render(target: Target): Outbound {
    const endpoint = target.endpoints.find(({ realtime }) => realtime !== undefined);
    if (endpoint?.realtime === undefined) throw unable(target, 'does not speak their language');
    const { transport, switching, keys } = target.provider;
    if (transport !== undefined && switching === undefined)
      throw unable(target, 'is reached through a proxy');
    if (keys.some(({ authorise }) => authorise !== undefined)) throw unable(target, 'wants each call signed');
    const path = sessionPath(endpoint.realtime, target.model, this.wish);
    return plainOutbound(target, endpoint, path, '', false);
  }
}

function unable({ id, provider }: Target, why: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `${id} cannot hold realtime sessions: the provider "${provider.name}" ${why}.`,
    { param: 'model' },
  );
}

/** Connects both sides. @throws GatewayError when the provider did not: another target may. */
async function open(
  tries: Tries<RealtimeInbound>,
  request: ClientRequest,
  offer: RealtimeOffer,
  wish: RealtimeWish,
  secret: string | undefined,
): Promise<Answer> {
  const { call, outbound } = tries;
  const attempt = call.dispatch(outbound, true);
  const upstream = new Upstream(outbound, call.gateway.deadlines, request, tries.options.timeouts);
  let tunnel: Switched;
  try {
    tunnel = await connect(tries, attempt, upstream, offer);
  } catch (thrown) {
    const error = upstream.failure(thrown);
    upstream.close();
    attempt.fail(error);
    call.answeredBy = outbound.endpoint.ownErrors === true ? undefined : dialect;
    throw error;
  }
  upstream.finish();
  tries.succeeded();
  const limits = (): BoundLimit[] => currentLimits(call, request, secret);
  const meter = new RealtimeMeter(call, outbound, attempt, limits, wish.transcribes);
  if (request.gone) {
    tunnel.cut();
    const error = clientGone();
    attempt.fail(error);
    throw error;
  }
  const session = new RealtimeSession(call, meter, outbound, tunnel, request);
  const headers = { ...answerHeaders(attempt, '', false), ...acceptHeaders(request.headers) };
  delete headers['content-type'];
  if (offer.protocol !== undefined) headers['sec-websocket-protocol'] = offer.protocol;
  return { status: 101, headers, switched: (client) => session.opened(client) };
}

async function connect(
  { call, outbound, key, request }: Tries<RealtimeInbound>,
  attempt: Attempt,
  upstream: Upstream,
  offer: RealtimeOffer,
): Promise<Switched> {
  const handshake = newHandshakeKey();
  const authorisation = { ...offer.headers, ...switchHeaders(handshake) };
  const reply = await upstream.switch(call.gateway.http, { key, client: request.headers, authorisation });
  attempt.upstreamStatus = reply.status;
  const { id } = outbound.target;
  if (reply.status >= 400) throw await readRefusal(reply, outbound, upstream);
  if (reply.status !== 101) {
    throw new GatewayError(
      'upstream_invalid',
      `${id} answered with status ${reply.status} where a session was asked for.`,
    );
  }
  if (reply.header('sec-websocket-accept') !== acceptKey(handshake)) {
    throw new GatewayError('upstream_invalid', `${id} did not answer as a WebSocket server does.`);
  }
  attempt.meaningful();
  return reply;
}

/**
 * A key that was revoked, or may not do this any more, ends its sessions, and limits that were changed hold for them.
 * @throws GatewayError `unauthorized`, `forbidden`.
 */
function currentLimits(call: Call, request: ClientRequest, secret: string | undefined): BoundLimit[] {
  const { gateway, operation, model, labels } = call;
  const snapshot = gateway.snapshot();
  const key = gateway.keyring.authenticate(secret, Date.now());
  admitFrom(key, operation, request, snapshot);
  authorise(key, model);
  return splitLimits(gateway.limiter.limitsOf(snapshot, key, labels!.endUser)).spending;
}
