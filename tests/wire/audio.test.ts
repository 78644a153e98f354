/** Lengths of audio: a wave file says it, others are guessed. */
import { expect, test } from 'bun:test';
import { audioLength } from '../../src/wire/audio.ts';

/** 16 bit, one channel. */
function wave(ms: number, rate: number, dataSize?: number, before: Buffer = Buffer.alloc(0)): Buffer {
  const data = Buffer.alloc(Math.round((rate * 2 * ms) / 1000));
  const head = Buffer.alloc(36);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  const name = Buffer.from('data\0\0\0\0');
  name.writeUInt32LE(dataSize ?? data.length, 4);
  return Buffer.concat([head, before, name, data]);
}

test('of a wave file are exact', () => {
  expect(audioLength(wave(1234, 16_000))).toEqual({ ms: 1234, exact: true });
  expect(audioLength(wave(60_000, 8000))).toEqual({ ms: 60_000, exact: true });
});

test('of a wave file are exact behind other chunks, and where its size was not known yet', () => {
  const other = Buffer.from('LIST\x05\0\0\0abcde\0');
  expect(audioLength(wave(500, 16_000, undefined, other))).toEqual({ ms: 500, exact: true });
  expect(audioLength(wave(500, 16_000, 0xffffffff))).toEqual({ ms: 500, exact: true });
});

test('of other files are guessed by bit rate', () => {
  const mp3 = Buffer.alloc(16_000);
  mp3.set([0xff, 0xfb, 0x90, 0x00]);
  expect(audioLength(mp3)).toEqual({ ms: 1000, exact: false });
  const tagged = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\0\x0a'), Buffer.alloc(10), mp3]);
  expect(audioLength(tagged)).toEqual({ ms: Math.ceil((16_020 * 8) / 128), exact: false });
  expect(audioLength(Buffer.concat([Buffer.from('OggS'), Buffer.alloc(3996)]))).toEqual({
    ms: 1000,
    exact: false,
  });
  expect(audioLength(Buffer.alloc(8000))).toEqual({ ms: 1000, exact: false });
});

test('of broken files are guessed too', () => {
  for (let size = 0; size < 60; size++) {
    const { ms } = audioLength(wave(100, 8000).subarray(0, size));
    expect(Number.isInteger(ms)).toBe(true);
  }
});
