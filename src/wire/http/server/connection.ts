/** One client's socket: requests come in on it one after another, and each is answered before the next is looked at. */
import type { Socket } from 'bun';
import { find } from '../../bytes.ts';
import { HttpError } from '../head.ts';
import { headerLines, headStart } from './answer-head.ts';
import { Incoming } from './incoming.ts';
import type { Source } from './inflow.ts';
import { type Clock, Line } from './line.ts';
import { type Answer, type ClientRequest, RequestError, type SwitchedAnswer } from './messages.ts';
import { RequestHead } from './request-head.ts';
import { ServerTunnel } from './tunnel.ts';
import { dropBody, isBounded, writeAnswer } from './writing.ts';

/** The server, as its connections see it. */
export interface House extends Clock {
  answer(request: ClientRequest): Answer | Promise<Answer>;
  /** An answer could not be made, or broke off while it was written. */
  failed(error: unknown): void;
  /** No connection is kept open any more. */
  readonly closing: boolean;
}

const headEnd = '\r\n\r\n';
const maxHeadBytes = 64 * 1024;
/** More than this that came too early is left in the socket. */
const maxHeldBytes = 64 * 1024;
const noBytes: Uint8Array = new Uint8Array();
const goOn = 'HTTP/1.1 100 Continue\r\n\r\n';

export class ServerConnection implements Source {
  private readonly line: Line;
  /** What has come of requests that are not looked at yet. */
  private held: Uint8Array = noBytes;
  /** The one that is being answered, or whose body is still coming. */
  private request: Incoming | undefined;
  private tunnel: ServerTunnel | undefined;
  private headBegun = false;
  private looking = false;

  constructor(
    private readonly socket: Socket<ServerConnection>,
    private readonly house: House,
  ) {
    this.line = new Line(socket, house);
    this.line.expect('idleMs');
  }

  received(bytes: Uint8Array): void {
    if (this.line.over) return;
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
    else if (this.held.length > maxHeldBytes) this.line.hold();
  }

  drained(): void {
    if (this.line.drained()) this.tunnel?.onDrained?.();
  }

  closed(): void {
    this.line.closed();
    this.request?.leave();
    this.tunnel?.closed();
  }

  /** Time has passed. */
  check(): void {
    this.line.check();
  }

  /** Ends it where nothing is under way. */
  endIdle(): void {
    const { out, over } = this.line;
    if (this.request === undefined && out.unsentBytes === 0 && !over) this.line.finish('end');
  }

  cut(): void {
    this.line.cut();
  }

  // The body comes no faster than it is read

  pause(): void {
    this.line.expectNothing();
    this.line.hold();
  }

  resume(): void {
    this.line.letGo();
    this.expectBody();
  }

  wanted(): void {
    if (this.request?.invite()) this.line.out.writeText(goOn);
  }

  private expectBody(): void {
    if (this.request?.complete === false) this.line.expect('requestMs');
    else this.line.expectNothing();
  }

  // Requests

  private lookAtHeld(): void {
    // An answer that is given at once has this called anew from within.
    if (this.looking) return;
    this.looking = true;
    try {
      while (this.held.length > 0 && this.request === undefined && !this.line.over && this.readRequest());
    } catch (error) {
      this.refuse(error);
    }
    this.looking = false;
    if (this.held.length <= maxHeldBytes && this.request?.stalled !== true) this.line.letGo();
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
      this.held = from === 0 ? bytes : bytes.subarray(from);
      if (this.held.length > 0) this.waitForHead(this.held);
      return false;
    }
    this.headBegun = false;
    this.held = noBytes;
    const request = new Incoming(new RequestHead(bytes, from, end), this.socket);
    const rest = request.begin(bytes.subarray(end + headEnd.length), this);
    if (rest !== undefined) this.held = rest;
    this.request = request;
    this.expectBody();
    void this.serve(request);
    return true;
  }

  /** However slowly it drips, a head has its time once. @throws RequestError */
  private waitForHead(bytes: Uint8Array): void {
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) {
      if (bytes[at - 1] !== 0x0d) throw new RequestError(400, 'A line does not end as lines do.');
    }
    if (!this.headBegun) this.line.expect('requestMs');
    this.headBegun = true;
  }

  private receiveBody(bytes: Uint8Array, request: Incoming): void {
    let rest: Uint8Array | undefined;
    try {
      this.line.expect('requestMs');
      rest = request.take(bytes);
    } catch (error) {
      request.leave();
      if (request.answering) this.line.cut();
      else this.refuse(error);
      return;
    }
    if (rest === undefined) return;
    this.line.expectNothing();
    this.held = rest;
    if (request.answered) this.next(request);
  }

  /** What came is no request: its sender is told, and not listened to any more. */
  private refuse(error: unknown): void {
    const known = error instanceof RequestError || error instanceof HttpError;
    if (!known) this.house.failed(error);
    const status = error instanceof RequestError ? error.status : known ? 400 : 500;
    const head = `${headStart(status)}connection: close\r\ncontent-type: text/plain\r\n`;
    this.line.out.writeWhole(head, `${known ? error.message : 'internal error'}\n`);
    this.line.finish('shutdown');
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
        const writing = writeAnswer(answer, request, this.line.out, keepAlive);
        if (writing !== undefined) await writing;
        if (!request.gone) this.answered(request, keepAlive);
      }
    } catch (error) {
      if (request.gone) return;
      this.house.failed(error);
      this.line.cut();
    }
  }

  private answered(request: Incoming, keepAlive: boolean): void {
    request.answered = true;
    if (!keepAlive) this.end(request);
    else if (request.complete) this.next(request);
    else this.resume();
  }

  private next(request: Incoming): void {
    // The server may have begun to close since the client was told that the connection goes on.
    if (this.house.closing) {
      this.end(request);
      return;
    }
    this.request = undefined;
    this.line.expect('idleMs');
    this.lookAtHeld();
  }

  private end(request: Incoming): void {
    this.request = undefined;
    this.line.finish(request.complete && this.held.length === 0 ? 'end' : 'shutdown');
  }

  private switchTo(answer: SwitchedAnswer, request: Incoming): void {
    this.tunnel = new ServerTunnel(this, this.line);
    if (request.gone) this.tunnel.closed();
    else this.line.out.writeText(`${headStart(answer.status)}${headerLines(answer.headers)}\r\n`);
    if (this.held.length > 0) this.tunnel.push(this.held);
    this.held = noBytes;
    answer.switched(this.tunnel);
  }
}
