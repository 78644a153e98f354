/** What a dialect reads it can say again: requests, whole answers and streams survive read and write of their own dialect. */
import { describe, expect, test } from 'bun:test';
import type { ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import { isClientDialect } from '../../src/dialects/dialect.ts';
import { normalForm } from './normal-form.ts';
import { foldText, readStream, tryFold, writeText } from './reading.ts';
import { pairs, requests, responses, streams } from './samples.ts';
import { throwsKind } from './verdict.ts';

describe('a request', () => {
  for (const { name, dialect, content, refused } of requests) {
    test(`survives being read and written: ${name}`, () => {
      const kind = throwsKind(() => dialect.readRequest(content));
      if (kind !== undefined) {
        expect({ kind, refused }).toEqual({ kind: 'bad_request', refused: true });
        return;
      }
      const read = dialect.readRequest(content);
      const lost: string[] = [];
      const written = dialect.writeRequest(read, {}, lost);
      expect(lost).toEqual([]);
      expect(dialect.readRequest(written)).toEqual(read);
      expect(normalForm(written, dialect)).toEqual(normalForm(content, dialect));
    });
  }
});

describe('a whole answer', () => {
  for (const { name, dialect, quirks, content } of responses) {
    test(`survives being read and written: ${name}`, () => {
      if (throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) {
        // A failure dressed as an answer, which says so.
        expect(JSON.stringify(content)).toContain('"error"');
        return;
      }
      const read = dialect.readResponse(content, quirks);
      if (!isClientDialect(dialect)) {
        expect(sentences(content).filter((each) => !spells(read, each))).toEqual([]);
        return;
      }
      const written = dialect.writeResponse(structuredClone(read));
      expect(named(dialect.readResponse(written, {}), read)).toEqual(read);
      expect(longStrings(content).filter((each) => !spells(written, each))).toEqual([]);
    });
  }
});

describe('a stream', () => {
  for (const sample of streams) {
    const { name, dialect } = sample;
    if (!isClientDialect(dialect)) continue;
    test(`survives being read and written: ${name}`, () => {
      const events = readStream(sample);
      const answer = tryFold(events, dialect.name);
      if (answer === undefined) return;
      const copy = foldText(dialect, writeText(dialect, events));
      // What only its dialect knows about an answer as a whole (a fingerprint of the system) is the relay's to pass on.
      expect({ ...named(copy, answer), extra: undefined }).toEqual({ ...answer, extra: undefined });
    });
  }

  for (const { response, stream } of pairs) {
    const { name, dialect, quirks } = stream;
    test(`folds to the same answer as the whole response: ${name}`, () => {
      const whole = dialect.readResponse(response, quirks);
      const folded = fold(readStream(stream), dialect.name);
      const { id, model, created } = folded;
      expect(folded).toEqual({ ...whole, id, model, created });
    });
  }
});

/** `copy` under the names of `original` where that has none of its own: writers make up what the wire requires. */
function named(copy: ChatResponse, original: ChatResponse): ChatResponse {
  const { id, created } = original;
  return { ...copy, id: id === '' ? '' : copy.id, created: created === undefined ? undefined : copy.created };
}

function spells(value: unknown, text: string): boolean {
  return JSON.stringify(value).includes(JSON.stringify(text).slice(1, -1));
}

/** The strings in `value` that people read. */
function sentences(value: unknown): string[] {
  return longStrings(value).filter((each) => each.includes(' '));
}

/** The strings in `value` that are more than words of the dialect. */
function longStrings(value: unknown): string[] {
  if (typeof value === 'string') return value.length > 16 ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(longStrings) : [];
}
