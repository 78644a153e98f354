/**
 * Server-sent events: bytes in any pieces → events, by the WHATWG rules
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
 */

/** An event larger than this is not an answer but an attack. */
const maxEventChars = 32 * 1024 * 1024;

export class SseReader {
  /** Keeps a character that was cut in two until its rest arrives. */
  private readonly decoder = new TextDecoder();
  private buffer = '';
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
    let buffer = this.buffer === '' ? text : this.buffer + text;
    if (buffer.includes('\r')) {
      // A return at the very end may be half of a line end: it waits for what follows.
      const held = buffer.endsWith('\r') ? 1 : 0;
      buffer = buffer.slice(0, buffer.length - held).replace(/\r\n?/g, '\n') + (held ? '\r' : '');
    }
    let from = 0;
    for (;;) {
      const to = buffer.indexOf('\n', from);
      if (to < 0) break;
      this.line(buffer, from, to);
      from = to + 1;
    }
    this.buffer = from === 0 ? buffer : buffer.slice(from);
    if (this.buffer.length + (this.data?.length ?? 0) > maxEventChars) {
      throw new RangeError('a server-sent event exceeds 32 MiB');
    }
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
