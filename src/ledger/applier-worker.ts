/** The applier's thread: every 200 ms it applies what the journal holds; beside that it hears of what operators change. */
import { type ControlChange, followControl } from '../store/control-feed.ts';
import { openLater, type Store } from '../store/open.ts';
import type { AlertRunner } from './alert-runner.ts';
import type { ApplierState, FromWorker, ToWorker } from './applier.ts';
import { keepControl } from './control-copy.ts';
import { reasonOf } from './data-dir.ts';
import { type Follower, followJournal } from './follow.ts';
import { keepRetention } from './retention-loop.ts';
import { journalStart } from './segments.ts';

declare const self: Worker;

const tickMs = 200;
const longestBackoffMs = 10_000;
/** A step that has come nowhere for so long waits for a store that does not answer. */
const stalledMs = 10_000;

let stopping = false;
let flushes: number[] = [];
let wake = () => {};
let work: Work | undefined;
let alerts: Promise<AlertRunner> | undefined;
const retention = keepRetention(() => work?.db());

self.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.type) {
    case 'start':
      void run(message.dataDir, message.store);
      return;
    case 'webhooks':
      if (alerts === undefined && message.webhooks.length === 0) return;
      alerts ??= startAlerts();
      void alerts.then((runner) => runner.set(message.webhooks));
      return;
    case 'alert':
      void alerts?.then((runner) => runner.raise(message.alert));
      return;
    case 'retention':
      retention.set(message.retention);
      return;
    case 'flush':
      flushes.push(message.id);
      break;
    case 'look':
      void Promise.resolve(work?.look()).then(() => post({ type: 'done', id: message.id }));
      return;
    case 'stop':
      stopping = true;
  }
  wake();
};

function post(message: FromWorker): void {
  self.postMessage(message);
}

async function startAlerts(): Promise<AlertRunner> {
  const { runAlerts } = await import('./alert-runner.ts');
  return runAlerts({ db: () => work?.db(), onTold: (told) => post({ type: 'told', told }) });
}

async function run(dataDir: string, url: string): Promise<void> {
  work = startWork(dataDir, url);
  const watch = setInterval(work.watch, 1000);
  let failures = 0;
  let ready = false;
  for (;;) {
    const last = stopping;
    const asked = flushes;
    flushes = [];
    try {
      await work.step();
      if (failures > 0) post({ type: 'state', state: work.state() });
      else work.tell();
      failures = 0;
      if (!ready) post({ type: 'ready' });
      ready = true;
      for (const id of asked) post({ type: 'done', id });
    } catch (error) {
      failures++;
      flushes = [...asked, ...flushes];
      post({ type: 'state', state: work.state(error) });
    }
    if (last) break;
    if (!stopping) await sleep(failures === 0 ? tickMs : Math.min(longestBackoffMs, tickMs * 2 ** failures));
  }
  clearInterval(watch);
  await retention.stop();
  await (await alerts)?.stop();
  await work.close();
  post({ type: 'stopped' });
}

interface Work {
  /** Resolves when what is administered is told as it is in the store now. */
  look(): Promise<void>;
  /** Undefined until it was opened. */
  db(): Store['db'] | undefined;
  step(): Promise<void>;
  /** Tells how far the store is, where that has changed and was not told a moment ago. */
  tell(): void;
  /** Tells of a step that takes too long. */
  watch(): void;
  state(error?: unknown): ApplierState;
  close(): Promise<void>;
}

/** The store is opened at the first step, and at every step until that succeeds. */
function startWork(dataDir: string, url: string): Work {
  const opened = openLater(dataDir, url);
  // Beside the journal: a backlog of hours does not keep a revocation waiting.
  const feed = followControl(opened.store, url, (change) => {
    if (url !== 'sqlite') keepCopy(dataDir, url, change);
    const { additions, tenants } = change;
    if (additions !== undefined) post({ type: 'additions', additions });
    post({ type: 'tenants', change: tenants });
  });
  let store: Store | undefined;
  let follower: Follower | undefined;
  let movedAt = performance.now();
  let stepping = false;
  let toldAt = -Infinity;
  let told = '';
  let well = true;

  function state(error?: unknown): ApplierState {
    well = error === undefined;
    const progress = {
      position: follower?.position() ?? journalStart,
      appliedAt: follower?.appliedAt() ?? 0,
      unreadable: follower?.unreadable() ?? 0,
    };
    if (error === undefined) return { ok: true, ...progress };
    return { ok: false, error: `The store cannot be written: ${reasonOf(error)}.`, ...progress };
  }

  function tell(): void {
    movedAt = performance.now();
    const wasWell = well;
    const now = state();
    const position = `${now.position.segment}:${now.position.offset}`;
    if (wasWell && (movedAt - toldAt < tickMs || position === told)) return;
    toldAt = movedAt;
    told = position;
    post({ type: 'state', state: now });
  }

  /** Another file has taken the place of the one that was opened. */
  async function reopen(): Promise<void> {
    follower?.close();
    follower = undefined;
    store = undefined;
    await opened.close().catch(() => {});
  }

  return {
    look: feed.look,
    db: () => store?.db,
    async step() {
      movedAt = performance.now();
      stepping = true;
      try {
        if (store?.isCurrent() === false) await reopen();
        store ??= await opened.store();
        follower ??= await followJournal(dataDir, store, tell);
        await follower.catchUp();
      } finally {
        stepping = false;
      }
    },
    tell,
    watch() {
      if (stepping && performance.now() - movedAt > stalledMs)
        post({ type: 'state', state: state(new Error('it does not answer')) });
    },
    state,
    async close() {
      follower?.close();
      feed.stop();
      await opened.close().catch(() => {});
    },
  };
}

/** Without it the next start needs the store: no reason to stop working now. */
function keepCopy(dataDir: string, url: string, change: ControlChange): void {
  try {
    keepControl(dataDir, url, change);
  } catch {
    // The journal is on the same disk, and tells of it.
  }
}

/** Until the time is over or a message comes. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
