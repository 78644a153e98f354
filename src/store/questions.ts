/** What the console asks of many rows, answered on a thread of its own: adding up takes milliseconds that calls do not have. */
import type { Kysely } from 'kysely';
import { workerUrl } from '../core/worker-url.ts';
import { type CallsQuery, type ListedCall, listCalls } from './call-list.ts';
import { type LatencyQuery, type LatencyRow, queryLatencies } from './percentiles.ts';
import type { Schema } from './schema.ts';
import { queryUsage, queryUsagePage, type UsagePageQuery, type UsageQuery, type UsageRow } from './usage.ts';

/** @throws each as what it is named after, and as openStore. */
export interface Questions {
  usage(query: UsageQuery): Promise<UsageRow[]>;
  /** For a page of a long answer: what of it nobody asked for is not handed from thread to thread. */
  usagePage(query: UsagePageQuery): Promise<UsageRow[] | undefined>;
  calls(query: CallsQuery): Promise<ListedCall[]>;
  latencies(query: LatencyQuery): Promise<LatencyRow[]>;
}

export type ToQuestions =
  | { type: 'open'; dataDir: string; url: string }
  | { type: 'ask'; id: number; name: keyof Questions; query: unknown }
  | { type: 'close'; id: number };

/** The answer to the message of that id. */
export interface FromQuestions {
  id: number;
  answer?: unknown;
  error?: { name: string; message: string; code?: string | undefined };
}

/** Answered on the caller's thread. */
export function questionsOn(db: () => Promise<Kysely<Schema>>): Questions {
  return {
    usage: async (query) => queryUsage(await db(), query),
    usagePage: async (query) => queryUsagePage(await db(), query),
    calls: async (query) => listCalls(await db(), query),
    latencies: async (query) => queryLatencies(await db(), query),
  };
}

/** The thread starts with the first question, and again with the next one should it die. */
export function openQuestions(dataDir: string, url: string): Questions & { close(): Promise<void> } {
  let worker: Worker | undefined;
  let nextId = 0;
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();

  function start(): Worker {
    const started = new Worker(workerUrl('store/questions-worker.ts'), { name: 'questions' });
    started.onmessage = ({ data: { id, answer, error } }: MessageEvent<FromQuestions>) => {
      const asker = waiting.get(id);
      waiting.delete(id);
      // It keeps the process alive only while somebody waits for it.
      if (waiting.size === 0) started.unref();
      if (error === undefined) asker?.resolve(answer);
      else asker?.reject(Object.assign(new Error(error.message), error));
    };
    started.onerror = (event) => end(`The thread that answers questions failed: ${event.message}.`);
    started.postMessage({ type: 'open', dataDir, url } satisfies ToQuestions);
    return started;
  }

  function end(why: string): void {
    worker?.terminate();
    worker = undefined;
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
  }

  function post(message: (id: number) => ToQuestions): Promise<unknown> {
    worker ??= start();
    if (waiting.size === 0) worker.ref();
    const asker = Promise.withResolvers<unknown>();
    const id = nextId++;
    waiting.set(id, asker);
    worker.postMessage(message(id));
    return asker.promise;
  }

  const ask =
    <Name extends keyof Questions>(name: Name) =>
    (query: Parameters<Questions[Name]>[0]) =>
      post((id) => ({ type: 'ask', id, name, query })) as ReturnType<Questions[Name]>;

  return {
    usage: ask('usage'),
    usagePage: ask('usagePage'),
    calls: ask('calls'),
    latencies: ask('latencies'),
    async close() {
      if (worker === undefined) return;
      await post((id) => ({ type: 'close', id })).catch(() => {});
      end('The store is closed.');
    },
  };
}
