import { describe, expect, test } from 'bun:test';
import { SseReader } from '../../src/wire/sse.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function read(...chunks: Uint8Array[]): [string, string][] {
  const events: [string, string][] = [];
  const reader = new SseReader((event, data) => events.push([event, data]));
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return events;
}

const stream =
  ': comment\n\nevent: a\ndata: {"t":"你好🌍"}\n\ndata:no space\nid: 1\nretry: 5\n\n\n' +
  'data: first\ndata: second\n\nevent: ping\n\ndata\ndata: x\r\n\r\ndata: [DONE]\n\n';
const events: [string, string][] = [
  ['a', '{"t":"你好🌍"}'],
  ['', 'no space'],
  ['', 'first\nsecond'],
  ['', 'x'],
  ['', '[DONE]'],
];

describe('reading server-sent events', () => {
  test('takes names, joins data lines, ignores the rest', () => {
    expect(read(bytes(stream))).toEqual(events);
  });

  test.each(['\n', '\r\n', '\r'])(
    'reads the same with line ends %j, wherever the bytes are cut',
    (lineEnd) => {
      const whole = bytes(stream.replaceAll('\r', '').replaceAll('\n', lineEnd));
      for (let cut = 0; cut <= whole.length; cut++) {
        expect(read(whole.subarray(0, cut), whole.subarray(cut))).toEqual(events);
      }
    },
  );

  test('reads the same byte by byte', () => {
    expect(read(...[...bytes(stream)].map((byte) => Uint8Array.of(byte)))).toEqual(events);
  });

  test('emits a last event whose blank line is missing', () => {
    expect(read(bytes('data: a\n\ndata: b'))).toEqual([
      ['', 'a'],
      ['', 'b'],
    ]);
  });

  test('refuses an event that never ends', () => {
    const reader = new SseReader(() => {});
    const chunk = bytes(`data: ${'x'.repeat(4 * 1024 * 1024)}`);
    expect(() => {
      for (let i = 0; i < 20; i++) reader.push(chunk);
    }).toThrow(RangeError);
  });
});
