/** How fast a target was lately, and how often it failed: sums in which what is older counts for less. */

/**
 * Providers speed up and slow down within minutes: after one minute a call counts half, after ten nothing. And after ten
 * further calls it counts little too, so that a busy gateway need not wait a minute to notice.
 */
const halfLifeMs = 60_000;
const forgottenMs = 10 * halfLifeMs;
const maxSamples = 10;
/** Failures are rarer than answers: they are counted over more attempts. */
const maxOutcomes = 30;

/** What came of a call; `refused`: what was asked is to blame. */
export type Result = 'answered' | 'failed' | 'refused';

export class Speed {
  private agedMs = -Infinity;
  private calls = 0;
  private firsts = 0;
  private firstSumMs = 0;
  private writes = 0;
  private tokens = 0;
  private writingMs = 0;
  private outcomes = 0;
  private failures = 0;
  private refusals = 0;

  called(result: Result | undefined, nowMs: number): void {
    this.age(nowMs);
    this.calls++;
    if (result === 'refused') this.refusals++;
    if (result !== 'answered' && result !== 'failed') return;
    if (this.outcomes > maxOutcomes - 1) {
      const kept = (maxOutcomes - 1) / this.outcomes;
      this.outcomes *= kept;
      this.failures *= kept;
    }
    this.outcomes++;
    if (result === 'failed') this.failures++;
  }

  sawFirst(ms: number, nowMs: number): void {
    this.age(nowMs);
    if (this.firsts > maxSamples - 1) {
      const kept = (maxSamples - 1) / this.firsts;
      this.firsts *= kept;
      this.firstSumMs *= kept;
    }
    this.firsts++;
    this.firstSumMs += ms;
  }

  /** After `called`, of the same moment. Sums of both, not a mean of rates: what comes all at once has no rate. */
  wrote(tokens: number, ms: number): void {
    if (this.writes > maxSamples - 1) {
      const kept = (maxSamples - 1) / this.writes;
      this.writes *= kept;
      this.tokens *= kept;
      this.writingMs *= kept;
    }
    this.writes++;
    this.tokens += tokens;
    this.writingMs += ms;
  }

  firstTokenMs(nowMs: number): number | undefined {
    return this.firsts > 0 && this.isFresh(nowMs) ? this.firstSumMs / this.firsts : undefined;
  }

  tokensPerSecond(nowMs: number): number | undefined {
    return this.tokens > 0 && this.isFresh(nowMs)
      ? (this.tokens * 1000) / Math.max(this.writes, this.writingMs)
      : undefined;
  }

  /**
   * Share of attempts that failed, below 1: there might always be one that does not. Of whom no answer is known, what it
   * refused counts too: it is not as good as new.
   */
  failureShare(nowMs: number): number {
    if (!this.isFresh(nowMs)) return 0;
    const refused = this.firsts + this.writes > 0 ? 0 : this.refusals;
    return (this.failures + refused) / (this.outcomes + refused + 1);
  }

  recentCalls(nowMs: number): number {
    return this.isFresh(nowMs) ? this.calls * decay(nowMs - this.agedMs) : 0;
  }

  private isFresh(nowMs: number): boolean {
    return nowMs - this.agedMs < forgottenMs;
  }

  private age(nowMs: number): void {
    const passedMs = nowMs - this.agedMs;
    // Clocks are set back now and then.
    if (passedMs <= 0) return;
    const kept = passedMs < forgottenMs ? decay(passedMs) : 0;
    this.agedMs = nowMs;
    this.calls *= kept;
    this.firsts *= kept;
    this.firstSumMs *= kept;
    this.writes *= kept;
    this.tokens *= kept;
    this.writingMs *= kept;
    this.outcomes *= kept;
    this.failures *= kept;
    this.refusals *= kept;
  }
}

function decay(passedMs: number): number {
  return passedMs <= 0 ? 1 : Math.exp((-Math.LN2 / halfLifeMs) * passedMs);
}
