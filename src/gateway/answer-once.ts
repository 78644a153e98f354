/** One attempt: the journal hears that it leaves, the provider is asked, its answer is made the client's. */
import type { GatewayError } from '../core/error.ts';
import type { AnswerWish } from '../dialects/dialect.ts';
import type { Answer, Outlet } from '../wire/http/server/messages.ts';
import type { Attempt } from './attempt.ts';
import { answerChecked } from './checked.ts';
import { type Countable, settleCounted } from './estimate.ts';
import { isAnswer, readBytes, readRefusal } from './read-reply.ts';
import type { Inbound } from './render.ts';
import { requireEvents } from './require-events.ts';
import { answerHeaders } from './respond.ts';
import { KeptRelay } from './resume/kept-relay.ts';
import { Mending } from './resume/mend.ts';
import { resumableStage, resumes } from './resume/resumable.ts';
import { leaveSilence } from './silence.ts';
import { RelayStage, type Stage, TranslateStage } from './stages.ts';
import { Standing } from './standing.ts';
import { type OpenStream, openStream, passOn, settleGone } from './stream.ts';
import { StreamMeter } from './stream-meter.ts';
import type { Renderer, Tries } from './tries.ts';
import { Upstream } from './upstream.ts';
import { Whole } from './whole.ts';

/** @throws GatewayError when the provider did not answer: nothing has reached the client then. */
export async function answerOnce(tries: Tries): Promise<Answer> {
  const attempt = tries.call.dispatch(tries.outbound, tries.inbound.peek.stream);
  const { deadlines } = tries.call.gateway;
  const upstream = new Upstream(tries.outbound, deadlines, tries.request, tries.options.timeouts);
  try {
    const { gateway } = tries.call;
    const reply = await upstream.send(gateway.http, { key: tries.key, client: tries.request.headers });
    attempt.upstreamStatus = reply.status;
    tries.replied(reply);
    if (!isAnswer(reply)) throw await readRefusal(reply, tries.outbound, upstream);
    if (tries.inbound.peek.stream) await requireEvents(reply, tries, attempt, upstream);
    if (tries.outbound.form !== undefined) return await answerChecked(reply, tries, attempt, upstream);
    if (tries.inbound.peek.stream) {
      const stage = stageFor(tries);
      attempt.heard = stage;
      const open = await openStream(reply, stage, attempt);
      if (stage.complete) leaveSilence(stage.stops?.() ?? [], tries);
      return tellStream(open, stage, tries, attempt, upstream);
    }
    const read = readBytes(reply, upstream);
    const bytes = read instanceof Promise ? await read : read;
    upstream.finish();
    const whole = new Whole(bytes, tries.outbound, tries.inbound);
    if (whole.stops.length > 0) {
      attempt.heard = whole;
      leaveSilence(whole.stops, tries);
    }
    attempt.meaningful();
    const counting = settleCounted(attempt, 'ok', whole.usage, true, whole, tries.inbound);
    if (counting !== undefined) await counting;
    return tellWhole(whole, tries, attempt);
  } catch (thrown) {
    throw await fail(thrown, tries, attempt, upstream);
  }
}

/** Nothing of it reaches the client; what the provider has counted by then, or has read for a client that left, is kept. */
export async function fail(
  thrown: unknown,
  { call, inbound, outbound }: Tries<Renderer & Countable>,
  attempt: Attempt,
  upstream: Upstream,
): Promise<GatewayError> {
  const error = upstream.failure(thrown);
  upstream.close();
  const { heard } = attempt;
  if (attempt.settled) {
    // All that can be known about it is.
  } else if (error.kind === 'cancelled' || heard?.usage !== undefined) {
    await settleCounted(attempt, error.kind, heard?.usage, false, heard, inbound);
  } else attempt.fail(error);
  const { relay, endpoint } = outbound;
  call.answeredBy = relay && endpoint.ownErrors !== true ? call.dialect : undefined;
  return error;
}

/** The answer to the client: settled by now, and with it the call is over. */
export function tellWhole(whole: Whole, tries: Tries, attempt: Attempt): Answer {
  tries.succeeded();
  tries.call.end(200);
  return { status: 200, headers: answerHeaders(attempt, 'application/json', true), body: whole.body };
}

/** What a streamed answer passes on its way to the client. @param wishOf the form of what is not relayed. */
export function stageFor(tries: Tries, wishOf = wishOfClient): Stage {
  const cuttable = tries.call.whenExhausted === 'cut';
  const stage = plainStage(tries, wishOf, cuttable);
  if (cuttable && stage instanceof TranslateStage) stage.standing = new Standing();
  return stage;
}

function plainStage(tries: Tries, wishOf: typeof wishOfClient, cuttable: boolean): Stage {
  if (resumes(tries)) return resumableStage(tries, wishOf);
  const { inbound, outbound } = tries;
  const { dialect } = inbound;
  if (!outbound.relay) return new TranslateStage(dialect, outbound, wishOf(inbound), inbound.remember);
  return cuttable
    ? new KeptRelay(dialect, outbound, () => wishOf(inbound), false)
    : new RelayStage(dialect, outbound);
}

/** What keeps the limits ahead of a stream, where they would cut it off. */
function meterFor({ call, inbound, outbound, added }: Tries): StreamMeter | undefined {
  return call.whenExhausted === 'cut' && inbound.peek.stream
    ? new StreamMeter(call, inbound.metered(outbound.target, added))
    : undefined;
}

function wishOfClient(inbound: Inbound): AnswerWish {
  return inbound.wish;
}

/** The answer to the client, which has begun. */
export function tellStream(
  open: OpenStream,
  stage: Stage,
  tries: Tries,
  attempt: Attempt,
  upstream: Upstream,
): Answer {
  const mending = resumes(tries) ? new Mending(tries, fail, meterFor) : undefined;
  attempt.meter = meterFor(tries);
  const type = tries.inbound.peek.array ? 'application/json' : 'text/event-stream; charset=utf-8';
  return tellParts(open, stage, type, tries, attempt, upstream, mending);
}

/** An answer that has begun, part by part as it comes. */
export function tellParts(
  open: OpenStream,
  stage: Stage,
  type: string,
  tries: Tries<Renderer & Countable>,
  attempt: Attempt,
  upstream: Upstream,
  mending?: Mending,
): Answer {
  const { inbound } = tries;
  tries.begun(attempt);
  upstream.onGone = () => settleGone(attempt, stage, inbound);
  if (tries.request.gone) upstream.abandon();
  const body = (out: Outlet) => passOn(open, stage, upstream, attempt, inbound, out, mending);
  const headers = answerHeaders(attempt, type, false);
  headers['cache-control'] = 'no-cache';
  return { status: 200, headers, body };
}
