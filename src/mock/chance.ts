/** Ids and chance, repeatable where a seed is given. */

/** Ids no other mock of this process makes, or always the same ones where a seed is given. */
export function idMaker(seed: number | undefined): (prefix: string) => string {
  const stem = seed === undefined ? crypto.randomUUID().slice(-12) : seed.toString(36).padStart(12, '0');
  let made = 0;
  return (prefix) => `${prefix}mock${stem}${(++made).toString(36).padStart(8, '0')}`;
}

/** Mulberry32: a small repeatable generator of numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
