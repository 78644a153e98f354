import { describe, expect, test } from 'bun:test';
import { StreamTap } from '../../src/wire/tap.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const stream = 'data: {"a":"你"}\n\ndata: {"b":1}\n\ndata: {"usage":{"n":3}}\n\ndata: [DONE]\n\n';

function pass(chunks: Uint8Array[], mayHide: boolean, attentive: boolean) {
  const seen: string[] = [];
  const tap = new StreamTap(['"usage"', '[DONE]'], (_event, data) => {
    seen.push(data);
    return !(mayHide && data.includes('"usage"'));
  });
  tap.attentive = attentive;
  const out: Uint8Array[] = [];
  for (const chunk of chunks) {
    const part = tap.push(chunk);
    if (part !== undefined) out.push(part);
  }
  const rest = tap.end();
  if (rest !== undefined) out.push(rest);
  return { seen, out: new TextDecoder().decode(Buffer.concat(out)), tap };
}

const cuts = Array.from({ length: bytes(stream).length + 1 }, (_, cut) => {
  const whole = bytes(stream);
  return [whole.subarray(0, cut), whole.subarray(cut)];
});

describe('watching a stream that passes', () => {
  test('passes every byte, and shows what has a marker, wherever the bytes are cut', () => {
    for (const chunks of cuts) {
      const { seen, out } = pass(chunks, false, false);
      expect(out).toBe(stream);
      expect(seen).toContain('{"usage":{"n":3}}');
      expect(seen).toContain('[DONE]');
    }
  });

  test('holds back just the event that is to be hidden, wherever the bytes are cut', () => {
    for (const chunks of cuts) {
      expect(pass(chunks, true, false).out).toBe(stream.replace('data: {"usage":{"n":3}}\n\n', ''));
    }
  });

  test('shows every event while attentive, each once', () => {
    for (const chunks of cuts) {
      expect(pass(chunks, false, true).seen).toEqual([
        '{"a":"你"}',
        '{"b":1}',
        '{"usage":{"n":3}}',
        '[DONE]',
      ]);
    }
  });

  test('leaves chunks without a marker unread', () => {
    const { seen } = pass([bytes('data: {"x":1}\n\n'), bytes('data: {"y":2}\n\n')], false, false);
    expect(seen).toEqual([]);
  });

  test('reads the last event also when its blank line is missing', () => {
    const { seen, out } = pass([bytes('data: {"usage":{"n":1}}')], false, false);
    expect(seen).toEqual(['{"usage":{"n":1}}']);
    expect(out).toBe('data: {"usage":{"n":1}}');
  });

  test('keeps what passed, up to a bound', () => {
    const chunk = bytes(`data: ${'x'.repeat(100_000)}\n\n`);
    const { tap } = pass([chunk, chunk, chunk, chunk, chunk], false, false);
    expect(tap.passed().length).toBe(3);
    expect(tap.bytes).toBe(5 * chunk.length);
  });
});
