/** The headers of a call to a provider, made once per endpoint and key. */
import type { Endpoint, ProviderKey } from '../config/snapshot.ts';
import { type Origin, originOf } from '../wire/http/pool.ts';
import type { Outbound } from './render.ts';

/** With whose key a call is made, and for which client. */
export interface Sender {
  key: ProviderKey | undefined;
  client: Headers;
  /** Headers made for this one request. */
  authorisation?: Readonly<Record<string, string>>;
}

interface Made {
  headers: Record<string, string>;
  /** The same as lines of HTTP/1.1, with the host's. */
  lines: string;
}

interface Place {
  origin: Origin;
  /** Path of the base URL, without a trailing slash. */
  path: string;
  byKey: Map<ProviderKey | undefined, Made>;
}

const places = new WeakMap<Endpoint, Place>();
const origins = new Map<string, Origin>();

function placeOf(endpoint: Endpoint): Place {
  let place = places.get(endpoint);
  if (place === undefined) {
    const { origin: base, pathname } = new URL(endpoint.base);
    // One object per server: connections are kept by it.
    let origin = origins.get(base);
    if (origin === undefined) {
      origin = originOf(base);
      origins.set(base, origin);
    }
    place = { origin, path: pathname.replace(/\/$/, ''), byKey: new Map() };
    places.set(endpoint, place);
  }
  return place;
}

function madeFor(endpoint: Endpoint, key: ProviderKey | undefined): Made {
  const { origin, byKey } = placeOf(endpoint);
  let made = byKey.get(key);
  if (made === undefined) {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'sluice',
      ...endpoint.dialect.headers,
      ...endpoint.headers,
    };
    if (key?.header !== undefined) headers[key.header[0]] = key.header[1];
    made = { headers, lines: `host: ${origin.authority}\r\n${linesOf(headers)}` };
    byKey.set(key, made);
  }
  return made;
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const name in headers) lines += `${name}: ${headers[name]!.replace(/[\r\n]+/g, ' ')}\r\n`;
  return lines;
}

/** What is sent beside the headers that every call has: the client's own, where its dialect is spoken on both sides. */
function added({ relay, endpoint }: Outbound, sender: Sender): Readonly<Record<string, string>> | undefined {
  const names = relay ? endpoint.dialect.forwardHeaders : undefined;
  if (names === undefined) return sender.authorisation;
  let found: Record<string, string> | undefined;
  for (const name of names) {
    const value = sender.client.get(name);
    if (value === null || endpoint.lift?.[name] !== undefined) continue;
    found ??= {};
    found[name] = value;
  }
  return sender.authorisation === undefined ? found : { ...found, ...sender.authorisation };
}

/** For a transport. */
export function headersOf(outbound: Outbound, sender: Sender): Record<string, string> {
  const { headers } = madeFor(outbound.endpoint, sender.key);
  const more = added(outbound, sender);
  return more === undefined ? headers : { ...headers, ...more };
}

/** For a socket: request line and headers, but for the body's length. */
export function httpHeadOf(outbound: Outbound, sender: Sender): { origin: Origin; head: string } {
  const { origin, path } = placeOf(outbound.endpoint);
  const { lines } = madeFor(outbound.endpoint, sender.key);
  const more = added(outbound, sender);
  const head = `POST ${path}${outbound.path} HTTP/1.1\r\n${lines}${more === undefined ? '' : linesOf(more)}`;
  return { origin, head };
}
