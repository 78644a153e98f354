/** One node's part of a counter that several nodes share: what it has used and reserved of the most it may. */
import type { Window } from '../../config/window.ts';
import { FixedTally } from '../fixed-tally.ts';
import type { Tally, Watch } from '../leases.ts';
import { SlidingTally } from '../sliding-tally.ts';

/** What a tally needs of those who talk to Redis. */
export interface Asker {
  /** What it may take runs low, or what it has used has changed. @param soon before the next report. */
  changed(tally: SharedTally, soon: boolean): void;
  /** @returns whether taking is worth another try. Never rejects. */
  more(tally: SharedTally, amount: number, max: number): Promise<boolean>;
}

/** How long a slice is to last at the present pace. */
const sliceS = 1;
/** How much of the pace is kept from one report to the next. */
const paceKept = 0.8;
/** How much of the largest that one call took is kept from one call to the next. */
const usualKept = 0.95;
/** A node without calls keeps room for the next for so long: where there is plenty, and where others may miss it. */
const idleMs = { plenty: 120_000, scarce: 30_000 };
/** Plenty is a share of what is left that bears so many calls. */
const plentyOfCalls = 64;
/** After others asked for what is idle here, nothing is kept in stock for so long. */
const thriftMs = 1_000;

/** All `nowMs` are those of the limiter's clock. */
export class SharedTally implements Tally {
  endsAtMs: number;
  /** The most that may be used and reserved here, as Redis knows it: never more than it has granted. */
  claim = 0;
  /** Of the limit the claim was granted under. */
  max = 0;
  /** What the other nodes had used, and used and reserved, when Redis was last asked. */
  othersUsed = 0;
  othersBusy = 0;
  /** What Redis could still grant then, beside the claim. */
  left = 0;
  /** While Redis is lost, and nodes count by themselves: the most that may be used and reserved here, beside the claim. */
  ownCeiling = -Infinity;
  /** Redis is lost, and what was granted is used up. */
  isCutOff = false;
  /** The claim that Redis was asked for last. */
  wanted = 0;
  isDirty = false;
  /** Looks whether somebody has to be told of what all nodes have used by now. */
  watch: Watch | undefined;
  private own: FixedTally | SlidingTally;
  /** Taken per second, lately. */
  private pace = 0;
  private takenSince = 0;
  /** The largest that one call took lately. */
  private usual = 0;
  private lastTakenMs = -Infinity;
  /** What is left bears many calls of each node. */
  private isPlenty = false;
  private thriftyUntilMs = -Infinity;
  private lowAt = 0;
  private saidUsed = 0;
  private saidBusy = 0;

  /**
   * @param key of the counter and its window in Redis, without its epoch.
   * @param offsetMs the windows of the calendar are those of Redis' clock.
   */
  constructor(
    readonly key: string,
    readonly window: Window | undefined,
    private readonly asker: Asker,
    nowMs: number,
    public offsetMs: number,
  ) {
    this.own = this.makeOwn(nowMs);
    this.endsAtMs = this.own.endsAtMs - offsetMs;
  }

  get reserved(): number {
    return this.own.reserved + Math.max(0, this.othersBusy - this.othersUsed);
  }

  used(nowMs: number): number {
    return this.own.used(nowMs) + this.othersUsed;
  }

  /** Used and reserved by this node. */
  busy(nowMs: number): number {
    return this.own.used(nowMs) + this.own.reserved;
  }

  /** Used by this node, since it counts. */
  usedHere(nowMs: number): number {
    return this.own.used(nowMs);
  }

  /** No call that runs here has reserved anything. */
  get holdsNothing(): boolean {
    return this.own.reserved === 0;
  }

  take(amount: number, max: number, nowMs: number): boolean {
    const busy = this.busy(nowMs) + amount;
    // What was granted under a higher limit is not to be taken under a lower one.
    if (max < this.max) this.claim = Math.min(this.claim, busy - amount);
    this.max = max;
    // Written so that an amount that is not a number is refused.
    if (!(busy <= this.claim || (busy <= this.ownCeiling && busy + this.othersBusy <= max))) return false;
    this.own.reserved += amount;
    this.takenSince += amount;
    this.lastTakenMs = nowMs;
    this.usual = Math.max(amount, this.usual * usualKept);
    if (!this.isDirty || this.claim - busy < this.lowAt)
      this.asker.changed(this, this.claim - busy < this.lowAt);
    return true;
  }

  settle(reserved: number, used: number, nowMs: number): void {
    this.own.settle(reserved, used, nowMs);
    if (!this.isDirty) this.asker.changed(this, false);
  }

  retryAtMs(amount: number, max: number, nowMs: number): number {
    if (amount > max) return Infinity;
    if (this.window?.sliding !== true) return this.endsAtMs;
    // What others used leaves at some time within the window: when this node's part does is as good a guess as any.
    return Math.max(nowMs + 1, this.own.retryAtMs(amount, Math.max(amount, max - this.othersUsed), nowMs));
  }

  more(amount: number, max: number): Promise<boolean> {
    return this.asker.more(this, amount, max);
  }

  /** Redis' answer: its claim, and the sums of claims, of used and of busy. */
  granted(claim: number, sum: number, used: number, busy: number): void {
    this.claim = claim;
    this.left = Math.max(0, this.max - sum);
    // What this node said last is in the sums; what it did since is not.
    this.othersUsed = Math.max(0, used - this.saidUsed);
    this.othersBusy = Math.max(0, busy - this.saidBusy);
  }

  /** What Redis is told of this node. */
  say(nowMs: number): { used: number; busy: number } {
    this.saidUsed = this.own.used(nowMs);
    this.saidBusy = this.busy(nowMs);
    return { used: this.saidUsed, busy: this.saidBusy };
  }

  /** What is to be kept in stock beside what is used and reserved. @param nodes that share what is left. */
  stock(nodes: number, nowMs: number): number {
    if (nowMs < this.thriftyUntilMs || this.isCold(nowMs)) return 0;
    const share = this.share(nodes, nowMs);
    this.isPlenty = this.usual * plentyOfCalls <= share;
    // Two may come at once.
    const target = Math.max(this.pace * sliceS, this.isPlenty ? 2 * this.usual : this.usual);
    const stock = target > share ? share : Math.ceil(target);
    return stock < this.usual ? 0 : stock;
  }

  /** What of all that is left this node may keep in stock. */
  share(nodes: number, nowMs: number): number {
    return Math.floor(Math.max(0, this.left + this.claim - this.busy(nowMs)) / (2 * nodes));
  }

  /** The stock is small by now: half of it is left. */
  setLow(stock: number): void {
    this.lowAt = stock / 2;
  }

  /** To be called with each report. @param passedS since the last. */
  measure(passedS: number): void {
    this.pace = paceKept * this.pace + ((1 - paceKept) * this.takenSince) / passedS;
    this.takenSince = 0;
  }

  /** Gives up what is idle here. @returns whether there is news for Redis. */
  giveBack(nowMs: number): boolean {
    this.thriftyUntilMs = nowMs + thriftMs;
    this.lowAt = 0;
    const busy = this.busy(nowMs);
    const isNews = this.isDirty || this.claim > busy;
    this.claim = Math.min(this.claim, busy);
    return isNews;
  }

  /** What was used so far is now counted elsewhere; what is reserved stays here. */
  reset(nowMs: number): void {
    const { reserved, endsAtMs } = this.own;
    this.own = this.makeOwn(endsAtMs === Infinity ? nowMs : Math.min(nowMs, endsAtMs - this.offsetMs - 1));
    this.own.reserved = reserved;
    this.claim = Math.max(0, reserved);
    this.othersUsed = 0;
    this.othersBusy = 0;
    this.left = 0;
  }

  /** What Redis was told of is counted there from now on; what was booked since stays here. */
  leave(nowMs: number): void {
    const since = Math.max(0, this.own.used(nowMs) - this.saidUsed);
    this.reset(nowMs);
    this.own.settle(0, since, nowMs);
    if (since > 0) this.asker.changed(this, false);
    this.saidUsed = 0;
    this.saidBusy = 0;
  }

  setBack(nowMs: number): void {
    this.own.setBack(nowMs + this.shift);
    this.endsAtMs = this.own.endsAtMs - this.offsetMs;
  }

  /** Its window is known to be the same by a clock that was set right. */
  setOffset(offsetMs: number): void {
    this.offsetMs = offsetMs;
    this.endsAtMs = this.own.endsAtMs - offsetMs;
  }

  follow(watch: Watch | undefined): void {
    if (watch !== undefined) this.watch = watch;
  }

  forget(): void {
    this.endsAtMs = -Infinity;
  }

  /** No call has come for a while. */
  isCold(nowMs: number): boolean {
    return nowMs - this.lastTakenMs > (this.isPlenty ? idleMs.plenty : idleMs.scarce);
  }

  /** Nothing of it is to be remembered here. */
  isOver(nowMs: number): boolean {
    if (this.isDirty || this.own.reserved !== 0) return false;
    return this.endsAtMs <= nowMs || (this.busy(nowMs) === 0 && this.claim === 0 && this.isCold(nowMs));
  }

  /** What slides has no calendar: it goes by the node's own clock. */
  private get shift(): number {
    return this.window?.sliding === true ? 0 : this.offsetMs;
  }

  private makeOwn(nowMs: number): FixedTally | SlidingTally {
    return this.window?.sliding === true
      ? new SlidingTally(this.window, nowMs)
      : new FixedTally(this.window, nowMs + this.offsetMs);
  }
}
