/** Whether a provider answers a wish for a stream with one. */
import { GatewayError } from '../core/error.ts';
import type { Attempt } from './attempt.ts';
import { readBytes } from './read-reply.ts';
import type { Reply } from './reply.ts';
import type { Tries } from './tries.ts';
import type { Upstream } from './upstream.ts';
import { Whole } from './whole.ts';

/** A stream was asked for: an answer of another kind is an error in disguise, or no answer. */
export async function requireEvents(
  reply: Reply,
  { outbound, inbound }: Pick<Tries, 'outbound' | 'inbound'>,
  attempt: Attempt,
  upstream: Upstream,
): Promise<void> {
  const type = reply.header('content-type') ?? '';
  if (!type.includes('html') && (!type.includes('json') || type.includes('ndjson'))) return;
  attempt.heard = new Whole(await readBytes(reply, upstream), outbound, inbound);
  throw new GatewayError(
    'upstream_invalid',
    `${outbound.target.id} answered ${type} where a stream was asked for.`,
  );
}
