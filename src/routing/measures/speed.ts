/** How fast a target was lately, and how often it failed: sums in which what is older counts for less. */

/**
 * Providers speed up and slow down within minutes: after one minute a call counts half, after ten nothing. And after ten
 * further calls it counts little too, so that a busy gateway need not wait a minute to notice.
 */
const halfLifeMs = 60_000;
const forgottenMs = 10 * halfLifeMs;
const maxSamples = 10;
/** So many in a row that are all much longer, or all much shorter, than those before are no chance: the times have changed. */
const changedAfter = 5;
const muchLonger = 1.5;
/** What those before still count for then. */
const keptOfChanged = 0.2;
/** For so many answers after that it is not known how others do by comparison. */
const unsettledFor = 40;
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
  /** How many firsts, and writes, in a row were much longer than those before; negative: shorter. */
  private firstRun = 0;
  private writeRun = 0;
  private firstsSinceChange = Infinity;
  /** What was asked before then says nothing of how it is now, though it may come in later. */
  private changedMs = -Infinity;
  /** When the first of those in a row was asked. */
  private firstRunMs = 0;

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
    const askedMs = nowMs - ms;
    // Clocks are set back now and then.
    if (nowMs < this.changedMs) this.changedMs = -Infinity;
    if (askedMs < this.changedMs) return;
    this.age(nowMs);
    const usualMs = this.firsts > 0 ? this.firstSumMs / this.firsts : ms;
    const run = runOf(this.firstRun, ms, usualMs);
    if (Math.abs(run) === 1) this.firstRunMs = askedMs;
    this.firstRun = run;
    this.firstsSinceChange++;
    const kept = keptOf(this.firsts, run);
    this.firsts = this.firsts * kept + 1;
    this.firstSumMs = this.firstSumMs * kept + ms;
    if (Math.abs(run) === changedAfter) this.changed(this.firstSumMs / this.firsts / usualMs);
  }

  /** Who begins `times` later than before is taken to write as much slower, until that is known. */
  private changed(times: number): void {
    this.firstsSinceChange = 0;
    this.changedMs = this.firstRunMs;
    this.writes *= keptOfChanged;
    this.tokens *= keptOfChanged;
    this.writingMs *= keptOfChanged * times;
  }

  /** After `called`, of the same moment. Sums of both, not a mean of rates: what comes all at once has no rate. */
  wrote(tokens: number, ms: number, askedMs: number): void {
    if (askedMs < this.changedMs) return;
    const usualMs = this.tokens > 0 ? (this.writingMs / this.tokens) * tokens : 0;
    this.writeRun = usualMs > 0 ? runOf(this.writeRun, ms, usualMs) : 0;
    const kept = keptOf(this.writes, this.writeRun);
    this.writes *= kept;
    this.tokens *= kept;
    this.writingMs *= kept;
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

  /** Its times have changed a moment ago. */
  isUnsettled(nowMs: number): boolean {
    return this.firstsSinceChange <= unsettledFor && this.isFresh(nowMs);
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

function runOf(run: number, ms: number, usualMs: number): number {
  if (ms > usualMs * muchLonger) return Math.max(run, 0) + 1;
  return ms * muchLonger < usualMs ? Math.min(run, 0) - 1 : 0;
}

/** Of what was measured before, with one more to come. */
function keptOf(samples: number, run: number): number {
  if (Math.abs(run) === changedAfter) return keptOfChanged;
  return samples > maxSamples - 1 ? (maxSamples - 1) / samples : 1;
}

function decay(passedMs: number): number {
  return passedMs <= 0 ? 1 : Math.exp((-Math.LN2 / halfLifeMs) * passedMs);
}
