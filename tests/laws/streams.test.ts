/** Streams mean the same wherever the network cuts them, and never seem whole when they are not. */
import { describe, expect, test } from 'bun:test';
import { fold } from '../../src/core/fold.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { type Framing, frameReader } from '../../src/wire/framing.ts';
import { cutsOf, cuttings } from './chance.ts';
import {
  type Frame,
  joinFrames,
  numberCalls,
  readFrames,
  readStream,
  splitFrames,
  splitText,
  tryFold,
} from './reading.ts';
import { streams, textsOf } from './samples.ts';
import { throwsKind } from './verdict.ts';

/** Recordings up to this size are cut at every offset, fixtures always. */
const everyOffsetBytes = 8 * 1024;

describe('the events of a stream', () => {
  for (const { name, content, framing, fixture } of streams) {
    test(`do not depend on where its bytes are cut: ${name}`, () => {
      const frames = splitFrames(framing, content);
      expect(frames.length).toBeGreaterThan(0);
      for (const bytes of textsOf(framing, content)) {
        if (fixture || (bytes === content && bytes.length <= everyOffsetBytes))
          expectSameAtEveryOffset(framing, bytes, frames);
        for (const pieces of cuttings(bytes, name, 20)) {
          expect(splitFrames(framing, ...pieces)).toEqual(frames);
        }
      }
    });

    if (framing !== 'sse') continue;
    test(`do not depend on comments, pings and line ends between them: ${name}`, () => {
      const frames = splitFrames(framing, content);
      const text = new TextDecoder().decode(joinFrames(framing, frames));
      const noise = text.replaceAll('\n\n', '\n\n: keep-alive\n\nretry: 3000\n\n:\n\n');
      expect(splitText(noise)).toEqual(frames);
      expect(splitText(noise.replaceAll('\n', '\r'))).toEqual(frames);
      expect(splitText(text.trimEnd())).toEqual(frames);
    });
  }
});

/** Compares event by event as they come: lists of them for every offset would be most of the work. */
function expectSameAtEveryOffset(framing: Framing, bytes: Uint8Array, frames: readonly Frame[]): void {
  for (let cut = 1; cut < bytes.length; cut++) {
    let at = 0;
    let same = true;
    const reader = frameReader(framing, (event, data) => {
      const frame = frames[at++];
      if (frame?.event !== event || frame.data !== data) same = false;
    });
    reader.push(bytes.subarray(0, cut));
    reader.push(bytes.subarray(cut));
    reader.end();
    if (!same || at !== frames.length) expect(`differs when cut at byte ${cut}`).toBe('the same');
  }
}

/** Some hosts go on after a finish, and finish again: only the last one counts. */
function finishes(dialect: Dialect, frames: readonly Frame[]): boolean {
  return readFrames(dialect, frames).some(({ type }) => type === 'finish');
}

const exception: Frame = {
  event: 'exception:throttlingException',
  data: '{"message":"Not now."}',
};

describe('a stream that is cut', () => {
  for (const sample of streams) {
    const { name, dialect, quirks, content, framing, fixture } = sample;
    test(`is an answer only from its finish on: ${name}`, () => {
      const frames = splitFrames(framing, content);
      const whole = tryFold(readFrames(dialect, frames, quirks), dialect.name);
      for (const size of cutsOf(frames.length, fixture)) {
        const events = readFrames(dialect, frames.slice(0, size), quirks);
        const types = events.map(({ type }) => type);
        if (types.includes('error')) continue;
        if (!types.includes('end')) {
          expect(throwsKind(() => fold(events, dialect.name))).toBe('upstream_invalid');
        } else if (whole !== undefined && !finishes(dialect, frames.slice(size))) {
          // From the finish on nothing of the answer is missing but perhaps its usage.
          const { choices } = numberCalls(fold(events, dialect.name));
          const rest = numberCalls(whole).choices;
          expect(choices.map(({ blocks }) => blocks)).toEqual(rest.map(({ blocks }) => blocks));
        }
      }
    });

    if (framing === 'aws-events' || framing === 'aws-chunks') {
      test(`ends in the exception of its host: ${name}`, () => {
        const [frame] = splitFrames(framing, joinFrames(framing, [exception]));
        const frames = splitFrames(framing, content);
        for (const size of cutsOf(frames.length, fixture)) {
          const before = frames.slice(0, size);
          // What has failed already fails no more.
          if (readFrames(dialect, before, quirks).at(-1)?.type === 'error') continue;
          const last = readFrames(dialect, [...before, frame!], quirks).at(-1);
          expect(last?.type === 'error' && last.error.kind).toBe('upstream_rate_limited');
        }
      });
    }

    test(`is whole at its own end, or says why not: ${name}`, () => {
      expect(['end', 'error']).toContain(String(readStream(sample).at(-1)?.type));
    });
  }
});
