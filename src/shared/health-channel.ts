/** Tells other nodes what is learned here about targets and keys, and hears what they learned. */
import type { HealthChange } from '../core/health.ts';
import type { SharedRedis } from './redis.ts';

export interface HealthListener {
  /** What another node has learned, in the time of this node's clock. */
  adopt(change: HealthChange): void;
}

/** All changes are forgotten when nothing changed for so long: all breakers and most keys have come back by then. */
const keptMs = 65 * 60_000;
/** Changes remembered in Redis, at most; clients may name any model of a provider. */
const maxKept = 10_000;
/** Changes kept here while Redis is away, at most. */
const maxUnsent = 1_000;
/** Up to this part of an opening is added for those who only heard of it: who found out is the first to try again. */
const spread = 0.25;

/** What is needed of a Redis. */
export type HealthLink = Pick<
  SharedRedis,
  'node' | 'up' | 'offsetMs' | 'key' | 'send' | 'publish' | 'hear' | 'onUp' | 'onHearing'
>;

interface Message {
  node: string;
  /** In the time of Redis' clock. */
  change: HealthChange;
}

export class HealthChannel {
  /** By what they are about: only the last change of each is news. */
  private readonly unsent = new Map<string, HealthChange>();
  private sending = false;

  constructor(
    private readonly redis: HealthLink,
    private readonly listener: HealthListener,
    private readonly random: () => number = Math.random,
  ) {
    redis.hear('health', (text) => this.read(text));
    // Either connection may stand first: what was kept is read once both do.
    redis.onUp(() => void this.catchUp());
    redis.onHearing(() => void this.catchUp());
  }

  /** To be called with what was learned here. Never fails: what cannot be sent now is sent when Redis is back. */
  publish(change: HealthChange): void {
    const about = aboutOf(change);
    this.unsent.delete(about);
    if (this.unsent.size >= maxUnsent) this.unsent.delete(this.unsent.keys().next().value!);
    this.unsent.set(about, change);
    void this.flush();
  }

  private async flush(): Promise<void> {
    if (this.sending || !this.redis.up) return;
    this.sending = true;
    try {
      for (const [about, change] of this.unsent) {
        const message: Message = { node: this.redis.node, change: shift(change, this.redis.offsetMs) };
        const text = JSON.stringify(message);
        // In this order: who begins to hear just now, and reads what was kept then, misses nothing.
        await this.keep(about, text);
        await this.redis.publish('health', text);
        if (this.unsent.get(about) === change) this.unsent.delete(about);
      }
    } catch {
      // Sent when Redis is back.
    } finally {
      this.sending = false;
    }
  }

  private async keep(about: string, text: string): Promise<void> {
    const key = this.redis.key('health');
    await this.redis.send('HSET', key, about, text);
    await this.redis.send('PEXPIRE', key, keptMs);
  }

  /** What was said while this node did not hear, then what it could not say. */
  private async catchUp(): Promise<void> {
    try {
      const key = this.redis.key('health');
      const kept = (await this.redis.send('HVALS', key)) as string[];
      for (const text of kept) this.read(text);
      if (kept.length > maxKept) await this.redis.send('DEL', key);
    } catch {
      // The next connection catches up.
    }
    await this.flush();
  }

  private read(text: string): void {
    const message = parse(text);
    if (message === undefined || message.node === this.redis.node) return;
    const change = shift(message.change, -this.redis.offsetMs);
    // Later news of our own is on its way to the others.
    if (this.unsent.has(aboutOf(change))) return;
    if (change.of === 'target') {
      if (change.state === 'open') change.untilMs += Math.round(change.lengthMs * spread * this.random());
    } else if (change.state === 'aside' && change.untilMs <= Date.now()) return;
    this.listener.adopt(change);
  }
}

function aboutOf(change: HealthChange): string {
  if (change.of === 'target') return `target ${change.id}`;
  return `key ${change.provider} ${change.id} ${change.model === undefined ? '' : `of ${change.model}`}`;
}

/** Clocks of nodes differ; that of Redis is everybody's. */
function shift(change: HealthChange, byMs: number): HealthChange {
  const untilMs = change.untilMs + byMs;
  return change.of === 'target'
    ? { ...change, sinceMs: change.sinceMs + byMs, untilMs }
    : { ...change, untilMs };
}

/** Another version, or somebody else, may say what we do not understand. */
function parse(text: string): Message | undefined {
  try {
    const { node, change } = JSON.parse(text) as Message;
    if (typeof change.untilMs !== 'number' || typeof change.id !== 'string') return undefined;
    const isTarget = change.of === 'target' && Number.isFinite(change.sinceMs + change.lengthMs);
    return isTarget || change.of === 'key' ? { node, change } : undefined;
  } catch {
    return undefined;
  }
}
