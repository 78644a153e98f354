/** One of two attempts at once, until it has something to tell, or is stopped because the other has. */
import { GatewayError } from '../core/error.ts';
import type { Usage } from '../core/usage.ts';
import type { AnswerWish } from '../dialects/dialect.ts';
import type { Answer } from '../wire/http/server/messages.ts';
import { fail, stageFor, tellStream, tellWhole } from './answer-once.ts';
import type { Attempt } from './attempt.ts';
import { settleCounted } from './estimate.ts';
import { reach, reachStream } from './reach.ts';
import { readBytes } from './read-reply.ts';
import { leaveSilence } from './silence.ts';
import type { Stage } from './stages.ts';
import type { OpenStream } from './stream.ts';
import type { Tries } from './tries.ts';
import { Upstream } from './upstream.ts';
import { Whole } from './whole.ts';

/** The race it is in. */
interface Race {
  /** It has something to tell: the others are stopped at once. @returns false where another was first. */
  claim(contender: Contender): boolean;
  won(contender: Contender): Promise<void>;
  lost(contender: Contender): Promise<void>;
}

export class Contender {
  readonly attempt: Attempt;
  error: GatewayError | undefined;
  private readonly upstream: Upstream;
  private stage: Stage | undefined;
  private answer: Whole | OpenStream | undefined;
  private stopped = false;
  private failing: Promise<GatewayError> | undefined;
  /** What it has used if it says nothing. */
  private request: Promise<Usage> | undefined;

  /** @throws when the journal cannot be written. */
  constructor(
    readonly tries: Tries,
    private readonly race: Race,
  ) {
    const { call, outbound, inbound, request, options } = tries;
    this.attempt = call.dispatch(outbound, inbound.peek.stream);
    this.upstream = new Upstream(outbound, call.gateway.deadlines, request, options.timeouts);
  }

  async run(): Promise<void> {
    const { race, attempt, upstream, tries } = this;
    try {
      this.answer = await this.read();
      await race.won(this);
    } catch (thrown) {
      if (this.stopped) return;
      this.failing = fail(thrown, tries, attempt, upstream);
      this.error = await this.failing;
      await race.lost(this);
    }
  }

  private async read(): Promise<Whole | OpenStream> {
    const { tries, attempt, upstream } = this;
    const { inbound, outbound } = tries;
    if (inbound.peek.stream) {
      this.stage = stageFor(tries, () => this.wish);
      const open = await reachStream(tries, this.stage, attempt, upstream);
      if (this.stage.complete) leaveSilence(this.stage.stops?.() ?? [], tries);
      this.claim();
      return open;
    }
    const bytes = await readBytes(await reach(tries, attempt, upstream), upstream);
    if (this.stopped) throw tooLate();
    upstream.finish();
    const whole = new Whole(bytes, outbound, inbound);
    attempt.heard = whole;
    leaveSilence(whole.stops, tries);
    this.claim();
    attempt.meaningful();
    const counting = settleCounted(attempt, 'ok', whole.usage, true, whole, inbound);
    if (counting !== undefined) await counting;
    return whole;
  }

  /** @throws where another was first. */
  private claim(): void {
    if (!this.race.claim(this)) throw tooLate();
  }

  /** An answer may be there as a whole at once: only one that is told may be kept. */
  private get wish(): AnswerWish {
    const { wish } = this.tries.inbound;
    const { kept } = wish;
    if (kept !== undefined) wish.kept = (answer) => (this.race.claim(this) ? kept(answer) : undefined);
    return wish;
  }

  tell(tries: Tries): Answer {
    const { answer, attempt, upstream, stage } = this;
    if (answer instanceof Whole) return tellWhole(answer, tries, attempt);
    return tellStream(answer!, stage!, tries, attempt, upstream);
  }

  /** One of two will be stopped, and no client is to wait until its request is counted then. */
  countRequest(): void {
    const { inbound, call } = this.tries;
    this.request ??= inbound.complete(undefined, undefined, call.gateway.countTokens);
  }

  stop(): void {
    if (this.failing !== undefined) return;
    this.stopped = true;
    this.upstream.abandon();
  }

  /** Who was asked is paid for. That it was stopped is no sign of its health. */
  async settle(): Promise<void> {
    await this.failing;
    const { attempt, tries } = this;
    if (attempt.settled) return;
    const { heard } = attempt;
    if (heard?.usage === undefined && this.request !== undefined)
      attempt.settle('cancelled', await this.request, true);
    else await settleCounted(attempt, 'cancelled', heard?.usage, false, heard, tries.inbound);
    tries.letGo();
  }
}

function tooLate(): GatewayError {
  return new GatewayError('cancelled', 'Another target was faster.');
}
