/** One attempt: the journal hears that it leaves, the provider is asked, its answer is made the client's. */
import { GatewayError } from '../core/error.ts';
import type { Attempt } from './call.ts';
import { settleCounted } from './estimate.ts';
import { answerHeaders } from './respond.ts';
import { headersFor, isAnswer, readBytes, readRefusal, requireWhole, send, Upstream } from './send.ts';
import { RelayStage, TranslateStage } from './stages.ts';
import { openStream, passOn } from './stream.ts';
import type { Tries } from './tries.ts';
import { Whole } from './whole.ts';

/** @throws GatewayError when the provider did not answer: nothing has reached the client then. */
export async function answer(tries: Tries): Promise<Response> {
  const attempt = tries.call.dispatch(tries.outbound, tries.inbound.peek.stream);
  const upstream = new Upstream(tries.outbound, tries.call.gateway.deadlines, tries.request.signal);
  try {
    const headers = headersFor(tries.outbound, tries.key, tries.request.headers);
    const response = await send(tries.outbound, headers, upstream);
    attempt.upstreamStatus = response.status;
    if (!isAnswer(response)) throw await readRefusal(response, tries.outbound, upstream);
    if (tries.inbound.peek.stream) return await answerStream(response, tries, attempt, upstream);
    const bytes = await readBytes(response, upstream);
    upstream.finish();
    requireWhole(response, bytes);
    const whole = new Whole(bytes, tries.outbound, tries.inbound.dialect);
    attempt.meaningful();
    const counting = settleCounted(attempt, 'ok', whole.usage, true, whole, tries.inbound);
    if (counting !== undefined) await counting;
    return answerWhole(whole, tries, attempt);
  } catch (thrown) {
    throw await fail(thrown, tries, attempt, upstream);
  }
}

/** Nothing of it reaches the client; what the provider has counted by then, or has read for a client that left, is kept. */
async function fail(
  thrown: unknown,
  tries: Tries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<GatewayError> {
  const error = upstream.failure(thrown);
  upstream.close();
  const { stage } = attempt;
  if (error.kind === 'cancelled' || stage?.usage !== undefined) {
    await settleCounted(attempt, error.kind, stage?.usage, false, stage ?? nothing, tries.inbound);
  } else attempt.fail(error);
  tries.call.answeredBy = tries.outbound.relay ? tries.inbound.dialect : undefined;
  return error;
}

const nothing = { text: () => '' };

function answerWhole(whole: Whole, tries: Tries, attempt: Attempt): Response {
  tries.succeeded();
  tries.call.end(200);
  return new Response(whole.body, { headers: answerHeaders(attempt, 'application/json', true) });
}

async function answerStream(
  response: Response,
  tries: Tries,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Response> {
  const { inbound, outbound } = tries;
  await requireEvents(response, tries, upstream);
  const stage = outbound.relay
    ? new RelayStage(inbound.dialect, outbound)
    : new TranslateStage(inbound.dialect, outbound, inbound.chat().streamUsage ?? false);
  attempt.stage = stage;
  const open = await openStream(response, stage, upstream, attempt);
  tries.succeeded();
  const body = passOn(open, stage, upstream, attempt, inbound);
  const headers = answerHeaders(attempt, 'text/event-stream; charset=utf-8', false);
  headers['cache-control'] = 'no-cache';
  // An async generator is a body to Bun, though not to the types: the cheapest one that keeps back-pressure.
  return new Response(body as unknown as ReadableStream, { headers });
}

/** A stream was asked for: an answer of another kind is an error in disguise, or no answer. */
async function requireEvents(response: Response, { outbound }: Tries, upstream: Upstream): Promise<void> {
  const type = response.headers.get('content-type') ?? '';
  if (!type.includes('json') && !type.includes('html')) return;
  new Whole(await readBytes(response, upstream), outbound, outbound.endpoint.dialect);
  throw new GatewayError(
    'upstream_invalid',
    `${outbound.target.id} answered ${type} where a stream was asked for.`,
  );
}
