/** A client's socket by itself: how long it may be silent, whether it is listened to, and how it ends. */
import type { Socket } from 'bun';
import { Outflow } from './outflow.ts';

/** How long a client may be silent, in milliseconds. */
export interface Patience {
  /** In the middle of a request; from its first byte to the end of its head in all. */
  requestMs: number;
  /** Between two requests, and with an answer that it does not take. */
  idleMs: number;
  /** After it was told that the connection ends. */
  lastMs: number;
}

export interface Clock {
  readonly patience: Patience;
  /** Goes in steps. */
  readonly nowMs: number;
}

export class Line {
  readonly out: Outflow;
  /** Nothing that comes means anything any more. */
  over = false;
  /** Time at which the client has been silent for too long. */
  private deadlineMs = Number.POSITIVE_INFINITY;
  /** Since when it takes nothing of what it is sent; 0: it does. */
  private stuckMs = 0;
  private held = false;
  /** What is to be done when all is out. */
  private ending: 'shutdown' | 'end' | undefined;

  constructor(
    private readonly socket: Socket<unknown>,
    private readonly clock: Clock,
  ) {
    this.out = new Outflow(socket);
  }

  /** It is the client's turn. */
  expect(within: keyof Patience): void {
    this.deadlineMs = this.clock.nowMs + this.clock.patience[within];
  }

  /** It is not the client's turn: it may be silent. */
  expectNothing(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** Cuts it where it is too late. */
  check(): void {
    const { nowMs, patience } = this.clock;
    if (this.out.unsentBytes === 0) this.stuckMs = 0;
    else if (this.stuckMs === 0) this.stuckMs = nowMs;
    const stuck = this.stuckMs > 0 && nowMs - this.stuckMs > patience.idleMs;
    if (stuck || nowMs > this.deadlineMs) this.cut();
  }

  /** Leaves in the socket what still comes. */
  hold(): void {
    if (!this.held) this.socket.pause();
    this.held = true;
  }

  letGo(): void {
    if (this.held) this.socket.resume();
    this.held = false;
  }

  /** The socket takes bytes again. @returns whether all is out, and more may follow. */
  drained(): boolean {
    this.stuckMs = 0;
    if (!this.out.drain()) return false;
    if (this.ending === undefined) return true;
    this.hangUp();
    return false;
  }

  closed(): void {
    this.over = true;
    this.out.close();
  }

  /** Breaks it off. */
  cut(): void {
    this.socket.terminate();
  }

  /**
   * Ends it when all is out. A socket that is closed before all was read loses what the client has not read yet: with
   * `shutdown` the client is told, and what it still sends is taken. https://www.rfc-editor.org/rfc/rfc9112#section-9.6-8
   */
  finish(how: 'shutdown' | 'end'): void {
    this.over = true;
    this.ending = how;
    if (this.out.unsentBytes === 0) this.hangUp();
  }

  private hangUp(): void {
    this.expect('lastMs');
    this.letGo();
    if (this.ending === 'end') this.socket.end();
    else this.socket.shutdown();
  }
}
