/**
 * How many values lay where, in buckets that grow by a tenth: small, added up by bucket, and any share of the values is
 * read off it within 5 %. As bytes: for each bucket that is not empty its number and its count, 7 bits a byte.
 */

/** Each bucket ends a tenth above the one before; the first holds what is at most 1. */
const growth = 1.1;
const perLog = 1 / Math.log(growth);
/** The last one ends beyond 2³¹ milliseconds. */
const bucketCount = 256;

export type Histogram = Float64Array;

export function emptyHistogram(): Histogram {
  return new Float64Array(bucketCount);
}

/** @param value of no less than 0. */
export function addValue(histogram: Histogram, value: number): void {
  const bucket = value <= 1 ? 0 : Math.min(bucketCount - 1, Math.ceil(Math.log(value) * perLog));
  histogram[bucket]! += 1;
}

/** Adds what `bytes` say. */
export function addBytes(histogram: Histogram, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const bucket = bytes[at++]!;
    let count = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      count += (byte & 127) * scale;
      if (byte < 128 || at >= bytes.length) break;
    }
    histogram[bucket]! += count;
  }
}

export function toBytes(histogram: Histogram): Buffer {
  const bytes: number[] = [];
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    let count = histogram[bucket]!;
    if (count === 0) continue;
    bytes.push(bucket);
    for (; count >= 128; count = Math.floor(count / 128)) bytes.push((count % 128) + 128);
    bytes.push(count);
  }
  return Buffer.from(bytes);
}

export function countOf(histogram: Histogram): number {
  let count = 0;
  for (const each of histogram) count += each;
  return count;
}

/** The value that the share `q` (0.95) of all lies at or below, in whole numbers; undefined where there is none. */
export function quantile(histogram: Histogram, q: number): number | undefined {
  const count = countOf(histogram);
  if (count === 0) return undefined;
  let below = 0;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    below += histogram[bucket]!;
    if (below >= q * count && histogram[bucket]! > 0) return middleOf(bucket);
  }
  return middleOf(bucketCount - 1);
}

/** As far from the one end as from the other, in proportion. */
function middleOf(bucket: number): number {
  return bucket === 0 ? 1 : Math.round((2 * growth ** bucket) / (growth + 1));
}
