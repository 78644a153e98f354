/** Sends one attempt and waits until it is known to be an answer: a whole body, or a stream with something in it. */
import type { ProviderKey } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';
import type { Attempt } from './call.ts';
import type { Deadlines, Watched } from './deadlines.ts';
import type { Outbound } from './render.ts';

/** A body that claims to be an answer ends here. */
const maxWholeBytes = 64 * 1024 * 1024;
const maxErrorBytes = 256 * 1024;

/** An upstream connection with its time-outs; closed exactly once. */
export class Upstream implements Watched {
  deadlineMs: number;
  /** Set when it was the gateway that gave up: why. */
  expired: GatewayError | undefined;
  private readonly controller = new AbortController();
  private readonly endMs: number;
  private waiting = 'the first byte of an answer';

  constructor(
    private readonly outbound: Outbound,
    private readonly deadlines: Deadlines,
    client: AbortSignal,
  ) {
    client.addEventListener('abort', () => this.leave(), { once: true });
    const { firstByteMs, totalMs } = outbound.target.provider.timeouts;
    const now = performance.now();
    this.endMs = now + totalMs;
    this.deadlineMs = Math.min(now + firstByteMs, this.endMs);
    deadlines.add(this);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Bytes arrived: from now on only a silence counts. */
  touch(): void {
    this.waiting = 'the next part of an answer';
    this.deadlineMs = Math.min(performance.now() + this.outbound.target.provider.timeouts.idleMs, this.endMs);
  }

  expire(): void {
    const seconds = Math.round((this.deadlineMs - (this.endMs - this.outbound.target.provider.timeouts.totalMs)) / 1000);
    this.expired = new GatewayError(
      'upstream_timeout',
      `${this.outbound.target.id} kept the gateway waiting for ${this.waiting} beyond the time allowed (${seconds} s after the call began).`,
    );
    this.controller.abort(this.expired);
  }

  /** The client went away: the provider need not go on. */
  private leave(): void {
    this.expired ??= new GatewayError('cancelled', 'The client went away.');
    this.close();
  }

  /** Stops the transfer, if there still is one. */
  close(): void {
    this.deadlines.delete(this);
    this.controller.abort();
  }

  /** The transfer came to its end by itself: its connection can be used again. */
  finish(): void {
    this.deadlines.delete(this);
  }

  /** Why reading or sending failed, in the gateway's words. */
  failure(thrown: unknown): GatewayError {
    if (this.expired !== undefined) return this.expired;
    if (thrown instanceof GatewayError) return thrown;
    const code = (thrown as { code?: unknown }).code;
    return new GatewayError(
      'upstream_network',
      `The connection to ${this.outbound.target.id} failed${typeof code === 'string' ? ` (${code})` : ''}.`,
      { cause: thrown },
    );
  }
}

/**
 * @returns the response of a provider that accepted the call (2xx).
 * @throws GatewayError classified by the dialect, or `upstream_network`, `upstream_timeout`.
 */
export async function send(
  outbound: Outbound,
  headers: Record<string, string>,
  attempt: Attempt,
  upstream: Upstream,
): Promise<Response> {
  const { target, endpoint } = outbound;
  let response: Response;
  try {
    response = await (target.provider.transport ?? fetch)(outbound.url, {
      method: 'POST',
      headers,
      body: outbound.body,
      signal: upstream.signal,
      redirect: 'manual',
      decompress: false,
    } as RequestInit);
    attempt.upstreamStatus = response.status;
    if (response.status >= 200 && response.status < 300) return response;
    const body = await readBytes(response, upstream, maxErrorBytes, true);
    throw endpoint.dialect.readError(response.status, response.headers, body);
  } catch (thrown) {
    throw upstream.failure(thrown);
  }
}

/** A whole body, bounded. @throws GatewayError `upstream_invalid` when it is larger, unless `cut`. */
export async function readBytes(
  response: Response,
  upstream: Upstream,
  limitBytes = maxWholeBytes,
  cut = false,
): Promise<Uint8Array> {
  const declared = Number(response.headers.get('content-length') ?? Number.NaN);
  if (declared <= limitBytes) {
    const body = Buffer.from(await response.arrayBuffer());
    if (body.length < declared) {
      throw new GatewayError('upstream_invalid', 'The provider sent less than it announced.');
    }
    return body;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body !== null) {
    for await (const chunk of response.body) {
      upstream.touch();
      size += chunk.length;
      chunks.push(chunk);
      if (size <= limitBytes) continue;
      if (cut) break;
      throw new GatewayError('upstream_invalid', `The provider's answer is larger than ${limitBytes} bytes.`);
    }
  }
  return Buffer.concat(chunks);
}

const headerSets = new WeakMap<Outbound['endpoint'], Map<ProviderKey | undefined, Record<string, string>>>();

/** Headers of a call, made once per endpoint and key; a copy only where the client's own headers are passed on. */
export function headersFor(outbound: Outbound, key: ProviderKey | undefined, client: Headers): Record<string, string> {
  const { endpoint } = outbound;
  let sets = headerSets.get(endpoint);
  if (sets === undefined) {
    sets = new Map();
    headerSets.set(endpoint, sets);
  }
  let headers = sets.get(key);
  if (headers === undefined) {
    headers = {
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'sluice',
      ...endpoint.dialect.headers,
      ...endpoint.headers,
    };
    if (key?.header !== undefined) headers[key.header[0]] = key.header[1];
    sets.set(key, headers);
  }
  const forward = outbound.relay ? endpoint.dialect.forwardHeaders : undefined;
  if (forward === undefined) return headers;
  let copy: Record<string, string> | undefined;
  for (const name of forward) {
    const value = client.get(name);
    if (value === null) continue;
    copy ??= { ...headers };
    copy[name] = value;
  }
  return copy ?? headers;
}
