/** One request as far as it has come: its head, and its body or the way to it. */
import { type BodyReader, SizedBody } from '../body.ts';
import { ChunkedBody } from '../chunked.ts';
import { HttpError } from '../head.ts';
import { Inflow, type Source } from './inflow.ts';
import { type ClientRequest, RequestError } from './messages.ts';
import type { RequestHead } from './request-head.ts';

const noBytes: Uint8Array = new Uint8Array();
/** So much of a body that nobody wants is taken all the same, so that the connection can go on. */
const maxUnwantedBytes = 256 * 1024;

export class Incoming implements ClientRequest {
  gone = false;
  /** Told when the client has gone. */
  onGone: (() => void) | undefined;
  /** Its answer is being written. */
  answering = false;
  /** Its answer is written: nobody wants what is left of its body. */
  answered = false;
  /** Of the body, until its end has come. */
  private reader: BodyReader | undefined;
  private whole = noBytes;
  private inflow: Inflow | undefined;
  /** The client sends its body only when it is told to. */
  private expecting = false;
  private aborter: AbortController | undefined;

  constructor(
    readonly headers: RequestHead,
    private readonly socket: { readonly remoteAddress: string },
  ) {}

  get method(): string {
    return this.headers.method;
  }

  get url(): string {
    return this.headers.url;
  }

  get address(): string {
    return this.socket.remoteAddress;
  }

  get signal(): AbortSignal {
    this.aborter ??= new AbortController();
    if (this.gone) this.aborter.abort();
    return this.aborter.signal;
  }

  get body(): AsyncIterable<Uint8Array> | null {
    if (this.inflow !== undefined) return this.inflow;
    return this.whole.length === 0 ? null : once(this.whole);
  }

  bytes(): Uint8Array | Promise<Uint8Array> {
    return this.inflow === undefined ? this.whole : this.inflow.readAll();
  }

  /** All of it has come. */
  get complete(): boolean {
    return this.reader === undefined;
  }

  /** Its body does not come, because it is not read. */
  get stalled(): boolean {
    return this.inflow?.paused === true;
  }

  /** What is left of it need not be read by anybody for the connection to go on. */
  get passable(): boolean {
    const { reader } = this;
    if (reader === undefined) return true;
    return !this.expecting && reader instanceof SizedBody && reader.leftBytes <= maxUnwantedBytes;
  }

  /**
   * @param bytes what came behind the head.
   * @returns what follows the request; undefined while it is not complete. @throws RequestError, HttpError
   */
  begin(bytes: Uint8Array, source: Source): Uint8Array | undefined {
    const reader = bodyReaderFor(this.headers);
    if (reader === undefined) return bytes;
    const content = bytes.length === 0 ? bytes : reader.take(bytes);
    if (reader.done) {
      this.whole = content;
      return reader.rest ?? noBytes;
    }
    this.reader = reader;
    this.expecting = bytes.length === 0 && !this.headers.old && this.headers.lists('expect', '100-continue');
    this.inflow = new Inflow(source);
    this.inflow.push(content);
    return undefined;
  }

  /** Takes more of the body. Returns and throws as `begin` does. */
  take(bytes: Uint8Array): Uint8Array | undefined {
    const reader = this.reader!;
    this.expecting = false;
    const content = reader.take(bytes);
    if (!this.answered) this.inflow!.push(content);
    if (!reader.done) return undefined;
    this.reader = undefined;
    this.inflow!.end();
    return reader.rest ?? noBytes;
  }

  /** @returns whether the client waits to be told to send its body: once. */
  invite(): boolean {
    const invited = this.expecting && !this.answering;
    this.expecting = false;
    return invited;
  }

  /** The client has gone, or what it sends cannot be read. */
  leave(): void {
    this.gone = true;
    this.inflow?.fail(new HttpError('closed', 'the connection was closed before the request was complete'));
    this.onGone?.();
    this.aborter?.abort();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/**
 * How a request's body is framed; undefined: it has none.
 * @throws RequestError when it can be understood in two ways. https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
 */
function bodyReaderFor(head: RequestHead): BodyReader | undefined {
  const length = head.get('content-length');
  const coding = head.get('transfer-encoding');
  if (coding !== null) {
    if (length !== null) throw new RequestError(400, 'A body has a length or comes in chunks, not both.');
    if (head.old || coding.toLowerCase() !== 'chunked') {
      throw new RequestError(400, 'A body comes as it is or in chunks: no other transfer coding is known.');
    }
    return new ChunkedBody(true);
  }
  if (length === null) return undefined;
  if (!/^\d{1,15}$/.test(length)) throw new RequestError(400, 'The content length is not a number.');
  const size = Number(length);
  return size === 0 ? undefined : new SizedBody(size);
}
