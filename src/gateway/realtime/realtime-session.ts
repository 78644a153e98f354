/**
 * One realtime session: messages pass both ways in their order, unchanged, as fast as the slower side takes them, until
 * one side closes it, a limit is used up or time is. It ends exactly once.
 */
import { GatewayError, toGatewayError } from '../../core/error.ts';
import { writeErrorEvent } from '../../dialects/realtime.ts';
import type { Presence } from '../../wire/http/server/messages.ts';
import type { Tunnel } from '../../wire/tunnel.ts';
import { closeCodes, type Message, maySend } from '../../wire/websocket/frames.ts';
import { WebSocketPeer } from '../../wire/websocket/peer.ts';
import type { Call } from '../call.ts';
import type { Watched } from '../deadlines.ts';
import type { Outbound } from '../render.ts';
import type { RealtimeMeter } from './realtime-meter.ts';

/** With more waiting for the client than this, nothing more is read from the provider. */
const clientWaitsBytes = 1024 * 1024;
/** A client that answers no ping for so long is taken to be gone. */
const pingedMs = 120_000;
/** A client that sends more than a provider takes is not waited for. */
const providerWaitsBytes = 8 * 1024 * 1024;

export class RealtimeSession implements Watched {
  deadlineMs = 0;
  /** The client's side. */
  private socket!: WebSocketPeer;
  /** The provider's. */
  private readonly peer: WebSocketPeer;
  private over = false;
  private readonly endMs: number;
  private silentMs = 0;
  /** The client does not read: it is waited for. */
  private room: PromiseWithResolvers<void> | undefined;

  constructor(
    private readonly call: Call,
    private readonly meter: RealtimeMeter,
    private readonly outbound: Outbound,
    tunnel: Tunnel,
    readonly client: Presence,
  ) {
    this.endMs = performance.now() + outbound.target.provider.timeouts.sessionMs;
    const events = {
      message: (message: Message) => this.fromProvider(message),
      ping: (data: Uint8Array) => this.pingClient(data),
      drained: () => {},
      closed: (code: number, reason: string) => this.providerClosed(code, reason),
    };
    this.peer = new WebSocketPeer(tunnel, events, true, call.snapshot.settings.bodyLimitBytes);
  }

  // The client

  opened(tunnel: Tunnel): void {
    const { inflight, deadlines } = this.call.gateway;
    const events = {
      message: (message: Message) => this.fromClient(message),
      ping: (data: Uint8Array) => this.pingProvider(data),
      drained: () => this.clientDrained(),
      closed: (code: number, reason: string) => this.clientClosed(code, reason),
    };
    this.socket = new WebSocketPeer(tunnel, events, false, this.call.snapshot.settings.bodyLimitBytes);
    this.socket.keepAlive(pingedMs);
    inflight.sessions.add(this);
    this.touch();
    deadlines.add(this);
    this.peer.listen(() => this.readiness()).catch((thrown) => this.end(toGatewayError(thrown)));
    this.socket.listen().catch((thrown) => this.end(toGatewayError(thrown)));
  }

  private fromClient(message: Message): void {
    if (this.over) return;
    this.touch();
    if (this.peer.unsentBytes > providerWaitsBytes) {
      const { id } = this.outbound.target;
      this.end(new GatewayError('upstream_overloaded', `${id} does not take messages as fast as they come.`));
      return;
    }
    this.meter.hear(message);
    this.peer.send(message);
  }

  private pingProvider(data: Uint8Array): void {
    if (this.over) return;
    this.touch();
    this.peer.ping(data);
  }

  /** The client has taken of what waited for it. */
  private clientDrained(): void {
    if (this.room === undefined || this.socket.unsentBytes > clientWaitsBytes / 2) return;
    this.touch();
    this.room.resolve();
    this.room = undefined;
  }

  /** The client closed, or (1006) is gone. */
  private clientClosed(code: number, reason: string): void {
    if (this.over) return;
    const middle = this.meter.answering;
    const gone = new GatewayError('cancelled', 'The client left in the middle of an answer.');
    this.settle(middle ? gone : undefined, middle ? 499 : switched);
    this.peer.close(code === closeCodes.abnormal ? closeCodes.goingAway : code, reason);
  }

  // The provider

  private fromProvider(message: Message): void {
    if (this.over) return;
    this.touch();
    const refused = typeof message === 'string' ? this.meter.take(message) : undefined;
    this.socket.send(message);
    if (refused instanceof Promise) refused.then((why) => why && this.end(why), this.fail);
    else if (refused !== undefined) this.end(refused);
  }

  private pingClient(data: Uint8Array): void {
    if (this.over) return;
    this.touch();
    this.socket.ping(data);
  }

  /** What is to be waited for before more of the provider is read. */
  private readiness(): Promise<void> | undefined {
    if (this.over || this.socket.unsentBytes <= clientWaitsBytes) return undefined;
    this.room ??= Promise.withResolvers<void>();
    return this.room.promise;
  }

  private providerClosed(code: number, reason: string): void {
    if (this.over) return;
    const { id } = this.outbound.target;
    if (code === closeCodes.abnormal) {
      const why = reason === '' ? 'the connection broke off' : reason;
      this.end(new GatewayError('upstream_network', `The session with ${id} failed: ${why}.`));
      return;
    }
    const orderly = code === closeCodes.normal || code === closeCodes.goingAway || code === closeCodes.noCode;
    const error =
      orderly && !this.meter.answering
        ? undefined
        : new GatewayError('upstream_unavailable', `${id} closed the session (${code}).`);
    this.settle(error, switched);
    this.socket.close(maySend(code) ? code : closeCodes.normal, reason);
  }

  // The gateway

  /** The gateway is to stop, and has waited long enough. */
  drain(): void {
    this.end(new GatewayError('draining', 'This gateway is shutting down; open a new session.'));
  }

  expire(): boolean {
    const now = performance.now();
    if (now >= this.meter.dueMs && now < Math.min(this.endMs, this.silentMs)) {
      this.settleTime();
      return this.over;
    }
    const { id } = this.outbound.target;
    this.end(
      this.room !== undefined
        ? new GatewayError('cancelled', 'The client stopped reading what it was sent.')
        : new GatewayError(
            'upstream_timeout',
            now >= this.endMs
              ? `The session with ${id} has lasted as long as sessions may.`
              : `The session with ${id} was silent on both sides for longer than allowed.`,
            { blameless: true },
          ),
    );
    return true;
  }

  /** The client's connection is gone, and nobody has said so. */
  abandon(): void {
    this.clientClosed(closeCodes.abnormal, '');
  }

  private settleTime(): void {
    let refused: ReturnType<RealtimeMeter['settleTime']>;
    try {
      refused = this.meter.settleTime();
    } catch (thrown) {
      refused = toGatewayError(thrown);
    }
    if (refused instanceof Promise) refused.then((why) => why && this.end(why), this.fail);
    else if (refused !== undefined) {
      this.end(refused);
      return;
    }
    this.schedule();
    this.call.gateway.deadlines.add(this);
  }

  private readonly fail = (thrown: unknown): void => this.end(toGatewayError(thrown));

  /** Ends it for the gateway's reasons: the client hears why. */
  private end(error: GatewayError): void {
    if (this.over) return;
    if (error.kind === 'internal') {
      this.call.gateway.observer.alarm('internal', { call: this.call.id, error: error.cause ?? error });
    }
    this.settle(error, error.kind === 'cancelled' ? 499 : switched);
    this.socket.send(writeErrorEvent(error, this.call.id));
    this.socket.close(closeCodeOf(error), (error.detail.code ?? error.kind).slice(0, maxReasonChars));
    this.peer.close(closeCodes.goingAway, '');
  }

  private settle(error: GatewayError | undefined, status: number): void {
    this.over = true;
    const { inflight, deadlines, observer } = this.call.gateway;
    inflight.sessions.delete(this);
    deadlines.delete(this);
    this.room?.resolve();
    try {
      this.meter.end(error);
      this.call.end(status, error);
    } catch (thrown) {
      // What cannot be written has raised its alarm already; everything else is closed all the same.
      observer.alarm('internal', { call: this.call.id, error: thrown });
    }
  }

  /** Something passed: silence begins anew. */
  private touch(): void {
    this.silentMs = performance.now() + this.outbound.target.provider.timeouts.idleMs;
    this.schedule();
  }

  private schedule(): void {
    this.deadlineMs = Math.min(this.silentMs, this.endMs, this.meter.dueMs);
  }
}

/** A close frame has room for 123 bytes. */
const maxReasonChars = 100;

/** What a client whose session was opened has been answered with. */
const switched = 101;

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
function closeCodeOf({ kind, blame }: GatewayError): number {
  switch (kind) {
    case 'draining':
      return closeCodes.restart;
    case 'cancelled':
    case 'rate_limited':
    case 'upstream_overloaded':
      return closeCodes.tryAgain;
    case 'internal':
    case 'unavailable':
    case 'upstream_timeout':
      return closeCodes.internal;
    default:
      return blame ? closeCodes.internal : closeCodes.policy;
  }
}
