/** Sends one attempt and waits until it is known to be an answer: a whole body, or a stream with something in it. */
import type { ProviderKey } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';
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
    client.addEventListener('abort', this);
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
    const { id, provider } = this.outbound.target;
    const waitedMs = Math.round(this.deadlineMs - (this.endMs - provider.timeouts.totalMs));
    this.expired = new GatewayError(
      'upstream_timeout',
      `${id} kept the gateway waiting for ${this.waiting}, longer than allowed (${waitedMs} ms after it was asked).`,
    );
    this.controller.abort(this.expired);
  }

  /** The client went away: the provider need not go on. (An object that listens costs less than a closure.) */
  handleEvent(): void {
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

/** Asks the provider. Rejects as fetch does: see Upstream.failure. */
export function send(
  outbound: Outbound,
  headers: Record<string, string>,
  upstream: Upstream,
): Promise<Response> {
  const ask = outbound.target.provider.transport ?? fetch;
  return ask(outbound.url, {
    method: 'POST',
    headers,
    body: outbound.body,
    signal: upstream.signal,
    redirect: 'manual',
    decompress: false,
  } as RequestInit);
}

export function isAnswer(response: Response): boolean {
  return response.status >= 200 && response.status < 300;
}

/** Why the provider did not answer, as its dialect classifies it. */
export async function readRefusal(
  response: Response,
  outbound: Outbound,
  upstream: Upstream,
): Promise<GatewayError> {
  const body = await readBytes(response, upstream, maxErrorBytes, true);
  return outbound.endpoint.dialect.readError(response.status, response.headers, body);
}

/** A whole body, bounded. @throws GatewayError `upstream_invalid` when it is larger, unless `cut`. */
export function readBytes(
  response: Response,
  upstream: Upstream,
  limitBytes = maxWholeBytes,
  cut = false,
): Promise<Uint8Array> {
  if (declaredSize(response) <= limitBytes) return response.bytes();
  return readBounded(response, upstream, limitBytes, cut);
}

/** @throws GatewayError when the connection ended before all that was announced had come. */
export function requireWhole(response: Response, body: Uint8Array): void {
  if (body.length < declaredSize(response))
    throw new GatewayError('upstream_invalid', 'The provider sent less than it announced.');
}

/** NaN where it is not announced. */
function declaredSize(response: Response): number {
  return Number(response.headers.get('content-length') ?? Number.NaN);
}

async function readBounded(
  response: Response,
  upstream: Upstream,
  limitBytes: number,
  cut: boolean,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body === null) return new Uint8Array();
  for await (const chunk of response.body) {
    upstream.touch();
    size += chunk.length;
    chunks.push(chunk);
    if (size <= limitBytes) continue;
    if (cut) break;
    throw new GatewayError('upstream_invalid', `The provider's answer is larger than ${limitBytes} bytes.`);
  }
  return Buffer.concat(chunks);
}

const headerSets = new WeakMap<Outbound['endpoint'], Map<ProviderKey | undefined, Record<string, string>>>();

/** Headers of a call, made once per endpoint and key; a copy only where the client's own headers are passed on. */
export function headersFor(
  outbound: Outbound,
  key: ProviderKey | undefined,
  client: Headers,
): Record<string, string> {
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
