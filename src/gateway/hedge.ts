/** Two attempts against lateness: where the first keeps a call waiting, the next is asked beside it. */
import type { Hedge } from '../config/route.ts';
import { GatewayError } from '../core/error.ts';
import type { Usage } from '../core/usage.ts';
import type { AnswerWish } from '../dialects/dialect.ts';
import type { Answer } from '../wire/http/server/messages.ts';
import { fail, stageFor, tellStream, tellWhole } from './attempt.ts';
import type { Attempt } from './call.ts';
import { settleCounted } from './estimate.ts';
import { bearsSecond, countCall, countSecond } from './hedge-share.ts';
import { reach } from './reach.ts';
import { readBytes } from './read-reply.ts';
import { requireEvents } from './require-events.ts';
import { leaveSilence } from './silence.ts';
import type { Stage } from './stages.ts';
import { type OpenStream, openStream } from './stream.ts';
import type { Tries } from './tries.ts';
import { Upstream } from './upstream.ts';
import { Whole } from './whole.ts';

/** What was learned of a target is no reason to ask another sooner. */
const soonestMs = 50;
/** The longest a timer can wait. */
const latestMs = 2 ** 31 - 1;

/** @throws GatewayError when neither answered: nothing has reached the client then, and all but the last is reported. */
export async function answerHedged(tries: Tries, hedge: Hedge): Promise<Answer> {
  if (tries.counted !== hedge) countCall(hedge);
  tries.counted = hedge;
  const race = new Race(tries, hedge);
  race.start(new Contender(tries, race));
  const afterMs = lateAfterMs(hedge, tries);
  const timer = afterMs === undefined ? undefined : setTimeout(() => race.late(), afterMs);
  try {
    return (await race.decided).tell(tries);
  } finally {
    clearTimeout(timer);
  }
}

function lateAfterMs({ afterMs }: Hedge, { outbound, inbound, call }: Tries): number | undefined {
  if (afterMs !== undefined) return Math.min(afterMs, latestMs);
  const { sight } = call.gateway;
  const learnedMs = sight.lateFirstTokenMs(outbound.target, Date.now(), inbound.peek.stream);
  return learnedMs && Math.max(learnedMs, soonestMs);
}

/** Whoever has something to tell first wins. While one still runs, the failure of the other is only reported. */
class Race {
  private readonly outcome = Promise.withResolvers<Contender>();
  readonly decided = this.outcome.promise;
  private winner: Contender | undefined;
  private readonly contenders: Contender[] = [];
  private running = 0;
  /** The second is being made ready. */
  private preparing = false;
  /** The first, which failed meanwhile. */
  private failed: Contender | undefined;

  constructor(
    private readonly tries: Tries,
    private readonly hedge: Hedge,
  ) {}

  start(contender: Contender): void {
    this.contenders.push(contender);
    this.running++;
    void contender.run();
  }

  /** The first is late: the next is asked as well, where the share and the limits bear it. */
  async late(): Promise<void> {
    if (this.isOver || !bearsSecond(this.hedge)) return;
    this.preparing = true;
    try {
      await this.tries.beside((other) => this.startSecond(other));
    } catch (thrown) {
      // The first goes on, as it would without a second.
      if (!(thrown instanceof GatewayError))
        this.tries.call.gateway.observer.alarm('hedge', { error: thrown });
    }
    this.preparing = false;
    if (this.failed !== undefined) await this.reject(this.failed);
  }

  private startSecond(other: Tries): boolean {
    const { outbound, call } = other;
    if (this.isOver || !bearsSecond(this.hedge)) return false;
    // Answers that are read whole and checked, or put together, are nothing to race for.
    if (outbound.form !== undefined || (outbound.copies ?? 1) > 1) return false;
    if (!call.holdSecond(outbound.target)) return false;
    this.start(new Contender(other, this));
    countSecond(this.hedge);
    call.gateway.observer.hedgeStarted(outbound.target.id);
    for (const contender of this.contenders) contender.countRequest();
    return true;
  }

  private get isOver(): boolean {
    return this.winner !== undefined || this.running === 0;
  }

  /** It has something to tell: the others are stopped at once. @returns false where another was first. */
  claim(contender: Contender): boolean {
    if (this.winner === undefined) {
      this.winner = contender;
      for (const other of this.contenders) if (other !== contender) other.stop();
    }
    return this.winner === contender;
  }

  async won(winner: Contender): Promise<void> {
    await this.decide(winner);
    const { target } = winner.attempt;
    if (winner !== this.contenders[0]) this.tries.call.gateway.observer.hedgeWon(target.id);
    this.outcome.resolve(winner);
  }

  async lost(contender: Contender): Promise<void> {
    this.running--;
    if (this.running > 0 && contender !== this.winner) contender.tries.gaveWay(contender.error!);
    else if (this.preparing) this.failed = contender;
    else await this.reject(contender);
  }

  private async reject(contender: Contender): Promise<void> {
    await this.decide(contender);
    this.outcome.reject(contender.error);
  }

  /** What comes of the call comes of this one. What others have used is counted before the call can end. */
  private async decide(contender: Contender): Promise<void> {
    for (const other of this.contenders) if (other !== contender) await other.settle();
    this.tries.standFor(contender.tries);
    this.tries.call.decide(contender.attempt);
  }
}

/** One of the attempts, until it has something to tell. */
class Contender {
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
    const reply = await reach(tries, attempt, upstream);
    if (inbound.peek.stream) {
      await requireEvents(reply, tries, attempt, upstream);
      this.stage = stageFor(tries, () => this.wish);
      attempt.heard = this.stage;
      const open = await openStream(reply, this.stage, upstream, attempt);
      if (this.stage.complete) leaveSilence(this.stage.stops?.() ?? [], tries);
      this.claim();
      return open;
    }
    const bytes = await readBytes(reply, upstream);
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
