/** The way to a provider for one attempt: with its time-outs, stopped when the client leaves, closed exactly once. */
import type { Provider, ProviderKey, Timeouts } from '../config/snapshot.ts';
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
/** What a refusal says may be worth a moment, not all the patience there is for answers. */
const refusalMs = 5000;
/** Over which the rate of an answer is taken. */
const windowMs = 10_000;

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
  private readonly timeouts: Timeouts;
  private readonly endMs: number;
  /** When what is waited for is due; it is looked after earlier where something else may go wrong before. */
  private dueMs: number;
  private waiting = 'the first token of an answer';
  private connecting = false;
  /** Tells how much of the answer has come. */
  private source: { readonly received: number } | undefined;
  /** When the rate is looked at next; Infinity where it is not, or the answer has not begun. */
  private windowEndMs = Number.POSITIVE_INFINITY;
  /** What had been received when the window began. */
  private windowBytes = 0;
  /** Since when the client has the word; undefined while the provider has it. */
  private restingMs: number | undefined;

  /** @param timeouts what the route wants otherwise than the provider has it. */
  constructor(
    private readonly outbound: Outbound,
    private readonly deadlines: Deadlines,
    readonly client: Presence,
    timeouts?: Partial<Timeouts>,
  ) {
    const usual = outbound.target.provider.timeouts;
    this.timeouts = timeouts === undefined ? usual : { ...usual, ...timeouts };
    const now = deadlines.now();
    this.endMs = now + this.timeouts.totalMs;
    this.dueMs = Math.min(now + this.timeouts.firstByteMs, this.endMs);
    this.deadlineMs = this.dueMs;
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
    return this.carriedBy(http.ask(origin, head, outbound.body, true)).answered;
  }

  /** Asks to go on in another protocol. What it rejects with becomes a GatewayError by `failure`. */
  switch(http: HttpPool, sender: Sender): Promise<Switched> {
    const { outbound } = this;
    const { switching } = outbound.target.provider;
    if (switching !== undefined)
      return this.switchBy(switching(outbound.url, switchHeadersOf(outbound, sender)));
    const { origin, head } = switchHeadOf(outbound, sender);
    return this.carriedBy(http.switch(origin, head)).answered;
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
    return this.carriedBy(http.ask(origin, head, errand.body)).answered;
  }

  /** Where no connection was waiting for work, one has to be made first. */
  private carriedBy(exchange: Exchange): Exchange {
    this.exchange = exchange;
    this.source = exchange;
    if (!exchange.connected) {
      this.connecting = true;
      this.deadlineMs = Math.min(this.deadlines.now() + this.timeouts.connectMs, this.dueMs);
    }
    return exchange;
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
    const reply = new TransportReply(
      await transport(this.outbound.url, { ...init, signal, redirect: 'manual' }),
    );
    this.source = reply;
    return reply;
  }

  /** Part of the request has left: its answer is not due before all of it has. */
  sending(): void {
    this.due(this.deadlines.now() + this.timeouts.firstByteMs);
  }

  /** The answer has begun, or goes on: from now on only a silence counts, and a trickle. */
  touch(): void {
    const now = this.deadlines.now();
    this.waiting = 'the next part of an answer';
    if (this.timeouts.minBytesPerS > 0) this.moveWindow(now);
    this.due(now + this.timeouts.idleMs);
  }

  /** The client is to take what there is: the provider may wait meanwhile. */
  rest(): void {
    this.deadlineMs = this.endMs;
    if (this.timeouts.minBytesPerS > 0) this.restingMs ??= this.deadlines.now();
  }

  /** The provider has refused: its reasons are heard, but not waited for. */
  refused(): void {
    this.due(Math.min(this.deadlines.now() + refusalMs, this.dueMs));
  }

  /** All is said: only the end of the bytes is waited for. */
  lastMoment(): void {
    this.windowEndMs = Number.POSITIVE_INFINITY;
    this.due(this.deadlines.now() + lastMomentMs);
  }

  private due(atMs: number): void {
    this.connecting = false;
    this.dueMs = Math.min(atMs, this.endMs);
    this.deadlineMs = Math.min(this.dueMs, this.windowEndMs);
  }

  /** Its first window begins with an answer; what the client takes its time for is not the provider's. */
  private moveWindow(nowMs: number): void {
    if (this.windowEndMs === Number.POSITIVE_INFINITY) this.startWindow(nowMs);
    else if (this.restingMs !== undefined) this.windowEndMs += nowMs - this.restingMs;
    this.restingMs = undefined;
  }

  private startWindow(nowMs: number): void {
    this.windowEndMs = nowMs + windowMs;
    this.windowBytes = this.source?.received ?? 0;
  }

  expire(): boolean {
    if (this.mayGoOn(this.deadlines.now())) return false;
    const waitedMs = Math.round(this.deadlineMs - (this.endMs - this.timeouts.totalMs));
    this.expired = new GatewayError(
      'upstream_timeout',
      `${this.outbound.target.id} kept the gateway waiting for ${this.waiting}, longer than allowed (${waitedMs} ms after it was asked).`,
    );
    this.close();
    return true;
  }

  /** It was only looked after: a connection stands by now, or enough has come since the last time. */
  private mayGoOn(nowMs: number): boolean {
    if (this.connecting) {
      this.connecting = false;
      if (this.exchange?.connected !== true) {
        this.waiting = 'a connection';
        return false;
      }
    } else if (nowMs >= this.windowEndMs && this.deadlineMs === this.windowEndMs) {
      const came = (this.source?.received ?? 0) - this.windowBytes;
      if (came * 1000 < this.timeouts.minBytesPerS * windowMs) {
        this.waiting = `more than ${came} bytes in ${windowMs / 1000} s`;
        return false;
      }
      this.startWindow(nowMs);
    }
    this.deadlineMs = Math.min(this.dueMs, this.windowEndMs);
    return this.deadlineMs > nowMs;
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
    // What the readers of its bytes throw.
    if (thrown instanceof RangeError || thrown instanceof SyntaxError || thrown instanceof TypeError) {
      return new GatewayError('upstream_invalid', `${id} sent what cannot be read.`, { cause: thrown });
    }
    return new GatewayError('upstream_network', `The connection to ${id} failed.`, { cause: thrown });
  }
}
