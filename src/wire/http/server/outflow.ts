/** Bytes on their way to a client: written at once as far as the socket takes them, the rest when there is room. */
import type { Socket } from 'bun';
import { copyRange, writeLatin1, writeUtf8 } from '../../bytes.ts';
import { Unsent } from '../unsent.ts';
import type { Part } from './messages.ts';

/** Heads and bodies up to these sizes are put together in one place, so that they leave in one write. */
const headRoom = 16 * 1024;
const bodyRoom = 96 * 1024;
const place = Buffer.allocUnsafeSlow(headRoom + bodyRoom + 2);
const lineEnd = Buffer.from('\r\n', 'latin1');

export class Outflow {
  private readonly unsent = new Unsent();
  private waiting: PromiseWithResolvers<void> | undefined;
  private closed = false;

  constructor(private readonly socket: Pick<Socket<unknown>, 'write'>) {}

  get unsentBytes(): number {
    return this.unsent.bytes;
  }

  /** `bytes` are kept where they cannot be sent now. */
  write(bytes: Uint8Array): void {
    this.send(bytes, 0, bytes.length, false);
  }

  writeText(text: string): void {
    this.write(Buffer.from(text, 'latin1'));
  }

  /** A whole answer. @param head one character per byte, but for the length of the body and the blank line. */
  writeWhole(head: string, body: Part): void {
    const length = putBody(body);
    if (length === undefined) {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body;
      this.writeText(`${head}content-length: ${bytes.length}\r\n\r\n`);
      this.write(bytes);
    } else this.sendPlaced(`${head}content-length: ${length}\r\n\r\n`, length);
  }

  /** @param head what stands before it. */
  writePart(head: string, part: Part): void {
    const length = putBody(part);
    if (length === undefined) {
      this.writeText(head);
      this.write(typeof part === 'string' ? Buffer.from(part) : part);
    } else this.sendPlaced(head, length);
  }

  /** A part as a chunk. https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding */
  writeChunk(head: string, part: Part): void {
    const length = putBody(part);
    if (length === undefined) {
      const bytes = typeof part === 'string' ? Buffer.from(part) : part;
      this.writeText(`${head}${bytes.length.toString(16)}\r\n`);
      this.write(bytes);
      this.write(lineEnd);
      return;
    }
    place[headRoom + length] = 0x0d;
    place[headRoom + length + 1] = 0x0a;
    this.sendPlaced(`${head}${length.toString(16)}\r\n`, length + 2);
  }

  /** Resolves when nothing waits to be sent any more, or never will be; undefined: nothing does. */
  room(): Promise<void> | undefined {
    if (this.unsentBytes === 0 || this.closed) return undefined;
    this.waiting ??= Promise.withResolvers();
    return this.waiting.promise;
  }

  /** There is room. @returns whether all is out. */
  drain(): boolean {
    if (!this.unsent.sendTo(this.socket)) return false;
    this.release();
    return true;
  }

  /** Nothing is sent any more. */
  close(): void {
    this.closed = true;
    this.unsent.clear();
    this.release();
  }

  private release(): void {
    this.waiting?.resolve();
    this.waiting = undefined;
  }

  /** Puts the head right before what was placed, and sends both. */
  private sendPlaced(head: string, length: number): void {
    if (head.length > headRoom) {
      const body = place.slice(headRoom, headRoom + length);
      this.writeText(head);
      this.write(Buffer.from(body));
      return;
    }
    const start = headRoom - head.length;
    writeLatin1(place, head, start);
    this.send(place, start, head.length + length, true);
  }

  private send(bytes: Uint8Array, from: number, length: number, shared: boolean): void {
    if (this.closed || length === 0) return;
    const taken = this.unsentBytes > 0 ? 0 : Math.max(0, this.socket.write(bytes, from, length));
    if (taken === length) return;
    const rest = bytes.subarray(from + taken, from + length);
    this.unsent.add(shared ? Buffer.from(rest) : rest);
  }
}

/** @returns the length of what has been placed; undefined when there is no room for it. */
function putBody(body: Part): number | undefined {
  if (typeof body === 'string') {
    return body.length * 3 > bodyRoom ? undefined : writeUtf8(place, body, headRoom);
  }
  if (body.length > bodyRoom) return undefined;
  return copyRange(body, 0, body.length, place, headRoom);
}
