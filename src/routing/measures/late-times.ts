/** How long is late for a target: a histogram in which what is older counts for less. */

/** The tail is made of few calls: it takes longer to learn than a mean, and is forgotten as slowly. */
const halfLifeMs = 5 * 60_000;
/** Each call counts this much more than the one before: about the last thousand calls matter. */
const growth = 1.001;
/** Less than this says nothing of one call in twenty. */
const minCalls = 20;
/** Four buckets for each doubling of the time, 19 % apart, up to half an hour. */
const perDoubling = 4;
const bucketCount = 84;

/**
 * Instead of making the old lighter with each call, the new is made heavier: one addition a call. When weights become
 * too large to be exact, all begin anew at 1.
 */
export class LateTimes {
  private readonly buckets = new Float64Array(bucketCount);
  private total = 0;
  private weight = 1;
  private agedMs = -Infinity;

  add(ms: number, nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.agedMs);
    if (passedMs > 40 * halfLifeMs) this.forget();
    else this.weight *= growth * 2 ** (passedMs / halfLifeMs);
    this.agedMs = Math.max(this.agedMs, nowMs);
    if (this.weight > 1e60) this.rescale();
    this.buckets[bucketOf(ms)]! += this.weight;
    this.total += this.weight;
  }

  /** What 95 of 100 stayed below, rounded up to the next bound; undefined: too few calls of late. */
  late(nowMs: number): number | undefined {
    const passedMs = Math.max(0, nowMs - this.agedMs);
    if (this.total / this.weight < minCalls * 2 ** (passedMs / halfLifeMs)) return undefined;
    let above = this.total * 0.05;
    let at = bucketCount - 1;
    for (; at > 0; at--) {
      above -= this.buckets[at]!;
      if (above < 0) break;
    }
    return 2 ** ((at + 1) / perDoubling);
  }

  private rescale(): void {
    for (let i = 0; i < bucketCount; i++) this.buckets[i]! /= this.weight;
    this.total /= this.weight;
    this.weight = 1;
  }

  private forget(): void {
    this.buckets.fill(0);
    this.total = 0;
    this.weight = 1;
  }
}

function bucketOf(ms: number): number {
  const at = Math.floor(Math.log2(Math.max(1, ms)) * perDoubling);
  return Math.min(at, bucketCount - 1);
}
