/** How a stream of frames lies in bytes: one way to read each. */
import { EventStreamReader, unwrapChunks } from './event-stream.ts';
import { NdjsonReader } from './ndjson.ts';
import { SseReader } from './sse.ts';

/**
 * `sse` server-sent events · `ndjson` a JSON value a line · `aws-events` Amazon's binary event stream, whose frames are
 * named by their event type; by `exception:` and their exception type, or `error:` and their error code, where they
 * are one · `aws-chunks` the same around chunks of another host's events (`{"bytes":"<base64 JSON>"}`), named by the
 * `type` inside.
 */
export type Framing = 'sse' | 'ndjson' | 'aws-events' | 'aws-chunks';

export interface FrameReader {
  /** @throws RangeError, or another Error, when the bytes cannot be such a stream. */
  push(chunk: Uint8Array): void;
  /** The bytes ended: a last frame may still be emitted. */
  end(): void;
}

/** @param emit takes a frame's name ('' when it has none) and its text. */
export function frameReader(framing: Framing, emit: (name: string, text: string) => void): FrameReader {
  switch (framing) {
    case 'sse':
      return new SseReader(emit);
    case 'ndjson':
      return new NdjsonReader(emit);
    case 'aws-events':
      return new EventStreamReader(emit);
    case 'aws-chunks':
      return new EventStreamReader(unwrapChunks(emit));
  }
}
