/** Bytes that come from a client, waiting to be read: the connection is held up while too many do. */
import type { HttpError } from '../head.ts';

export interface Source {
  pause(): void;
  resume(): void;
  /** Somebody wants to read: told once. */
  wanted(): void;
}

/** Beyond this the connection is paused until the reader has caught up. */
const maxQueuedBytes = 512 * 1024;

export class Inflow implements AsyncIterable<Uint8Array> {
  private readonly queue: Uint8Array[] = [];
  private queuedBytes = 0;
  private asked = false;
  /** Nothing comes until some of it is read. */
  paused = false;
  private ended = false;
  private error: HttpError | undefined;
  private waiting: PromiseWithResolvers<Uint8Array | undefined> | undefined;

  constructor(private readonly source: Source) {}

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const { waiting } = this;
    if (waiting !== undefined) {
      this.waiting = undefined;
      waiting.resolve(bytes);
      return;
    }
    this.queue.push(bytes);
    this.queuedBytes += bytes.length;
    if (this.queuedBytes > maxQueuedBytes && !this.paused) {
      this.paused = true;
      this.source.pause();
    }
  }

  end(): void {
    this.ended = true;
    this.waiting?.resolve(undefined);
    this.waiting = undefined;
  }

  /** Whoever reads on hears `error`. */
  fail(error: HttpError): void {
    if (this.ended || this.error !== undefined) return;
    this.error = error;
    this.waiting?.reject(error);
    this.waiting = undefined;
  }

  /** The next bytes, at once where they are there; undefined at the end. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (!this.asked) this.source.wanted();
    this.asked = true;
    const next = this.queue.shift();
    if (next !== undefined) this.queuedBytes -= next.length;
    if (this.paused && this.queuedBytes < maxQueuedBytes / 2) {
      this.paused = false;
      this.source.resume();
    }
    if (next !== undefined || this.ended) return next;
    if (this.error !== undefined) return Promise.reject(this.error);
    this.waiting = Promise.withResolvers();
    return this.waiting.promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let next = await this.read(); next !== undefined; next = await this.read()) yield next;
  }

  async readAll(): Promise<Uint8Array> {
    const all: Uint8Array[] = [];
    for (let next = await this.read(); next !== undefined; next = await this.read()) all.push(next);
    return all.length === 1 ? all[0]! : Buffer.concat(all);
  }
}
