/** Two attempts against lateness: where the first keeps a call waiting, the next is asked beside it. */
import type { Hedge } from '../config/route.ts';
import { GatewayError } from '../core/error.ts';
import type { Answer } from '../wire/http/server/messages.ts';
import { Contender } from './contender.ts';
import { bearsSecond, countCall, countSecond } from './hedge-share.ts';
import type { Tries } from './tries.ts';

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
    contender.run().catch(this.outcome.reject);
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

  private startSecond(other: Tries): boolean | Promise<boolean> {
    const { outbound, call, needs } = other;
    if (this.isOver || !bearsSecond(this.hedge)) return false;
    // Answers that are read whole and checked, or put together, are nothing to race for.
    if (outbound.form !== undefined || (outbound.copies ?? 1) > 1) return false;
    const held = call.holdSecond(needs);
    if (held instanceof Promise) return held.then((fine) => fine && !this.isOver && this.runSecond(other));
    return held && this.runSecond(other);
  }

  private runSecond(other: Tries): boolean {
    const { outbound, call } = other;
    this.start(new Contender(other, this));
    countSecond(this.hedge);
    call.gateway.observer.hedgeStarted(outbound.target.id);
    for (const contender of this.contenders) contender.countRequest();
    return true;
  }

  private get isOver(): boolean {
    return this.winner !== undefined || this.running === 0;
  }

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
