/** Takes the framing off the body of an HTTP/1.1 response. https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length */
import { find, latin1 } from '../bytes.ts';
import { HttpError, type ResponseHead } from './head.ts';

/** Chunk extensions and trailers mean nothing here, and end here. */
const maxLineBytes = 8 * 1024;
const carriageReturn = 0x0d;
const newline = 0x0a;

export interface BodyReader {
  /** The last byte of the body has been seen. */
  readonly done: boolean;
  /** Bytes behind the body's end were seen: the connection cannot be used again. */
  readonly excess: boolean;
  /** @returns the content in `bytes`, possibly none; `bytes` may be overwritten. @throws HttpError `bad_response`. */
  take(bytes: Uint8Array): Uint8Array;
  /** The connection ended. @returns whether that is a proper end of the body. */
  end(): boolean;
}

/** @throws HttpError `bad_response` when the head contradicts itself. */
export function readerFor(head: ResponseHead): BodyReader {
  // What follows is no body, but the protocol that was switched to.
  if (head.status === 101) return new OpenBody();
  if (head.status === 204 || head.status === 304) return new SizedBody(0);
  const encoding = head.get('transfer-encoding');
  if (encoding !== null) {
    if (encoding.toLowerCase() === 'chunked') return new ChunkedBody();
    throw new HttpError('bad_response', `the transfer encoding "${encoding.slice(0, 40)}" is not known`);
  }
  const length = head.get('content-length');
  if (length === null) return new OpenBody();
  if (!/^\d{1,15}$/.test(length) || head.contradicts('content-length')) {
    throw new HttpError('bad_response', 'the content length is not a number');
  }
  return new SizedBody(Number(length));
}

class SizedBody implements BodyReader {
  excess = false;

  constructor(private left: number) {}

  get done(): boolean {
    return this.left === 0;
  }

  take(bytes: Uint8Array): Uint8Array {
    if (bytes.length <= this.left) {
      this.left -= bytes.length;
      return bytes;
    }
    this.excess = true;
    const content = bytes.subarray(0, this.left);
    this.left = 0;
    return content;
  }

  end(): boolean {
    return this.left === 0;
  }
}

/** Ends with the connection. */
class OpenBody implements BodyReader {
  done = false;
  readonly excess = false;

  take(bytes: Uint8Array): Uint8Array {
    return bytes;
  }

  end(): boolean {
    this.done = true;
    return true;
  }
}

/** https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding */
class ChunkedBody implements BodyReader {
  done = false;
  excess = false;
  private state: 'size' | 'data' | 'data-end' | 'trailer' = 'size';
  /** Of the chunk that is being read. */
  private left = 0;
  /** A line that was cut. */
  private line = '';

  /** Contents of all chunks are moved together, so that many small chunks that came at once are one piece. */
  take(bytes: Uint8Array): Uint8Array {
    let read = 0;
    let written = 0;
    while (read < bytes.length && !this.done) {
      if (this.state === 'data') {
        const size = Math.min(this.left, bytes.length - read);
        if (written !== read) bytes.copyWithin(written, read, read + size);
        written += size;
        read += size;
        this.left -= size;
        if (this.left === 0) this.state = 'data-end';
      } else if (this.state === 'data-end') {
        read = this.skipLineEnd(bytes, read);
      } else {
        read = this.readLine(bytes, read);
      }
    }
    if (read < bytes.length) this.excess = true;
    return bytes.subarray(0, written);
  }

  end(): boolean {
    return this.done;
  }

  private skipLineEnd(bytes: Uint8Array, from: number): number {
    const byte = bytes[from];
    if (byte === newline) this.state = 'size';
    else if (byte !== carriageReturn) throw new HttpError('bad_response', 'a chunk is longer than it says');
    return from + 1;
  }

  /** A chunk's size, or a trailer. */
  private readLine(bytes: Uint8Array, from: number): number {
    const end = find(bytes, '\n', from);
    this.line += latin1(bytes, from, end < 0 ? bytes.length : end);
    if (this.line.length > maxLineBytes) throw new HttpError('bad_response', 'a chunk has no size');
    if (end < 0) return bytes.length;
    const line = this.line.endsWith('\r') ? this.line.slice(0, -1) : this.line;
    this.line = '';
    if (this.state === 'trailer') {
      if (line === '') this.done = true;
    } else {
      const digits = /^[0-9a-fA-F]{1,12}(?=$|[\s;])/.exec(line)?.[0];
      if (digits === undefined) throw new HttpError('bad_response', 'a chunk has no size');
      this.left = Number.parseInt(digits, 16);
      this.state = this.left === 0 ? 'trailer' : 'data';
    }
    return end + 1;
  }
}
