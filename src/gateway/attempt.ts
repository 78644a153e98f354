/** One attempt: the journal hears that it leaves, the provider is asked, its answer is made the client's. */
import type { ProviderKey } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';
import type { Attempt, Call } from './call.ts';
import { settleCounted } from './estimate.ts';
import type { Inbound, Outbound } from './render.ts';
import { answerHeaders } from './respond.ts';
import { headersFor, readBytes, send, Upstream } from './send.ts';
import { RelayStage, TranslateStage } from './stages.ts';
import { openStream, passOn } from './stream.ts';
import { readAnswer } from './whole.ts';

/** @throws GatewayError when the provider did not answer: nothing has reached the client then. */
export async function answer(
  call: Call,
  inbound: Inbound,
  outbound: Outbound,
  key: ProviderKey | undefined,
  request: Request,
): Promise<Response> {
  const { stream } = inbound.peek;
  const attempt = call.dispatch(outbound.target, stream, call.reserved);
  attempt.lost = outbound.lost;
  const upstream = new Upstream(outbound, call.gateway.deadlines, request.signal);
  try {
    const response = await send(outbound, headersFor(outbound, key, request.headers), attempt, upstream);
    if (stream) return await answerStream(response, inbound, outbound, attempt, upstream);
    const bytes = await readBytes(response, upstream);
    upstream.finish();
    const whole = readAnswer(bytes, outbound, inbound.dialect);
    attempt.meaningful();
    const counting = settleCounted(attempt, 'ok', whole.usage, true, whole.text, inbound);
    if (counting !== undefined) await counting;
    call.end(200);
    return new Response(whole.body, { headers: answerHeaders(attempt, 'application/json', true) });
  } catch (thrown) {
    const error = upstream.failure(thrown);
    upstream.close();
    attempt.fail(error);
    call.answeredBy = outbound.relay ? inbound.dialect : undefined;
    throw error;
  }
}

async function answerStream(
  response: Response,
  inbound: Inbound,
  outbound: Outbound,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Response> {
  await requireEvents(response, outbound, upstream);
  const stage = outbound.relay
    ? new RelayStage(inbound.dialect, outbound)
    : new TranslateStage(inbound.dialect, outbound, inbound.chat().streamUsage ?? false);
  const open = await openStream(response, stage, upstream, attempt);
  const body = passOn(open, stage, upstream, attempt, inbound);
  const headers = answerHeaders(attempt, 'text/event-stream; charset=utf-8', false);
  headers['cache-control'] = 'no-cache';
  // An async generator is a body to Bun, though not to the types: the cheapest one that keeps back-pressure.
  return new Response(body as unknown as ReadableStream, { headers });
}

/** A stream was asked for: an answer of another kind is an error in disguise, or no answer. */
async function requireEvents(response: Response, outbound: Outbound, upstream: Upstream): Promise<void> {
  const type = response.headers.get('content-type') ?? '';
  if (!type.includes('json') && !type.includes('html')) return;
  readAnswer(await readBytes(response, upstream), outbound, outbound.endpoint.dialect);
  throw new GatewayError('upstream_invalid', `${outbound.target.id} answered ${type} where a stream was asked for.`);
}
