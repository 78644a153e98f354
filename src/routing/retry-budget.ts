/**
 * How many attempts may be made beyond the first of each call, so that an outage does not multiply its own load. What
 * succeeds costs nothing: only where extra attempts fail too are they held back, to a tenth of the calls.
 */

/** What each call adds: the share of extra attempts under a general outage. */
const perCall = 0.1;
/** With so many it begins, and so many come back within a minute: where calls are few, they can always fail over. */
const floor = 20;
const floorMs = 60_000;
/** Saved up at most; more only for as many as are running, so that all of them can fail over at once. */
const most = 100;

export class RetryBudget {
  /** Attempts that were not made. */
  heldBack = 0;
  private tokens = floor;
  private filledMs = -Infinity;

  /** The first attempt of a call. @param running calls that are running now. */
  call(running: number): void {
    if (this.tokens < Math.max(most, running)) this.tokens += perCall;
  }

  /** Whether another attempt may be made; if it then succeeds, `giveBack`. */
  take(nowMs: number): boolean {
    this.fill(nowMs);
    if (this.tokens < 1) {
      this.heldBack++;
      return false;
    }
    this.tokens--;
    return true;
  }

  /** An extra attempt succeeded, or was not made. */
  giveBack(): void {
    this.tokens++;
  }

  /** Up to the floor, by time. */
  private fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.filledMs);
    this.filledMs = nowMs;
    if (this.tokens < floor) {
      this.tokens = Math.min(floor, this.tokens + (Math.min(passedMs, floorMs) * floor) / floorMs);
    }
  }
}
