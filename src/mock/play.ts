/** Plays an answer over time to one client, and notices when that client goes away. */
import { type Answer, joinPieces } from './answer.ts';
import type { Bytes } from './framing.ts';

export interface Counters {
  /** Requests received. */
  calls: number;
  /** Answers under way. */
  open: number;
  /** Answers played to the end they were meant to have. */
  finished: number;
  /** Answers whose client went away before. */
  aborted: number;
}

/** What a client sees of a connection that was torn down; the code is that of fetch. */
export class ConnectionReset extends Error {
  override readonly name = 'ConnectionReset';
  readonly code = 'ECONNRESET';

  constructor() {
    super('The socket connection was closed unexpectedly.');
  }
}

/** One client waiting for one answer. Ends exactly once: finished or left. */
export class Visit {
  left = false;
  #over = false;
  #wake: (() => void) | undefined;

  constructor(readonly counters: Counters) {
    counters.open++;
  }

  finish(): void {
    if (this.#end()) this.counters.finished++;
  }

  /** The client went away: whatever is waited for ends now. */
  leave(): void {
    if (!this.#end()) return;
    this.left = true;
    this.counters.aborted++;
    this.#wake?.();
  }

  /** Waits, at most until the client goes away. */
  async wait(ms: number): Promise<void> {
    if (this.left || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.counters.open--;
    return true;
  }
}

/** It needs no time and no care: it can be sent in one write. */
export function isImmediate(answer: Answer): boolean {
  return (
    answer.ending === 'end' &&
    !answer.apart &&
    answer.beforeMs === 0 &&
    answer.firstMs === 0 &&
    (answer.delayMs === 0 || answer.pieces.length < 2)
  );
}

/** The connection goes down before there are headers. */
export function hangsUp(answer: Answer): boolean {
  return answer.ending === 'reset' && answer.pieces.length === 0;
}

/**
 * The body's writes at their pace.
 * @throws ConnectionReset where the answer ends so.
 */
export async function* play(answer: Answer, visit: Visit): AsyncGenerator<string | Bytes, void> {
  await visit.wait(answer.firstMs);
  // Without delay or `split` everything goes out at once, as far as it goes.
  const pieces = answer.apart || answer.delayMs > 0 ? answer.pieces : [joinPieces(answer)];
  for (let at = 0; at < pieces.length; at++) {
    if (at > 0) await visit.wait(answer.delayMs);
    if (visit.left) return;
    yield pieces[at] as string | Bytes;
  }
  if (answer.ending === 'stall') await visit.wait(Number.POSITIVE_INFINITY);
  visit.finish();
  if (answer.ending === 'reset' && !visit.left) throw new ConnectionReset();
}

const encoder = new TextEncoder();

/**
 * The answer as fetch gives it.
 * @throws ConnectionReset, or the signal's reason when the client goes away before there are headers.
 */
export async function playResponse(
  answer: Answer,
  visit: Visit,
  signal: AbortSignal | null,
): Promise<Response> {
  const leave = (): void => visit.leave();
  if (signal?.aborted) leave();
  signal?.addEventListener('abort', leave, { once: true });
  await visit.wait(answer.beforeMs);
  if (visit.left) throw signal?.reason;
  if (hangsUp(answer)) {
    visit.finish();
    throw new ConnectionReset();
  }
  const pieces = play(answer, visit);
  const body = new ReadableStream<Bytes>(
    {
      async pull(controller) {
        try {
          const { done, value } = await pieces.next();
          if (visit.left) controller.error(signal?.reason);
          else if (done) controller.close();
          else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value);
          if (done) signal?.removeEventListener('abort', leave);
        } catch (thrown) {
          controller.error(thrown);
        }
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status: answer.status, headers: answer.headers });
}
