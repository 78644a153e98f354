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

/** What the headers of a frame say of it. */
interface Kind {
  name: string;
  /** Of an error, which has no payload: its message is a header. */
  message: string | undefined;
}

/** The frames of a stream have a handful of different headers, unless somebody wants to fill the memory. */
const maxKinds = 32;

export class EventStreamReader {
  private readonly prelude = new Uint8Array(preludeBytes);
  /** What is being filled: the prelude, or, once that has told how long it is, the whole frame. */
  private frame = this.prelude;
  private filled = 0;
  /** By the bytes of the headers: nearly all frames have the same. */
  private readonly kinds = new Map<string, Kind>();

  /**
   * @param emit takes the event's name and its payload as text. The name of an event is its `:event-type`, that of an
   * exception `exception:` and its type, that of an error `error:` and its code.
   */
  constructor(private readonly emit: (name: string, payload: string) => void) {}

  /** @throws Error when a checksum or a length is wrong: nothing after it can be trusted. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const end = this.filled === 0 ? endOfFrame(chunk, at) : -1;
      if (end !== -1) {
        this.read(chunk, at, end);
        at = end;
        continue;
      }
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
      this.frame = new Uint8Array(readTotal(this.prelude, 0));
      this.frame.set(this.prelude);
      return;
    }
    const { frame } = this;
    this.end();
    this.read(frame, 0, frame.length);
  }

  /** A whole frame whose first bytes are known to be right. */
  private read(bytes: Uint8Array, from: number, to: number): void {
    const end = to - checksumBytes;
    if (crc32(bytes.subarray(from, end)) !== readUint32(bytes, end)) {
      throw new SyntaxError('the checksum of an event frame is wrong');
    }
    const headers = from + preludeBytes;
    const payload = headers + readUint32(bytes, from + 4);
    const { name, message } = this.kindOf(bytes, headers, payload);
    const told = message !== undefined && payload === end;
    this.emit(name, told ? JSON.stringify({ message }) : utf8(bytes, payload, end));
  }

  private kindOf(bytes: Uint8Array, from: number, to: number): Kind {
    const said = latin1(bytes, from, to);
    let kind = this.kinds.get(said);
    if (kind === undefined) {
      kind = readKind(bytes, from, to);
      if (this.kinds.size < maxKinds) this.kinds.set(said, kind);
    }
    return kind;
  }
}

/** Where the frame that begins at `at` ends; -1 when not all of it is here. Most come whole and are read where they lie. */
function endOfFrame(bytes: Uint8Array, at: number): number {
  if (bytes.length - at < preludeBytes) return -1;
  const end = at + readTotal(bytes, at);
  return end <= bytes.length ? end : -1;
}

/** @returns how many bytes the frame that begins so has. */
function readTotal(bytes: Uint8Array, at: number): number {
  if (crc32(bytes.subarray(at, at + 8)) !== readUint32(bytes, at + 8)) {
    throw new SyntaxError('the checksum of an event frame’s first bytes is wrong');
  }
  const total = readUint32(bytes, at);
  const headers = readUint32(bytes, at + 4);
  if (total < preludeBytes + headers + checksumBytes || total > maxFrameBytes) {
    throw new RangeError(`an event frame of ${total} bytes with ${headers} bytes of headers is impossible`);
  }
  return total;
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function readKind(bytes: Uint8Array, from: number, to: number): Kind {
  const headers = readHeaders(bytes, from, to);
  return { name: nameOf(headers), message: headers.get(':error-message') };
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

const stringType = 7;
/**
 * Bytes of a header's value by its type: true, false, byte, short, integer, long, bytes, string, time, UUID. -1: two
 * bytes before it say.
 */
const valueBytes = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16];

/** Headers that are texts; those of other types are passed over. */
function readHeaders(frame: Uint8Array, from: number, end: number): Map<string, string> {
  const headers = new Map<string, string>();
  let at = from;
  while (at < end) {
    const nameEnd = at + 1 + frame[at]!;
    if (nameEnd >= end) throw overrun();
    const type = frame[nameEnd]!;
    let value = nameEnd + 1;
    let size = valueBytes[type];
    if (size === undefined) throw new SyntaxError(`an event frame has a header of the unknown type ${type}`);
    if (size < 0) {
      size = (frame[value]! << 8) | frame[value + 1]!;
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
