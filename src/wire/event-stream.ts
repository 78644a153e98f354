/**
 * Amazon's binary event stream (`application/vnd.amazon.eventstream`): bytes in any pieces → events, and back.
 * https://smithy.io/2.0/aws/amazon-eventstream.html: total length, headers' length, CRC-32 of these two; headers;
 * payload; CRC-32 of all before it. Numbers are big-endian.
 */
import { crc32 } from 'node:zlib';
import { latin1, utf8 } from './bytes.ts';

const preludeBytes = 12;
const checksumBytes = 4;
/** A frame larger than this is not an answer but an attack: clients refuse it too. */
const maxFrameBytes = 16 * 1024 * 1024;

export class EventStreamReader {
  private readonly prelude = Buffer.alloc(preludeBytes);
  /** What is being filled: the prelude, or, once that has told how long it is, the whole frame. */
  private frame = this.prelude;
  private filled = 0;

  /**
   * @param emit takes the event's name and its payload as text. The name of an event is its `:event-type`, that of an
   * exception `exception:` and its type, that of an error `error:` and its code.
   */
  constructor(private readonly emit: (name: string, payload: string) => void) {}

  /** @throws Error when a checksum or a length is wrong: nothing after it can be trusted. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.frame.length - this.filled);
      this.frame.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === this.frame.length) this.turn();
    }
  }

  /** The bytes ended. A frame that has not is not one: its checksum never came. */
  end(): void {
    this.frame = this.prelude;
    this.filled = 0;
  }

  /** What was to be filled is full. */
  private turn(): void {
    if (this.frame === this.prelude) {
      this.frame = Buffer.allocUnsafe(readTotal(this.prelude));
      this.frame.set(this.prelude);
      return;
    }
    const { frame } = this;
    this.end();
    emitFrame(frame, this.emit);
  }
}

/** @returns how many bytes the frame that begins so has. */
function readTotal(prelude: Buffer): number {
  if (crc32(prelude.subarray(0, 8)) !== prelude.readUInt32BE(8)) {
    throw new Error('the checksum of an event frame’s first bytes is wrong');
  }
  const total = prelude.readUInt32BE(0);
  const headers = prelude.readUInt32BE(4);
  if (total < preludeBytes + headers + checksumBytes || total > maxFrameBytes) {
    throw new RangeError(`an event frame of ${total} bytes with ${headers} bytes of headers is impossible`);
  }
  return total;
}

function emitFrame(frame: Buffer, emit: (name: string, payload: string) => void): void {
  const end = frame.length - checksumBytes;
  if (crc32(frame.subarray(0, end)) !== frame.readUInt32BE(end)) {
    throw new Error('the checksum of an event frame is wrong');
  }
  const start = preludeBytes + frame.readUInt32BE(4);
  const headers = readHeaders(frame, preludeBytes, start);
  emit(nameOf(headers), payloadOf(headers, frame, start, end));
}

function nameOf(headers: ReadonlyMap<string, string>): string {
  switch (headers.get(':message-type')) {
    case 'exception':
      return `exception:${headers.get(':exception-type') ?? ''}`;
    case 'error':
      return `error:${headers.get(':error-code') ?? ''}`;
    default:
      return headers.get(':event-type') ?? '';
  }
}

/** An error has no payload: its message is a header, and is told as exceptions tell theirs. */
function payloadOf(headers: ReadonlyMap<string, string>, frame: Buffer, from: number, to: number): string {
  const message = headers.get(':error-message');
  return message !== undefined && from === to ? JSON.stringify({ message }) : utf8(frame, from, to);
}

const stringType = 7;
/**
 * Bytes of a header's value by its type: true, false, byte, short, integer, long, bytes, string, time, UUID. -1: two
 * bytes before it say.
 */
const valueBytes = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16];

/** Headers that are texts; those of other types are passed over. */
function readHeaders(frame: Buffer, from: number, end: number): Map<string, string> {
  const headers = new Map<string, string>();
  let at = from;
  while (at < end) {
    const nameEnd = at + 1 + frame[at]!;
    if (nameEnd >= end) throw overrun();
    const type = frame[nameEnd]!;
    let value = nameEnd + 1;
    let size = valueBytes[type];
    if (size === undefined) throw new Error(`an event frame has a header of the unknown type ${type}`);
    if (size < 0) {
      size = frame.readUInt16BE(value);
      value += 2;
    }
    if (value + size > end) throw overrun();
    if (type === stringType) headers.set(latin1(frame, at + 1, nameEnd), utf8(frame, value, value + size));
    at = value + size;
  }
  return headers;
}

function overrun(): RangeError {
  return new RangeError('a header of an event frame is longer than all its headers');
}

/**
 * The same around chunks of another stream, `{"bytes":"<base64 of JSON>"}`, each emitted as what is inside, named by
 * its `type`. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html
 * @throws SyntaxError, from `push`, when a chunk is no JSON.
 */
export function unwrapChunks(
  emit: (name: string, payload: string) => void,
): (name: string, payload: string) => void {
  return (name, payload) => {
    if (name !== 'chunk') return emit(name, payload);
    const inner = Buffer.from(String(JSON.parse(payload)?.bytes ?? ''), 'base64').toString();
    emit(String(JSON.parse(inner)?.type ?? ''), inner);
  };
}

/** One frame with these headers, all of them texts: names up to 255 bytes, values up to 32,767. */
export function encodeEvent(headers: Readonly<Record<string, string>>, payload: string): Uint8Array {
  const encoded = Buffer.concat(Object.entries(headers).map(([name, value]) => encodeHeader(name, value)));
  const body = Buffer.from(payload);
  const frame = Buffer.alloc(preludeBytes + encoded.length + body.length + checksumBytes);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(encoded.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  encoded.copy(frame, preludeBytes);
  body.copy(frame, preludeBytes + encoded.length);
  const end = frame.length - checksumBytes;
  frame.writeUInt32BE(crc32(frame.subarray(0, end)), end);
  return frame;
}

function encodeHeader(name: string, value: string): Buffer {
  const nameBytes = Buffer.from(name);
  const text = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([Buffer.of(nameBytes.length), nameBytes, Buffer.of(stringType), length, text]);
}
