/** What one call holds of every limit on its path, from before it is sent until it is settled. */
import type { Limit } from '../config/snapshot.ts';
import type { Window } from '../config/window.ts';
import type { NanoUsd } from '../core/money.ts';

/** What a call needs of its limits, beside being one request that runs. */
export interface Amounts {
  tokens: number;
  /** What it is charged. */
  nanoUsd: NanoUsd;
  /** What it costs, where that is something else. */
  costNanoUsd?: NanoUsd;
  /** What it will probably need, where far more is held: this much is charged if nobody ever hears what it came to. */
  likely?: Amounts;
}

/** `end_user`: one of a key, team or organisation. `mirror`: the shadows of a model. */
export type Owner = 'key' | 'team' | 'organisation' | 'end_user' | 'mirror';

export type Watch = (tally: Tally, nowMs: number, refused?: boolean) => void;

/** One limit on a call's path, bound to what it counts in. */
export interface BoundLimit {
  readonly owner: Owner;
  readonly ownerName: string;
  readonly limit: Limit;
  /** Name of the counter; limits that change their `max` keep it. */
  readonly counter: string;
  /** Looks whether somebody has to be told of what is used by now, or that a call was refused; absent: nobody has. */
  readonly watch?: Watch | undefined;
  /** The counter's running window, looked up again when it has ended. */
  tally: Tally;
}

/**
 * What was used and is reserved of one counter in one window. Leases hold on to the tally they were taken from. All
 * times are those of the limiter's clock, and never go backwards.
 */
export interface Tally {
  /**
   * From this moment on another tally counts: the window's end. Infinity where the window does not end, as a sliding
   * one, a lifetime, or none; -Infinity once such a tally was empty and is forgotten.
   */
  readonly endsAtMs: number;
  readonly reserved: number;
  /** What counts at `nowMs`: of a sliding window, what was used since it began. */
  used(nowMs: number): number;
  /** Reserves `amount`, unless used and reserved would then be more than `max`. */
  take(amount: number, max: number, nowMs: number): boolean;
  /** Gives back `reserved`, of which `used` was really used. */
  settle(reserved: number, used: number, nowMs: number): void;
  /**
   * When time alone will have freed `amount`, if nothing that runs now gives anything back; Infinity: never.
   */
  retryAtMs(amount: number, max: number, nowMs: number): number;
  /** Only where several nodes share the counter: looks whenever this node hears what all have used. */
  follow?(watch: Watch | undefined): void;
  /** What several nodes share it through is away, and this node's part of it is used up. */
  readonly isCutOff?: boolean;
  /**
   * Only where several nodes share the counter, and `take` has refused: asks what they share for a larger part.
   * @returns whether taking is worth another try; false: the limit is used up, wherever. Never rejects.
   */
  more?(amount: number, max: number, nowMs: number): Promise<boolean>;
}

/** Where tallies live: in memory here, shared between nodes elsewhere. */
export interface Counters {
  /** The tally in which a call at `nowMs` counts. */
  open(counter: string, window: Window | undefined, nowMs: number): Tally;
  /** Adds what was used before this process began, in the windows that run at `nowMs`. To be called once. */
  restore(spent: Iterable<Spent>, nowMs: number): void;
  /** The clock was far ahead and is set back to `nowMs`: windows that lie in its future run now, with what they hold. */
  setBack(nowMs: number): void;
}

export interface Spent {
  owner: Owner;
  /** Name of the key, team or organisation. */
  id: string;
  unit: Limit['unit'];
  window: Window | undefined;
  /** Requests, tokens or nano-dollars. */
  amount: number;
  /** When it was used, at the latest; asked by sliding windows. */
  atMs: number;
}

/** Limits of the same owner, unit and window share a counter. */
export function counterName(
  owner: Owner,
  id: string,
  unit: Limit['unit'],
  window: Window | undefined,
): string {
  return `${owner}:${id}/${unit}/${window?.name ?? 'now'}`;
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

  /** Neither settled nor cancelled. */
  get isOpen(): boolean {
    return this.open;
  }

  /** `tallies[i]` holds the reservation for `limits[i]`. */
  constructor(
    private readonly limits: readonly BoundLimit[],
    private readonly tallies: readonly Tally[],
    private tokens: number,
    private nanoUsd: NanoUsd,
  ) {}

  /**
   * Raises the reservation to these totals while a call runs; what is already reserved stays.
   * @param finishing limits that let running answers finish bear it in any case.
   * @param steps what limits were raised by before: it goes on behind them, and what it raises is added. Then they stay
   * so when a limit would be exceeded, for as long as that one is asked for more; `lower` takes them back.
   * @returns the limit that would be exceeded: then nothing changes. Of a lease that has ended there is none.
   */
  raise(totals: Amounts, nowMs: number, finishing = false, steps?: number[]): Exceeded | undefined {
    if (!this.open) return undefined;
    const tokens = Math.max(this.tokens, totals.tokens);
    const nanoUsd = Math.max(this.nanoUsd, totals.nanoUsd);
    for (let i = steps?.length ?? 0; i < this.limits.length; i++) {
      const bound = this.limits[i]!;
      const tally = this.tallies[i]!;
      const amount = amountOf(bound.limit.unit, tokens, nanoUsd);
      const held = this.held(bound.limit.unit);
      steps?.push(amount - held);
      // A limit this asks no more of has nothing to say, even when it is overdrawn.
      if (amount === held || tally.take(amount - held, bound.limit.max, nowMs)) continue;
      if (finishing && bound.limit.whenExhausted === 'finish') {
        tally.settle(held - amount, 0, nowMs);
        continue;
      }
      if (steps !== undefined) {
        steps.pop();
        return { bound, tally, amount, held };
      }
      while (--i >= 0) {
        const { unit } = this.limits[i]!.limit;
        this.tallies[i]!.settle(amountOf(unit, tokens, nanoUsd) - this.held(unit), 0, nowMs);
      }
      return { bound, tally, amount, held };
    }
    this.tokens = tokens;
    this.nanoUsd = nanoUsd;
    return undefined;
  }

  /** Takes back what limits were raised by in an attempt that came to nothing. */
  lower(steps: number[], nowMs: number): void {
    for (const [i, amount] of steps.splice(0).entries()) this.tallies[i]!.settle(amount, 0, nowMs);
  }

  /** How much of tokens and money is reserved. */
  get amounts(): Amounts {
    return { tokens: this.tokens, nanoUsd: this.nanoUsd };
  }

  /** Gives the reservation back and books the truth, in the windows in which the reservation was taken. */
  settle(used: Amounts, nowMs: number): void {
    this.end(whole(used.tokens), whole(used.nanoUsd), 1, nowMs);
  }

  /** Gives all back: the call never reached a provider. */
  cancel(nowMs: number): void {
    this.end(0, 0, 0, nowMs);
  }

  private end(tokens: number, nanoUsd: NanoUsd, requests: number, nowMs: number): void {
    if (!this.open) return;
    this.open = false;
    for (let i = 0; i < this.limits.length; i++) {
      const { unit } = this.limits[i]!.limit;
      const used = unit === 'tokens' ? tokens : unit === 'usd' ? nanoUsd : unit === 'requests' ? requests : 0;
      this.tallies[i]!.settle(this.held(unit), used, nowMs);
      this.limits[i]!.watch?.(this.tallies[i]!, nowMs);
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
