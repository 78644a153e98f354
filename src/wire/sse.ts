/**
 * Server-sent events: bytes in any pieces → events, by the WHATWG rules
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
 */

/** An event larger than this is not an answer but an attack. */
const maxEventChars = 32 * 1024 * 1024;

const newline = 0x0a;
const carriageReturn = 0x0d;

export class SseReader {
  /** Keeps a character that was cut in two until its rest arrives. */
  private readonly decoder = new TextDecoder();
  /** The parts of a line that has not ended yet. */
  private readonly pieces: string[] = [];
  /** Those parts end in a carriage return. */
  private returned = false;
  /** Characters held, of the line and of its event. */
  private size = 0;
  private event = '';
  private data: string | undefined;

  /** @param emit takes the event's name ('' when it has none) and its `data:` lines joined by newlines. */
  constructor(private readonly emit: (event: string, data: string) => void) {}

  /** @throws RangeError when one event grows beyond all bounds. */
  push(chunk: Uint8Array): void {
    this.consume(this.decoder.decode(chunk, { stream: true }));
  }

  /** The bytes ended. An event without its closing blank line is emitted all the same: some hosts leave it out. */
  end(): void {
    this.consume(`${this.decoder.decode()}\n\n`);
  }

  private consume(text: string): void {
    this.pieces.push(text);
    this.size += text.length;
    if (this.size > maxEventChars) throw new RangeError('a server-sent event exceeds 32 MiB');
    // A line that goes on is only kept: joining and searching it anew with every chunk would take quadratic time.
    if (!text.includes('\n') && !text.includes('\r') && !this.returned) return;

    let buffer = this.pieces.length === 1 ? text : this.pieces.join('');
    // A return at the very end may be half of a line end: it waits for what follows.
    this.returned = buffer.endsWith('\r');
    if (hasLoneReturn(buffer)) buffer = buffer.replace(/\r(?=[^\n])/g, '\n');
    let from = 0;
    for (let to = buffer.indexOf('\n'); to >= 0; to = buffer.indexOf('\n', from)) {
      const returned = to > from && buffer.charCodeAt(to - 1) === carriageReturn;
      this.line(buffer, from, returned ? to - 1 : to);
      from = to + 1;
    }
    this.pieces.length = 0;
    if (from < buffer.length) this.pieces.push(from === 0 ? buffer : buffer.slice(from));
    this.size = buffer.length - from + (this.data?.length ?? 0);
  }

  private line(buffer: string, from: number, to: number): void {
    if (from === to) {
      if (this.data !== undefined) this.emit(this.event, this.data);
      this.data = undefined;
      this.event = '';
      return;
    }
    if (buffer.startsWith('data:', from)) {
      const start = from + (buffer.charCodeAt(from + 5) === 0x20 && from + 5 < to ? 6 : 5);
      const value = buffer.slice(start, to);
      this.data = this.data === undefined ? value : `${this.data}\n${value}`;
    } else if (buffer.startsWith('event:', from)) {
      this.event = buffer.slice(from + (buffer.charCodeAt(from + 6) === 0x20 ? 7 : 6), to);
    }
    // Comments (":"), id, retry and unknown fields mean nothing here.
  }
}

/** A return that is followed by something else than a newline ends a line too, though hardly anybody sends it so. */
function hasLoneReturn(text: string): boolean {
  for (let at = text.indexOf('\r'); at >= 0; at = text.indexOf('\r', at + 2)) {
    if (at + 1 < text.length && text.charCodeAt(at + 1) !== newline) return true;
  }
  return false;
}
