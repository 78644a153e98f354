/** Streams mean the same wherever the network cuts them, to the reader and to the tap, and never seem whole when they are not. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { Tap } from '../../src/dialects/dialect.ts';
import { SseReader } from '../../src/wire/sse.ts';
import { StreamTap } from '../../src/wire/tap.ts';
import { cuttings } from './chance.ts';
import {
  type Frame,
  joinFrames,
  numberCalls,
  readFrames,
  readText,
  splitFrames,
  tryFold,
} from './reading.ts';
import { type Sample, streams } from './samples.ts';
import { throwsKind } from './verdict.ts';

const utf8 = new TextEncoder();
/** Recordings up to this size are cut at every offset, fixtures always. */
const everyOffsetBytes = 8 * 1024;

describe('the events of a stream', () => {
  for (const { name, content, fixture } of streams) {
    test(`do not depend on where its bytes are cut: ${name}`, () => {
      const frames = splitFrames(content);
      expect(frames.length).toBeGreaterThan(0);
      for (const text of [content, content.replace(/\r?\n/g, '\r\n')]) {
        const bytes = utf8.encode(text);
        if (fixture || (text === content && bytes.length <= everyOffsetBytes))
          expectSameAtEveryOffset(bytes, frames);
        for (const pieces of cuttings(bytes, name, 20)) expect(splitFrames(...pieces)).toEqual(frames);
      }
    });

    test(`do not depend on comments, pings and line ends between them: ${name}`, () => {
      const frames = splitFrames(content);
      const noise = joinFrames(frames).replaceAll('\n\n', '\n\n: keep-alive\n\nretry: 3000\n\n:\n\n');
      expect(splitFrames(noise)).toEqual(frames);
      expect(splitFrames(noise.replaceAll('\n', '\r'))).toEqual(frames);
      expect(splitFrames(joinFrames(frames).trimEnd())).toEqual(frames);
    });
  }
});

/** Compares event by event as they come: lists of them for every offset would be most of the work. */
function expectSameAtEveryOffset(bytes: Uint8Array, frames: readonly Frame[]): void {
  for (let cut = 1; cut < bytes.length; cut++) {
    let at = 0;
    let same = true;
    const reader = new SseReader((event, data) => {
      const frame = frames[at++];
      if (frame?.event !== event || frame.data !== data) same = false;
    });
    reader.push(bytes.subarray(0, cut));
    reader.push(bytes.subarray(cut));
    reader.end();
    if (!same || at !== frames.length) expect(`differs when cut at byte ${cut}`).toBe('the same');
  }
}

describe('a tap', () => {
  for (const sample of streams) {
    const { name, dialect, quirks, content } = sample;
    test(`tells what the reader tells: ${name}`, () => {
      const tap = dialect.tap(quirks, false);
      for (const { event, data } of splitFrames(content)) expect(tap.push(event, data)).toBeTrue();
      expect(told(tap)).toEqual(toldBy(readText(dialect, content, quirks)));
    });

    for (const hide of [false, true]) {
      test(`tells the same while the bytes are passed on${hide ? ', usage held back' : ''}: ${name}`, () => {
        const whole = tapPieces(sample, hide, [utf8.encode(content)]);
        expect(told(whole.tap)).toEqual(toldBy(readText(dialect, content, quirks)));
        if (!hide) expect(whole.passed).toBe(content);
        else expectOnlyUsageHidden(sample, whole.passed);
        for (const text of [content, content.replace(/\r?\n/g, '\r\n')]) {
          for (const pieces of cuttings(utf8.encode(text), name, 10)) {
            const { tap, passed } = tapPieces(sample, hide, pieces);
            expect(told(tap)).toEqual(told(whole.tap));
            expect(passed.replaceAll('\r', '')).toBe(whole.passed.replaceAll('\r', ''));
          }
        }
      });
    }
  }
});

/** Relays a stream as the gateway does. */
function tapPieces(
  { dialect, quirks }: Sample<string>,
  hide: boolean,
  pieces: readonly Uint8Array[],
): { tap: Tap; passed: string } {
  const tap = dialect.tap(quirks, hide);
  const stream = new StreamTap(dialect.tapMarkers, hide, (event, data) => {
    const pass = tap.push(event, data);
    if (tap.meaningful) stream.attentive = false;
    return pass;
  });
  const passed: Uint8Array[] = [];
  for (const piece of pieces) {
    const part = stream.push(piece);
    if (part !== undefined) passed.push(part);
  }
  const rest = stream.end();
  if (rest !== undefined) passed.push(rest);
  return { tap, passed: new TextDecoder().decode(Buffer.concat(passed)) };
}

/** Without the hidden event the same answer is read, and nothing but its usage has gone. */
function expectOnlyUsageHidden({ dialect, quirks, content }: Sample<string>, passed: string): void {
  const before = splitFrames(content);
  const after = splitFrames(passed);
  const whole = tryFold(readFrames(dialect, before, quirks), dialect.name);
  const less = tryFold(readFrames(dialect, after, quirks), dialect.name);
  expect(less === undefined).toBe(whole === undefined);
  if (whole === undefined || less === undefined) return;
  expect({ ...numberCalls(less), usage: undefined }).toEqual({ ...numberCalls(whole), usage: undefined });
}

function told({ usage, complete, error }: Tap): object {
  return { usage, complete: complete && error === undefined, error: error?.kind };
}

function toldBy(events: readonly ChatEvent[]): object {
  let usage: unknown;
  for (const event of events)
    if (event.type === 'start' || event.type === 'usage') usage = event.usage ?? usage;
  const last = events.at(-1);
  return {
    usage,
    complete: last?.type === 'end',
    error: last?.type === 'error' ? last.error.kind : undefined,
  };
}

describe('a stream that is cut', () => {
  for (const sample of streams) {
    const { name, dialect, quirks, content, fixture } = sample;
    test(`is an answer only from its finish on: ${name}`, () => {
      const frames = splitFrames(content);
      const whole = tryFold(readFrames(dialect, frames, quirks), dialect.name);
      for (const size of cutsOf(frames.length, fixture)) {
        const part = frames.slice(0, size);
        const tap = dialect.tap(quirks, false);
        for (const { event, data } of part) tap.push(event, data);
        const events = readFrames(dialect, part, quirks);
        const types = events.map(({ type }) => type);
        if (types.includes('error')) {
          expect(tap.error).toBeDefined();
          continue;
        }
        expect({ size, ended: types.includes('end') }).toEqual({ size, ended: tap.complete });
        const chunks = part.map((frame) => utf8.encode(joinFrames([frame])));
        expect(told(tapPieces(sample, false, chunks).tap)).toEqual(told(tap));
        if (!tap.complete) {
          expect(throwsKind(() => fold(events, dialect.name))).toBe('upstream_invalid');
        } else if (whole !== undefined) {
          // From the finish on nothing of the answer is missing but perhaps its usage.
          const { choices } = numberCalls(fold(events, dialect.name));
          const rest = numberCalls(whole).choices;
          expect(choices.map(({ blocks }) => blocks)).toEqual(rest.map(({ blocks }) => blocks));
        }
      }
    });

    test(`is whole at its own end, or says why not: ${name}`, () => {
      const last = readText(dialect, content, quirks).at(-1)?.type;
      expect(['end', 'error']).toContain(String(last));
    });
  }
});

/** How many events are left: every number for fixtures; of long recordings, the first and the last ones. */
function cutsOf(length: number, fixture: boolean): number[] {
  const every = Array.from({ length }, (_, i) => i);
  return fixture || length <= 60 ? every : [...every.slice(0, 20), ...every.slice(-30)];
}
