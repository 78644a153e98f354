/** A body in chunks, as it is read. https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding */
import { find, latin1 } from '../bytes.ts';
import type { BodyReader } from './body.ts';
import { HttpError } from './head.ts';

/** Chunk extensions and trailers mean nothing here, and end here. */
const maxLineBytes = 8 * 1024;
const maxTrailerBytes = 64 * 1024;
const maxPlainDigits = 8;
const carriageReturn = 0x0d;
const newline = 0x0a;

export class ChunkedBody implements BodyReader {
  done = false;
  rest: Uint8Array | undefined;
  private state: 'size' | 'data' | 'data-end' | 'line-end' | 'trailer' = 'size';
  /** Of the chunk that is being read. */
  private left = 0;
  /** A line that was cut. */
  private line = '';
  private trailerBytes = 0;

  /** @param strict nothing but CRLF ends a line: readers of requests must not differ in where one ends. */
  constructor(private readonly strict: boolean) {}

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
      } else if (this.state === 'data-end' || this.state === 'line-end') {
        read = this.skipLineEnd(bytes, read);
      } else {
        const next = this.state === 'size' && this.line === '' ? this.readPlainSize(bytes, read) : -1;
        read = next < 0 ? this.readLine(bytes, read) : next;
      }
    }
    if (read < bytes.length) this.rest = bytes.subarray(read);
    return bytes.subarray(0, written);
  }

  end(): boolean {
    return this.done;
  }

  private skipLineEnd(bytes: Uint8Array, from: number): number {
    const byte = bytes[from];
    const ended = this.state === 'line-end';
    if (byte === newline && (ended || !this.strict)) this.state = 'size';
    else if (byte === carriageReturn && !ended) this.state = 'line-end';
    else throw new HttpError('bad_response', 'a chunk is longer than it says');
    return from + 1;
  }

  /** A size that is here whole and has nothing beside it, as nearly all are. @returns -1 for any other. */
  private readPlainSize(bytes: Uint8Array, from: number): number {
    const last = Math.min(from + maxPlainDigits, bytes.length - 2);
    let size = 0;
    for (let at = from; at < last; at++) {
      const byte = bytes[at]!;
      if (byte === carriageReturn) {
        if (at === from || size === 0 || bytes[at + 1] !== newline) return -1;
        this.left = size;
        this.state = 'data';
        return at + 2;
      }
      const digit = byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57;
      if (digit < 0 || digit > 15 || (byte > 0x39 && digit < 10)) return -1;
      size = size * 16 + digit;
    }
    return -1;
  }

  /** A chunk's size, or a trailer. */
  private readLine(bytes: Uint8Array, from: number): number {
    const end = find(bytes, '\n', from);
    this.line += latin1(bytes, from, end < 0 ? bytes.length : end);
    if (this.line.length > maxLineBytes) throw new HttpError('bad_response', 'a chunk has no size');
    if (end < 0) return bytes.length;
    const ended = this.line.endsWith('\r');
    const line = ended ? this.line.slice(0, -1) : this.line;
    this.line = '';
    if (this.strict && (!ended || line.includes('\r'))) {
      throw new HttpError('bad_response', 'a line of a chunk does not end as lines do');
    }
    if (this.state === 'trailer') this.readTrailer(line);
    else this.readSize(line);
    return end + 1;
  }

  private readTrailer(line: string): void {
    this.trailerBytes += line.length;
    if (this.trailerBytes > maxTrailerBytes) throw new HttpError('bad_response', 'the trailers are too long');
    if (line === '') this.done = true;
  }

  private readSize(line: string): void {
    const digits = (this.strict ? strictSize : size).exec(line)?.[1];
    if (digits === undefined) throw new HttpError('bad_response', 'a chunk has no size');
    this.left = Number.parseInt(digits, 16);
    this.state = this.left === 0 ? 'trailer' : 'data';
  }
}

const size = /^([0-9a-fA-F]{1,12})(?=$|[\s;])/;
const strictSize = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
