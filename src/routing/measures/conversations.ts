/** Which target each conversation was answered by last: its prompt cache may know it. */
import { Generations } from './generations.ts';

const maxConversations = 100_000;

/** Caches that cost nothing to write live for five to ten minutes after they were last used. */
export const cacheLifeMs = 10 * 60_000;
/** Those that were asked, and paid, to live longer. */
export const longCacheLifeMs = 60 * 60_000;

interface Kept {
  target: string;
  lifeMs: number;
  untilMs: number;
}

export class Conversations {
  private readonly kept = new Generations<Kept>(maxConversations);

  /** What lives long once lives on so: reading a cache keeps it alive as long as writing did. */
  keep(name: string, target: string, lifeMs: number, nowMs: number): void {
    const kept = this.kept.use(name);
    if (kept === undefined) {
      this.kept.set(name, { target, lifeMs, untilMs: nowMs + lifeMs });
      return;
    }
    const stays = kept.target === target && kept.untilMs > nowMs;
    kept.lifeMs = stays ? Math.max(kept.lifeMs, lifeMs) : lifeMs;
    kept.target = target;
    kept.untilMs = nowMs + kept.lifeMs;
  }

  /** Id of the target. */
  keptBy(name: string, nowMs: number): string | undefined {
    const kept = this.kept.peek(name);
    return kept !== undefined && kept.untilMs > nowMs ? kept.target : undefined;
  }
}
