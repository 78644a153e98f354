/** Counters of one node, in memory: the running window of every counter that is in use. */
import type { Window } from '../config/window.ts';
import { FixedTally } from './fixed-tally.ts';
import { type Counters, counterName, type Owner } from './leases.ts';
import { SlidingTally } from './sliding-tally.ts';

/** Counters looked at, for each one that is made, whether they can go: more than one, so that memory is bounded. */
const sweptPerNew = 2;
/** Clients choose the names of end users: beyond so many counters, those of end users go before their windows end. */
const mostCounters = 200_000;

/** What the names of their counters begin with. */
const endUsers = 'end_user:' satisfies `${Owner}:`;

type MemoryTally = FixedTally | SlidingTally;

/** `size` is how many counters are in memory: about twice those whose window is running, at most. */
export function createMemoryCounters(most = mostCounters): Counters & { readonly size: number } {
  const tallies = new Map<string, MemoryTally>();
  let sweep = tallies.entries();

  /**
   * Forgets counters whose window has passed, a few at a time. A tally that leases still hold lives on with them.
   * One whose window does not end goes when it is empty, and is marked as ended for those who remember it.
   */
  function dropIdle(nowMs: number): void {
    for (let i = 0; i < sweptPerNew; i++) {
      const step = sweep.next();
      if (step.done) {
        sweep = tallies.entries();
        return;
      }
      const [counter, tally] = step.value;
      if (tallies.size >= most && tally.reserved === 0 && counter.startsWith(endUsers)) tally.forget();
      if (tally.endsAtMs === Infinity && tally.reserved === 0 && tally.used(nowMs) === 0) tally.forget();
      if (tally.endsAtMs <= nowMs) tallies.delete(counter);
    }
  }

  function open(counter: string, window: Window | undefined, nowMs: number): MemoryTally {
    let tally = tallies.get(counter);
    if (tally === undefined || tally.endsAtMs <= nowMs) {
      if (tally === undefined) dropIdle(nowMs);
      tally = window?.sliding ? new SlidingTally(window, nowMs) : new FixedTally(window, nowMs);
      tallies.set(counter, tally);
    }
    return tally;
  }

  return {
    open,
    restore(spent, nowMs) {
      for (const { owner, id, unit, window, amount, atMs } of spent)
        open(counterName(owner, id, unit, window), window, nowMs).add(amount, atMs);
    },
    setBack(nowMs) {
      for (const tally of tallies.values()) tally.setBack(nowMs);
    },
    get size() {
      return tallies.size;
    },
  };
}
