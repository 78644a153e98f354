/** Removes from the store what is older than it is kept, some times an hour, beside the applier's work. */
import type { Retention } from '../core/retention.ts';
import type { Store } from '../store/open.ts';
import { removeOld } from '../store/retention.ts';

export interface RetentionLoop {
  set(retention: Retention): void;
  /** Resolves when nothing is being removed any more. */
  stop(): Promise<void>;
}

/** A start has better things to do. */
const usual = { firstMs: 60_000, everyMs: 10 * 60_000 };

/** @param db undefined while there is none: tried again later, as is what fails. */
export function keepRetention(
  db: () => Store['db'] | undefined,
  times: { firstMs: number; everyMs: number } = usual,
): RetentionLoop {
  let retention: Retention | undefined;
  let running: Promise<void> | undefined;
  const stopping = new AbortController();

  async function run(): Promise<void> {
    const store = db();
    if (store === undefined || retention === undefined) return;
    // What could not be removed now is found again: nobody needs to hear of it, and a store that is down is told of already.
    await removeOld(store, retention, Date.now(), { signal: stopping.signal }).catch(() => {});
  }
  const start = () => {
    running ??= run().finally(() => {
      running = undefined;
    });
  };
  const first = setTimeout(start, times.firstMs);
  const timer = setInterval(start, times.everyMs);

  return {
    set(next) {
      retention = next;
    },
    async stop() {
      clearTimeout(first);
      clearInterval(timer);
      stopping.abort();
      await running;
    },
  };
}
