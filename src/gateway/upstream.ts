/** The way to a provider for one attempt: with its time-outs, stopped when the client leaves, closed exactly once. */
import type { Provider, ProviderKey } from '../config/snapshot.ts';
import { clientGone, type ErrorKind, GatewayError } from '../core/error.ts';
import type { Exchange } from '../wire/http/exchange.ts';
import { HttpError, type HttpErrorKind } from '../wire/http/head.ts';
import type { HttpPool } from '../wire/http/pool.ts';
import type { Presence } from '../wire/http/server/messages.ts';
import { isStreamed, type RequestBody } from '../wire/http/streamed.ts';
import type { Switched } from '../wire/tunnel.ts';
import type { Deadlines, Watched } from './deadlines.ts';
import {
  type Errand,
  errandHeadersOf,
  errandHeadOf,
  headersOf,
  httpHeadOf,
  type Sender,
  switchHeadersOf,
  switchHeadOf,
} from './headers.ts';
import type { Outbound } from './render.ts';
import { type Reply, TransportReply } from './reply.ts';

const httpKinds: Record<HttpErrorKind, ErrorKind> = {
  refused: 'upstream_network',
  not_found: 'upstream_network',
  tls: 'upstream_network',
  closed: 'upstream_network',
  stale: 'upstream_stale',
  aborted: 'cancelled',
  bad_response: 'upstream_invalid',
};

const lastMomentMs = 1000;

type Transport = NonNullable<Provider['transport']>;

function fetchBody(body: RequestBody): NonNullable<RequestInit['body']> | null {
  if (!isStreamed(body)) return (body as Uint8Array<ArrayBuffer> | string | undefined) ?? null;
  // An async iterable is a body to Bun, though not to the types.
  return new Response(body.chunks as unknown as ReadableStream).body;
}

export class Upstream implements Watched {
  deadlineMs: number;
  /** Set when it was the gateway that gave up: why. */
  private expired: GatewayError | undefined;
  private exchange: Exchange | undefined;
  private controller: AbortController | undefined;
  /** What is waited for before anything is sent. */
  private authorising: PromiseWithResolvers<never> | undefined;
  /** Told when the client goes away. */
  onGone: (() => void) | undefined;
  private readonly endMs: number;
  private waiting = 'the first byte of an answer';

  constructor(
    private readonly outbound: Outbound,
    private readonly deadlines: Deadlines,
    readonly client: Presence,
  ) {
    const { firstByteMs, totalMs } = outbound.target.provider.timeouts;
    const now = performance.now();
    this.endMs = now + totalMs;
    this.deadlineMs = Math.min(now + firstByteMs, this.endMs);
    deadlines.add(this);
  }

  /** Sends the request. What it rejects with becomes a GatewayError by `failure`. */
  send(http: HttpPool, sender: Sender): Promise<Reply> {
    return sender.key?.authorise === undefined
      ? this.sendWith(http, sender)
      : this.authorise(http, sender, sender.key.authorise);
  }

  /** Signing, or a token to fetch first, may take its time, but no longer than the call may. */
  private async authorise(
    http: HttpPool,
    sender: Sender,
    authorise: NonNullable<ProviderKey['authorise']>,
  ): Promise<Reply> {
    const { url, body } = this.outbound;
    this.authorising = Promise.withResolvers<never>();
    const authorisation = await Promise.race([authorise({ url, body }), this.authorising.promise]);
    this.authorising = undefined;
    return this.sendWith(http, { ...sender, authorisation });
  }

  private sendWith(http: HttpPool, sender: Sender): Promise<Reply> {
    const { outbound } = this;
    const { transport } = outbound.target.provider;
    if (transport !== undefined) return this.sendBy(transport, sender);
    const { origin, head } = httpHeadOf(outbound, sender);
    this.exchange = http.ask(origin, head, outbound.body);
    return this.exchange.answered;
  }

  /** Asks to go on in another protocol. What it rejects with becomes a GatewayError by `failure`. */
  switch(http: HttpPool, sender: Sender): Promise<Switched> {
    const { outbound } = this;
    const { switching } = outbound.target.provider;
    if (switching !== undefined)
      return this.switchBy(switching(outbound.url, switchHeadersOf(outbound, sender)));
    const { origin, head } = switchHeadOf(outbound, sender);
    this.exchange = http.switch(origin, head);
    return this.exchange.answered;
  }

  private async switchBy(switching: Promise<Switched>): Promise<Switched> {
    this.authorising = Promise.withResolvers<never>();
    try {
      return await Promise.race([switching, this.authorising.promise]);
    } catch (thrown) {
      switching.then(
        (late) => late.cut(),
        () => {},
      );
      throw thrown;
    } finally {
      this.authorising = undefined;
    }
  }

  /** Sends something else than a call of a model. What it rejects with becomes a GatewayError by `failure`. */
  run(http: HttpPool, sender: Sender, errand: Errand): Promise<Reply> {
    const { outbound } = this;
    const { transport } = outbound.target.provider;
    if (transport !== undefined) {
      const headers = errandHeadersOf(outbound, sender, errand);
      return this.fetchBy(transport, { method: errand.method, headers, body: fetchBody(errand.body) });
    }
    const { origin, head } = errandHeadOf(outbound, sender, errand);
    this.exchange = http.ask(origin, head, errand.body);
    return this.exchange.answered;
  }

  private sendBy(transport: Transport, sender: Sender): Promise<Reply> {
    return this.fetchBy(transport, {
      method: 'POST',
      headers: headersOf(this.outbound, sender),
      body: this.outbound.body as Uint8Array<ArrayBuffer> | string,
    });
  }

  private async fetchBy(transport: Transport, init: RequestInit): Promise<Reply> {
    this.controller = new AbortController();
    const { signal } = this.controller;
    return new TransportReply(await transport(this.outbound.url, { ...init, signal, redirect: 'manual' }));
  }

  /** Part of the request has left: its answer is not due before all of it has. */
  sending(): void {
    const { firstByteMs } = this.outbound.target.provider.timeouts;
    this.deadlineMs = Math.min(performance.now() + firstByteMs, this.endMs);
  }

  /** Bytes arrived: from now on only a silence counts. */
  touch(): void {
    this.waiting = 'the next part of an answer';
    this.deadlineMs = Math.min(performance.now() + this.outbound.target.provider.timeouts.idleMs, this.endMs);
  }

  /** The client is to take what there is: the provider may wait meanwhile. */
  rest(): void {
    this.deadlineMs = this.endMs;
  }

  /** All is said: only the end of the bytes is waited for. */
  lastMoment(): void {
    this.deadlineMs = Math.min(performance.now() + lastMomentMs, this.endMs);
  }

  expire(): void {
    const { id, provider } = this.outbound.target;
    const waitedMs = Math.round(this.deadlineMs - (this.endMs - provider.timeouts.totalMs));
    this.expired = new GatewayError(
      'upstream_timeout',
      `${id} kept the gateway waiting for ${this.waiting}, longer than allowed (${waitedMs} ms after it was asked).`,
    );
    this.close();
  }

  /** The client went away: the provider need not go on. */
  abandon(): void {
    this.expired ??= clientGone();
    this.close();
    this.onGone?.();
  }

  /** Stops the transfer, if there still is one. */
  close(): void {
    this.finish();
    this.authorising?.reject(this.expired);
    this.controller?.abort(this.expired);
    if (this.exchange?.over === false) this.exchange.fail(new HttpError('aborted', 'given up'));
  }

  /** The transfer came to its end by itself: its connection can be used again. */
  finish(): void {
    this.deadlines.delete(this);
  }

  /** Why reading or sending failed, in the gateway's words. */
  failure(thrown: unknown): GatewayError {
    if (this.expired !== undefined) return this.expired;
    if (thrown instanceof GatewayError) return thrown;
    const { id } = this.outbound.target;
    if (thrown instanceof HttpError) {
      return new GatewayError(httpKinds[thrown.kind], `The call to ${id} failed: ${thrown.message}.`, {
        cause: thrown,
      });
    }
    return new GatewayError('upstream_network', `The connection to ${id} failed.`, { cause: thrown });
  }
}
