/**
 * Checks values against JSON Schemas that clients choose, on a thread of its own: a schema can be made so that checking
 * takes for ever (patterns that backtrack, references that multiply), and a thread can be stopped.
 */
import type { Json } from '../core/json.ts';
import { workerUrl } from '../core/worker-url.ts';

export type SchemaVerdict =
  | { type: 'valid' }
  | { type: 'invalid'; errors: readonly string[] }
  /** The schema cannot be checked against. */
  | { type: 'unusable'; why: string };

/** @param text of the JSON value. */
export type SchemaCheck = (schema: Json, text: string) => Promise<SchemaVerdict>;

export interface SchemaChecker {
  check: SchemaCheck;
  stop(): void;
}

interface Job {
  schema: Json;
  text: string;
  resolve(verdict: SchemaVerdict): void;
}

/** Honest schemas take a hundredth of it. */
const checkMs = 250;
/** The first check waits for the thread. */
const startMs = 5000;
/** Values that wait for their turn; beyond that there is no telling. */
const maxWaiting = 256;

export function createSchemaChecker(): SchemaChecker {
  let worker: Worker | undefined;
  let running: Job | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waiting: Job[] = [];

  const finish = (verdict: SchemaVerdict): void => {
    clearTimeout(timer);
    const job = running;
    running = undefined;
    job?.resolve(verdict);
    next();
  };

  const kill = (why: string): void => {
    worker?.terminate();
    worker = undefined;
    finish({ type: 'unusable', why });
  };

  const start = (): Worker => {
    const started = new Worker(workerUrl('gateway/schema-checker-worker.ts'));
    started.onmessage = (event: MessageEvent<SchemaVerdict>) => {
      // What a thread that was given up still says is nobody's answer.
      if (started === worker) finish(event.data);
    };
    started.onerror = () => {
      if (started === worker) kill('checking it failed');
    };
    started.unref();
    return started;
  };

  function next(): void {
    if (running !== undefined) return;
    running = waiting.shift();
    if (running === undefined) return;
    const limitMs = worker === undefined ? startMs : checkMs;
    worker ??= start();
    timer = setTimeout(() => kill('checking an answer against it takes too long'), limitMs);
    worker.postMessage({ schema: running.schema, text: running.text });
  }

  return {
    check(schema, text) {
      if (waiting.length >= maxWaiting) {
        return Promise.resolve({ type: 'unusable', why: 'too many answers wait to be checked; try again' });
      }
      return new Promise((resolve) => {
        waiting.push({ schema, text, resolve });
        next();
      });
    },
    stop() {
      clearTimeout(timer);
      worker?.terminate();
      worker = undefined;
    },
  };
}
