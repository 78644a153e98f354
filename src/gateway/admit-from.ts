/** What a key may ask for from where its call comes from: the peer of the connection, or what trusted proxies say of it. */
import type { Key, Settings, Snapshot } from '../config/snapshot.ts';
import { authoriseCall } from '../governance/allow.ts';
import type { ClientRequest } from '../wire/http/server/messages.ts';

/**
 * @param operation undefined: what every key may ask for.
 * @throws GatewayError `forbidden`
 */
export function admitFrom(
  key: Key,
  operation: string | undefined,
  request: ClientRequest,
  { settings }: Snapshot,
): void {
  if (key.restrictions === undefined) return;
  authoriseCall(key, operation, () => clientAddress(request, settings));
}

/**
 * Each proxy adds the address it was called from at the end of `X-Forwarded-For`. So what counts is the last one there
 * that is no trusted proxy's: anything before it may be the client's own invention.
 * https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
 * @returns an IP address, or what a trusted proxy says instead of one: that is in no list.
 */
function clientAddress(
  request: Pick<ClientRequest, 'address' | 'headers'>,
  { trustedProxies }: Pick<Settings, 'trustedProxies'>,
): string {
  let address = request.address;
  if (trustedProxies?.has(address) !== true) return address;
  const said = request.headers.get('x-forwarded-for')?.split(',') ?? [];
  for (let i = said.length - 1; i >= 0; i--) {
    address = withoutPort(said[i]!.trim());
    if (!trustedProxies.has(address)) return address;
  }
  return address;
}

/** Some proxies tell the port, too: `10.0.0.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(text: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/.exec(text) ?? [];
  return bracketed ?? plain ?? text;
}
