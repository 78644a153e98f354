/** The applier as the main thread sees it: a worker that brings the journal into the store, beside the calls' path. */

import type { Additions } from '../core/additions.ts';
import type { Alert } from '../core/alert.ts';
import type { Retention } from '../core/retention.ts';
import type { TenantsChange } from '../core/tenants.ts';
import type { Webhook } from '../core/webhook.ts';
import { workerUrl } from '../core/worker-url.ts';
import type { Told } from './alert-loop.ts';
import { journalStart, type Position } from './segments.ts';

export interface ApplierState {
  /** False while the store cannot be written; calls go on and the journal grows until it can. */
  ok: boolean;
  /** Why not, in one line. */
  error?: string;
  /** The store has all of the journal that stands before it. */
  position: Position;
  /** And all that was written before this moment, in milliseconds since 1970. */
  appliedAt: number;
  /** Lines of the journal that could not be read since the start. */
  unreadable: number;
}

export interface ApplierOptions {
  dataDir: string;
  /** The configuration's `store`. */
  store: string;
  /** Told when `ok` or the position changes, some times a second at most, and while `ok` is false after every try. */
  onState?: (state: ApplierState) => void;
  /** Organisations, teams and keys: all at the start, and what changes within a second of any process changing it. */
  onTenants?: (change: TenantsChange) => void;
  /** How deliveries to webhooks went. */
  onTold?: (told: Told) => void;
  /** What operators added to the configuration: all of it, where there is any and whenever it changes. */
  onAdditions?: (additions: Additions) => void;
}

export interface Applier {
  /** Resolves when the tenants were told and all that was in the journal at the start is in the store. */
  ready: Promise<void>;
  /** Resolves when all lines written before are in the store: not before the store can be written. */
  flushed(): Promise<void>;
  /** Resolves when `onTenants` and `onAdditions` were told all that is in the store now; at once while it is away. */
  looked(): Promise<void>;
  /** From now on these are told of alerts. */
  setWebhooks(webhooks: readonly Webhook[]): void;
  /** From now on what is older is removed from the store, a little at a time. */
  setRetention(retention: Retention): void;
  /** Has the webhooks told that want it. */
  raise(alert: Alert): void;
  /** Tries once more to apply what is left, then ends the worker. What could not be applied is at the next start. */
  stop(): Promise<void>;
}

export type ToWorker =
  | { type: 'start'; dataDir: string; store: string }
  | { type: 'flush' | 'look'; id: number }
  | { type: 'webhooks'; webhooks: readonly Webhook[] }
  | { type: 'retention'; retention: Retention }
  | { type: 'alert'; alert: Alert }
  | { type: 'stop' };

export type FromWorker =
  | { type: 'ready' }
  | { type: 'state'; state: ApplierState }
  | { type: 'tenants'; change: TenantsChange }
  | { type: 'additions'; additions: Additions }
  | { type: 'done'; id: number }
  | { type: 'told'; told: Told }
  | { type: 'stopped' };

/** A worker that has failed outright is started again so much later. */
const restartMs = 2000;

/** Starts the worker. The journal must have been recovered before. */
export function startApplier(options: ApplierOptions): Applier {
  const asked = new Map<number, { type: 'flush' | 'look'; done: () => void }>();
  let askedId = 0;
  let webhooks: readonly Webhook[] = [];
  let retention: Retention | undefined;
  let stopping: Promise<void> | undefined;
  let onStopped = () => {};
  const { promise: heard, resolve: onHeard } = Promise.withResolvers<void>();
  const { promise: applied, resolve: onApplied } = Promise.withResolvers<void>();
  let worker: Worker | undefined = begin();
  const post = (message: ToWorker) => worker?.postMessage(message);

  function begin(): Worker {
    const begun = new Worker(workerUrl('ledger/applier-worker.ts'), { name: 'applier' });
    begun.onmessage = (event: MessageEvent<FromWorker>) => hear(event.data);
    begun.onerror = (event) => failed(event.message);
    begun.postMessage({ type: 'start', dataDir: options.dataDir, store: options.store } satisfies ToWorker);
    return begun;
  }

  function hear(message: FromWorker): void {
    if (message.type === 'ready') onApplied();
    else if (message.type === 'state') options.onState?.(message.state);
    else if (message.type === 'tenants') {
      options.onTenants?.(message.change);
      onHeard();
    } else if (message.type === 'told') options.onTold?.(message.told);
    else if (message.type === 'additions') options.onAdditions?.(message.additions);
    else if (message.type === 'stopped') onStopped();
    else {
      asked.get(message.id)?.done();
      asked.delete(message.id);
    }
  }

  /** What was not applied is in the journal still. */
  function failed(message: string): void {
    worker?.terminate();
    worker = undefined;
    options.onState?.({
      ok: false,
      error: `The applier failed, calls stay in the journal, and it is started again: ${message}`,
      position: journalStart,
      appliedAt: 0,
      unreadable: 0,
    });
    onStopped();
    setTimeout(() => {
      if (stopping !== undefined) return;
      worker = begin();
      post({ type: 'webhooks', webhooks });
      if (retention !== undefined) post({ type: 'retention', retention });
      for (const [id, { type }] of asked) post({ type, id });
    }, restartMs).unref();
  }

  function ask(type: 'flush' | 'look'): Promise<void> {
    return new Promise((done) => {
      asked.set(++askedId, { type, done });
      post({ type, id: askedId });
    });
  }

  return {
    ready: Promise.all([heard, applied]).then(() => {}),
    flushed: () => ask('flush'),
    looked: () => ask('look'),
    setWebhooks(next) {
      webhooks = next;
      post({ type: 'webhooks', webhooks });
    },
    setRetention(next) {
      retention = next;
      post({ type: 'retention', retention });
    },
    raise: (alert) => post({ type: 'alert', alert }),
    stop() {
      stopping ??= new Promise<void>((resolve) => {
        onStopped = resolve;
        if (worker === undefined) resolve();
        else post({ type: 'stop' });
      }).then(() => worker?.terminate());
      return stopping;
    },
  };
}
