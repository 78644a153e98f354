/** One client's socket: requests come in on it one after another, and each is answered before the next is looked at. */
import type { Socket } from 'bun';
import { find } from '../../bytes.ts';
import { HttpError } from '../head.ts';
import { headerLines, headStart } from './answer-head.ts';
import { Incoming } from './incoming.ts';
import type { Source } from './inflow.ts';
import { type Answer, type ClientRequest, RequestError, type SwitchedAnswer } from './messages.ts';
import { Outflow } from './outflow.ts';
import { RequestHead } from './request-head.ts';
import { ServerTunnel } from './tunnel.ts';
import { dropBody, isBounded, writeAnswer } from './writing.ts';

/** The server, as its connections see it. */
export interface House {
  answer(request: ClientRequest): Answer | Promise<Answer>;
  /** An answer could not be made, or broke off while it was written. */
  failed(error: unknown): void;
  readonly patience: Patience;
  /** By a clock that goes in steps. */
  readonly nowMs: number;
  /** No connection is kept open any more. */
  readonly closing: boolean;
}

/** How long a client may be silent, in milliseconds. */
export interface Patience {
  /** In the middle of a request; from its first byte to the end of its head in all. */
  requestMs: number;
  /** Between two requests, and with an answer that it does not take. */
  idleMs: number;
  /** After it was told that the connection ends. */
  lastMs: number;
}

const headEnd = '\r\n\r\n';
const maxHeadBytes = 64 * 1024;
/** More than this that came too early is left in the socket. */
const maxHeldBytes = 64 * 1024;
const noBytes: Uint8Array = new Uint8Array();
const goOn = 'HTTP/1.1 100 Continue\r\n\r\n';
const whenever = Number.POSITIVE_INFINITY;

export class ServerConnection implements Source {
  private readonly out: Outflow;
  /** What has come of requests that are not looked at yet. */
  private held: Uint8Array = noBytes;
  /** The one that is being answered, or whose body is still coming. */
  private request: Incoming | undefined;
  private tunnel: ServerTunnel | undefined;
  /** Time at which the client has been silent for too long. */
  private deadlineMs: number;
  /** Since when it takes nothing of what it is sent; 0: it does. */
  private stuckMs = 0;
  private headBegun = false;
  private paused = false;
  private looking = false;
  /** Nothing that comes means anything any more. */
  private over = false;
  /** What is to be done when all is out. */
  private ending: 'shutdown' | 'end' | undefined;

  constructor(
    private readonly socket: Socket<ServerConnection>,
    private readonly house: House,
  ) {
    this.out = new Outflow(socket);
    this.deadlineMs = house.nowMs + house.patience.idleMs;
  }

  received(bytes: Uint8Array): void {
    if (this.over) return;
    if (this.tunnel !== undefined) {
      this.tunnel.push(bytes);
      return;
    }
    if (this.request?.complete === false) {
      this.receiveBody(bytes, this.request);
      return;
    }
    this.held = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
    if (this.request === undefined) this.lookAtHeld();
    else if (this.held.length > maxHeldBytes) this.hold();
  }

  /** The socket takes bytes again. */
  drained(): void {
    this.stuckMs = 0;
    if (!this.out.drain()) return;
    if (this.ending !== undefined) this.hangUp();
    else this.tunnel?.onDrained?.();
  }

  closed(): void {
    this.over = true;
    this.out.close();
    this.request?.leave();
    this.tunnel?.closed();
  }

  /** Time has passed. */
  check(nowMs: number): void {
    if (this.out.unsentBytes === 0) this.stuckMs = 0;
    else if (this.stuckMs === 0) this.stuckMs = nowMs;
    const stuck = this.stuckMs > 0 && nowMs - this.stuckMs > this.house.patience.idleMs;
    if (stuck || nowMs > this.deadlineMs) this.cut();
  }

  /** Ends it where nothing is under way. */
  endIdle(): void {
    if (this.request === undefined && this.out.unsentBytes === 0 && !this.over) this.socket.end();
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
    this.deadlineMs = this.house.nowMs + this.house.patience.lastMs;
    this.letGo();
    if (this.ending === 'end') this.socket.end();
    else this.socket.shutdown();
  }

  // The body comes no faster than it is read

  pause(): void {
    this.deadlineMs = whenever;
    this.hold();
  }

  resume(): void {
    this.waitForBody();
    this.letGo();
  }

  wanted(): void {
    if (this.request?.invite()) this.out.writeText(goOn);
  }

  private hold(): void {
    if (!this.paused) this.socket.pause();
    this.paused = true;
  }

  private letGo(): void {
    if (this.paused) this.socket.resume();
    this.paused = false;
  }

  private waitForBody(): void {
    const awaited = this.request?.complete === false && !this.paused;
    this.deadlineMs = awaited ? this.house.nowMs + this.house.patience.requestMs : whenever;
  }

  // Requests

  private lookAtHeld(): void {
    // An answer that is given at once has this called anew from within.
    if (this.looking) return;
    this.looking = true;
    try {
      while (this.held.length > 0 && this.request === undefined && !this.over && this.readRequest());
    } catch (error) {
      this.refuse(error);
    }
    this.looking = false;
  }

  /** @returns false when there is not all of a head yet. @throws RequestError, HttpError */
  private readRequest(): boolean {
    const bytes = this.held;
    let from = 0;
    // Some clients end a body with an empty line. https://www.rfc-editor.org/rfc/rfc9112#section-2.2-6
    while (bytes[from] === 0x0d && bytes[from + 1] === 0x0a) from += 2;
    const end = find(bytes, headEnd, from);
    if ((end < 0 ? bytes.length : end) - from > maxHeadBytes) {
      throw new RequestError(431, `The head of a request is larger than ${maxHeadBytes} bytes.`);
    }
    if (end < 0) {
      this.waitForHead(bytes);
      return false;
    }
    this.headBegun = false;
    this.held = noBytes;
    const request = new Incoming(new RequestHead(bytes, from, end), this.socket);
    const rest = request.begin(bytes.subarray(end + headEnd.length), this);
    if (rest !== undefined) this.held = rest;
    this.request = request;
    this.waitForBody();
    void this.serve(request);
    return true;
  }

  /** However slowly it drips, a head has its time once. @throws RequestError */
  private waitForHead(bytes: Uint8Array): void {
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
      if (bytes[at - 1] !== 0x0d) throw new RequestError(400, 'A line does not end as lines do.');
    }
    if (!this.headBegun) this.deadlineMs = this.house.nowMs + this.house.patience.requestMs;
    this.headBegun = true;
  }

  private receiveBody(bytes: Uint8Array, request: Incoming): void {
    let rest: Uint8Array | undefined;
    try {
      rest = request.take(bytes);
    } catch (error) {
      request.leave();
      if (request.answering) this.cut();
      else this.refuse(error);
      return;
    }
    this.waitForBody();
    if (rest === undefined) return;
    this.held = rest;
    if (request.answered) this.next();
  }

  /** What came is no request: its sender is told, and not listened to any more. */
  private refuse(error: unknown): void {
    const known = error instanceof RequestError || error instanceof HttpError;
    if (!known) this.house.failed(error);
    const status = error instanceof RequestError ? error.status : known ? 400 : 500;
    const head = `${headStart(status)}connection: close\r\ncontent-type: text/plain\r\n`;
    this.out.writeWhole(head, `${known ? error.message : 'internal error'}\n`);
    this.finish('shutdown');
  }

  // Answers

  private async serve(request: Incoming): Promise<void> {
    let answer: Answer;
    try {
      const making = this.house.answer(request);
      answer = making instanceof Promise ? await making : making;
    } catch (error) {
      if (request.gone) return;
      this.house.failed(error);
      answer = { status: 500, headers: { 'content-type': 'text/plain' }, body: 'internal error\n' };
    }
    try {
      if ('switched' in answer) this.switchTo(answer, request);
      else if (request.gone) await dropBody(answer);
      else {
        request.answering = true;
        const goesOn = request.passable && isBounded(answer, request);
        const keepAlive = goesOn && request.headers.keepAlive && !this.house.closing;
        const writing = writeAnswer(answer, request, this.out, keepAlive);
        if (writing !== undefined) await writing;
        if (!request.gone) this.answered(request, keepAlive);
      }
    } catch (error) {
      if (request.gone) return;
      this.house.failed(error);
      this.cut();
    }
  }

  private answered(request: Incoming, keepAlive: boolean): void {
    // The server may have begun to close while the answer was written.
    if (!keepAlive || this.house.closing) {
      this.request = undefined;
      this.finish(request.complete && this.held.length === 0 ? 'end' : 'shutdown');
      return;
    }
    request.answered = true;
    if (request.complete) this.next();
    else this.resume();
  }

  private next(): void {
    this.request = undefined;
    this.deadlineMs = this.house.nowMs + this.house.patience.idleMs;
    this.letGo();
    this.lookAtHeld();
  }

  private switchTo(answer: SwitchedAnswer, request: Incoming): void {
    this.tunnel = new ServerTunnel(this, this.out);
    if (request.gone) this.tunnel.closed();
    else this.out.writeText(`${headStart(answer.status)}${headerLines(answer.headers)}\r\n`);
    if (this.held.length > 0) this.tunnel.push(this.held);
    this.held = noBytes;
    answer.switched(this.tunnel);
  }
}
