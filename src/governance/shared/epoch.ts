/**
 * Which nodes there are, and since when Redis has counted without a gap: the epoch. A Redis that has lost its data, or
 * never had any, begins a new one; so does a node that comes back after a crash, whose part nobody else could tell. An epoch
 * is `gathering` until all nodes have heard of it, then `marking`: each puts what it has settled into the store and counts
 * from nought, and what the store says was used is put into Redis; then it is `open`, and Redis grants again.
 */
import { randomId } from '../../core/id.ts';
import { type NodesRedis, Script } from './nodes-redis.ts';
import { presenceScript, turnScript } from './scripts.ts';

export interface EpochTasks {
  /** There is something here that an epoch of others' making does not know. */
  hasUsed(): boolean;
  /** Counts from nought; what was settled until now is on its way to the store. */
  mark(): void;
  /** Resolves when what was settled until now is in the store. */
  flushed(): Promise<void>;
  /** Puts what the store says was used into the counters of the epoch. */
  found(epoch: string): Promise<void>;
  /** Redis grants again, in this epoch. */
  opened(epoch: string): void;
  /** Redis could not be asked. */
  failed(): void;
}

const presence = new Script(presenceScript);
const turn = new Script(turnScript);

/** How often Redis is told that this node lives, and how often while an epoch begins. */
const beatMs = 1_000;
const quickBeatMs = 50;
/** A node that is not heard of for so long is gone. */
const goneMs = 3_000;
/** Nodes that are connected have heard by then that an epoch took the place of another. */
const gatherMs = 500;
/** Nodes that lost the same Redis are connected to it again by then; those that come later begin another epoch. */
const returnMs = 1_500;
/** An epoch that has not opened by then is begun anew: its maker may be gone. */
const staleMs = 15_000;

type State = 'gathering' | 'marking' | 'open';

export class Epoch {
  /** The one this node has taken part in; '': none. */
  id = '';
  isOpen = false;
  /** Live nodes, this one too. */
  nodes = 1;
  private isReady = false;
  private marked = '';
  private broken = '';
  /** Others may hold slices as this node does. */
  private wasOpen = false;
  /** The one this node began in place of another: Redis had lost nothing. */
  private replacing = '';
  private isDue = false;
  private timer: Timer | undefined;
  private closed = false;
  private beating: Promise<void> | undefined;

  constructor(
    private readonly redis: NodesRedis,
    private readonly tasks: EpochTasks,
    /** Counts the messages of this node. */
    private readonly nextSeq: () => number,
    /** Whether all nodes write into one store: then one of them tells what all have spent. */
    private readonly oneStore: boolean,
    /** The last process on this data ended without a goodbye. */
    private afterCrash: boolean,
  ) {
    redis.onUp(() => this.beatSoon(0));
    redis.hear('epoch', () => this.beatSoon(0));
  }

  /** Redis does not know this epoch any more. */
  lost(): void {
    this.isOpen = false;
    this.beatSoon(0);
  }

  /** Says goodbye, so that nobody waits for this node. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.beating;
    await this.ask('', '').catch(() => {});
  }

  private beatSoon(afterMs: number): void {
    if (this.closed) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.isDue = this.beating !== undefined;
      this.beating ??= this.beat().finally(() => {
        this.beating = undefined;
        this.beatSoon(this.isDue ? 0 : this.redis.up && !this.isOpen ? quickBeatMs : beatMs);
      });
    }, afterMs);
    this.timer.unref();
  }

  private async beat(): Promise<void> {
    if (!this.redis.up) return;
    try {
      await this.step(await this.ask('', this.isReady ? this.id : ''));
    } catch {
      this.tasks.failed();
    }
  }

  private async step([id, state, by, ageMs, live, ready]: Answer): Promise<void> {
    this.nodes = Math.max(1, live);
    if (this.afterCrash) return this.renew(id, () => (this.afterCrash = false));
    if (state === 'open') {
      if (id === this.id) {
        if (this.isReady) return this.open();
        // It was opened without this node.
        return this.renew(id);
      }
      if (this.tasks.hasUsed()) return this.renew(id);
      this.enter(id);
      this.isReady = true;
      return this.open();
    }
    if (id !== this.id) this.enter(id);
    const maker = by === this.redis.node;
    if (ageMs > staleMs) return this.renew(id);
    if (state === 'gathering') {
      const waitMs = this.wasOpen && this.replacing !== id ? returnMs : gatherMs;
      if (maker && ageMs >= waitMs && (await this.turn(state, 'marking'))) await this.tell();
      return;
    }
    if (this.broken === id) return this.renew(id);
    if (this.marked !== id) void this.mark(id);
    if (maker && this.isReady && ready >= live) await this.finish(id);
  }

  private async mark(id: string): Promise<void> {
    this.marked = id;
    this.tasks.mark();
    try {
      await this.tasks.flushed();
      if (this.id !== id) return;
      if (!this.oneStore) await this.tasks.found(id);
      if (this.id === id) this.isReady = true;
      this.beatSoon(0);
    } catch {
      // Half of it may be there: only another epoch is sure to be right.
      this.broken = id;
    }
  }

  /** All nodes have put into the store what they had settled. */
  private async finish(id: string): Promise<void> {
    try {
      if (this.oneStore) await this.tasks.found(id);
    } catch {
      this.broken = id;
      return;
    }
    if (await this.turn('marking', 'open')) await this.tell();
  }

  private enter(id: string): void {
    this.id = id;
    this.isOpen = false;
    this.isReady = false;
  }

  private open(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.wasOpen = true;
    this.tasks.opened(this.id);
  }

  /** Begins another epoch in place of `id`, unless somebody has. */
  private async renew(id: string, done = () => {}): Promise<void> {
    const [now, , by] = await this.ask(id, '');
    if (id !== '' && by === this.redis.node) this.replacing = now;
    done();
    if (now !== this.id) this.enter(now);
    await this.tell();
  }

  private async turn(from: State, to: State): Promise<boolean> {
    return (await turn.run(this.redis, [this.redis.key('epoch')], [this.id, from, to])) === 1;
  }

  private async tell(): Promise<void> {
    await this.redis.publish('epoch', this.id);
  }

  /** @param replaced an epoch that another one shall take the place of. @param ready one that this node is ready for. */
  private async ask(replaced: string, ready: string): Promise<Answer> {
    const { redis } = this;
    const keys = [redis.key('epoch'), redis.key('nodes')];
    const leaves = this.closed ? '1' : '0';
    const args = [redis.node, this.nextSeq(), randomId(''), replaced, ready, goneMs, leaves];
    return (await presence.run(redis, keys, args)) as Answer;
  }
}

type Answer = [id: string, state: State, by: string, ageMs: number, live: number, ready: number];
