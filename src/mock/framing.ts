/** How events lie in bytes on the mock's wires. */
import { encodeEvent } from '../wire/event-stream.ts';
import type { Event } from './wire.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Framing {
  readonly headers: Readonly<Record<string, string>>;
  /** One piece for each event. */
  frame(events: readonly Event[]): (string | Bytes)[];
  /** The pieces of a stream that was recorded in it. */
  split(stream: string | Bytes): (string | Bytes)[];
}

const splitText = (end: RegExp) => (stream: string | Bytes) =>
  (typeof stream === 'string' ? stream : new TextDecoder().decode(stream)).match(end) ?? [];

/** @param lineEnd Google ends its lines by carriage return and line feed. */
function sse(lineEnd: '\n' | '\r\n'): Framing {
  const frame = ({ name, data }: Event): string =>
    `${name === '' ? '' : `event: ${name}${lineEnd}`}data: ${data}${lineEnd}${lineEnd}`;
  return {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
    frame: (events) => events.map(frame),
    split: splitText(/[\s\S]+?(?:\r?\n\r?\n|$)/g),
  };
}

/** Every event is a line, its name unsaid. */
const ndjson: Framing = {
  headers: { 'content-type': 'application/x-ndjson' },
  frame: (events) => events.map(({ data }) => `${data}\n`),
  split: splitText(/[^\n]*\n|[^\n]+$/g),
};

/** The events as one JSON array: Gemini without `alt=sse`. */
const array: Framing = {
  headers: { 'content-type': 'application/json; charset=UTF-8' },
  frame: (events) =>
    events.map(
      ({ data }, at) => `${at === 0 ? '[' : ',\r\n'}${data}${at === events.length - 1 ? '\n]\n' : '\n'}`,
    ),
  split: (stream) => [stream],
};

/** Amazon's binary frames. */
const awsEvents: Framing = {
  headers: { 'content-type': 'application/vnd.amazon.eventstream' },
  frame: (events) => events.map(({ name, data }) => awsFrame(name, data)),
  split: splitFrames,
};

/** The same around the events of another wire, each as base64. */
const awsChunks: Framing = {
  headers: { ...awsEvents.headers, 'x-amzn-bedrock-content-type': 'application/json' },
  frame: (events) =>
    events.map(({ name, data }) => {
      if (name.startsWith('exception:')) return awsFrame(name, data);
      return awsFrame('chunk', JSON.stringify({ bytes: Buffer.from(data).toString('base64'), p: padding }));
    }),
  split: splitFrames,
};

/** Amazon pads payloads against those who listen for lengths. */
export const padding = 'abcdefghijklmnop';

function awsFrame(name: string, payload: string): Bytes {
  const exception = name.startsWith('exception:');
  const type: Record<string, string> = exception
    ? { ':exception-type': name.slice('exception:'.length) }
    : { ':event-type': name };
  const headers = {
    ...type,
    ':content-type': 'application/json',
    ':message-type': exception ? 'exception' : 'event',
  };
  return new Uint8Array(encodeEvent(headers, payload));
}

/** Every frame begins with its length. */
function splitFrames(stream: string | Bytes): Bytes[] {
  const bytes = typeof stream === 'string' ? new TextEncoder().encode(stream) : stream;
  const lengths = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: Bytes[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = at + 4 <= bytes.length ? lengths.getUint32(at) : 0;
    const end = length > 0 ? Math.min(at + length, bytes.length) : bytes.length;
    frames.push(bytes.slice(at, end));
    at = end;
  }
  return frames;
}

export const framings = { sse: sse('\n'), crlf: sse('\r\n'), ndjson, array, awsEvents, awsChunks } as const;
