/** Frames of the WebSocket protocol, written and read on bytes. https://www.rfc-editor.org/rfc/rfc6455#section-5 */

/** A message: text, or bytes. */
export type Message = string | Uint8Array;

/** What frames say. */
export interface MessageEvents {
  message(message: Message): void;
  ping(data: Uint8Array): void;
  pong(data: Uint8Array): void;
  /** 1005 where the other side gave no code. */
  close(code: number, reason: string): void;
}

/** What came breaks the protocol, or is larger than allowed: `code` is what to close with. */
export class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  noCode: 1005,
  abnormal: 1006,
  invalidText: 1007,
  policy: 1008,
  tooLarge: 1009,
  internal: 1011,
  restart: 1012,
  tryAgain: 1013,
} as const;

const continuation = 0;
const text = 1;
const binary = 2;
const close = 8;
const ping = 9;
const pong = 10;

const maxControlBytes = 125;
const noBytes = new Uint8Array();
const encoder = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @param masked as clients must, and servers must not. */
export function writeMessage(message: Message, masked: boolean): Uint8Array {
  return typeof message === 'string'
    ? writeFrame(text, encoder.encode(message), masked)
    : writeFrame(binary, message, masked);
}

/** `data` ends at 125 bytes. */
export function writePing(data: Uint8Array, masked: boolean): Uint8Array {
  return writeFrame(ping, data.subarray(0, maxControlBytes), masked);
}

export function writePong(data: Uint8Array, masked: boolean): Uint8Array {
  return writeFrame(pong, data.subarray(0, maxControlBytes), masked);
}

/** Codes that only stand for something else are not sent; a reason that is too long is cut between characters. */
export function writeClose(code: number, reason: string, masked: boolean): Uint8Array {
  if (!maySend(code)) return writeFrame(close, noBytes, masked);
  const payload = new Uint8Array(maxControlBytes);
  payload[0] = code >> 8;
  payload[1] = code & 0xff;
  const { written } = encoder.encodeInto(reason, payload.subarray(2));
  return writeFrame(close, payload.subarray(0, 2 + written), masked);
}

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4 and the registry of IANA, as far as it goes. */
export function maySend(code: number): boolean {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

function writeFrame(opcode: number, payload: Uint8Array, masked: boolean): Uint8Array {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const start = 2 + extended + (masked ? 4 : 0);
  // The payload begins where a word does.
  const room = new Uint8Array(2 + start + length);
  const frame = room.subarray(start % 4 === 0 ? 0 : 2).subarray(0, start + length);
  const view = new DataView(frame.buffer, frame.byteOffset);
  frame[0] = 0x80 | opcode;
  frame[1] = (masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) view.setUint16(2, length);
  if (extended === 8) view.setBigUint64(2, BigInt(length));
  frame.set(payload, start);
  if (masked) {
    const key = frame.subarray(start - 4, start);
    crypto.getRandomValues(key);
    mask(frame.subarray(start), key);
  }
  return frame;
}

/** Changes each byte by its byte of the key; its own inverse. `bytes` begin at the start of a word. */
function mask(bytes: Uint8Array, key: Uint8Array): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const word = new Int32Array(key.slice().buffer)[0]!;
  for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ word;
  for (let i = words.length * 4; i < bytes.length; i++) bytes[i] = bytes[i]! ^ key[i & 3]!;
}

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
    if (opcode >= close) {
      if (opcode > pong) throw broken('a frame is of an unknown kind');
      if (!this.last || length > maxControlBytes) throw broken('a control frame is too long');
      return;
    }
    if (opcode > binary) throw broken('a frame is of an unknown kind');
    if ((opcode === continuation) !== (message !== undefined))
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
    if (this.opcode >= close) {
      this.control(payload);
      return;
    }
    const message = this.message ?? { opcode: this.opcode, parts: [], bytes: 0 };
    message.parts.push(payload);
    message.bytes += payload.length;
    this.message = this.last ? undefined : message;
    if (!this.last) return;
    const whole = joined(message.parts, undefined);
    this.events.message(message.opcode === text ? decode(whole) : whole);
  }

  private control(payload: Uint8Array): void {
    if (this.opcode === ping) this.events.ping(payload);
    else if (this.opcode === pong) this.events.pong(payload);
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
