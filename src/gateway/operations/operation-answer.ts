/** One attempt at an operation beside chat: what the provider answers, passed on as it is or made the clients'. */
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Answered } from '../../dialects/operations/operation.ts';
import { classifyErrorPayload } from '../../dialects/upstream-error.ts';
import type { Answer } from '../../wire/http/server/messages.ts';
import { fail, tellParts } from '../answer-once.ts';
import type { Attempt } from '../attempt.ts';
import { settleCounted } from '../estimate.ts';
import { isAnswer, readBytes, readRefusal } from '../read-reply.ts';
import type { Reply } from '../reply.ts';
import { answerHeaders } from '../respond.ts';
import type { Part, Stage } from '../stages.ts';
import { openStream } from '../stream.ts';
import type { Tries } from '../tries.ts';
import { Upstream } from '../upstream.ts';
import { parse, scanTop } from '../whole.ts';
import type { OperationInbound } from './operation-inbound.ts';
import { AudioStage, EventStage } from './operation-stages.ts';

type OperationTries = Tries<OperationInbound>;

/** @throws GatewayError when the provider did not answer: nothing has reached the client then. */
export async function answerOperation(tries: OperationTries): Promise<Answer> {
  const { call, outbound, inbound, request } = tries;
  const attempt = call.dispatch(outbound, inbound.ask.stream);
  const upstream = new Upstream(outbound, call.gateway.deadlines, request, tries.options.timeouts);
  try {
    if (outbound.translation !== undefined) return await answerTranslated(tries, attempt, upstream);
    const reply = await ask(tries, attempt, upstream);
    const type = reply.header('content-type') ?? '';
    if (type.includes('event-stream')) {
      const stage = new EventStage(inbound, call.dialect);
      return await answerStream(reply, stage, type, tries, attempt, upstream);
    }
    if (/json/.test(type)) return await answerJson(reply, tries, attempt, upstream);
    if (/^text\//.test(type)) return await answerText(reply, type, tries, attempt, upstream);
    const stage = new AudioStage(inbound);
    return await answerStream(reply, stage, type || 'application/octet-stream', tries, attempt, upstream);
  } catch (thrown) {
    throw await fail(thrown, tries, attempt, upstream);
  }
}

async function ask(tries: OperationTries, attempt: Attempt, upstream: Upstream): Promise<Reply> {
  const { call, outbound, request, key } = tries;
  const reply = await upstream.send(call.gateway.http, { key, client: request.headers });
  attempt.upstreamStatus = reply.status;
  tries.replied(reply);
  if (!isAnswer(reply)) throw await readRefusal(reply, outbound, upstream);
  return reply;
}

// Answers in the clients' own shape

async function answerJson(
  reply: Reply,
  tries: OperationTries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Answer> {
  const bytes = await readBytes(reply, upstream);
  upstream.finish();
  const { operation } = tries.inbound;
  const top =
    operation.bulky && bytes.length > parsedBytes ? scanTop(bytes, operation.contentMembers) : parse(bytes);
  requireContent(top, operation.contentMembers);
  await settle(top, tries, attempt);
  return respond(bytes, 'application/json', tries, attempt);
}

/** Larger answers are not parsed where their content goes unread. */
const parsedBytes = 64 * 1024;

/** A body without content is an error, whatever its status. */
function requireContent(top: JsonObject, contentMembers: readonly string[]): void {
  if (contentMembers.some((name) => top[name] !== undefined && top[name] !== null)) return;
  if (isObject(top.error)) throw classifyErrorPayload(top);
  if (contentMembers.length === 0) return;
  throw new GatewayError('upstream_invalid', `The provider's answer has no "${contentMembers[0]}".`);
}

/** Subtitles and plain words. */
async function answerText(
  reply: Reply,
  type: string,
  tries: OperationTries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Answer> {
  if (type.includes('html')) {
    throw new GatewayError('upstream_invalid', `${tries.outbound.target.id} answered ${type}.`);
  }
  const bytes = await readBytes(reply, upstream);
  upstream.finish();
  await settle({}, tries, attempt);
  return respond(bytes, type, tries, attempt);
}

async function answerStream(
  reply: Reply,
  stage: Stage,
  type: string,
  tries: OperationTries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Answer> {
  attempt.heard = stage;
  const open = await openStream(reply, stage, attempt);
  return tellParts(open, stage, type, tries, attempt, upstream);
}

// Answers that are translated

async function answerTranslated(
  tries: OperationTries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Answer> {
  const { inbound, outbound } = tries;
  const answers = await askAll(tries, attempt, upstream);
  const body = outbound.translation!.read(answers, inbound.ask, outbound.target.model);
  await settle(body, tries, attempt);
  inbound.operation.writeUsage?.(body, attempt.usage!);
  return respond(JSON.stringify(body), 'application/json', tries, attempt);
}

/** Requests at once, where a host needs several for one call. */
const atOnce = 8;

/** What each request is answered with, in order. */
async function askAll(tries: OperationTries, attempt: Attempt, upstream: Upstream): Promise<Answered[]> {
  const { outbound, call, request } = tries;
  const answers: Answered[] = [await readOne(await ask(tries, attempt, upstream), upstream)];
  const totalMs = tries.options.timeouts?.totalMs ?? outbound.target.provider.timeouts.totalMs;
  for (let at = 1; at < outbound.bodies.length; at += atOnce) {
    if (performance.now() - attempt.startedMs > totalMs) throw tooSlow(tries, answers.length);
    const group = outbound.bodies.slice(at, at + atOnce).map(async (body) => {
      const one = new Upstream(
        { ...outbound, body },
        call.gateway.deadlines,
        request,
        tries.options.timeouts,
      );
      try {
        return await readOne(await ask(tries, attempt, one), one);
      } catch (thrown) {
        one.close();
        throw one.failure(thrown);
      }
    });
    // Those that run are waited for, so that none is left behind.
    const settled = await Promise.allSettled(group);
    for (const each of settled) if (each.status === 'fulfilled') answers.push(each.value);
    attempt.heard = { usage: tries.inbound.share(answers.length / outbound.bodies.length), text: () => '' };
    const failed = settled.find((each) => each.status === 'rejected');
    if (failed === undefined) continue;
    throw failed.reason;
  }
  return answers;
}

function tooSlow({ outbound }: OperationTries, answered: number): GatewayError {
  const all = outbound.bodies.length;
  const said = `${outbound.target.id} answered ${answered} of ${all} requests in the time that is allowed.`;
  return new GatewayError('upstream_timeout', said);
}

async function readOne(reply: Reply, upstream: Upstream): Promise<Answered> {
  const bytes = await readBytes(reply, upstream);
  upstream.finish();
  return { body: parse(bytes), header: (name) => reply.header(name) };
}

// All of them

/** With what the answer tells, where the price can be told from it; else with what can be guessed. */
async function settle(answer: JsonObject, { inbound }: OperationTries, attempt: Attempt): Promise<void> {
  attempt.meaningful();
  const told = inbound.operation.usage(answer, inbound.ask);
  const enough = inbound.isEnough(told);
  await settleCounted(attempt, 'ok', told, enough, answered, inbound);
}

const answered = { text: () => '' };

function respond(body: Part, type: string, tries: OperationTries, attempt: Attempt): Answer {
  tries.succeeded();
  tries.call.end(200);
  return { status: 200, headers: answerHeaders(attempt, type, true), body };
}
