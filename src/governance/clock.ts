/** The time by which limits count: it never goes backwards by little, and is not wrong for long. */

/** A clock that is ahead by more was wrong, or is wrong now. */
const maxAheadMs = 3_600_000;

/**
 * Clocks are set. Forwards: time goes on from there. Backwards by little: time goes on from where it was, at half the
 * pace until the clock has caught up, so that no window opens anew, and none lasts much longer. By a lot: it goes back.
 */
export class LimitClock {
  nowMs = -Infinity;
  private ahead = false;
  private steadyAtMs = 0;

  /**
   * @param setBack is told that time went back.
   * @param steadyMs a clock that nobody sets.
   */
  constructor(
    private readonly setBack: (nowMs: number) => void,
    private readonly steadyMs: () => number = () => performance.now(),
  ) {}

  /** @param wallMs milliseconds since 1970, by the clock that people set. */
  tell(wallMs: number): number {
    if (wallMs < this.nowMs) return this.slowDown(wallMs);
    this.ahead = false;
    this.nowMs = wallMs;
    return wallMs;
  }

  private slowDown(wallMs: number): number {
    const steadyMs = this.steadyMs();
    if (!this.ahead) this.steadyAtMs = steadyMs;
    this.ahead = true;
    const passedMs = Math.max(0, Math.floor((steadyMs - this.steadyAtMs) / 2));
    this.steadyAtMs += 2 * passedMs;
    this.nowMs += passedMs;
    if (this.nowMs - wallMs > maxAheadMs) {
      this.nowMs = wallMs;
      this.setBack(wallMs);
    }
    return this.nowMs;
  }
}
