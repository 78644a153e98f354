/** The headers of a call to a provider, made once per endpoint and key. */
import type { Endpoint, ProviderKey } from '../config/snapshot.ts';
import { type Origin, originOf } from '../wire/http/pool.ts';
import type { RequestBody } from '../wire/http/streamed.ts';
import type { Outbound } from './render.ts';

/** With whose key a call is made, and for which client. */
export interface Sender {
  key: ProviderKey | undefined;
  client: Pick<Headers, 'get'>;
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
  /** The same for bodies that are no JSON: their type is told with each. */
  untyped: Map<ProviderKey | undefined, Made>;
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
    place = { origin, path: pathname.replace(/\/$/, ''), byKey: new Map(), untyped: new Map() };
    places.set(endpoint, place);
  }
  return place;
}

function madeFor({ endpoint, contentType }: Outbound, key: ProviderKey | undefined): Made {
  const { origin, byKey, untyped } = placeOf(endpoint);
  const known = contentType === undefined ? byKey : untyped;
  let made = known.get(key);
  if (made === undefined) {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'sluice',
      ...endpoint.dialect.headers,
      ...endpoint.headers,
    };
    if (contentType !== undefined) delete headers['content-type'];
    if (key?.header !== undefined) headers[key.header[0]] = key.header[1];
    made = { headers, lines: `host: ${origin.authority}\r\n${linesOf(headers)}` };
    known.set(key, made);
  }
  return made;
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const name in headers) lines += `${name}: ${headers[name]!.replace(/[\r\n]+/g, ' ')}\r\n`;
  return lines;
}

/** What is sent beside the headers that every call has: the client's own, where its dialect is spoken on both sides. */
function added(outbound: Outbound, sender: Sender): Readonly<Record<string, string>> | undefined {
  const { relay, endpoint, contentType } = outbound;
  const names = relay ? endpoint.dialect.forwardHeaders : undefined;
  if (names === undefined && contentType === undefined) return sender.authorisation;
  let found: Record<string, string> | undefined =
    contentType === undefined ? undefined : { 'content-type': contentType };
  for (const name of names ?? []) {
    const value = sender.client.get(name);
    if (value === null || endpoint.lift?.[name] !== undefined) continue;
    found ??= {};
    found[name] = value;
  }
  return sender.authorisation === undefined ? found : { ...found, ...sender.authorisation };
}

/** For a transport. */
export function headersOf(outbound: Outbound, sender: Sender): Record<string, string> {
  const { headers } = madeFor(outbound, sender.key);
  const more = added(outbound, sender);
  return more === undefined ? headers : { ...headers, ...more };
}

/** For a socket: a request to go on in another protocol, which has no body. */
export function switchHeadOf(outbound: Outbound, sender: Sender): { origin: Origin; head: string } {
  const { origin, path } = placeOf(outbound.endpoint);
  const lines = linesOf(switchHeadersOf(outbound, sender));
  const head = `GET ${path}${outbound.path} HTTP/1.1\r\nhost: ${origin.authority}\r\n${lines}`;
  return { origin, head };
}

/** A request that is no call of a model: a file, a batch. */
export interface Errand {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** What is said of the body, and what of the client's own headers the provider is to see. */
  headers: Readonly<Record<string, string>>;
  body: RequestBody;
}

/** For a socket: but for the body's length. */
export function errandHeadOf(
  outbound: Outbound,
  sender: Sender,
  errand: Errand,
): { origin: Origin; head: string } {
  const { origin, path } = placeOf(outbound.endpoint);
  const lines = linesOf(errandHeadersOf(outbound, sender, errand));
  const head = `${errand.method} ${path}${outbound.path} HTTP/1.1\r\nhost: ${origin.authority}\r\n${lines}`;
  return { origin, head };
}

export function errandHeadersOf(
  outbound: Outbound,
  sender: Sender,
  { headers }: Errand,
): Record<string, string> {
  const all = { ...headersOf(outbound, sender), ...headers };
  if (headers['content-type'] === undefined) delete all['content-type'];
  return all;
}

export function switchHeadersOf(outbound: Outbound, sender: Sender): Record<string, string> {
  const headers = { ...headersOf(outbound, sender) };
  delete headers['content-type'];
  delete headers['accept-encoding'];
  return headers;
}

/** For a socket: request line and headers, but for the body's length. */
export function httpHeadOf(outbound: Outbound, sender: Sender): { origin: Origin; head: string } {
  const { origin, path } = placeOf(outbound.endpoint);
  const { lines } = madeFor(outbound, sender.key);
  const more = added(outbound, sender);
  const head = `POST ${path}${outbound.path} HTTP/1.1\r\n${lines}${more === undefined ? '' : linesOf(more)}`;
  return { origin, head };
}
