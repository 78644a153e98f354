/**
 * How many attempts may be made beyond the first of each call, so that an outage does not multiply its own load. What
 * succeeds costs nothing: only where extra attempts fail too are they held back, to a tenth of the calls. Each model has
 * a budget of its own, so that one which nobody answers takes nothing from others, and all of them together have one.
 */
import { Generations } from './measures/generations.ts';

/** What each call adds: the share of extra attempts under a general outage. */
const perCall = 0.1;
/** With so many a model begins, and so many come back within a minute: where calls are few, they can always fail over. */
const floor = 20;
/** Of all models together. */
const wholeFloor = 100;
const floorMs = 60_000;
/** Saved up at most; more only for as many as are running, so that all of them can fail over at once. */
const most = 100;
/** Models remembered; clients may name any of a provider, so those make room that were not asked for longest. */
const maxModels = 10_000;

class Purse {
  tokens: number;
  private filledMs = -Infinity;

  constructor(private readonly floor: number) {
    this.tokens = floor;
  }

  /** Up to the floor, by time. */
  fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.filledMs);
    this.filledMs = nowMs;
    if (this.tokens < this.floor) {
      this.tokens = Math.min(this.floor, this.tokens + (Math.min(passedMs, floorMs) * this.floor) / floorMs);
    }
  }
}

export class RetryBudget {
  /** Attempts that were not made. */
  heldBack = 0;
  private readonly models = new Generations<Purse>(maxModels);
  private readonly whole = new Purse(wholeFloor);

  /** The first attempt of a call. @param model as the client named it. @param running calls that are running now. */
  call(model: string, running: number): void {
    const { whole } = this;
    const own = this.of(model);
    const bound = Math.max(most, running);
    if (own.tokens < bound) own.tokens += perCall;
    if (whole.tokens < wholeFloor + bound) whole.tokens += perCall;
  }

  /** Whether another attempt may be made; if it then succeeds, `giveBack`. */
  take(model: string, nowMs: number): boolean {
    const { whole } = this;
    const own = this.of(model);
    own.fill(nowMs);
    whole.fill(nowMs);
    // What calls have saved up that went well is there for any model; the floor, for those that have something left.
    if (whole.tokens < 1 || (own.tokens < 1 && whole.tokens < wholeFloor + 1)) {
      this.heldBack++;
      return false;
    }
    whole.tokens--;
    if (own.tokens >= 1) own.tokens--;
    return true;
  }

  /** An extra attempt succeeded, or was not made. */
  giveBack(model: string): void {
    const own = this.of(model);
    this.whole.tokens++;
    if (own.tokens < most) own.tokens++;
  }

  private of(model: string): Purse {
    let purse = this.models.use(model);
    if (purse === undefined) {
      purse = new Purse(floor);
      this.models.set(model, purse);
    }
    return purse;
  }
}
