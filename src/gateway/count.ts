/**
 * How many tokens a request has, before it is sent: asked of the provider where it speaks the client's dialect, counted
 * here otherwise. No charge, no attempt, no limit: nothing is generated.
 */
import type { Endpoint, Target, Timeouts } from '../config/snapshot.ts';
import { clientGone, GatewayError, toGatewayError } from '../core/error.ts';
import { newCallId } from '../core/id.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import type { Asked, ClientDialect, Counting } from '../dialects/dialect.ts';
import { authorise } from '../governance/allow.ts';
import { extractSecret } from '../governance/keys.ts';
import { Plan } from '../routing/plan.ts';
import { utf8 } from '../wire/bytes.ts';
import type { Answer, ClientRequest } from '../wire/http/server/messages.ts';
import { scanMembers, splice } from '../wire/splice.ts';
import { admitFrom } from './admit-from.ts';
import { askingFor, CallAsk } from './ask.ts';
import { checkModel, readBody } from './body.ts';
import { estimateRequest } from './estimate.ts';
import type { Gateway } from './gateway.ts';
import { shuttingDown, unknownModel } from './handle.ts';
import { readLabels } from './labels.ts';
import { keyMarked, type Pins } from './objects/kept-objects.ts';
import { isAnswer, readBytes } from './read-reply.ts';
import { type Outbound, parseObject, plainOutbound } from './render.ts';
import { errorResponse } from './respond.ts';
import { Upstream } from './upstream.ts';

/** Whoever asks for a number first wants to send the request itself soon: an estimate then serves better than waiting. */
const patienceMs = 10_000;
const maxAnswerBytes = 64 * 1024;

/** Never rejects: every failure is an answer the client's SDK understands. */
export async function handleCount(
  request: ClientRequest,
  dialect: ClientDialect,
  asked: Asked,
  gateway: Gateway,
): Promise<Answer> {
  const id = newCallId();
  gateway.inflight.enter();
  try {
    return await count(request, dialect, asked, gateway, id);
  } catch (thrown) {
    const error = request.gone ? clientGone() : toGatewayError(thrown);
    if (error.kind === 'internal')
      gateway.observer.alarm('internal', { call: id, error: error.cause ?? error });
    return errorResponse(error, dialect, undefined, id);
  } finally {
    gateway.inflight.leave();
  }
}

/** @throws GatewayError */
async function count(
  request: ClientRequest,
  dialect: ClientDialect,
  asked: Asked,
  gateway: Gateway,
  id: string,
): Promise<Answer> {
  const { counting } = dialect;
  if (gateway.inflight.draining) throw shuttingDown();
  if (counting === undefined) throw new GatewayError('not_found', 'Tokens are not counted in this dialect.');
  const key = gateway.keyring.authenticate(extractSecret(request.headers, request.url), Date.now());
  const snapshot = gateway.snapshot();
  admitFrom(key, 'chat', request, snapshot);
  const bytes = await readBody(request, snapshot.settings.bodyLimitBytes);
  const body = parseObject(bytes);
  const model = readModel(asked, body);
  authorise(key, model);
  const route = snapshot.resolve(model);
  if (route === undefined) throw unknownModel(model);
  const pins = await gateway.objects.guard(key, bytes);
  // What is no request is none to a provider either, whoever counts.
  const chat = dialect.readRequest({ ...counting.requestOf(body), model });
  const nowMs = Date.now();
  const { random, sight } = gateway;
  const labels = readLabels(request.headers);
  const ask = new CallAsk({ model, operation: 'chat', key, labels }, askingFor(bytes.length / 4));
  const target = new Plan(route, { nowMs, random, sight, ask }).next(nowMs)?.target;
  const endpoint = target?.endpoints.find((each) => counts(each, dialect, target));
  const told =
    target === undefined || endpoint === undefined
      ? undefined
      : await askProvider(bytes, counting, target, endpoint, gateway, request, pins);
  const headers: Record<string, string> = { 'content-type': 'application/json', 'x-request-id': id };
  if (dialect.idHeader !== undefined) headers[dialect.idHeader] = id;
  if (told === undefined) {
    const tokens = await estimateRequest(chat, gateway.countTokens);
    return { status: 200, headers, body: JSON.stringify(counting.write(tokens)) };
  }
  headers['x-sluice-target'] = target!.id;
  return { status: 200, headers, body: told };
}

function readModel(asked: Asked, body: JsonObject): string {
  const model = asked.model ?? body.model;
  if (typeof model === 'string') return checkModel(model);
  throw new GatewayError('bad_request', '"model" must name a model.', { param: 'model' });
}

/** Endpoints that turned out not to count. Many hosts speak a dialect without this part of it. */
const countless = new WeakSet<Endpoint>();

/** Whether an endpoint may count: it speaks the dialect, at the dialect's own paths. */
function counts(endpoint: Endpoint, dialect: ClientDialect, { model }: Target): boolean {
  return (
    endpoint.dialect === dialect &&
    endpoint.path(model, false) === dialect.path(model, false) &&
    !countless.has(endpoint)
  );
}

/** The provider's own answer; undefined when it has none, whatever the reason: then an estimate has to do. */
async function askProvider(
  bytes: Uint8Array,
  counting: Counting,
  target: Target,
  endpoint: Endpoint,
  gateway: Gateway,
  request: ClientRequest,
  pins: Pins | undefined,
): Promise<Uint8Array | undefined> {
  const outbound = render(bytes, counting, target, endpoint);
  const upstream = new Upstream(outbound, gateway.deadlines, request, hurried(target.provider.timeouts));
  try {
    const mark = pins?.get(target.provider.name);
    const key = mark ? keyMarked(target.provider, mark) : gateway.health.pickKey(target, Date.now());
    const reply = await upstream.send(gateway.http, { key, client: request.headers });
    const answer = await readBytes(reply, upstream, maxAnswerBytes, true);
    upstream.finish();
    if (reply.status === 404 || reply.status === 405) countless.add(endpoint);
    return isAnswer(reply) && isJsonObject(answer) ? answer : undefined;
  } catch {
    upstream.close();
    if (request.gone) throw clientGone();
    return undefined;
  }
}

/** The body as it came, but for the model. */
function render(bytes: Uint8Array, counting: Counting, target: Target, endpoint: Endpoint): Outbound {
  const members = scanMembers(bytes);
  const named = members.some(({ name }) => name === 'model');
  const edits = { ...(named ? { model: target.modelJson } : undefined), ...endpoint.edits };
  return plainOutbound(target, endpoint, counting.path(target.model), splice(bytes, members, edits), true);
}

function hurried({ firstByteMs, idleMs, totalMs }: Timeouts): Partial<Timeouts> {
  return {
    firstByteMs: Math.min(firstByteMs, patienceMs),
    idleMs: Math.min(idleMs, patienceMs),
    totalMs: Math.min(totalMs, patienceMs),
  };
}

function isJsonObject(bytes: Uint8Array): boolean {
  try {
    const value: Json = JSON.parse(utf8(bytes));
    return isObject(value);
  } catch {
    return false;
  }
}
