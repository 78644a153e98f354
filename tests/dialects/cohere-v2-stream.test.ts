/** What is particular to streamed answers of Cohere. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatEvent } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { cohereV2 } from '../../src/dialects/cohere-v2.ts';
import { sseEvents } from '../recordings.ts';

const folder = join(import.meta.dir, '../../fixtures/cohere-v2');
const load = (name: string): string => readFileSync(join(folder, name, 'stream.sse'), 'utf8');

function read(frames: { event: string; data: string }[]): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = cohereV2.readStream((event) => events.push(event), {});
  for (const { event, data } of frames) reader.push(event, data);
  reader.end();
  return events;
}

const readFixture = (name: string): ChatEvent[] => read(sseEvents(load(name)));
const readValues = (...values: JsonObject[]): ChatEvent[] =>
  read(values.map((value) => ({ event: String(value.type ?? ''), data: JSON.stringify(value) })));

const start = { type: 'message-start', id: 'x', delta: { message: { role: 'assistant' } } };
const text = (words: string, index = 0): JsonObject => ({
  type: 'content-delta',
  index,
  delta: { message: { content: { text: words } } },
});
const callStart = (index: number, name: string, args: unknown): JsonObject =>
  ({
    type: 'tool-call-start',
    index,
    delta: {
      message: { tool_calls: { id: `id${index}`, type: 'function', function: { name, arguments: args } } },
    },
  }) as JsonObject;
const callPiece = (index: number, piece: string): JsonObject => ({
  type: 'tool-call-delta',
  index,
  delta: { message: { tool_calls: { function: { arguments: piece } } } },
});
const end = (reason: string, more: JsonObject = {}): JsonObject => ({
  type: 'message-end',
  delta: { finish_reason: reason, ...more },
});

describe('a stream', () => {
  test('opens a block when there is something in it, and closes it when another begins', () => {
    expect(readFixture('thinking')).toEqual([
      { type: 'start', id: 'c0ffee02', model: '' },
      { type: 'block', choice: 0, block: 0, value: { type: 'reasoning', text: '' } },
      { type: 'delta', choice: 0, block: 0, text: '91 is 7 times 13,' },
      { type: 'delta', choice: 0, block: 0, text: ' so it has divisors of its own.' },
      { type: 'close', choice: 0, block: 0 },
      { type: 'block', choice: 0, block: 1, value: { type: 'text', text: '' } },
      { type: 'delta', choice: 0, block: 1, text: 'No: 91 = ' },
      { type: 'delta', choice: 0, block: 1, text: '7 × 13.' },
      { type: 'close', choice: 0, block: 1 },
      { type: 'finish', choice: 0, stop: 'stop' },
      {
        type: 'usage',
        usage: expect.objectContaining({
          input: 83,
          output: 58,
          reasoning: 33,
          billed: { input: 19, output: 41 },
        }),
      },
      { type: 'end' },
    ]);
  });

  test('calls a tool without arguments with an empty object', () => {
    const deltas = readFixture('tool-no-arguments').filter(({ type }) => type === 'delta');
    expect(deltas).toEqual([{ type: 'delta', choice: 0, block: 0, input: '{}' }]);
  });

  test('keeps calls apart that are open at once', () => {
    const events = readValues(
      start,
      callStart(0, 'a', ''),
      callStart(1, 'b', '{"y"'),
      callPiece(0, '{"x":1}'),
      callPiece(1, ':2}'),
      end('TOOL_CALL'),
    );
    expect(fold(events, 'cohere-v2').choices[0]?.blocks).toMatchObject([
      { id: 'id0', name: 'a', input: '{"x":1}' },
      { id: 'id1', name: 'b', input: '{"y":2}' },
    ]);
  });

  test('takes arguments as an object, and null for none', () => {
    const events = readValues(start, callStart(0, 'a', { x: 1 }), callStart(1, 'b', null), end('TOOL_CALL'));
    expect(fold(events, 'cohere-v2').choices[0]?.blocks).toMatchObject([
      { input: '{"x":1}' },
      { input: '{}' },
    ]);
  });

  test('puts citations on the text they interrupt, also after its end', () => {
    const citation = {
      start: 6,
      end: 11,
      text: 'world',
      sources: [],
      type: 'TEXT_CONTENT',
      content_index: 0,
    };
    const cited = { type: 'citation-start', index: 0, delta: { message: { citations: citation } } };
    const events = readValues(
      start,
      text('Hello world'),
      { type: 'content-end', index: 0 },
      cited,
      end('COMPLETE'),
    );
    expect(fold(events, 'cohere-v2').choices[0]?.blocks).toEqual([
      {
        type: 'text',
        text: 'Hello world',
        citations: [{ start: 6, end: 11, value: citation, dialect: 'cohere-v2' }],
      },
    ]);
  });

  test('begins another text with another part', () => {
    const events = readValues(start, text('a', 0), text('b', 1), end('COMPLETE'));
    expect(fold(events, 'cohere-v2').choices[0]?.blocks).toMatchObject([{ text: 'a' }, { text: 'b' }]);
  });

  test('agrees with itself on whether tools were called', () => {
    const stopOf = (...values: JsonObject[]) =>
      fold(readValues(start, ...values), 'cohere-v2').choices[0]?.stop;
    expect(stopOf(callStart(0, 'a', '{}'), end('COMPLETE'))).toBe('tool_calls');
    expect(stopOf(text('Hello'), end('TOOL_CALL'))).toBe('stop');
    expect(stopOf(text('Hello'), end('SOMETHING_NEW'))).toBe('stop');
    expect(stopOf(text('Hello'), end('STOP_SEQUENCE'))).toBe('stop_sequence');
  });

  test('is an answer without its last word, and ignores what comes after the finish', () => {
    const frames = sseEvents(load('text'));
    expect(read(frames.slice(0, -1))).toEqual(read(frames));
    expect(read([...frames, ...frames])).toEqual(read(frames));
  });

  test('ignores events yet to be invented', () => {
    const frames = sseEvents(load('text'));
    const news = { event: 'debug', data: '{"type":"debug","prompt":"…"}' };
    expect(read(frames.flatMap((frame) => [frame, news]))).toEqual(read(frames));
  });
});

describe('a stream that fails', () => {
  const errorOf = (events: ChatEvent[]) => {
    const last = events.at(-1);
    return last?.type === 'error' ? last.error : undefined;
  };

  test('tells why, at its end', () => {
    const error = errorOf(readFixture('error-in-stream'));
    expect(error).toMatchObject({
      kind: 'upstream_unavailable',
      message: 'the model is temporarily unavailable',
    });
    expect(errorOf(readFixture('error-in-stream-timeout'))?.kind).toBe('upstream_timeout');
    expect(errorOf(readValues(start, text('Hel'), end('ERROR')))?.kind).toBe('upstream_unavailable');
  });

  test.each([
    [{ message: 'too many tokens: shorten it' }, 'context_length'],
    [{ error: { message: 'slow down', code: 429 } }, 'upstream_rate_limited'],
  ])('tells why, in the shape of a refusal: %j', (value, kind) => {
    expect(errorOf(readValues(start, value as JsonObject))?.kind as string).toBe(kind);
  });

  test.each([
    '[DONE]',
    'not JSON',
    '7',
    '{"type":"tool-call-delta","index":3}',
    '{"type":"tool-call-start"}',
  ])('is not understood: %s', (data) => {
    expect(errorOf(read([{ event: '', data }]))?.kind).toBe('upstream_invalid');
  });

  test('by being cut has no end', () => {
    const types = read(sseEvents(load('text')).slice(0, -2)).map(({ type }) => type);
    expect(types).toEqual(['start', 'block', 'delta', 'delta', 'delta', 'delta']);
  });
});
