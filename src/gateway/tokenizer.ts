/** Counts tokens on a thread of its own, started when first needed: the tables take a third of a second to load. */

import { workerUrl } from '../core/worker-url.ts';

export interface Tokenizer {
  /** Tokens of `text` by a tokenizer close enough to all; by length, should the thread fail. */
  count(text: string): Promise<number>;
  stop(): void;
}

export function createTokenizer(): Tokenizer {
  let worker: Worker | undefined;
  let next = 0;
  const waiting = new Map<number, { text: string; resolve: (tokens: number) => void }>();

  const start = (): Worker => {
    const started = new Worker(workerUrl('gateway/tokenizer-worker.ts'));
    started.onmessage = (event: MessageEvent<{ id: number; tokens: number }>) => {
      waiting.get(event.data.id)?.resolve(event.data.tokens);
      waiting.delete(event.data.id);
    };
    started.onerror = () => {
      worker = undefined;
      for (const { text, resolve } of waiting.values()) resolve(byLength(text));
      waiting.clear();
    };
    started.unref();
    return started;
  };

  return {
    count(text) {
      if (text === '') return Promise.resolve(0);
      if (waiting.size >= maxWaiting) return Promise.resolve(byLength(text));
      worker ??= start();
      const id = next++;
      const { promise, resolve } = Promise.withResolvers<number>();
      waiting.set(id, { text, resolve });
      worker.postMessage({ id, text });
      return promise;
    },
    stop() {
      worker?.terminate();
      worker = undefined;
    },
  };
}

/** Texts that wait to be counted; beyond that a guess must do. */
const maxWaiting = 256;

/** Four letters a token, as English has it. */
export function byLength(text: string): number {
  return Math.ceil(text.length / 4);
}
