/** Answers kept under ids of the gateway's own, so that a client can go on from one whatever provider comes next. */
import { type Answers, answerIdOf, isAnswerId, type KeptAnswer } from '../core/answers.ts';
import type { Message } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import type { Keeping } from '../dialects/dialect.ts';
import { fromStore } from './from-store.ts';

/** A conversation longer than this is to be sent, not looked up. */
const maxLinks = 500;

/** Characters of answers that wait for the store; those that come when there are more are not kept. */
const maxWaitingChars = 64_000_000;
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

export class KeptAnswers {
  /** On their way into the store: a client may be back before they are there. */
  private readonly pending = new Map<string, { answer: KeptAnswer; done: Promise<void> }>();
  private waitingChars = 0;
  private readonly closing = Promise.withResolvers<void>();
  private closed = false;

  /** @param alarm told why an answer could not be kept. */
  constructor(
    private readonly answers: Answers,
    private readonly alarm: (error: unknown) => void,
  ) {}

  /** How many are not in the store yet. */
  get waiting(): number {
    return this.pending.size;
  }

  keep(answer: KeptAnswer): void {
    const done = this.keepAtLast(answer).finally(() => this.pending.delete(answer.id));
    this.pending.set(answer.id, { answer, done });
  }

  /** While the store is away it is tried again, and the answer is found here. Never rejects. */
  private async keepAtLast(answer: KeptAnswer): Promise<void> {
    const chars = answer.request.length + answer.response.length;
    let pauseMs = firstPauseMs;
    this.waitingChars += chars;
    for (;;) {
      try {
        await this.answers.keep(answer);
        break;
      } catch (error) {
        if (pauseMs === firstPauseMs) this.alarm(error);
        if (this.closed || this.waitingChars > maxWaitingChars) break;
      }
      await Promise.race([Bun.sleep(pauseMs), this.closing.promise]);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
    this.waitingChars -= chars;
  }

  async find(owner: string, id: string): Promise<KeptAnswer | undefined> {
    if (!isAnswerId(id)) return undefined;
    const pending = this.pending.get(id)?.answer;
    if (pending !== undefined) return pending.owner === owner ? pending : undefined;
    return fromStore(this.answers.find(owner, id));
  }

  /** @throws GatewayError `unavailable`, as `find` and `history`. */
  async remove(owner: string, id: string): Promise<boolean> {
    if (!isAnswerId(id)) return false;
    await this.pending.get(id)?.done;
    return fromStore(this.answers.remove(owner, id));
  }

  /**
   * What was said up to and including an answer, from the beginning, without the instructions of each turn.
   * @throws GatewayError `bad_request` when it, or an answer it went on from, is not kept (any more).
   */
  async history(owner: string, id: string, keeping: Keeping): Promise<Message[]> {
    const links: KeptAnswer[] = [];
    for (let next: string | undefined = id; next !== undefined; ) {
      const answer: KeptAnswer | undefined = await this.find(owner, next);
      if (answer === undefined || links.length >= maxLinks) throw notFound(next, keeping.member);
      links.push(answer);
      next = answer.previous;
    }
    return links
      .reverse()
      .flatMap(({ request, response }) => keeping.turns(JSON.parse(request), JSON.parse(response)));
  }

  async close(): Promise<void> {
    this.closed = true;
    this.closing.resolve();
    await Promise.all([...this.pending.values()].map(({ done }) => done));
    await this.answers.close();
  }
}

/** The answer to `call` as it is kept. */
export function keptAnswer(
  call: string,
  owner: string,
  previous: string | undefined,
  request: string,
  response: JsonObject,
): KeptAnswer {
  return {
    id: answerIdOf(call),
    owner,
    previous,
    createdAt: Date.now(),
    request,
    response: JSON.stringify(response),
  };
}

function notFound(id: string, param: string): GatewayError {
  return new GatewayError(
    'bad_request',
    `Previous response with id '${id}' not found. It was never kept here, was deleted, or is older than thirty days: send the conversation itself.`,
    { param, code: 'previous_response_not_found' },
  );
}
