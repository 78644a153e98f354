/** What was used of one window of the calendar, of a lifetime, or of no window at all. */
import type { Window } from '../config/window.ts';
import type { Tally } from './leases.ts';
import { windowEndMs, windowStartMs } from './window.ts';

export class FixedTally implements Tally {
  reserved = 0;
  endsAtMs: number;
  private spent = 0;

  constructor(
    private readonly window: Window | undefined,
    nowMs: number,
  ) {
    this.endsAtMs = windowEndMs(window, nowMs);
  }

  used(): number {
    return this.spent;
  }

  take(amount: number, max: number): boolean {
    // Written so that an amount that is not a number is refused.
    if (!(this.spent + this.reserved + amount <= max)) return false;
    this.reserved += amount;
    return true;
  }

  settle(reserved: number, used: number): void {
    this.reserved -= reserved;
    this.spent += used;
  }

  retryAtMs(amount: number, max: number): number {
    return amount > max ? Infinity : this.endsAtMs;
  }

  add(amount: number, atMs: number): void {
    if (this.window === undefined || atMs >= windowStartMs(this.window, this.endsAtMs - 1))
      this.spent += amount;
  }

  forget(): void {
    this.endsAtMs = -Infinity;
  }

  setBack(nowMs: number): void {
    this.endsAtMs = Math.min(this.endsAtMs, windowEndMs(this.window, nowMs));
  }
}
