import { describe, expect, test } from 'bun:test';
import { NdjsonReader } from '../../src/wire/ndjson.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function read(...chunks: Uint8Array[]): string[] {
  const lines: string[] = [];
  const reader = new NdjsonReader((name, line) => lines.push(name + line));
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return lines;
}

const stream = '{"t":"你好🌍"}\n\n{"done":true}\n \n[1,\u2028 2]\n"last"\n';
const lines = ['{"t":"你好🌍"}', '{"done":true}', '[1,\u2028 2]', '"last"'];

describe('reading newline-delimited JSON', () => {
  test.each(['\n', '\r\n'])('takes lines that end in %j, wherever the bytes are cut', (lineEnd) => {
    const whole = bytes(stream.replaceAll('\n', lineEnd));
    for (let cut = 0; cut <= whole.length; cut++) {
      expect(read(whole.subarray(0, cut), whole.subarray(cut))).toEqual(lines);
    }
  });

  test('reads the same byte by byte', () => {
    expect(read(...[...bytes(stream)].map((byte) => Uint8Array.of(byte)))).toEqual(lines);
  });

  test('emits a last line whose end is missing, once', () => {
    expect(read(bytes('1\n2'))).toEqual(['1', '2']);
    expect(read(bytes('1\n2\n'))).toEqual(['1', '2']);
    expect(read()).toEqual([]);
  });

  test('emits a line as soon as its end is there', () => {
    const seen: string[] = [];
    const reader = new NdjsonReader((_, line) => seen.push(line));
    reader.push(bytes('{"a":'));
    expect(seen).toEqual([]);
    reader.push(bytes('1}\n{'));
    expect(seen).toEqual(['{"a":1}']);
  });

  test('refuses a line that never ends, however much ended before it', () => {
    const reader = new NdjsonReader(() => {});
    const mebibyte = 1024 * 1024;
    const line = bytes(`${'x'.repeat(mebibyte - 1)}\n`);
    for (let i = 0; i < 40; i++) reader.push(line);
    const endless = line.subarray(0, -1);
    expect(() => {
      for (let i = 0; i < 40; i++) reader.push(endless);
    }).toThrow(RangeError);
  });

  test('takes time in proportion to a long line, not to its square', () => {
    const piece = bytes('x'.repeat(16));
    let length = 0;
    const reader = new NdjsonReader((_, line) => {
      length = line.length;
    });
    for (let i = 0; i < 200_000; i++) reader.push(piece);
    reader.end();
    expect(length).toBe(200_000 * 16);
  });
});
