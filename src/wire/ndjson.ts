/** Newline-delimited JSON: bytes in any pieces → lines (https://github.com/ndjson/ndjson-spec). */

/** A line larger than this is not an answer but an attack. */
const maxLineChars = 32 * 1024 * 1024;

export class NdjsonReader {
  /** Keeps a character that was cut in two until its rest arrives. */
  private readonly decoder = new TextDecoder();
  /** The parts of a line that has not ended yet. */
  private readonly pieces: string[] = [];
  private size = 0;

  /** @param emit takes '' (lines have no name) and the line without its end; blank lines are left out. */
  constructor(private readonly emit: (name: '', line: string) => void) {}

  /** @throws RangeError when one line grows beyond all bounds. */
  push(chunk: Uint8Array): void {
    this.consume(this.decoder.decode(chunk, { stream: true }));
  }

  /** The bytes ended: the last line may have come without an end. */
  end(): void {
    this.consume(`${this.decoder.decode()}\n`);
  }

  private consume(text: string): void {
    let from = 0;
    for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
      this.keep(text.slice(from, to));
      this.line(this.pieces.join(''));
      this.pieces.length = 0;
      this.size = 0;
      from = to + 1;
    }
    // A line that goes on is only kept: joining it anew with every chunk would take quadratic time.
    if (from < text.length) this.keep(text.slice(from));
  }

  private keep(piece: string): void {
    this.size += piece.length;
    if (this.size > maxLineChars) throw new RangeError('a line of newline-delimited JSON exceeds 32 MiB');
    this.pieces.push(piece);
  }

  private line(line: string): void {
    // `\r\n` ends a line too: the return is white space to JSON, but a line of nothing else is none.
    const json = line.trim();
    if (json !== '') this.emit('', json);
  }
}
