/** What is administered at run time, told at the start and whenever any node or command has changed it. */
import { type Additions, noAdditions } from '../core/additions.ts';
import type { TenantsChange } from '../core/tenants.ts';
import { listAdditions } from './additions.ts';
import { controlRevision } from './control.ts';
import { listTenants } from './list-tenants.ts';
import type { Store } from './open.ts';

/** SQLite says nothing by itself: asking is a look into a page that is in memory. */
const sqlitePollMs = 500;
/** PostgreSQL tells of changes: this is for a listening connection that hangs. */
const postgresPollMs = 3000;
const longestPauseMs = 5000;
/** So that whoever notes the changes can begin anew now and then. */
const wholeEvery = 1000;

export interface ControlChange {
  tenants: TenantsChange;
  /** The tenants are all there are, and not only those that changed. */
  whole: boolean;
  /** All of them, where they are not what they were. */
  additions: Additions | undefined;
}

export interface ControlFeed {
  /** Resolves when all that is in the store now was told, or the store turned out to be away. */
  look(): Promise<void>;
  stop(): void;
}

/** @param onChange all there is at first, then what changes. The store may be away for any time before and in between. */
export function followControl(
  store: () => Promise<Store>,
  url: string,
  onChange: (change: ControlChange) => void,
): ControlFeed {
  let stopped = false;
  let wake = () => {};
  let noticed = false;
  let revision: number | undefined;
  let changes = 0;
  let added = noAdditions;
  let stopListening = () => {};
  let waiting: (() => void)[] = [];
  const notice = () => {
    noticed = true;
    wake();
  };

  async function look(): Promise<void> {
    noticed = false;
    const { db } = await store();
    const current = await controlRevision(db);
    if (current === revision) return;
    // A store that was set back to an older state has other changes behind the same numbers.
    const whole = revision === undefined || current < revision || changes % wholeEvery === 0;
    const tenants = await listTenants(db, whole ? undefined : revision);
    const now = await listAdditions(db);
    if (stopped) return;
    // Everything is compiled anew for them: not because some key was changed.
    const additions = (whole && changes > 0) || !Bun.deepEquals(now, added) ? now : undefined;
    onChange({ tenants, whole, additions });
    added = now;
    revision = tenants.revision;
    changes++;
  }

  async function run(): Promise<void> {
    if (url !== 'sqlite') {
      const { listen } = await import('./listen.ts');
      if (!stopped) stopListening = listen(url, notice);
    }
    const pollMs = url === 'sqlite' ? sqlitePollMs : postgresPollMs;
    for (let failures = 0; !stopped; ) {
      const waited = waiting;
      waiting = [];
      try {
        await look();
        failures = 0;
      } catch {
        // The applier meets the same trouble, and tells of it.
        failures++;
      }
      for (const told of waited) told();
      const pauseMs = failures === 0 ? pollMs : Math.min(longestPauseMs, 100 * 2 ** failures);
      if (!noticed && !stopped) await pause(pauseMs);
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  void run();
  return {
    look: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        notice();
      }),
    stop() {
      stopped = true;
      stopListening();
      wake();
      for (const told of waiting) told();
    },
  };
}
