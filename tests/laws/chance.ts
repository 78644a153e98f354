/** Where streams are cut: by a chance that is the same on every run, and where it is most telling. */

/** Numbers from 0 up to 1, by xorshift32 (https://www.jstatsoft.org/article/view/v008i14), the same for the same seed. */
function randomFrom(seed: string): () => number {
  let state = Number(BigInt(Bun.hash(seed)) & 0xffff_ffffn) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Streams up to this size may arrive byte by byte. */
const everyByteBytes = 64 * 1024;

/** Ways for `bytes` to arrive: one at a time, and `times` in random pieces, the same for the same seed. */
export function cuttings(bytes: Uint8Array, seed: string, times: number): Uint8Array[][] {
  const random = randomFrom(seed);
  const ways = Array.from({ length: times }, () => randomPieces(bytes, random));
  if (bytes.length <= everyByteBytes) ways.push(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)));
  return ways;
}

/** `bytes` cut in up to nine places, empty pieces left out. */
function randomPieces(bytes: Uint8Array, random: () => number): Uint8Array[] {
  const cuts = Array.from({ length: 1 + Math.floor(random() * 9) }, () =>
    Math.floor(random() * bytes.length),
  );
  const ends = [...new Set([...cuts, bytes.length])].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end)).filter(({ length }) => length > 0);
}

/** How many frames are left: every number for fixtures; of long recordings, the first and the last ones. */
export function cutsOf(length: number, fixture: boolean): number[] {
  const every = Array.from({ length }, (_, i) => i);
  return fixture || length <= 60 ? every : [...every.slice(0, 20), ...every.slice(-30)];
}
