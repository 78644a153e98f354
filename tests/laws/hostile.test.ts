/** Whatever comes over the wire, the dialects answer with a GatewayError or with events in good order, never otherwise. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { ChatEvent } from '../../src/core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { type ClientDialect, type Dialect, isClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { frameReader } from '../../src/wire/framing.ts';
import { orderFault } from './order.ts';
import {
  type Frame,
  joinFrames,
  readFrames,
  readStream,
  splitFrames,
  splitText,
  writeText,
} from './reading.ts';
import { requests, responses, type Sample, type StreamSample, streams } from './samples.ts';
import { type Path, valueAt, walk, without } from './translating.ts';
import { throwsKind } from './verdict.ts';

const seed = 4000;
const most = 6000;
const small = ({ content }: Sample<JsonObject> | StreamSample): boolean =>
  (content instanceof Uint8Array ? content : JSON.stringify(content)).length < most;

/** JSON values, those that dialects look for among them. */
const anyJson: fc.Arbitrary<Json> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }).map((value) => value as Json),
  fc.constantFrom<Json>(
    null,
    '',
    0,
    -1,
    1.5,
    true,
    false,
    [],
    {},
    [null],
    [{}],
    'text',
    { type: 'text' },
    1e308,
  ),
);

/** A sample's content in which some members are replaced or removed. */
function mangled(samples: Sample<JsonObject>[]): fc.Arbitrary<JsonObject> {
  return fc
    .tuple(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(fc.nat(), fc.option(anyJson)), { minLength: 1, maxLength: 3 }),
    )
    .map(([{ content }, changes]) => changes.reduce(mangle, content));
}

function mangle(body: JsonObject, [at, value]: [number, Json]): JsonObject {
  const paths: Path[] = [];
  walk(body, (path) => paths.push(path) > 0);
  const path = paths[at % paths.length];
  if (path === undefined) return body;
  if (at % 3 === 0) return without(body, path);
  const copy = structuredClone(body);
  const holder =
    path.length === 1 ? copy : (valueAt(copy, path.slice(0, -1)) as Record<string | number, Json>);
  (holder as Record<string | number, Json>)[path.at(-1)!] = value;
  return copy;
}

/** Each case is written by one: over many cases, by all. */
const anyDialect = fc.constantFrom(...dialects.values());
const anyClient = fc.constantFrom(...clientDialects);

for (const dialect of dialects.values()) {
  const own = <Each extends Sample<JsonObject> | StreamSample>(samples: Each[]): Each[] =>
    samples.filter((sample) => sample.dialect === dialect && small(sample));

  describe(dialect.name, () => {
    test('reads any object as a request, or refuses it; what it reads, any dialect writes or refuses', () => {
      const body = fc.oneof(
        { weight: 1, arbitrary: fc.dictionary(fc.string(), anyJson) },
        { weight: 9, arbitrary: mangled(own(requests)) },
      );
      fc.assert(
        fc.property(body, anyDialect, (value, to) => {
          const kind = throwsKind(() => dialect.readRequest(structuredClone(value)));
          if (kind !== undefined) {
            expect(kind).toBe('bad_request');
            return;
          }
          expectRefusalAtMost(dialect, to, value);
        }),
        { seed, numRuns: 1500 },
      );
    });

    test('reads any object as an answer, or refuses it; what it reads, any dialect writes', () => {
      const body = fc.oneof(
        { weight: 1, arbitrary: fc.dictionary(fc.string(), anyJson) },
        { weight: 9, arbitrary: mangled(own(responses)) },
      );
      fc.assert(
        fc.property(body, anyClient, (value, to) => {
          if (isClientDialect(dialect)) throwsKind(() => dialect.readUsage(value, {}));
          if (throwsKind(() => dialect.readResponse(structuredClone(value), {})) !== undefined) return;
          const answer = dialect.readResponse(structuredClone(value), {});
          const written: JsonObject = JSON.parse(JSON.stringify(to.writeResponse(structuredClone(answer))));
          expect(throwsKind(() => to.readResponse(written, {}))).toBeUndefined();
        }),
        { seed, numRuns: 1000 },
      );
    });

    test('reads any bytes as a stream', () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 200 }),
          fc.record({ event: fc.stringMatching(/^[ -~]{0,20}$/), data: fc.stringMatching(/^[ -~\n]*$/) }),
          (bytes, frame) => {
            const events: ChatEvent[] = [];
            const reader = dialect.readStream((event) => events.push(event), {});
            const frames = frameReader(dialect.framing, (event, data) => reader.push(event, data));
            // What is no binary frame ends the stream; a text may go on after anything.
            if (dialect.framing === 'sse' || dialect.framing === 'ndjson') {
              frames.push(bytes);
              frames.push(Uint8Array.of(10, 10));
            }
            frames.push(joinFrames(dialect.framing, [frame]));
            frames.end();
            reader.end();
            expect(orderFault(events)).toBeUndefined();
          },
        ),
        { seed, numRuns: 300 },
      );
    });

    test('reads a stream whose events are lost, repeated, moved, mangled or unknown; any dialect writes it', () => {
      fc.assert(
        fc.property(disturbed(own(streams)), anyClient, (frames, to) => {
          const events = readFrames(dialect, frames);
          expect(orderFault(events)).toBeUndefined();
          if (isClientDialect(dialect)) {
            const tap = dialect.tap({}, false);
            for (const { event, data } of frames) tap.push(event, data);
          }
          expectReadable(to, events);
        }),
        { seed, numRuns: 1500 },
      );
    });
  });
}

test('the events of every stream come in good order', () => {
  for (const sample of streams) expect(orderFault(readStream(sample))).toBeUndefined();
});

function expectRefusalAtMost(from: Dialect, to: Dialect, body: JsonObject): void {
  const kind = throwsKind(() => to.writeRequest(from.readRequest(structuredClone(body)), {}, []));
  expect(['bad_request', 'unsupported', 'none']).toContain(kind ?? 'none');
}

/** What one dialect's reader tells, another's writer writes so that its own reader tells it again. */
function expectReadable(to: ClientDialect, events: readonly ChatEvent[]): void {
  const text = writeText(
    to,
    events.filter(({ type }) => type !== 'error'),
  );
  const copy = readFrames(to, splitText(text));
  expect(orderFault(copy)).toBeUndefined();
  if (events.at(-1)?.type === 'end') expect(copy.at(-1)?.type).toBe('end');
}

/** A stream's events after something happened to them. */
function disturbed(samples: StreamSample[]): fc.Arbitrary<Frame[]> {
  const unknown = fc.record({
    event: fc.constantFrom('', 'ping', 'error', 'message', 'surprise'),
    data: fc.oneof(
      anyJson.map((value) => JSON.stringify(value)),
      fc.string(),
    ),
  });
  const change = fc.tuple(
    fc.constantFrom('drop', 'repeat', 'swap', 'insert', 'mangle'),
    fc.nat(),
    fc.nat(),
    unknown,
    anyJson,
  );
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([{ framing, content }, changes]) => {
      const frames = splitFrames(framing, content);
      for (const [what, from, to, frame, value] of changes) disturb(frames, what, from, to, frame, value);
      return frames;
    });
}

function disturb(frames: Frame[], what: string, from: number, to: number, extra: Frame, value: Json): void {
  const at = from % Math.max(1, frames.length);
  const frame = frames[at];
  if (frame === undefined) return;
  if (what === 'drop') frames.splice(at, 1);
  else if (what === 'repeat') frames.splice(to % frames.length, 0, frame);
  else if (what === 'insert') frames.splice(at, 0, extra);
  else if (what === 'swap') {
    const other = to % frames.length;
    frames[at] = frames[other]!;
    frames[other] = frame;
  } else frames[at] = { event: frame.event, data: mangleText(frame.data, to, value) };
}

function mangleText(data: string, at: number, value: Json): string {
  try {
    const parsed: Json = JSON.parse(data);
    return isObject(parsed) ? JSON.stringify(mangle(parsed, [at, value])) : data;
  } catch {
    return data;
  }
}
