/** Reads frames of the WebSocket protocol and puts messages together. https://www.rfc-editor.org/rfc/rfc6455#section-5 */
import {
  closeCodes,
  FrameError,
  type MessageEvents,
  mask,
  maxControlBytes,
  maySend,
  opcodes,
} from './frames.ts';

const noBytes = new Uint8Array();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads frames, however they are cut, and puts messages together; synchronous. */
export class MessageReader {
  /** The beginning of a frame: up to 14 bytes. */
  private readonly head = new Uint8Array(14);
  private headBytes = 0;
  private opcode = 0;
  private last = true;
  private key: Uint8Array | undefined;
  /** Of the frame that is being read; undefined between frames. */
  private left: number | undefined;
  private pieces: Uint8Array[] = [];
  /** The message whose frames are being read. */
  private message: { opcode: number; parts: Uint8Array[]; bytes: number } | undefined;
  private closed = false;

  /**
   * @param masked the other side is a client, whose frames must be masked.
   * @param maxBytes of a message.
   */
  constructor(
    private readonly events: MessageEvents,
    private readonly masked: boolean,
    private readonly maxBytes: number,
  ) {}

  /** Takes what came. `bytes` are kept where a frame is not complete. @throws FrameError */
  push(bytes: Uint8Array): void {
    let at = 0;
    // What follows a close frame means nothing.
    while (!this.closed && (at < bytes.length || this.left === 0)) {
      if (this.left === undefined) at = this.readHead(bytes, at);
      else at = this.readPayload(bytes, at, this.left);
    }
  }

  private readHead(bytes: Uint8Array, from: number): number {
    let at = from;
    let wanted = 2;
    do {
      while (this.headBytes < wanted && at < bytes.length) this.head[this.headBytes++] = bytes[at++]!;
      if (this.headBytes < wanted) return at;
      const second = this.head[1]!;
      const size = second & 0x7f;
      wanted = 2 + (size === 126 ? 2 : size === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
    } while (this.headBytes < wanted);
    this.begin(wanted);
    return at;
  }

  private begin(headBytes: number): void {
    const { head } = this;
    const view = new DataView(head.buffer);
    const first = head[0]!;
    const second = head[1]!;
    const size = second & 0x7f;
    this.headBytes = 0;
    this.opcode = first & 0x0f;
    this.last = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) throw broken('a frame uses an extension that was not agreed on');
    if (((second & 0x80) !== 0) !== this.masked) throw broken('a frame is masked as it must not be');
    this.key = this.masked ? head.slice(headBytes - 4, headBytes) : undefined;
    const length = size < 126 ? size : size === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
    this.check(length);
    this.left = length;
  }

  private check(length: number): void {
    const { opcode, message } = this;
    if (opcode >= opcodes.close) {
      if (opcode > opcodes.pong) throw broken('a frame is of an unknown kind');
      if (!this.last || length > maxControlBytes) throw broken('a control frame is too long');
      return;
    }
    if (opcode > opcodes.binary) throw broken('a frame is of an unknown kind');
    if ((opcode === opcodes.continuation) !== (message !== undefined))
      throw broken('the frames of a message are out of order');
    if ((message?.bytes ?? 0) + length > this.maxBytes) {
      throw new FrameError(closeCodes.tooLarge, `a message is larger than ${this.maxBytes} bytes`);
    }
  }

  private readPayload(bytes: Uint8Array, at: number, left: number): number {
    const end = Math.min(bytes.length, at + left);
    if (end > at) this.pieces.push(bytes.subarray(at, end));
    this.left = left - (end - at);
    if (this.left === 0) this.endFrame();
    return end;
  }

  private endFrame(): void {
    const payload = joined(this.pieces, this.key);
    this.pieces = [];
    this.left = undefined;
    if (this.opcode >= opcodes.close) {
      this.control(payload);
      return;
    }
    const message = this.message ?? { opcode: this.opcode, parts: [], bytes: 0 };
    message.parts.push(payload);
    message.bytes += payload.length;
    this.message = this.last ? undefined : message;
    if (!this.last) return;
    const whole = joined(message.parts, undefined);
    this.events.message(message.opcode === opcodes.text ? decode(whole) : whole);
  }

  private control(payload: Uint8Array): void {
    if (this.opcode === opcodes.ping) this.events.ping(payload);
    else if (this.opcode === opcodes.pong) this.events.pong(payload);
    else {
      this.closed = true;
      if (payload.length === 0) {
        this.events.close(closeCodes.noCode, '');
        return;
      }
      const code = payload.length === 1 ? 0 : (payload[0]! << 8) | payload[1]!;
      if (!maySend(code))
        throw broken(`the connection was closed with the code ${code}, which does not exist`);
      this.events.close(code, decode(payload.subarray(2)));
    }
  }
}

function joined(pieces: readonly Uint8Array[], key: Uint8Array | undefined): Uint8Array {
  if (pieces.length === 0) return noBytes;
  if (pieces.length === 1 && key === undefined) return pieces[0]!;
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  if (key !== undefined) mask(whole, key);
  return whole;
}

function decode(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw new FrameError(closeCodes.invalidText, 'a text is not UTF-8');
  }
}

function broken(what: string): FrameError {
  return new FrameError(closeCodes.protocolError, what);
}
