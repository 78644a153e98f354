/** How many calls ended within the last half minute, and how many of them badly: a ring of short slots. */

const windowMs = 30_000;

const slots = 6;
const slotMs = windowMs / slots;

export class Window {
  private readonly good = new Array<number>(slots).fill(0);
  private readonly bad = new Array<number>(slots).fill(0);
  /** The slot that is filled now, counted since 1970. */
  private slot = 0;

  add(failed: boolean, nowMs: number): void {
    this.advance(nowMs);
    (failed ? this.bad : this.good)[this.slot % slots]!++;
  }

  count(nowMs: number): { calls: number; failed: number } {
    this.advance(nowMs);
    let calls = 0;
    let failed = 0;
    for (let i = 0; i < slots; i++) {
      calls += this.good[i]! + this.bad[i]!;
      failed += this.bad[i]!;
    }
    return { calls, failed };
  }

  clear(): void {
    this.good.fill(0);
    this.bad.fill(0);
  }

  /** Empties the slots that have grown too old. A clock that is set back changes nothing. */
  private advance(nowMs: number): void {
    const slot = Math.floor(nowMs / slotMs);
    const passed = Math.min(slot - this.slot, slots);
    for (let i = 0; i < passed; i++) {
      this.good[(slot - i) % slots] = 0;
      this.bad[(slot - i) % slots] = 0;
    }
    if (passed > 0) this.slot = slot;
  }
}
