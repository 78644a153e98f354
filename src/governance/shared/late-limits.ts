/**
 * Limits that were made while Redis counted begin with what was spent before: one node asks all others what they have counted
 * of them so far, and to put that into the store; what the store has beyond that was spent before.
 */
import type { Window } from '../../config/window.ts';
import { randomId } from '../../core/id.ts';
import { counterName, type Spent } from '../leases.ts';
import { keepOf, keyOf } from './counter-key.ts';
import { countsUntil } from './found-spent.ts';
import { type NodesRedis, Script } from './nodes-redis.ts';
import { lateScript } from './scripts.ts';

export interface LateLimitsHost {
  /** That in which Redis grants; undefined: none does. */
  openEpoch(): string | undefined;
  liveNodes(): number;
  /** What this node has used of a counter, by its key, since it counts it. */
  usedHere(key: string): number;
  /** Resolves when what was settled until now is in the store. */
  flushed(): Promise<void>;
  spent(windows: Iterable<Window>): Promise<Iterable<Spent>>;
  failed(error: Error): void;
}

/** Counters in one round, at most. */
const maxAtOnce = 1_000;
/** All nodes hear of a new limit at about the same time, and one is to ask. */
const spreadMs = 200;
/** Whoever was asked by another asks for itself when it has heard nothing more by then. */
const retryMs = 5_000;
const pollMs = 20;
const keptMs = 60_000;

const late = new Script(lateScript);

/** What is asked (`of`: counters and their keys), or that it is done. */
interface Round {
  id: string;
  epoch: string;
  of: [counter: string, key: string][];
  done: boolean;
}

export class LateLimits {
  private readonly pending = new Map<string, Window>();
  /** By round of others: those that it settles. */
  private readonly asked = new Map<string, string[]>();
  private timer: Timer | undefined;
  private running = false;
  private closed = false;

  constructor(
    private readonly redis: NodesRedis,
    private readonly host: LateLimitsHost,
  ) {
    redis.hear('late', (text) => void this.hear(text));
  }

  add(fresh: ReadonlyMap<string, Window | undefined>): void {
    for (const [counter, window] of fresh) {
      if (window === undefined) continue;
      this.pending.set(counter, window);
      for (const counters of this.asked.values()) if (counters.includes(counter)) counters.splice(0);
    }
    this.later(this.host.liveNodes() > 1 ? Math.random() * spreadMs : 0);
  }

  /** To be called when Redis grants. */
  opened(): void {
    this.later(0);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    if (this.closed || this.pending.size === 0) return;
    this.timer = setTimeout(() => void this.run(), ms);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    const epoch = this.host.openEpoch();
    if (this.running || epoch === undefined) return;
    this.running = true;
    let again = 0;
    try {
      const some = new Map([...this.pending].slice(0, maxAtOnce));
      await this.round(epoch, some);
      for (const [counter, window] of some)
        if (this.pending.get(counter) === window) this.pending.delete(counter);
    } catch (error) {
      again = retryMs;
      if (this.host.openEpoch() === epoch) this.host.failed(error as Error);
    } finally {
      this.running = false;
    }
    this.later(again);
  }

  private async round(epoch: string, counters: ReadonlyMap<string, Window>): Promise<void> {
    const { redis } = this;
    const id = randomId('');
    const redisMs = Date.now() + redis.offsetMs;
    const of = [...counters].map(([counter, window]): [string, string] => [
      counter,
      keyOf(counter, window, redisMs),
    ]);
    await this.tell({ id, epoch, of, done: false });
    const counted = await this.answers(id);
    const spent = new Map<string, Spent[]>();
    for (const each of await this.host.spent(new Set(counters.values()))) {
      const counter = counterName(each.owner, each.id, each.unit, each.window);
      if (counters.has(counter)) spent.set(counter, [...(spent.get(counter) ?? []), each]);
    }
    for (const [i, [counter, key]] of of.entries()) {
      const rows = spent.get(counter);
      if (rows === undefined) continue;
      const here = new Map([...counted].map(([node, amounts]) => [node, amounts[i] ?? 0]));
      await this.put(epoch, key, counters.get(counter)!, rows, here);
    }
    await this.tell({ id, epoch, of, done: true });
  }

  /** What all live nodes have counted, once it is in the store. @throws Error when not all answer. */
  private async answers(id: string): Promise<Map<string, number[]>> {
    const key = this.redis.key(`late:${id}`);
    const end = performance.now() + retryMs;
    for (;;) {
      const answers = (await this.redis.send('HGETALL', key)) as string[];
      if (answers.length / 2 >= this.host.liveNodes()) {
        const counted = new Map<string, number[]>();
        for (let i = 0; i < answers.length; i += 2)
          counted.set(answers[i]!, JSON.parse(answers[i + 1]!) as number[]);
        return counted;
      }
      if (performance.now() > end) throw new Error('not all nodes have told what they have counted');
      await Bun.sleep(pollMs);
    }
  }

  private async put(
    epoch: string,
    key: string,
    window: Window,
    rows: readonly Spent[],
    counted: ReadonlyMap<string, number>,
  ): Promise<void> {
    const { redis } = this;
    const name = redis.key(`${epoch}:${key}`);
    const hash = (await redis.send('HGETALL', name)) as string[];
    let known = 0;
    for (const amount of counted.values()) known += amount;
    // Of nodes that are gone, all they had used is in the store.
    for (let i = 0; i < hash.length; i += 2)
      if (hash[i]!.startsWith('u:') && !counted.has(hash[i]!.slice(2))) known += Number(hash[i + 1]);
    let before = 0;
    const parts: number[] = [];
    // What was counted here is the newest.
    for (const { amount, atMs } of [...rows].sort((a, b) => b.atMs - a.atMs)) {
      const missed = Math.max(0, amount - known);
      known = Math.max(0, known - amount);
      before += missed;
      if (window.sliding && missed > 0) parts.push(countsUntil(window, atMs), missed);
    }
    const keep = keepOf(window, Date.now() + redis.offsetMs);
    const args = [epoch, before, keep, window.sliding ? 1 : 0, ...parts];
    await late.run(redis, [redis.key('epoch'), name], args);
  }

  private async tell(round: Round): Promise<void> {
    await this.redis.publish('late', JSON.stringify(round));
  }

  private async hear(text: string): Promise<void> {
    const round = readRound(text);
    if (round === undefined) return;
    const { id, epoch, of, done } = round;
    if (done) {
      for (const counter of this.asked.get(id) ?? []) this.pending.delete(counter);
      this.asked.delete(id);
      return;
    }
    if (epoch !== this.host.openEpoch()) return;
    const counted = of.map(([, key]) => this.host.usedHere(key));
    if (this.asked.size > 100) this.asked.clear();
    this.asked.set(
      id,
      of.map(([counter]) => counter),
    );
    if (!this.running) this.later(retryMs);
    try {
      await this.host.flushed();
      const key = this.redis.key(`late:${id}`);
      await this.redis.send('HSET', key, this.redis.node, JSON.stringify(counted));
      await this.redis.send('PEXPIRE', key, keptMs);
    } catch {
      // Who asked asks again.
    }
  }
}

/** Another version, or somebody else, may say what we do not understand. */
function readRound(text: string): Round | undefined {
  try {
    const round = JSON.parse(text) as Round;
    return typeof round.id === 'string' && Array.isArray(round.of) ? round : undefined;
  } catch {
    return undefined;
  }
}
