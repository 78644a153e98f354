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

/**
 * Why the provider did not answer, as its dialect classifies it: also by what little it says before it breaks off.
 * @throws GatewayError `cancelled` when the client went away meanwhile.
 */
export async function readRefusal(
  reply: Omit<Reply, 'headText'>,
  outbound: Outbound,
  upstream: Upstream,
): Promise<GatewayError> {
  upstream.refused();
  const heard: Uint8Array[] = [];
  let size = 0;
  try {
    while (size <= maxErrorBytes) {
      const part = await reply.read();
      if (part === undefined) break;
      size += part.length;
      heard.push(part);
    }
  } catch (thrown) {
    const failure = upstream.failure(thrown);
    if (failure.kind === 'cancelled') throw failure;
  }
  return outbound.endpoint.dialect.readError(reply.status, reply.headers(), joined(heard));
}

/** A whole body; at once where all of it is there. @throws GatewayError `upstream_invalid` when it is larger, unless `cut`. */
export function readBytes(
  reply: Pick<Reply, 'read'>,
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
  reply: Pick<Reply, 'read'>,
  upstream: Upstream,
  pending: ReturnType<Reply['read']>,
  limitBytes: number,
  cut: boolean,
  first?: Uint8Array,
): Promise<Uint8Array> {
  const parts = first === undefined ? [] : [first];
  let size = first?.length ?? 0;
  let begun = first !== undefined && !isBlank(first);
  if (begun) upstream.touch();
  for (let part = await pending; part !== undefined; part = await reply.read()) {
    // Blank lines keep connections open while an answer is still waited for.
    begun ||= !isBlank(part);
    if (begun) upstream.touch();
    size += part.length;
    parts.push(part);
    if (size <= limitBytes) continue;
    if (cut) break;
    throw new GatewayError('upstream_invalid', `The provider's answer is larger than ${limitBytes} bytes.`);
  }
  return joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function isBlank(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 0x20) return false;
  return true;
}
