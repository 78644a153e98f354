/** One call and its attempts: what has been written to the journal, what is reserved, and that both end exactly once. */
import type { Key, Snapshot, Target } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';
import { newCallId } from '../core/id.ts';
import type { WhenExhausted } from '../core/limit.ts';
import type { NanoUsd } from '../core/money.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import type { Amounts, BoundLimit, Lease } from '../governance/leases.ts';
import { capacityOf, type Refused } from '../governance/limits.ts';
import type { Step } from '../routing/plan.ts';
import { Attempt } from './attempt.ts';
import type { Gateway } from './gateway.ts';
import type { Labels } from './labels.ts';
import { namesOf } from './names.ts';
import type { Pins } from './objects/kept-objects.ts';
import { type PlanDraft, writePlan } from './plan-record.ts';
import type { Outbound } from './render.ts';

export class Call {
  readonly id = newCallId();
  readonly startedMs = performance.now();
  key: Key | undefined;
  model = '';
  labels: Labels | undefined;
  lease: Lease | undefined;
  /** Where the files are that its request names; undefined: it names none. */
  pins: Pins | undefined;
  /** What is held for as long as the call runs, where `lease` is renewed meanwhile. */
  standing: Lease | undefined;
  attempts = 0;
  /** Why the target to ask next is asked: the way through the route; '' where the client named it. */
  why = '';
  /** Its plan, until that is in the journal; undefined where its route leaves nothing to choose. */
  plan: PlanDraft | undefined;
  /** The target to ask next in its place in the route; undefined where the client named it. */
  step: Step | undefined;
  /** provider/model asked last. */
  target = '';
  /** What becomes of it when it needs more than its limits bear; undefined: none of them counts tokens or money. */
  whenExhausted: WhenExhausted | undefined;
  /** Some limit on the path is in USD: then what has no price cannot be called. */
  hasBudget = false;
  /** Tokens its prompt was taken to have at most, before anything was learned; 0: nobody asked. */
  boundInput = 0;
  /** Whom what is held suffices for: another target, or an attempt that follows a failure, may need more. */
  heldFor: Target | undefined;
  /** What the attempt at the target to ask next may use at most. */
  private needs: Amounts = nothing;
  /** What `lease` is of: while there is none, because it is renewed, what is used counts against them all the same. */
  limits: readonly BoundLimit[] = [];
  /** The dialect of the last attempt's provider, where it is the client's own. */
  answeredBy: ClientDialect | undefined;
  spentTokens = 0;
  /** What its organisation is charged so far. */
  spentNanoUsd: NanoUsd = 0;
  /** Attempts that are not written as settled yet: the last one, or several that run at once. */
  private readonly open: Attempt[] = [];
  private ended = false;

  constructor(
    readonly gateway: Gateway,
    readonly dialect: ClientDialect,
    readonly snapshot: Snapshot,
    readonly operation = 'chat',
  ) {
    gateway.inflight.enter();
    gateway.observer.callStarted();
  }

  /** What binds it: of key, team and organisation, and of the end user it names. */
  limitsOnPath(): readonly BoundLimit[] {
    return this.gateway.limiter.limitsOf(this.snapshot, this.key!, this.labels!.endUser);
  }

  /** Writes that an upstream request is about to leave. The attempt before it was not the last. */
  dispatch({ target, lost }: Outbound, stream: boolean): Attempt {
    const key = this.key!;
    const labels = this.labels!;
    const needs = this.needs.likely ?? this.needs;
    const attempt = new Attempt(this, target, {
      call: this.id,
      attempt: this.attempts + 1,
      at: Date.now(),
      names: namesOf(key, target, this.model, labels.tags, this.operation, this.why),
      stream,
      session: labels.session,
      endUser: labels.endUser,
      reservedNanoUsd: needs.costNanoUsd ?? needs.nanoUsd,
    });
    if (needs.costNanoUsd !== undefined) attempt.dispatch.reservedSellNanoUsd = needs.nanoUsd;
    attempt.lost = bounded(lost);
    // Only what is written counts: if it cannot be, the attempt before it stays the last.
    try {
      if (this.plan !== undefined) this.recordPlan(this.plan, attempt.dispatch.at);
      this.gateway.journal.dispatched(attempt.dispatch);
    } catch (thrown) {
      throw this.unwritten(thrown);
    }
    this.gateway.measures.began(target);
    this.attempts++;
    this.target = target.id;
    this.writeSettled();
    this.open.push(attempt);
    return attempt;
  }

  private unwritten(cause: unknown): GatewayError {
    this.gateway.observer.alarm('journal', { error: (cause as Error).message });
    return new GatewayError(
      'unavailable',
      'This gateway cannot write down what calls cost just now, and so makes none. Retry later.',
      { cause, retryAfterS: 10 },
    );
  }

  private recordPlan(plan: PlanDraft, at: number): void {
    this.gateway.journal.planned({ call: this.id, at, text: writePlan(plan, this, at) });
    this.plan = undefined;
  }

  /** Those that are settled were not the last. */
  private writeSettled(): void {
    for (let i = this.open.length - 1; i >= 0; i--) {
      const attempt = this.open[i]!;
      if (!attempt.settled) continue;
      this.open.splice(i, 1);
      attempt.write(0, false);
    }
  }

  /** Of several attempts that ran at once, `attempt` is what became of the call. */
  decide(attempt: Attempt): void {
    this.open.splice(this.open.indexOf(attempt), 1);
    this.open.push(attempt);
    this.target = attempt.target.id;
  }

  /** What the attempt at the target to ask next may be charged. */
  get reserved(): NanoUsd {
    return this.needs.nanoUsd;
  }

  /**
   * Holds with every limit what an attempt at `target` may use, before anything is sent.
   * @returns a promise only where other nodes have to be asked.
   * @throws GatewayError `budget_exceeded`, `rate_limited`.
   */
  reserve(limits: readonly BoundLimit[], needs: Amounts, target?: Target): void | Promise<void> {
    this.limits = limits;
    const reserved = this.gateway.limiter.reserve(limits, needs, Date.now());
    if (reserved instanceof Promise) return reserved.then((lease) => this.keep(lease, needs, target));
    this.keep(reserved, needs, target);
  }

  private keep(lease: Lease, needs: Amounts, target: Target | undefined): void {
    // Renewed twice while other nodes were asked: the later one counts.
    this.lease?.cancel(Date.now());
    this.needs = needs;
    this.lease = lease;
    this.heldFor = target;
    // It ended while other nodes were asked.
    if (this.ended) lease.cancel(Date.now());
  }

  /** Gives back what is held, for what was used. */
  private release(nowMs: number): void {
    const { lease, limits, spentTokens: tokens, spentNanoUsd: nanoUsd } = this;
    if (lease === undefined) this.gateway.limiter.book(limits, { tokens, nanoUsd }, nowMs);
    // Nothing was sent: then nothing counts, not even the request.
    else if (this.attempts === 0) lease.cancel(nowMs);
    else lease.settle({ tokens, nanoUsd }, nowMs);
  }

  /**
   * Holds what another attempt, at `target`, may use beside what those before it have used.
   * @returns why a limit does not bear that: then no more is held than before. A promise as `reserve`.
   */
  hold(needs: Amounts, target: Target): Refused | Promise<Refused> {
    const refused = this.raise(this.totalsWith(needs));
    if (refused instanceof Promise) return refused.then((why) => this.held(why, needs, target));
    return this.held(refused, needs, target);
  }

  private held(refused: Refused, needs: Amounts, target: Target): Refused {
    if (refused !== undefined) return refused;
    this.needs = needs;
    this.heldFor = target;
    return undefined;
  }

  /** Holds as much again as a second attempt at once may use. @returns false where a limit does not bear it. */
  holdSecond(needs: Amounts): boolean | Promise<boolean> {
    const { tokens, nanoUsd } = this.totalsWith(this.needs);
    const refused = this.raise({ tokens: tokens + needs.tokens, nanoUsd: nanoUsd + needs.nanoUsd });
    if (refused instanceof Promise) return refused.then((why) => this.heldSecond(why, needs));
    return this.heldSecond(refused, needs);
  }

  private heldSecond(refused: Refused, needs: Amounts): boolean {
    if (refused !== undefined || this.ended) return false;
    this.needs = needs;
    return true;
  }

  /** Holds more for the attempt that runs. @returns why a limit that cuts answers off does not bear that, as `hold`. */
  topUp(needs: Amounts): Refused | Promise<Refused> {
    const { lease, gateway } = this;
    const refused = lease && gateway.limiter.topUp(lease, this.totalsWith(needs), Date.now());
    if (refused === undefined) this.needs = needs;
    return refused;
  }

  /** What nine of ten answers of its key are no longer than; undefined: nothing is learned. */
  highOutput(target: Target): number | undefined {
    return this.gateway.measures.highOutputTokens(target, this.key!);
  }

  /** What its prompts keep below there, of what they were taken to have at most; undefined: nothing is learned. */
  inputRatio(target: Target): number | undefined {
    return this.gateway.measures.inputRatio(target, this.key!);
  }

  /** What the next attempt may need at most, as things stand. */
  get bearable(): Amounts {
    const { lease, gateway, limits, spentTokens, spentNanoUsd } = this;
    const room = gateway.limiter.room(limits, Date.now());
    const held = lease?.amounts ?? nothing;
    return {
      tokens: room.tokens + Math.max(0, held.tokens - spentTokens),
      nanoUsd: room.nanoUsd + Math.max(0, held.nanoUsd - spentNanoUsd),
    };
  }

  /** Its limits bear so much many times over. */
  isAmple(needs: Amounts): boolean {
    return this.gateway.limiter.isAmple(this.limits, needs, Date.now());
  }

  /** What a call that is alone with its limits may use at most. */
  get capacity(): Amounts {
    return capacityOf(this.limits);
  }

  private raise(totals: Amounts): Refused | Promise<Refused> {
    return this.lease && this.gateway.limiter.raise(this.lease, totals, Date.now());
  }

  private totalsWith({ tokens, nanoUsd }: Amounts): Amounts {
    return { tokens: this.spentTokens + tokens, nanoUsd: this.spentNanoUsd + nanoUsd };
  }

  /**
   * Books what was used since the last time and holds `estimate` for what comes: of a call that goes on after it was
   * charged. @throws GatewayError `budget_exceeded`, `rate_limited`.
   */
  renew(limits: readonly BoundLimit[], estimate: Amounts): void | Promise<void> {
    this.release(Date.now());
    this.lease = undefined;
    this.spentTokens = 0;
    this.spentNanoUsd = 0;
    return this.reserve(limits, estimate);
  }

  /** The call is over: writes the last attempt as final, gives back what was reserved, counts. Does so once. */
  end(status: number, error?: GatewayError): void {
    if (this.ended) return;
    this.ended = true;
    try {
      const last = this.open.length - 1;
      for (let i = 0; i <= last; i++) this.open[i]!.write(i === last ? status : 0, i === last);
    } finally {
      const nowMs = Date.now();
      this.release(nowMs);
      if (this.attempts === 0) this.standing?.cancel(nowMs);
      else this.standing?.settle({ tokens: 0, nanoUsd: 0 }, nowMs);
      this.gateway.inflight.leave();
      this.gateway.observer.callEnded({
        id: this.id,
        operation: this.operation,
        dialect: this.dialect.name,
        key: this.key?.name ?? '',
        model: this.model,
        target: this.target,
        attempts: this.attempts,
        status,
        durationMs: performance.now() - this.startedMs,
        error,
      });
    }
  }
}

const nothing: Amounts = { tokens: 0, nanoUsd: 0 };

const maxLost = 50;
const maxPathChars = 100;

/** Clients name members, in any number and length: a header and a line of the journal have to bear them. */
function bounded(lost: string[]): string[] {
  if (lost.length === 0) return lost;
  const paths = lost.slice(0, maxLost).map((path) => path.slice(0, maxPathChars));
  if (lost.length > maxLost) paths.push(`and ${lost.length - maxLost} more`);
  return paths;
}
