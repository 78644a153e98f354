/** How long audio is, as far as its first bytes tell. */
import { latin1At } from './bytes.ts';

export interface AudioLength {
  ms: number;
  /** False: guessed from the size and a bit rate. */
  exact: boolean;
}

/** Bit rates of speech as it is usually sent, in kbit/s, by what files begin with at an offset. */
const usual: readonly [offset: number, magic: string, kbps: number][] = [
  [0, 'fLaC', 500],
  [0, 'OggS', 32],
  [0, '\x1a\x45\xdf\xa3', 32],
  [4, 'ftyp', 64],
];
const otherKbps = 64;

export function audioLength(bytes: Uint8Array): AudioLength {
  if (latin1At(bytes, 0, 4) === 'RIFF' && latin1At(bytes, 8, 4) === 'WAVE') {
    const ms = waveMs(bytes);
    if (ms !== undefined) return { ms, exact: true };
  }
  const known = usual.find(([offset, magic]) => latin1At(bytes, offset, magic.length) === magic);
  return { ms: Math.ceil((bytes.length * 8) / (known?.[2] ?? mp3Kbps(bytes) ?? otherKbps)), exact: false };
}

/** http://soundfile.sapp.org/doc/WaveFormat/ */
function waveMs(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let bytesPerSecond = 0;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = latin1At(bytes, at, 4);
    const size = view.getUint32(at + 4, true);
    if (name === 'fmt ' && at + 20 <= bytes.length) bytesPerSecond = view.getUint32(at + 16, true);
    if (name === 'data') {
      // Whoever writes while recording does not know the size yet.
      const there = Math.min(size, bytes.length - at - 8);
      return bytesPerSecond > 0 ? Math.round((there * 1000) / bytesPerSecond) : undefined;
    }
    at += 8 + size + (size % 2);
  }
  return undefined;
}

/** Of layer III, by index, for MPEG 1 and for what came after. http://www.mp3-tech.org/programmer/frame_header.html */
const mpeg1Kbps = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const mpeg2Kbps = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/** The bit rate of the first frame. */
function mp3Kbps(bytes: Uint8Array): number | undefined {
  let at = 0;
  if (latin1At(bytes, 0, 3) === 'ID3' && bytes.length > 10) {
    at = 10 + bytes.subarray(6, 10).reduce((size, byte) => size * 128 + (byte & 0x7f), 0);
  }
  const second = bytes[at + 1] ?? 0;
  if (bytes[at] !== 0xff || (second & 0xe6) !== 0xe2) return undefined;
  const table = (second & 0x18) === 0x18 ? mpeg1Kbps : mpeg2Kbps;
  return table[(bytes[at + 2] ?? 0) >> 4] || undefined;
}
