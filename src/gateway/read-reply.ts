/** Reads what a provider replied, within bounds. */
import { GatewayError } from '../core/error.ts';
import type { Outbound } from './render.ts';
import type { Reply } from './reply.ts';
import type { Upstream } from './upstream.ts';

/** A body that claims to be an answer ends here. */
export const maxWholeBytes = 64 * 1024 * 1024;
const maxErrorBytes = 256 * 1024;

export function isAnswer(reply: Reply): boolean {
  return reply.status >= 200 && reply.status < 300;
}

/** Why the provider did not answer, as its dialect classifies it. */
export async function readRefusal(
  reply: Reply,
  outbound: Outbound,
  upstream: Upstream,
): Promise<GatewayError> {
  const body = await readBytes(reply, upstream, maxErrorBytes, true);
  return outbound.endpoint.dialect.readError(reply.status, reply.headers(), body);
}

/** A whole body; at once where all of it is there. @throws GatewayError `upstream_invalid` when it is larger, unless `cut`. */
export function readBytes(
  reply: Reply,
  upstream: Upstream,
  limitBytes = maxWholeBytes,
  cut = false,
): Uint8Array | Promise<Uint8Array> {
  const first = reply.read();
  if (first instanceof Promise || first === undefined)
    return readRest(reply, upstream, first, limitBytes, cut);
  const second = reply.read();
  if (second === undefined && first.length <= limitBytes) return first;
  return readRest(reply, upstream, second, limitBytes, cut, first);
}

async function readRest(
  reply: Reply,
  upstream: Upstream,
  pending: ReturnType<Reply['read']>,
  limitBytes: number,
  cut: boolean,
  first?: Uint8Array,
): Promise<Uint8Array> {
  const parts = first === undefined ? [] : [first];
  let size = first?.length ?? 0;
  for (let part = await pending; part !== undefined; part = await reply.read()) {
    upstream.touch();
    size += part.length;
    parts.push(part);
    if (size <= limitBytes) continue;
    if (cut) break;
    throw new GatewayError('upstream_invalid', `The provider's answer is larger than ${limitBytes} bytes.`);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
