/** Whether a provider answers at all: what attempts have in common that run beside others. */
import type { Attempt } from './attempt.ts';
import { isAnswer, readRefusal } from './read-reply.ts';
import type { Reply } from './reply.ts';
import { requireEvents } from './require-events.ts';
import type { Stage } from './stages.ts';
import { type OpenStream, openStream } from './stream.ts';
import type { Tries } from './tries.ts';
import type { Upstream } from './upstream.ts';

/** The head of its answer. @throws GatewayError, and what `upstream` has to explain, where there is none. */
export async function reach(tries: Tries, attempt: Attempt, upstream: Upstream): Promise<Reply> {
  const { outbound, request, call, key } = tries;
  const reply = await upstream.send(call.gateway.http, { key, client: request.headers });
  attempt.upstreamStatus = reply.status;
  tries.replied(reply);
  if (!isAnswer(reply)) throw await readRefusal(reply, outbound, upstream);
  return reply;
}

/** A streamed answer, from where it means something on. @throws GatewayError, and what `upstream` has to explain. */
export async function reachStream(
  tries: Tries,
  stage: Stage,
  attempt: Attempt,
  upstream: Upstream,
): Promise<OpenStream> {
  const reply = await reach(tries, attempt, upstream);
  await requireEvents(reply, tries, attempt, upstream);
  attempt.heard = stage;
  return openStream(reply, stage, attempt);
}
