/** Frames of the WebSocket protocol, and how they are written. https://www.rfc-editor.org/rfc/rfc6455#section-5 */

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

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const maxControlBytes = 125;
const noBytes = new Uint8Array();
const encoder = new TextEncoder();

/** @param masked as clients must, and servers must not. */
export function writeMessage(message: Message, masked: boolean): Uint8Array {
  return typeof message === 'string'
    ? writeFrame(opcodes.text, encoder.encode(message), masked)
    : writeFrame(opcodes.binary, message, masked);
}

/** `data` ends at 125 bytes. */
export function writePing(data: Uint8Array, masked: boolean): Uint8Array {
  return writeFrame(opcodes.ping, data.subarray(0, maxControlBytes), masked);
}

export function writePong(data: Uint8Array, masked: boolean): Uint8Array {
  return writeFrame(opcodes.pong, data.subarray(0, maxControlBytes), masked);
}

/** Codes that only stand for something else are not sent; a reason that is too long is cut between characters. */
export function writeClose(code: number, reason: string, masked: boolean): Uint8Array {
  if (!maySend(code)) return writeFrame(opcodes.close, noBytes, masked);
  const payload = new Uint8Array(maxControlBytes);
  payload[0] = code >> 8;
  payload[1] = code & 0xff;
  const { written } = encoder.encodeInto(reason, payload.subarray(2));
  return writeFrame(opcodes.close, payload.subarray(0, 2 + written), masked);
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
export function mask(bytes: Uint8Array, key: Uint8Array): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  const word = new Int32Array(key.slice().buffer)[0]!;
  for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ word;
  for (let i = words.length * 4; i < bytes.length; i++) bytes[i] = bytes[i]! ^ key[i & 3]!;
}
