/**
 * Counters that several nodes share through a Redis. Each node takes from a slice of every limit that it holds, and asks
 * Redis for more in the background when a slice runs low, so that calls seldom wait. Messages carry many counters, and one
 * is under way at a time.
 */
import type { Window } from '../../config/window.ts';
import type { Counters, Owner, Spent } from '../leases.ts';
import { slidingLengthMs } from '../window.ts';
import { keepOf, keepUntil, keyOf } from './counter-key.ts';
import { Epoch } from './epoch.ts';
import { putFound } from './found-spent.ts';
import { LateLimits } from './late-limits.ts';
import { type NodesRedis, Script } from './nodes-redis.ts';
import { exchangeScript, leaveScript } from './scripts.ts';
import { type Asker, SharedTally } from './shared-tally.ts';

export interface SharedOptions {
  /** While Redis is away and a slice is used up: refuse, or let each node count by itself. */
  whenLost: 'open' | 'closed';
  /** Whether all nodes write into one store: one of them can tell what all have spent. */
  oneStore: boolean;
  /** The last process on this data ended without a goodbye. */
  afterCrash: boolean;
  /** Resolves when all that was settled until now is in the store. */
  flushed(): Promise<void>;
  /** What the store says was used in the windows that run now: of all that it covers, or of these. */
  spent(windows?: Iterable<Window>): Promise<Iterable<Spent>>;
  /** Of the others, each node brings what it has used itself. */
  covers(window: Window): boolean;
  onLost?(lost: boolean): void;
  /** What limits made at run time have to count could not be looked up; it is tried again. */
  onLate?(error: Error): void;
  /** Clients choose the names of end users: beyond so many counters, this node lets go of theirs. */
  mostCounters?: number;
}

export interface SharedCounters extends Counters {
  /** Redis is away, or does not answer. */
  readonly isLost: boolean;
  readonly stats: Readonly<Stats>;
  /** Counters that this node remembers, and those of them that it holds a slice of. */
  readonly numbers: { counters: number; slices: number };
  /** Has limits that were not there before begin with what was spent already. */
  catchUp(fresh: ReadonlyMap<string, Window | undefined>): void;
  /** Tells Redis all it has to know, and says goodbye. */
  close(): Promise<void>;
}

/** Counted since the start. */
interface Stats {
  /** Calls that waited for Redis. */
  waited: number;
  /** Those of them that got nothing: the limit is used up, or Redis was lost meanwhile. */
  refused: number;
  /** Messages to Redis about counters. */
  exchanges: number;
}

const exchange = new Script(exchangeScript);
const leave = new Script(leaveScript);

/** How often what was used is reported, and slices are sized. */
const reportMs = 150;
/** Counters in one message, at most. */
const maxBatch = 200;
const sweepMs = 5_000;
/** What the clock here may drift from that of Redis while a window runs. */
const maxDriftMs = 1_000;
/** So long a call waits for Redis while it is not yet known whether it is there. */
const patienceMs = 2_500;
/** Pauses before asking again, after other nodes were asked to give back what is idle with them. */
const backMs = [10, 30, 80];
/** The same is asked of them no more often. */
const askBackMs = 40;
/** Where no window ends, the part of a node that is silent for so long is dropped; it stops to use its slice before. */
const reapMs = 30_000;
const mostCounters = 50_000;
/** What the names of their counters begin with. */
const endUsers = 'end_user:' satisfies `${Owner}:`;

interface Waiter {
  amount: number;
  sinceMs: number;
  tries: number;
  resolve(worthIt: boolean): void;
}

export function createSharedCounters(redis: NodesRedis, options: SharedOptions): SharedCounters {
  return new RedisCounters(redis, options);
}

class RedisCounters implements SharedCounters, Asker {
  readonly stats: Stats = { waited: 0, refused: 0, exchanges: 0 };
  isLost = false;
  /** Those that calls are counted in now, by counter. */
  private readonly tallies = new Map<string, SharedTally>();
  /** By key in Redis: ended ones too, until Redis knows all of them. */
  private readonly all = new Map<string, SharedTally>();
  private readonly dirty = new Set<SharedTally>();
  /** Those that calls came for of late. */
  private readonly warm = new Set<SharedTally>();
  private readonly waiting = new Map<SharedTally, Waiter[]>();
  private readonly askedBackAt = new Map<string, number>();
  private readonly epoch: Epoch;
  private readonly late: LateLimits;
  private readonly timer: Timer;
  /** What Redis is to count on without this node. */
  private leaving: SharedTally[] = [];
  private seq = 0;
  private exchanging: Promise<void> | undefined;
  private isSoon = false;
  private wasOpen = false;
  private heardAtMs = performance.now();
  private reportedAtMs = performance.now();
  private sweptAtMs = performance.now();
  private limiterMs = 0;

  constructor(
    private readonly redis: NodesRedis,
    private readonly options: SharedOptions,
  ) {
    const nextSeq = () => ++this.seq;
    this.epoch = new Epoch(
      redis,
      {
        hasUsed: () =>
          this.all.size > 0 && [...this.all.values()].some((tally) => tally.busy(this.nowMs()) > 0),
        mark: () => this.mark(),
        flushed: () => options.flushed(),
        found: async (epoch) => putFound(redis, epoch, await options.spent()),
        opened: () => this.opened(),
        failed: () => this.fail(),
      },
      nextSeq,
      options.oneStore,
      options.afterCrash,
    );
    this.late = new LateLimits(redis, {
      openEpoch: () => (this.epoch.isOpen ? this.epoch.id : undefined),
      liveNodes: () => this.epoch.nodes,
      usedHere: (key) => this.all.get(key)?.usedHere(this.nowMs()) ?? 0,
      flushed: () => options.flushed(),
      spent: (windows) => options.spent(windows),
      failed: (error) => options.onLate?.(error),
    });
    redis.hear('give', (text) => this.giveBack(text));
    this.timer = setInterval(() => this.report(), reportMs);
    this.timer.unref();
  }

  open(counter: string, window: Window | undefined, nowMs: number): SharedTally {
    this.limiterMs = nowMs;
    const { offsetMs } = this.redis;
    let tally = this.tallies.get(counter);
    if (tally === undefined || tally.endsAtMs <= nowMs) {
      const key = keyOf(counter, window, nowMs + offsetMs);
      // Where the clock was set, the window that begins is one that ran before.
      const before = this.all.get(key);
      tally =
        before !== undefined && before.endsAtMs > nowMs
          ? before
          : new SharedTally(key, window, this, nowMs, offsetMs);
      this.tallies.set(counter, tally);
      this.all.set(key, tally);
      this.changed(tally, true);
    }
    return tally;
  }

  /** What was used before, Redis knows, or is told when an epoch begins. */
  restore(): void {}

  catchUp(fresh: ReadonlyMap<string, Window | undefined>): void {
    // Where each node has a store of its own, none can tell what all have spent.
    if (!this.options.oneStore) return;
    const covered = [...fresh].filter(([, window]) => window !== undefined && this.options.covers(window));
    this.late.add(new Map(covered));
  }

  get numbers(): { counters: number; slices: number } {
    let slices = 0;
    for (const { claim } of this.all.values()) if (claim > 0) slices++;
    return { counters: this.all.size, slices };
  }

  setBack(nowMs: number): void {
    this.limiterMs = nowMs;
    for (const tally of this.all.values()) tally.setBack(nowMs);
  }

  changed(tally: SharedTally, soon: boolean): void {
    tally.isDirty = true;
    this.dirty.add(tally);
    this.warm.add(tally);
    if (!soon || this.isSoon) return;
    this.isSoon = true;
    if (this.exchanging === undefined) setImmediate(() => this.pump());
  }

  async more(tally: SharedTally, amount: number, max: number): Promise<boolean> {
    if (amount > max || !(amount >= 0)) return false;
    if (this.wasOpen && !this.redis.up) this.fail();
    if (this.isLost) return this.decideAlone(tally, amount, max);
    this.stats.waited++;
    const worthIt = await new Promise<boolean>((resolve) => {
      const waiters = this.waiting.get(tally) ?? [];
      waiters.push({ amount, sinceMs: performance.now(), tries: 0, resolve });
      this.waiting.set(tally, waiters);
      this.changed(tally, true);
    });
    if (!worthIt) this.stats.refused++;
    return worthIt;
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.late.close();
    const nowMs = this.nowMs();
    for (const tally of this.all.values()) {
      if (tally.giveBack(nowMs)) this.changed(tally, false);
    }
    while (this.dirty.size > 0 && this.epoch.isOpen && !this.isLost)
      await (this.exchanging ?? this.exchange());
    await this.epoch.close();
    for (const tally of [...this.waiting.keys()]) this.answer(tally, () => false);
  }

  private nowMs(): number {
    return Math.max(this.limiterMs, Date.now());
  }

  private pump(): void {
    if (this.exchanging !== undefined) return;
    this.isSoon = false;
    if (!this.epoch.isOpen || !this.redis.up) return;
    if (this.dirty.size === 0 && this.leaving.length === 0) return;
    this.exchanging = this.goOn().then((isMore) => {
      this.exchanging = undefined;
      if (isMore || this.isSoon) this.pump();
    });
  }

  private async goOn(): Promise<boolean> {
    if (this.leaving.length > 0) await this.leave();
    return this.dirty.size > 0 && this.epoch.isOpen ? await this.exchange() : false;
  }

  private report(): void {
    const now = performance.now();
    const passedS = (now - this.reportedAtMs) / 1000;
    this.reportedAtMs = now;
    const nowMs = this.nowMs();
    for (const tally of this.warm) {
      tally.measure(passedS);
      const idle = tally.claim - tally.busy(nowMs);
      if (!tally.isDirty && idle > 2 * tally.stock(this.epoch.nodes, nowMs)) this.changed(tally, false);
      else if (idle <= 0 && !tally.isDirty && tally.isCold(nowMs)) this.warm.delete(tally);
    }
    if (now - this.sweptAtMs > sweepMs) this.sweep(now, nowMs);
    this.giveUpOn(now - patienceMs);
    this.pump();
  }

  /** Forgets what is over, and slices that others may have been granted by now. */
  private sweep(now: number, nowMs: number): void {
    this.sweptAtMs = now;
    const isSilent = now - this.heardAtMs > reapMs / 2;
    for (const [key, tally] of this.all) {
      if (isSilent && reapOf(tally.window) > 0) tally.claim = Math.min(tally.claim, tally.busy(nowMs));
      if (tally.isOver(nowMs) && !this.waiting.has(tally)) this.drop(key, tally);
    }
    for (const [counter, tally] of this.tallies)
      if (this.all.get(tally.key) !== tally) this.tallies.delete(counter);
    this.setClock();
    let surplus = this.all.size - (this.options.mostCounters ?? mostCounters);
    for (const [key, tally] of this.all) {
      if (surplus <= 0) break;
      if (!key.startsWith(endUsers) || !this.isIdle(tally)) continue;
      this.leaving.push(tally);
      surplus--;
    }
  }

  private drop(key: string, tally: SharedTally): void {
    tally.forget();
    this.all.delete(key);
    this.warm.delete(tally);
  }

  private isIdle(tally: SharedTally): boolean {
    return !tally.isDirty && tally.holdsNothing && !this.waiting.has(tally);
  }

  /**
   * Lets go of counters that Redis counts on. Where its answer is lost they are kept, and what is told of them may count
   * twice until their windows end: too much, never too little.
   */
  private async leave(): Promise<void> {
    const { id } = this.epoch;
    const nowMs = this.nowMs();
    for (const left of batches(this.leaving.splice(0), maxBatch)) {
      const idle = left.filter((tally) => this.isIdle(tally) && this.all.get(tally.key) === tally);
      // What Redis is told to keep is not to be taken here meanwhile.
      for (const tally of idle) tally.claim = tally.busy(nowMs);
      const keys = [this.redis.key('epoch'), ...idle.map(({ key }) => this.keyOf(id, key))];
      const lengths = idle.map(({ window }) => (window?.sliding === true ? slidingLengthMs(window) : 0));
      let done: unknown;
      try {
        done = await leave.run(this.redis, keys, [this.redis.node, id, ...lengths]);
      } catch {
        this.fail();
        return;
      }
      if (done !== 1 || id !== this.epoch.id) return;
      for (const tally of idle) {
        tally.leave(nowMs);
        if (this.isIdle(tally)) this.drop(tally.key, tally);
      }
    }
    for (const [counter, tally] of this.tallies)
      if (this.all.get(tally.key) !== tally) this.tallies.delete(counter);
  }

  /** What was counted in a window that only a wrong clock said was running does not count on. */
  private setClock(): void {
    const { offsetMs } = this.redis;
    const redisMs = this.nowMs() + offsetMs;
    for (const [counter, tally] of this.tallies) {
      if (Math.abs(tally.offsetMs - offsetMs) <= maxDriftMs) continue;
      if (keyOf(counter, tally.window, redisMs) === tally.key) tally.setOffset(offsetMs);
      else {
        tally.forget();
        this.tallies.delete(counter);
      }
    }
  }

  /** Tells what this node has and wants, and learns what it may. @returns whether there is more to tell at once. Never rejects. */
  private async exchange(): Promise<boolean> {
    const nowMs = this.nowMs();
    const batch = this.pick();
    const keys = [this.redis.key('epoch'), this.redis.key('nodes')];
    const { id } = this.epoch;
    const args: (string | number)[] = [this.redis.node, id, ++this.seq];
    for (const tally of batch) {
      tally.isDirty = false;
      keys.push(this.keyOf(id, tally.key));
      args.push(...this.wish(tally, nowMs));
    }
    this.stats.exchanges++;
    let reply: (string | number)[];
    try {
      reply = (await exchange.run(this.redis, keys, args)) as (string | number)[];
    } catch {
      for (const tally of batch) this.changed(tally, false);
      this.fail();
      return false;
    }
    if (reply[0] !== 'ok' || id !== this.epoch.id) {
      for (const tally of batch) this.changed(tally, false);
      if (reply[0] === 'closed') this.epoch.lost();
      return reply[0] === 'late';
    }
    this.heardAtMs = performance.now();
    for (const [i, tally] of batch.entries())
      this.learn(tally, reply.slice(i * 4 + 1, i * 4 + 5) as number[]);
    return batch.length === maxBatch;
  }

  private pick(): SharedTally[] {
    const batch: SharedTally[] = [];
    for (const tally of this.waiting.keys()) {
      if (batch.length >= maxBatch) break;
      if (tally.isDirty) batch.push(tally);
    }
    for (const tally of batch) this.dirty.delete(tally);
    for (const tally of this.dirty) {
      if (batch.length >= maxBatch) break;
      batch.push(tally);
      this.dirty.delete(tally);
    }
    return batch;
  }

  private wish(tally: SharedTally, nowMs: number): number[] {
    const { used, busy } = tally.say(nowMs);
    const stock = tally.stock(this.epoch.nodes, nowMs);
    const waiters = this.waiting.get(tally) ?? [];
    let wanted = busy + stock;
    for (const { amount } of waiters) wanted += amount;
    // As many again are likely to come until there is an answer.
    if (waiters.length > 1) wanted += Math.min(wanted - busy - stock, tally.share(this.epoch.nodes, nowMs));
    tally.wanted = wanted;
    const need = busy + (waiters[0]?.amount ?? 0);
    // Given back before it is said: what Redis may grant to others is not to be taken here meanwhile.
    if (wanted < tally.claim) tally.claim = Math.max(wanted, busy);
    tally.setLow(stock);
    return [wanted, need, busy, used, tally.max, this.keepMs(tally, nowMs), reapOf(tally.window)];
  }

  private learn(tally: SharedTally, [claim, sum, used, busy]: number[]): void {
    const nowMs = this.nowMs();
    tally.granted(claim!, sum!, used!, busy!);
    tally.watch?.(tally, nowMs);
    if (!this.waiting.has(tally)) return;
    // Otherwise those who wait on came after it was asked.
    const isShort = tally.claim < tally.wanted;
    let room = tally.claim - tally.busy(nowMs);
    this.answer(tally, (waiter) => {
      if (waiter.amount <= room) {
        room -= waiter.amount;
        return true;
      }
      if (!isShort) return undefined;
      if (used! + waiter.amount > tally.max) return false;
      // Where only running calls are in the way, some of them may have ended that others have not told of yet.
      const worth = busy! + waiter.amount > tally.max ? 1 : backMs.length;
      return waiter.tries >= worth ? false : undefined;
    });
    const left = this.waiting.get(tally);
    if (left === undefined) return;
    if (!isShort) {
      this.changed(tally, true);
      return;
    }
    // What is not used is idle with others.
    this.askBack(tally);
    const pauseMs = backMs[left[0]!.tries]!;
    for (const waiter of left) waiter.tries++;
    setTimeout(() => this.changed(tally, true), pauseMs);
  }

  /** @param decide undefined: it has to wait on. */
  private answer(tally: SharedTally, decide: (waiter: Waiter) => boolean | undefined): void {
    const waiters = this.waiting.get(tally) ?? [];
    const left = waiters.filter((waiter) => {
      const worthIt = decide(waiter);
      if (worthIt !== undefined) waiter.resolve(worthIt);
      return worthIt === undefined;
    });
    if (left.length > 0) this.waiting.set(tally, left);
    else this.waiting.delete(tally);
  }

  private askBack(tally: SharedTally): void {
    const now = performance.now();
    if (now - (this.askedBackAt.get(tally.key) ?? -Infinity) < askBackMs) return;
    if (this.askedBackAt.size > 1000) this.askedBackAt.clear();
    this.askedBackAt.set(tally.key, now);
    this.redis.publish('give', JSON.stringify({ node: this.redis.node, key: tally.key })).catch(() => {});
  }

  private giveBack(text: string): void {
    const { node, key } = readGive(text);
    if (node === this.redis.node) return;
    const tally = this.all.get(String(key));
    if (tally?.giveBack(this.nowMs())) this.changed(tally, true);
  }

  /** What is settled until now, the store will tell; what is idle was granted by a Redis that knows nothing of it now. */
  private mark(): void {
    const nowMs = this.nowMs();
    for (const tally of this.all.values()) {
      if (tally.window !== undefined && this.options.covers(tally.window)) tally.reset(nowMs);
      else tally.giveBack(nowMs);
    }
  }

  private opened(): void {
    if (this.isLost) this.options.onLost?.(false);
    this.isLost = false;
    this.wasOpen = true;
    this.setClock();
    this.heardAtMs = performance.now();
    for (const tally of this.all.values()) {
      tally.isCutOff = false;
      tally.ownCeiling = -Infinity;
      this.changed(tally, true);
    }
    this.late.opened();
  }

  /** Redis does not answer: from now on this node decides alone, and nobody waits. */
  private fail(): void {
    this.epoch.isOpen = false;
    if (!this.isLost) this.options.onLost?.(true);
    this.isLost = true;
    for (const tally of [...this.waiting.keys()])
      this.answer(tally, ({ amount }) => this.decideAlone(tally, amount, tally.max));
  }

  private giveUpOn(beforeMs: number): void {
    const tooLong = [...this.waiting.values()].some(([first]) => first!.sinceMs < beforeMs);
    if (tooLong) this.fail();
  }

  private decideAlone(tally: SharedTally, amount: number, max: number): boolean {
    const busy = tally.busy(this.nowMs());
    if (this.options.whenLost === 'open') tally.ownCeiling = max;
    tally.isCutOff = this.options.whenLost === 'closed';
    return busy + amount <= tally.claim || (!tally.isCutOff && busy + tally.othersBusy + amount <= max);
  }

  private keyOf(epoch: string, key: string): string {
    return this.redis.key(`${epoch}:${key}`);
  }

  private keepMs(tally: SharedTally, nowMs: number): number {
    return tally.endsAtMs === Infinity
      ? keepOf(tally.window, nowMs + this.redis.offsetMs)
      : keepUntil(tally.endsAtMs, nowMs);
  }
}

function* batches<T>(all: readonly T[], size: number): Generator<T[]> {
  for (let i = 0; i < all.length; i += size) yield all.slice(i, i + size);
}

/** After how long a silence a node's part is nobody's. Windows of the calendar end by themselves. */
function reapOf(window: Window | undefined): number {
  if (window === undefined) return reapMs;
  return window.sliding ? Math.max(reapMs, slidingLengthMs(window)) : 0;
}

function readGive(text: string): { node?: unknown; key?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { node?: unknown; key?: unknown };
  } catch {
    return {};
  }
}
