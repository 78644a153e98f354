/** One request and its response: what a caller holds, whatever connection carries it. */
import type { Transform } from 'node:stream';
import { find, latin1 } from '../bytes.ts';
import type { Switched } from '../tunnel.ts';
import { type BodyReader, readerFor } from './body.ts';
import { decoderFor } from './decoding.ts';
import { HttpError, ResponseHead } from './head.ts';

/** What carries an exchange, as the exchange sees it. */
export interface Carrier {
  /** Stops or starts the flow of bytes. */
  pause(): void;
  resume(): void;
  /** The exchange is over; `reusable`: another may follow on the same connection. */
  release(reusable: boolean): void;
  /** Sends bytes after the request, at once or as soon as there is room. */
  write(bytes: Uint8Array): void;
  /** How many of them still wait. */
  readonly unsentBytes: number;
  /** Nothing more is sent once these are. */
  end(): void;
}

/** Beyond this the connection is paused until the reader has caught up. */
const maxQueuedBytes = 512 * 1024;
const maxHeadBytes = 64 * 1024;
const headEnd = '\r\n\r\n';

export class Exchange implements Switched {
  /** Resolves with the exchange itself when status and headers are there. Rejects with HttpError. */
  readonly answered: Promise<Exchange>;
  private head!: ResponseHead;
  /** Any byte of the response has come. */
  begun = false;
  /** A connection stands: whatever is waited for now is the answer. */
  connected = false;
  /** Bytes of the body so far, as they were sent. */
  received = 0;
  private carrier: Carrier | undefined;
  private decoder: Transform | undefined;
  private body: BodyReader | undefined;
  private headBytes: Uint8Array | undefined;
  private readonly queue: Uint8Array[] = [];
  private queuedBytes = 0;
  private paused = false;
  private ended = false;
  private error: HttpError | undefined;
  /** Told when nothing waits to be sent any more. */
  onDrained: (() => void) | undefined;
  private onHead!: (exchange: Exchange) => void;
  private onFailure!: (error: HttpError) => void;
  private waiting:
    | { resolve(bytes: Uint8Array | undefined): void; reject(error: HttpError): void }
    | undefined;

  /**
   * @param switching the request asks to go on in another protocol: 101 is an answer, and bytes follow both ways.
   * @param decoding a body that is compressed is read as what it was before.
   */
  constructor(
    private readonly switching = false,
    private readonly decoding = false,
  ) {
    this.answered = new Promise((resolve, reject) => {
      this.onHead = resolve;
      this.onFailure = reject;
    });
  }

  get status(): number {
    return this.head.status;
  }

  /** The first value of a header, by its lower-case name. */
  header(name: string): string | null {
    return this.head.get(name);
  }

  headers(): Headers {
    return this.head.headers();
  }

  get headText(): string {
    return this.head.lower;
  }

  /** Over, well or not. */
  get over(): boolean {
    return this.ended || this.error !== undefined;
  }

  /** @returns false when it was aborted before a connection was there. */
  attach(carrier: Carrier): boolean {
    if (this.over) return false;
    this.carrier = carrier;
    this.connected = true;
    return true;
  }

  /** The next bytes of the body, at once where they are there; undefined at its end. Rejects with HttpError. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const next = this.queue.shift();
    if (next !== undefined) {
      this.queuedBytes -= next.length;
      if (this.paused && this.queuedBytes < maxQueuedBytes / 2) {
        this.paused = false;
        this.carrier?.resume();
        this.decoder?.resume();
      }
      return next;
    }
    if (this.ended) return undefined;
    if (this.error !== undefined) return Promise.reject(this.error);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  /** Sends on, where the protocol was switched. */
  write(bytes: Uint8Array): void {
    this.carrier?.write(bytes);
  }

  get unsentBytes(): number {
    return this.carrier?.unsentBytes ?? 0;
  }

  /** Sends no more: the other side is to end the connection when it has read all. */
  end(): void {
    this.carrier?.end();
  }

  drained(): void {
    this.onDrained?.();
  }

  /** Breaks it off, whatever is under way. */
  cut(): void {
    if (!this.over) this.fail(new HttpError('aborted', 'given up'));
  }

  /** Takes what the connection brought. */
  push(bytes: Uint8Array): void {
    if (this.over) return;
    this.begun = true;
    try {
      const rest = this.body === undefined ? this.readHead(bytes) : bytes;
      if (rest !== undefined && this.body !== undefined) this.readBody(rest, this.body);
    } catch (error) {
      this.fail(
        error instanceof HttpError
          ? error
          : new HttpError('bad_response', 'the answer cannot be read', { cause: error }),
      );
    }
  }

  /** The connection ended. */
  close(why: HttpError): void {
    if (this.over) return;
    if (this.body?.end() === true) this.finish(false);
    else this.fail(why);
  }

  /** Gives up: whoever waits hears `error`, the connection is closed. */
  fail(error: HttpError): void {
    if (this.over) return;
    this.error = error;
    this.onFailure(error);
    this.waiting?.reject(error);
    this.waiting = undefined;
    this.decoder?.destroy();
    this.carrier?.release(false);
    // Whoever fails an exchange may have stopped waiting for it.
    this.answered.catch(() => {});
  }

  private readHead(bytes: Uint8Array): Uint8Array | undefined {
    let all = this.headBytes === undefined ? bytes : Buffer.concat([this.headBytes, bytes]);
    for (;;) {
      const end = find(all, headEnd, 0);
      if (end < 0) {
        if (all.length > maxHeadBytes)
          throw new HttpError('bad_response', 'the headers of the answer exceed 64 KiB');
        this.headBytes = all;
        return undefined;
      }
      const head = new ResponseHead(latin1(all, 0, end));
      all = all.subarray(end + headEnd.length);
      // 100 Continue and its like come before the answer. https://www.rfc-editor.org/rfc/rfc9110#name-informational-1xx
      if (head.status < 200 && !(this.switching && head.status === 101)) continue;
      this.headBytes = undefined;
      this.head = head;
      this.body = readerFor(head);
      const coding = this.decoding ? head.get('content-encoding') : null;
      if (coding !== null) this.decoder = decoderFor(coding, this);
      this.onHead(this);
      return all;
    }
  }

  private readBody(bytes: Uint8Array, body: BodyReader): void {
    const content = bytes.length === 0 ? bytes : body.take(bytes);
    this.received += content.length;
    if (this.decoder !== undefined) this.decoder.write(content);
    else if (content.length > 0) this.deliver(content);
    // What follows an answer to one request cannot be one to the next.
    if (body.done) this.finish(this.head.keepAlive && body.rest === undefined);
  }

  /** Takes a part of the content. */
  deliver(content: Uint8Array): void {
    const { waiting } = this;
    if (waiting !== undefined) {
      this.waiting = undefined;
      waiting.resolve(content);
      return;
    }
    this.queue.push(content);
    this.queuedBytes += content.length;
    if (this.queuedBytes > maxQueuedBytes && !this.paused) {
      this.paused = true;
      this.carrier?.pause();
      this.decoder?.pause();
    }
  }

  /** All of the content has been delivered. */
  decoded(): void {
    this.ended = true;
    this.waiting?.resolve(undefined);
    this.waiting = undefined;
  }

  private finish(reusable: boolean): void {
    const { carrier } = this;
    this.carrier = undefined;
    if (this.decoder === undefined) this.decoded();
    else this.decoder.end();
    // A paused connection has nothing left to bring, but the next exchange on it will.
    if (this.paused) carrier?.resume();
    carrier?.release(reusable);
  }
}
