/**
 * Fetches what a client names by its address, and nothing that the gateway can reach and the client must not: every
 * address a name resolves to is looked at, and the one that was looked at is the one connected to.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Exchange } from '../wire/http/exchange.ts';
import { HttpError } from '../wire/http/head.ts';
import { HttpPool, originOf } from '../wire/http/pool.ts';

export interface FetchLimits {
  /** Whether an IP address may be connected to. */
  allows(address: string): boolean;
  /** Aborted when time is up, or nobody waits any more. */
  signal: AbortSignal;
  /** Told of bytes as they come; throws when they are too many. */
  take(bytes: number): void;
}

export interface Fetched {
  bytes: Uint8Array;
  /** As the server says, without parameters, in lower case; '' when it says nothing. */
  contentType: string;
}

/** Why something was not fetched, as the end of a sentence. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

const maxRedirects = 3;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** @throws FetchError */
export async function fetchUrl(url: string, limits: FetchLimits): Promise<Fetched> {
  let at = readUrl(url);
  for (let hops = 0; ; hops++) {
    const exchange = await open(at, limits);
    try {
      if (!redirects.has(exchange.status)) return await readAnswer(exchange, limits);
      if (hops === maxRedirects) throw new FetchError(`it leads on more than ${maxRedirects} times`);
      at = readUrl(exchange.header('location') ?? '', at);
    } finally {
      // One request a connection: none of them is ever kept.
      if (!exchange.over) exchange.fail(new HttpError('aborted', 'done with it'));
    }
  }
}

function readUrl(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new FetchError('it is no address');
  const url = new URL(text, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new FetchError(`addresses begin with http:// or https://, not ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '')
    throw new FetchError('addresses with a password are not opened');
  return url;
}

async function open(url: URL, { allows, signal }: FetchLimits): Promise<Exchange> {
  const origin = originOf(url.href);
  const address = await untilAborted(resolve(origin.host, allows), signal);
  const head =
    `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${origin.authority}\r\naccept: */*\r\n` +
    'accept-encoding: identity\r\nuser-agent: sluice\r\nconnection: close\r\n';
  const exchange = new HttpPool().ask({ ...origin, host: address, serverName: origin.host }, head, '');
  const stop = (): void => exchange.fail(new HttpError('aborted', 'time is up'));
  signal.addEventListener('abort', stop);
  try {
    return await exchange.answered;
  } catch (error) {
    throw failure(error, signal);
  }
}

/** The address to connect to. @throws FetchError unless every address of the name may be reached. */
async function resolve(host: string, allows: FetchLimits['allows']): Promise<string> {
  const addresses = isIP(host) > 0 ? [host] : await lookUp(host);
  const [first] = addresses;
  if (first === undefined) throw new FetchError('its host name cannot be resolved');
  if (!addresses.every(allows)) throw new FetchError('its host is not on the public internet');
  return first;
}

async function lookUp(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/** Neither private nor special: https://www.iana.org/assignments/iana-ipv6-special-registry */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  const plain =
    parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed;
  if (plain.range() !== 'unicast') return false;
  return plain instanceof ipaddr.IPv4 || plain.match(assigned);
}

/** All that has been given out of IPv6: addresses that hold one of IPv4 (`::7f00:1` is 127.0.0.1) lie outside. */
const assigned = ipaddr.IPv6.parseCIDR('2000::/3');

async function readAnswer(exchange: Exchange, limits: FetchLimits): Promise<Fetched> {
  const { status } = exchange;
  if (status !== 200) throw new FetchError(`its server answered with status ${status}`);
  const encoding = exchange.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity') throw new FetchError(`its server sent it packed (${encoding.slice(0, 20)})`);
  const [type = ''] = (exchange.header('content-type') ?? '').split(';');
  const parts: Uint8Array[] = [];
  try {
    for (let part = await exchange.read(); part !== undefined; part = await exchange.read()) {
      limits.take(part.length);
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof FetchError ? error : failure(error, limits.signal);
  }
  return { bytes: Buffer.concat(parts), contentType: type.trim().toLowerCase() };
}

function failure(error: unknown, signal: AbortSignal): FetchError {
  if (signal.aborted) return new FetchError('it took too long');
  return new FetchError(error instanceof HttpError ? error.message : 'the connection failed');
}

/** Names are looked up by the operating system, which cannot be told to stop. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(new FetchError('it took too long'));
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new FetchError('it took too long')));
    promise.then(resolve, reject);
  });
}
