/** Answers kept under ids of the gateway's own, so that a client can go on from one whatever provider comes next. */
import { type Answers, answerIdOf, isAnswerId, type KeptAnswer } from '../core/answers.ts';
import type { Message } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import type { Keeping } from '../dialects/dialect.ts';

/** A conversation longer than this is to be sent, not looked up. */
const maxLinks = 500;

export class KeptAnswers {
  /** On their way into the store: a client may be back before they are there. */
  private readonly pending = new Map<string, { answer: KeptAnswer; done: Promise<void> }>();

  /** @param alarm told why an answer could not be kept. */
  constructor(
    private readonly answers: Answers,
    private readonly alarm: (error: unknown) => void,
  ) {}

  keep(answer: KeptAnswer): void {
    const done = this.answers
      .keep(answer)
      .catch(this.alarm)
      .finally(() => this.pending.delete(answer.id));
    this.pending.set(answer.id, { answer, done });
  }

  async find(owner: string, id: string): Promise<KeptAnswer | undefined> {
    if (!isAnswerId(id)) return undefined;
    const pending = this.pending.get(id)?.answer;
    if (pending !== undefined) return pending.owner === owner ? pending : undefined;
    return this.answers.find(owner, id);
  }

  async remove(owner: string, id: string): Promise<boolean> {
    if (!isAnswerId(id)) return false;
    await this.pending.get(id)?.done;
    return this.answers.remove(owner, id);
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

  close(): Promise<void> {
    return this.answers.close();
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
