/**
 * Time-outs without a timer per call, and clients that leave without a listener per call: one sweep a tick looks at all
 * running attempts. Both are seen within `tickMs`, which is soon enough, and cost nothing on the way.
 */
import type { Presence } from '../wire/http/server/messages.ts';

export interface Watched {
  /** Time at which it has waited too long, by the clock of `now`. */
  deadlineMs: number;
  /** @returns false when it may go on after all, with a later deadline. */
  expire(): boolean;
  /** Whether the client is still there. */
  readonly client: Presence;
  /** The client went away. */
  abandon(): void;
}

const tickMs = 50;

export class Deadlines {
  private readonly watched = new Set<Watched>();
  private timer: ReturnType<typeof setInterval> | undefined;

  /** @param now milliseconds by a clock that never goes back. */
  constructor(readonly now: () => number = () => performance.now()) {}

  add(item: Watched): void {
    this.watched.add(item);
    this.timer ??= setInterval(() => this.sweep(), tickMs);
  }

  delete(item: Watched): void {
    this.watched.delete(item);
  }

  /** Looks at all that is watched: once a tick, by itself. */
  sweep(): void {
    if (this.watched.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
      return;
    }
    const now = this.now();
    for (const item of this.watched) {
      const gone = item.client.gone;
      if (!gone && item.deadlineMs > now) continue;
      if (gone) item.abandon();
      else if (!item.expire()) continue;
      this.watched.delete(item);
    }
  }
}
