import { describe, expect, test } from 'bun:test';
import { crc32 } from 'node:zlib';
import { EventStreamCodec, Int64, type MessageHeaders } from '@smithy/eventstream-codec';
import { EventStreamReader, encodeEvent } from '../../src/wire/event-stream.ts';
import { frameReader } from '../../src/wire/framing.ts';
import { loadRecordings } from '../recordings.ts';

type Named = [name: string, payload: string];

const utf8 = new TextEncoder();
const codec = new EventStreamCodec(
  (bytes) => new TextDecoder().decode(bytes as Uint8Array),
  (text) => utf8.encode(text),
);

function read(...chunks: Uint8Array[]): Named[] {
  const frames: Named[] = [];
  const reader = new EventStreamReader((name, payload) => frames.push([name, payload]));
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return frames;
}

const event = (type: string, payload: string): Uint8Array =>
  encodeEvent(
    { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' },
    payload,
  );

const stream = Buffer.concat([
  event('messageStart', '{"role":"assistant"}'),
  event('contentBlockDelta', '{"delta":{"text":"你好🌍"}}'),
  event('empty', ''),
  encodeEvent(
    { ':message-type': 'exception', ':exception-type': 'throttlingException' },
    '{"message":"slow"}',
  ),
]);
const frames: Named[] = [
  ['messageStart', '{"role":"assistant"}'],
  ['contentBlockDelta', '{"delta":{"text":"你好🌍"}}'],
  ['empty', ''],
  ['exception:throttlingException', '{"message":"slow"}'],
];

/** `frame` with some bytes replaced and its checksums made right again: what a liar would send. */
function forged(frame: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = Buffer.from(frame);
  copy.set(bytes, at);
  copy.writeUInt32BE(crc32(copy.subarray(0, 8)), 8);
  copy.writeUInt32BE(crc32(copy.subarray(0, -4)), copy.length - 4);
  return copy;
}

describe('reading a binary event stream', () => {
  test('names events, exceptions and errors by their kind', () => {
    expect(read(stream)).toEqual(frames);
    const error = {
      ':message-type': 'error',
      ':error-code': 'InternalError',
      ':error-message': 'It "broke"',
    };
    expect(read(encodeEvent(error, ''))).toEqual([
      ['error:InternalError', JSON.stringify({ message: 'It "broke"' })],
    ]);
  });

  test('reads the same wherever the bytes are cut', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      expect(read(stream.subarray(0, cut), stream.subarray(cut))).toEqual(frames);
    }
  });

  test('reads the same byte by byte', () => {
    expect(read(...[...stream].map((byte) => Uint8Array.of(byte)))).toEqual(frames);
  });

  test('emits nothing of a frame whose end is missing', () => {
    const [first] = frames;
    const frame = event(...first!);
    for (let end = 0; end < frame.length; end++) {
      expect(read(frame, frame.subarray(0, end))).toEqual([first!]);
    }
  });

  test('refuses damage, wherever it is', () => {
    const frame = event('contentBlockDelta', '{"delta":{"text":"Hello"}}');
    for (let at = 0; at < frame.length; at++) {
      const damaged = Buffer.from(frame);
      damaged[at]! ^= 0x10;
      expect(() => read(damaged)).toThrow(/checksum/);
    }
  });

  test('refuses lengths that cannot be, though their checksums are right', () => {
    const frame = event('messageStop', '{}');
    const long = 16 * 1024 * 1024 + 1;
    expect(() => read(forged(frame, 0, 0, 0, 0, 15))).toThrow(/15 bytes .* impossible/);
    expect(() => read(forged(frame, 0, long >>> 24, long >>> 16, long >>> 8, long))).toThrow(/impossible/);
    expect(() => read(forged(frame, 4, 0, 0, 0, frame.length - 15))).toThrow(/impossible/);
    expect(() => read(forged(frame, 4, 0xff, 0xff, 0xff, 0xff))).toThrow(/impossible/);
  });

  test('refuses headers that run over or are of no known type', () => {
    const frame = encodeEvent({ a: 'b' }, '{}');
    expect(() => read(forged(frame, 12, 200))).toThrow(/longer/);
    expect(() => read(forged(frame, 14, 10))).toThrow(/unknown type 10/);
    expect(() => read(forged(frame, 15, 0, 2))).toThrow(/longer/);
  });

  test('takes the largest frame there may be', () => {
    const most = 16 * 1024 * 1024;
    const text = 'x'.repeat(most - event('big', '').length);
    const frame = event('big', text);
    expect(frame.length).toBe(most);
    expect(read(frame.subarray(0, 1000), frame.subarray(1000))[0]?.[1] === text).toBeTrue();
  });
});

describe('the official codec', () => {
  test('reads what is encoded here', () => {
    const headers = { ':event-type': 'chunk', ':message-type': 'event', name: 'Grüße 🌍' };
    const message = codec.decode(encodeEvent(headers, '{"t":"你好"}'));
    expect(new TextDecoder().decode(message.body)).toBe('{"t":"你好"}');
    const texts = Object.entries(message.headers).map(([name, { type, value }]) => [name, type, value]);
    expect(texts).toEqual(Object.entries(headers).map(([name, value]) => [name, 'string', value]));
  });

  test('encodes what is read here, headers of every type among it', () => {
    const others: MessageHeaders = {
      yes: { type: 'boolean', value: true },
      no: { type: 'boolean', value: false },
      byte: { type: 'byte', value: -1 },
      short: { type: 'short', value: 1000 },
      integer: { type: 'integer', value: 100_000 },
      long: { type: 'long', value: Int64.fromNumber(1e12) },
      binary: { type: 'binary', value: utf8.encode(':event-type') },
      time: { type: 'timestamp', value: new Date(0) },
      uuid: { type: 'uuid', value: '00000000-0000-4000-8000-000000000000' },
    };
    const body = utf8.encode('{"t":"你好"}');
    const name: MessageHeaders = { ':event-type': { type: 'string', value: 'metadata' } };
    for (const [each, header] of Object.entries(others)) {
      expect(read(codec.encode({ headers: { [each]: header, ...name }, body }))).toEqual([
        ['metadata', '{"t":"你好"}'],
      ]);
    }
    expect(read(codec.encode({ headers: { ...others, ...name }, body }))).toEqual([
      ['metadata', '{"t":"你好"}'],
    ]);
  });
});

describe('a stream of wrapped chunks', () => {
  const chunk = (inner: string): Uint8Array =>
    event('chunk', JSON.stringify({ bytes: Buffer.from(inner).toString('base64'), p: 'abc' }));

  function unwrap(...chunks: Uint8Array[]): Named[] {
    const seen: Named[] = [];
    const reader = frameReader('aws-chunks', (name, text) => seen.push([name, text]));
    for (const each of chunks) reader.push(each);
    reader.end();
    return seen;
  }

  test('is what is inside, named by its type', () => {
    const inner = '{"delta":{"text":"你好"},"type":"content_block_delta"}';
    expect(unwrap(chunk(inner), chunk('{}'))).toEqual([
      ['content_block_delta', inner],
      ['', '{}'],
    ]);
  });

  test('passes exceptions on', () => {
    const exception = encodeEvent(
      { ':message-type': 'exception', ':exception-type': 'x' },
      '{"message":"m"}',
    );
    expect(unwrap(chunk('{"type":"a"}'), exception)).toEqual([
      ['a', '{"type":"a"}'],
      ['exception:x', '{"message":"m"}'],
    ]);
  });

  test('refuses what is no JSON', () => {
    expect(() => unwrap(chunk('{"type":'))).toThrow(SyntaxError);
    expect(() => unwrap(event('chunk', '{}'))).toThrow(SyntaxError);
  });
});

describe('recorded streams', () => {
  for (const { file, response } of loadRecordings(({ streaming }) => streaming)) {
    const { eventstream_base64: base64, events } = response;
    if (base64 === undefined || events === undefined) continue;
    test(`hold their events: ${file}`, () => {
      const seen = read(Buffer.from(base64, 'base64')).map(([name, payload]) => [name, JSON.parse(payload)]);
      const told = events.map(({ headers, payload }) => {
        const exception = headers[':exception-type'];
        return [exception === undefined ? headers[':event-type'] : `exception:${exception}`, payload];
      });
      expect(seen).toEqual(told);
    });
  }
});
