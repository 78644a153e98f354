/** Whether a provider answers at all: what attempts have in common that run beside others. */
import type { Attempt } from './call.ts';
import { isAnswer, readRefusal } from './read-reply.ts';
import type { Reply } from './reply.ts';
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
