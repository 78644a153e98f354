/** Counters of one node, in memory: the running window of every counter that is in use. */
import type { Window } from '../config/snapshot.ts';
import { type Counters, counterName, type Tally } from './leases.ts';
import { windowEndMs } from './window.ts';

/** Counters looked at, for each one that is made, whether they can go: more than one, so that memory is bounded. */
const sweptPerNew = 2;

class MemoryTally implements Tally {
  used = 0;
  reserved = 0;

  constructor(public endsAtMs: number) {}

  take(amount: number, max: number): boolean {
    // Written so that an amount that is not a number is refused.
    if (!(this.used + this.reserved + amount <= max)) return false;
    this.reserved += amount;
    return true;
  }

  settle(reserved: number, used: number): void {
    this.reserved -= reserved;
    this.used += used;
  }
}

/** `size` is how many counters are in memory: about twice those whose window is running, at most. */
export function createMemoryCounters(): Counters & { readonly size: number } {
  const tallies = new Map<string, MemoryTally>();
  let sweep = tallies.entries();

  /**
   * Forgets counters whose window has passed, a few at a time. A tally that leases still hold lives on with them.
   * One without a window goes when it is idle, and is marked as ended for those who remember it.
   */
  function dropIdle(nowMs: number): void {
    for (let i = 0; i < sweptPerNew; i++) {
      const step = sweep.next();
      if (step.done) {
        sweep = tallies.entries();
        return;
      }
      const [counter, tally] = step.value;
      if (tally.endsAtMs === Infinity && tally.reserved === 0 && tally.used === 0) tally.endsAtMs = -Infinity;
      if (tally.endsAtMs <= nowMs) tallies.delete(counter);
    }
  }

  function open(counter: string, per: Window | undefined, nowMs: number): MemoryTally {
    let tally = tallies.get(counter);
    if (tally === undefined || tally.endsAtMs <= nowMs) {
      if (tally === undefined) dropIdle(nowMs);
      tally = new MemoryTally(windowEndMs(per, nowMs));
      tallies.set(counter, tally);
    }
    return tally;
  }

  return {
    open,
    restore(spent, nowMs) {
      for (const { owner, id, unit, per, amount } of spent) {
        open(counterName(owner, id, unit, per), per, nowMs).used += amount;
      }
    },
    get size() {
      return tallies.size;
    },
  };
}
