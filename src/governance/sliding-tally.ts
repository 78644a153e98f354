/** What was used of the last minute, hour or day, at any moment. */
import type { Window } from '../config/window.ts';
import type { Tally } from './leases.ts';
import { slidingLengthMs } from './window.ts';

/** What was used counts for a sixtieth of the window longer than it has to, at most, and never shorter. */
const parts = 60;

/** A ring of sums: each counts whole until all of it has left the window. */
export class SlidingTally implements Tally {
  reserved = 0;
  endsAtMs = Infinity;
  /** One more than parts: the oldest has left in part only. */
  private readonly sums = new Float64Array(parts + 1);
  private sum = 0;
  /** Number of the part that runs, counted from 1970. */
  private head: number;
  private readonly partMs: number;

  constructor(window: Window, nowMs: number) {
    this.partMs = slidingLengthMs(window) / parts;
    this.head = this.partOf(nowMs);
  }

  used(nowMs: number): number {
    this.moveTo(this.partOf(nowMs));
    return this.sum;
  }

  take(amount: number, max: number, nowMs: number): boolean {
    // Written so that an amount that is not a number is refused.
    if (!(this.used(nowMs) + this.reserved + amount <= max)) return false;
    this.reserved += amount;
    return true;
  }

  settle(reserved: number, used: number, nowMs: number): void {
    this.reserved -= reserved;
    if (used > 0) this.add(used, nowMs);
  }

  retryAtMs(amount: number, max: number, nowMs: number): number {
    if (amount > max) return Infinity;
    let left = this.used(nowMs) + amount - max;
    for (let part = this.head - parts; left > 0; part++) {
      left -= this.sums[slotOf(part)]!;
      if (left <= 0) return (part + parts + 1) * this.partMs;
    }
    // Only what runs is in the way, and leaves when it has been used for as long as all else.
    return nowMs + parts * this.partMs;
  }

  /** Books what was used at `atMs`, also in the past. */
  add(amount: number, atMs: number): void {
    const part = this.partOf(atMs);
    this.moveTo(part);
    if (part < this.head - parts) return;
    this.sums[slotOf(part)]! += amount;
    this.sum += amount;
  }

  forget(): void {
    this.endsAtMs = -Infinity;
  }

  setBack(nowMs: number): void {
    const part = this.partOf(nowMs);
    if (part >= this.head) return;
    // What was used a while ago stays used a while ago.
    const sums = this.sums.slice();
    const back = this.head - part;
    for (let i = 0; i <= parts; i++) this.sums[slotOf(part - i)] = sums[slotOf(part + back - i)]!;
    this.head = part;
  }

  private moveTo(part: number): void {
    if (part <= this.head) return;
    if (part - this.head > parts) {
      this.sums.fill(0);
      this.sum = 0;
      this.head = part;
    }
    while (this.head < part) {
      const slot = slotOf(++this.head);
      this.sum -= this.sums[slot]!;
      this.sums[slot] = 0;
    }
  }

  private partOf(ms: number): number {
    return Math.floor(ms / this.partMs);
  }
}

function slotOf(part: number): number {
  return part % (parts + 1);
}
