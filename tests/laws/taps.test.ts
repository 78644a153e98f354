/** A stream that is passed on tells the tap beside it what its reader would tell, and arrives as it was sent. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/core/chat.ts';
import type { ErrorKind } from '../../src/core/error.ts';
import type { Tap } from '../../src/dialects/dialect.ts';
import { StreamTap } from '../../src/wire/tap.ts';
import { cutsOf, cuttings } from './chance.ts';
import {
  joinFrames,
  numberCalls,
  readFrames,
  readStream,
  splitFrames,
  splitText,
  tryFold,
} from './reading.ts';
import { type RelayedSample, relayed, textsOf } from './samples.ts';

describe('a tap', () => {
  for (const sample of relayed) {
    const { name, dialect, quirks, framing, content, fixture } = sample;
    test(`tells what the reader tells: ${name}`, () => {
      const tap = dialect.tap(quirks, false);
      for (const { event, data } of splitFrames(framing, content)) {
        expect(tap.push(event, data)).toBeTrue();
      }
      expect(told(tap)).toEqual(toldBy(readStream(sample)));
    });

    for (const hide of [false, true]) {
      test(`tells the same while the bytes are passed on${hide ? ', usage held back' : ''}: ${name}`, () => {
        const whole = tapPieces(sample, hide, [content]);
        expect(told(whole.tap)).toEqual(toldBy(readStream(sample)));
        if (!hide) expect(whole.passed).toBe(new TextDecoder().decode(content));
        else expectOnlyUsageHidden(sample, whole.passed);
        for (const text of textsOf(framing, content)) {
          for (const pieces of cuttings(text, name, 10)) {
            const { tap, passed } = tapPieces(sample, hide, pieces);
            expect(told(tap)).toEqual(told(whole.tap));
            expect(passed.replaceAll('\r', '')).toBe(whole.passed.replaceAll('\r', ''));
          }
        }
      });
    }

    test(`knows as well as the reader whether a cut stream is an answer: ${name}`, () => {
      const frames = splitFrames(framing, content);
      for (const size of cutsOf(frames.length, fixture)) {
        const part = frames.slice(0, size);
        const tap = dialect.tap(quirks, false);
        for (const { event, data } of part) tap.push(event, data);
        const { complete, error } = toldBy(readFrames(dialect, part, quirks));
        expect({ size, error: tap.error?.kind }).toEqual({ size, error });
        if (error !== undefined) continue;
        expect({ size, complete: tap.complete }).toEqual({ size, complete });
        const chunks = part.map((frame) => joinFrames(framing, [frame]));
        expect(told(tapPieces(sample, false, chunks).tap)).toEqual(told(tap));
      }
    });
  }
});

/** Relays a stream as the gateway does. */
function tapPieces(
  { dialect, quirks }: RelayedSample,
  hide: boolean,
  pieces: readonly Uint8Array[],
): { tap: Tap; passed: string } {
  const tap = dialect.tap(quirks, hide);
  const stream = new StreamTap(dialect.tapMarkers, (event, data) => {
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
function expectOnlyUsageHidden(sample: RelayedSample, passed: string): void {
  const { dialect, quirks } = sample;
  const whole = tryFold(readStream(sample), dialect.name);
  const less = tryFold(readFrames(dialect, splitText(passed), quirks), dialect.name);
  expect(less === undefined).toBe(whole === undefined);
  if (whole === undefined || less === undefined) return;
  expect({ ...numberCalls(less), usage: undefined }).toEqual({ ...numberCalls(whole), usage: undefined });
}

interface Told {
  usage: unknown;
  complete: boolean;
  error: ErrorKind | undefined;
}

function told({ usage, complete, error }: Tap): Told {
  return { usage, complete: complete && error === undefined, error: error?.kind };
}

function toldBy(events: readonly ChatEvent[]): Told {
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
