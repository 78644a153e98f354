/** Requests to a provider that are no calls of a model: what is kept there is made, read and deleted. */
import type { Endpoint, Provider, ProviderKey, Target } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Presence } from '../../wire/http/server/messages.ts';
import { isStreamed } from '../../wire/http/streamed.ts';
import type { Gateway } from '../gateway.ts';
import type { Errand } from '../headers.ts';
import { isAnswer, readBytes, readRefusal } from '../read-reply.ts';
import { type Outbound, plainOutbound } from '../render.ts';
import type { Reply } from '../reply.ts';
import { Upstream } from '../upstream.ts';

/** Whom to ask, where, and with which key. */
export interface Keeping {
  provider: Provider;
  endpoint: Endpoint;
  key: ProviderKey | undefined;
}

/** For whom it is run. */
export interface Errander extends Presence {
  headers: Pick<Headers, 'get'>;
}

/** What came of it: an answer, to be read to its end. */
export interface Ran {
  reply: Reply;
  upstream: Upstream;
}

/** For the gateway's own purposes. */
export const nobody: Errander = { gone: false, headers: new Headers() };

const targets = new WeakMap<Provider, Target>();

/** A provider as a whole, where a target is asked for. */
export function wholeProvider(provider: Provider): Target {
  let target = targets.get(provider);
  if (target === undefined) {
    const { name } = provider;
    target = {
      id: name,
      provider,
      model: '',
      modelJson: '""',
      quirks: {},
      endpoints: [],
      price: undefined,
    };
    targets.set(provider, target);
  }
  return target;
}

/**
 * @param path below the endpoint's base URL, with its query.
 * @param onUpstream told of the way there before anything is sent.
 * @throws GatewayError the provider's refusal, or why there is no answer.
 */
export async function run(
  errand: Errand,
  path: string,
  { provider, endpoint, key }: Keeping,
  gateway: Gateway,
  client: Errander,
  onUpstream?: (upstream: Upstream) => void,
): Promise<Ran> {
  const target = wholeProvider(provider);
  const outbound = outboundTo(target, endpoint, path);
  for (let again = isStreamed(errand.body) ? 0 : 1; ; again--) {
    const upstream = new Upstream(outbound, gateway.deadlines, client);
    onUpstream?.(upstream);
    try {
      const reply = await upstream.run(gateway.http, { key, client: client.headers }, errand);
      if (!isAnswer(reply)) throw await readRefusal(reply, outbound, upstream);
      gateway.health.report(target, key, 'ok', Date.now());
      upstream.touch();
      return { reply, upstream };
    } catch (thrown) {
      const error = upstream.failure(thrown);
      upstream.close();
      // A connection that had waited for work was closed: nobody has read the request.
      if (error.kind === 'upstream_stale' && again > 0) continue;
      gateway.health.report(target, key, error, Date.now());
      throw error;
    }
  }
}

/** @param below path below the endpoint's base URL, with its query. */
export function outboundTo(target: Target, endpoint: Endpoint, below: string): Outbound {
  // What every URL of a host has to have stands in that of a call.
  const usual = endpoint.path('', false).split('?')[1];
  const path = usual === undefined ? below : `${below}${below.includes('?') ? '&' : '?'}${usual}`;
  return plainOutbound(target, endpoint, path, '', true);
}

/** The whole answer. @throws GatewayError */
export async function readAll({ reply, upstream }: Ran): Promise<Uint8Array> {
  try {
    const bytes = await readBytes(reply, upstream);
    upstream.finish();
    return bytes;
  } catch (thrown) {
    const error = upstream.failure(thrown);
    upstream.close();
    throw error;
  }
}

/** @throws GatewayError `upstream_invalid` when it is no JSON object. */
export function parseDocument(bytes: Uint8Array): JsonObject {
  try {
    const value: Json = JSON.parse(utf8(bytes));
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new GatewayError('upstream_invalid', 'The provider answered something else than a JSON object.');
}

/** Its parts as they come, no faster than they are taken. */
export async function* passOn({ reply, upstream }: Ran): AsyncGenerator<Uint8Array> {
  let whole = false;
  try {
    for (;;) {
      const part = await reply.read();
      if (part === undefined) break;
      // The client is to take it: the provider may wait meanwhile.
      upstream.rest();
      yield part;
      upstream.touch();
    }
    whole = true;
    upstream.finish();
  } catch (thrown) {
    throw upstream.failure(thrown);
  } finally {
    if (!whole) upstream.close();
  }
}

/** Its lines, without those that are empty. @throws GatewayError `upstream_invalid` when one is longer than `maxBytes`. */
export async function* linesOf(ran: Ran, maxBytes: number): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = [];
  let size = 0;
  const joined = (last: Uint8Array): Uint8Array => {
    const line = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    size = 0;
    return line;
  };
  for await (const part of passOn(ran)) {
    let from = 0;
    for (let end = part.indexOf(newline); end >= 0; end = part.indexOf(newline, from)) {
      const line = joined(part.subarray(from, end));
      from = end + 1;
      if (!isBlank(line)) yield line;
    }
    size += part.length - from;
    if (size > maxBytes) {
      throw new GatewayError('upstream_invalid', `A line of the file is longer than ${maxBytes} bytes.`);
    }
    if (from < part.length) rest.push(part.slice(from));
  }
  const last = joined(new Uint8Array());
  if (!isBlank(last)) yield last;
}

const newline = 0x0a;

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte <= 0x20);
}
