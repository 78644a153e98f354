/** What one call holds of every limit on its path, from before it is sent until it is settled. */
import type { Limit, Window } from '../config/snapshot.ts';
import type { NanoUsd } from '../core/money.ts';

/** What a call needs of its limits, beside being one request that runs. */
export interface Amounts {
  tokens: number;
  /** What it is charged. */
  nanoUsd: NanoUsd;
  /** What it costs, where that is something else. */
  costNanoUsd?: NanoUsd;
}

/** `mirror`: the shadows of a model. */
export type Owner = 'key' | 'team' | 'organisation' | 'mirror';

/** One limit on a call's path, bound to what it counts in. */
export interface BoundLimit {
  readonly owner: Owner;
  readonly ownerName: string;
  readonly limit: Limit;
  /** Name of the counter; limits that change their `max` keep it. */
  readonly counter: string;
  /** The counter's running window, looked up again when it has ended. */
  tally: Tally;
}

/** What was used and is reserved of one counter in one window. Leases hold on to the tally they were taken from. */
export interface Tally {
  /** From this moment on another tally counts: the window's end. Infinity where there is no window. */
  readonly endsAtMs: number;
  readonly used: number;
  readonly reserved: number;
  /** Reserves `amount`, unless used and reserved would then be more than `max`. */
  take(amount: number, max: number): boolean;
  /** Gives back `reserved`, of which `used` was really used. */
  settle(reserved: number, used: number): void;
}

/** Where tallies live: in memory here, shared between nodes elsewhere. */
export interface Counters {
  /** The tally in which a call at `nowMs` counts. `nowMs` never goes backwards. */
  open(counter: string, per: Window | undefined, nowMs: number): Tally;
  /** Adds what was used before this process began, in the windows that run at `nowMs`. To be called once. */
  restore(spent: Iterable<Spent>, nowMs: number): void;
}

export interface Spent {
  owner: Owner;
  /** Name of the key, team or organisation. */
  id: string;
  unit: Limit['unit'];
  per: Window | undefined;
  /** Requests, tokens or nano-dollars. */
  amount: number;
}

/** Limits of the same owner, unit and window share a counter. */
export function counterName(owner: Owner, id: string, unit: Limit['unit'], per: Window | undefined): string {
  return `${owner}:${id}/${unit}/${per ?? 'now'}`;
}

/** What of `unit` a call takes while it runs. */
export function amountOf(unit: Limit['unit'], tokens: number, nanoUsd: NanoUsd): number {
  if (unit === 'tokens') return tokens;
  if (unit === 'usd') return nanoUsd;
  return 1;
}

/** A limit that does not bear what is asked of it. */
export interface Exceeded {
  bound: BoundLimit;
  /** Where it was to be reserved. */
  tally: Tally;
  /** What the call needs, in the limit's unit, and what of it is reserved already. */
  amount: number;
  held: number;
}

/** A reservation with every limit of a call. To be settled or cancelled exactly once; more often does nothing. */
export class Lease {
  private open = true;

  /** `tallies[i]` holds the reservation for `limits[i]`. */
  constructor(
    private readonly limits: readonly BoundLimit[],
    private readonly tallies: readonly Tally[],
    private tokens: number,
    private nanoUsd: NanoUsd,
  ) {}

  /**
   * Raises the reservation to these totals while a call runs; what is already reserved stays.
   * @returns false when a limit would be exceeded (then nothing changes) or the lease has ended.
   */
  topUp(totals: Amounts): boolean {
    return this.open && this.raise(totals) === undefined;
  }

  /** The same. @returns the limit that would be exceeded; of a lease that has ended there is none. */
  raise(totals: Amounts): Exceeded | undefined {
    if (!this.open) return undefined;
    const tokens = Math.max(this.tokens, totals.tokens);
    const nanoUsd = Math.max(this.nanoUsd, totals.nanoUsd);
    for (let i = 0; i < this.limits.length; i++) {
      const bound = this.limits[i]!;
      const tally = this.tallies[i]!;
      const amount = amountOf(bound.limit.unit, tokens, nanoUsd);
      const held = this.held(bound.limit.unit);
      // A limit this asks no more of has nothing to say, even when it is overdrawn.
      if (amount === held || tally.take(amount - held, bound.limit.max)) continue;
      while (--i >= 0) {
        const { unit } = this.limits[i]!.limit;
        this.tallies[i]!.settle(amountOf(unit, tokens, nanoUsd) - this.held(unit), 0);
      }
      return { bound, tally, amount, held };
    }
    this.tokens = tokens;
    this.nanoUsd = nanoUsd;
    return undefined;
  }

  /** Gives the reservation back and books the truth, in the windows in which the reservation was taken. */
  settle(used: Amounts): void {
    this.end(whole(used.tokens), whole(used.nanoUsd), 1);
  }

  /** Gives all back: the call never reached a provider. */
  cancel(): void {
    this.end(0, 0, 0);
  }

  private end(tokens: number, nanoUsd: NanoUsd, requests: number): void {
    if (!this.open) return;
    this.open = false;
    for (let i = 0; i < this.limits.length; i++) {
      const { unit } = this.limits[i]!.limit;
      const used = unit === 'tokens' ? tokens : unit === 'usd' ? nanoUsd : unit === 'requests' ? requests : 0;
      this.tallies[i]!.settle(this.held(unit), used);
    }
  }

  private held(unit: Limit['unit']): number {
    return amountOf(unit, this.tokens, this.nanoUsd);
  }
}

/** What cannot be booked books nothing. */
function whole(amount: number): number {
  return amount > 0 && Number.isFinite(amount) ? Math.floor(amount) : 0;
}
