/** Which target is asked next, and with which key: the one place that decides about another attempt. */
import type { Hedge, Mirror, RouteOptions } from '../config/route.ts';
import type { ProviderKey, Target } from '../config/snapshot.ts';
import { clientGone, GatewayError, toGatewayError } from '../core/error.ts';
import { readUsedUpMs } from '../dialects/rate-limits.ts';
import type { Amounts } from '../governance/leases.ts';
import type { Refused } from '../governance/limits.ts';
import { describeWay, maxAttempts, type Plan, type Step } from '../routing/plan.ts';
import type { Attempt } from './attempt.ts';
import { correctionOf, type Fault } from './by-instruction.ts';
import type { Call } from './call.ts';
import { keyMarked, type Pins } from './objects/kept-objects.ts';
import { pause } from './pause.ts';
import type { Caller, Change, Inbound, Outbound } from './render.ts';
import type { Reply } from './reply.ts';
import { canHold } from './sold.ts';

/** With these another key of the same provider may do better. */
const keyTrouble: ReadonlySet<string> = new Set(['upstream_auth', 'upstream_quota', 'upstream_rate_limited']);

/** A client's request, for whatever target. */
export interface Renderer {
  /**
   * @param change what is asked instead.
   * @throws GatewayError `unsupported` where this target cannot be asked, others of the client's own making.
   */
  render(target: Target, change?: Change): Outbound | Promise<Outbound>;
  /** What an attempt at it may use at most. @param added tokens that it is asked beside what the client asks. */
  needs(target: Target, added?: number): Amounts;
}

type RenderedBy<I extends Renderer> = Awaited<ReturnType<I['render']>>;

export class Tries<I extends Renderer = Inbound> {
  /** The request for the target to ask now. */
  outbound!: RenderedBy<I>;
  key: ProviderKey | undefined;
  /** What the route wants of attempts at the target to ask now. */
  options: RouteOptions = {};
  /** By which strategy the call was counted as one that may ask two. */
  counted: Hedge | undefined;
  /** The target to ask now, in its place in the route. */
  private step: Step | undefined;
  private keysTried = 0;
  /** When the last attempt began: what came of it is told of that time. */
  private begunMs = 0;
  /** A token of the retry budget is held: this is not the call's first attempt. */
  private extra = false;
  private staleTried: Target | undefined;
  private fault: Fault | undefined;
  private corrected: Target | undefined;
  /** What is asked instead, once an answer has broken off. */
  private change: Change | undefined;
  /** Tokens that takes. */
  added = 0;
  /** Whose answer broke off first: it may be asked to go on itself, once. */
  private broken: Step | 'asked' | undefined;
  /** Of the last attempt. */
  private error: GatewayError | undefined;
  /** Why a target could not be asked at all: says less than what another one answered. */
  private unasked: GatewayError | undefined;

  constructor(
    readonly call: Call,
    readonly inbound: I,
    readonly request: Caller,
    private readonly plan: Plan,
    private first: Step | undefined,
  ) {}

  /**
   * Moves on to the next attempt; false when there is none left. A promise only where a target's request needs something
   * fetched first, or other nodes have to be asked whether the limits bear it. @throws GatewayError of the client's own making.
   */
  next(): boolean | Promise<boolean> {
    // A client that has left needs no other answer; one that waits does not wait for ever.
    if (this.request.gone || this.call.attempts >= maxAttempts) return false;
    const again = this.nextConnection() || this.nextCorrection() || this.nextKey();
    if (again instanceof Promise) return again.then((fine) => fine || this.nextElsewhere());
    return again || this.nextElsewhere();
  }

  private nextElsewhere(): boolean | Promise<boolean> {
    if (this.error !== undefined) this.plan.report(this.error, this.step);
    return this.nextTarget();
  }

  /**
   * The same for an answer that broke off after its beginning was shown, as `failed` was told: whoever is asked from now
   * on is asked by `change` to go on with it, in as many more tokens as `added`. Where no other target is left, the one
   * that broke off is.
   */
  goOn(change: Change, added: number): boolean | Promise<boolean> {
    this.change = change;
    this.added = added;
    this.broken ??= this.step;
    if (this.request.gone || this.call.attempts >= maxAttempts) return false;
    this.plan.report(this.failure, this.step);
    return this.nextTarget();
  }

  private nextTarget(): boolean | Promise<boolean> {
    for (;;) {
      const step = this.first ?? this.plan.next(Date.now()) ?? this.brokenOnce();
      this.first = undefined;
      this.step = step;
      if (step === undefined) return this.nextRound();
      // Another one may be known to answer just now, and need not be afforded.
      if (!this.afford(step)) {
        this.plan.passOver();
        continue;
      }
      this.setOut(step);
      const { target } = step;
      const rendered = this.render(target);
      const taken =
        rendered instanceof Promise
          ? rendered.then((fine) => fine && this.takeIfBorne(target))
          : rendered && this.takeIfBorne(target);
      if (taken instanceof Promise) return taken.then((fine) => fine || this.nextTarget());
      if (taken) return true;
    }
  }

  private brokenOnce(): Step | undefined {
    const { broken } = this;
    if (broken === undefined || broken === 'asked' || !this.failure.retry) return undefined;
    this.broken = 'asked';
    return broken;
  }

  /** All targets once more, after a pause, where the route wants that. */
  private nextRound(): false | Promise<boolean> {
    const pauseMs = this.plan.startOver();
    if (pauseMs !== undefined && this.affordOneOf(this.plan.rest)) return this.nextTargetAfter(pauseMs);
    this.returnToken();
    return false;
  }

  private async nextTargetAfter(pauseMs: number): Promise<boolean> {
    if (await pause(this.call.gateway.deadlines, pauseMs, this.request)) return this.nextTarget();
    this.returnToken();
    return false;
  }

  /**
   * Whether another attempt may be made there: the retry budget bears it, or has no need to. What its token was taken
   * for and not done, it still bears.
   */
  private afford(step: Step): boolean {
    const { call } = this;
    if (this.extra || call.attempts === 0) return true;
    const nowMs = Date.now();
    if (this.isAnswering(step, nowMs)) return true;
    this.extra = call.gateway.retries.take(call.model, nowMs);
    return this.extra;
  }

  private affordOneOf(steps: readonly Step[]): boolean {
    const nowMs = Date.now();
    return steps.some((step) => this.isAnswering(step, nowMs)) || this.afford(steps[0]!);
  }

  /** The target is well, and others were answered there of late: one more is no part of an outage. */
  private isAnswering({ target }: Step, nowMs: number): boolean {
    const { sight, measures } = this.call.gateway;
    return measures.answersAt(target, nowMs) && sight.isHealthy(target, nowMs);
  }

  private returnToken(): void {
    if (this.extra) this.call.gateway.retries.giveBack(this.call.model);
    this.extra = false;
  }

  private setOut(step: Step): void {
    this.step = step;
    this.options = step.options;
    this.call.why = step.trail === undefined ? '' : describeWay(step);
    this.call.step = step.trail === undefined ? undefined : step;
  }

  private get target(): Target | undefined {
    return this.step?.target;
  }

  /** The strategy that wants another target asked beside this one, where this one is late. */
  get hedge(): Hedge | undefined {
    return this.plan.hedge;
  }

  /**
   * Readies the next target for being asked beside this one, as tries of its own. What `ask` does not want after all
   * stays the next one. @returns whether one was asked. @throws GatewayError of the client's own making.
   */
  async beside(ask: (other: Tries<I>) => boolean | Promise<boolean>): Promise<boolean> {
    const { call, plan, step } = this;
    while (!this.request.gone && call.attempts < maxAttempts) {
      const next = plan.nextBeside(Date.now());
      if (next === undefined) break;
      const other = new Tries<I>(call, this.inbound, this.request, plan, undefined);
      other.setOut(next);
      const rendered = other.render(next.target);
      if (!(rendered instanceof Promise ? await rendered : rendered)) continue;
      other.setOut(next);
      other.take(next.target);
      const asked = ask(other);
      if (asked instanceof Promise ? await asked : asked) return true;
      other.letGo();
      plan.putBack(next, step!);
      break;
    }
    this.setOut(step!);
    return false;
  }

  /** Of several that were asked at once, `other` is what goes on. */
  standFor(other: Tries<I>): void {
    this.outbound = other.outbound;
    this.key = other.key;
    this.keysTried = other.keysTried;
    this.begunMs = other.begunMs;
    this.setOut(other.step!);
  }

  /** It failed while another is still asked: for the route to know whom to try after both. */
  gaveWay(error: GatewayError): void {
    this.failed(error);
    this.plan.report(error, this.step);
  }

  /** It was given up for another, which is a sign of nothing. */
  letGo(): void {
    this.returnToken();
    this.ended(clientGone());
  }

  /** The shadows of the answer. */
  get shadows(): readonly Mirror[] {
    return this.plan.shadowsOf(this.step!);
  }

  planShadow(mirror: Mirror): Plan {
    return this.plan.planShadow(mirror);
  }

  /** What the attempt at the target to ask now may use at most. */
  get needs(): Amounts {
    return this.inbound.needs(this.target!, this.added);
  }

  /** Whether the limits bear the attempt at the target to ask now, beside what those before it have used. */
  private isBorne(target: Target): boolean | Promise<boolean> {
    const { call } = this;
    if (target === call.heldFor) return true;
    const refused = call.hold(this.needs, target);
    return refused instanceof Promise
      ? refused.then((why) => this.noteRefusal(why))
      : this.noteRefusal(refused);
  }

  private noteRefusal(refused: Refused): boolean {
    // It says more than that others cannot say what is asked.
    if (refused !== undefined) this.unasked = refused;
    return refused === undefined;
  }

  private takeIfBorne(target: Target): boolean | Promise<boolean> {
    const borne = this.isBorne(target);
    return borne instanceof Promise
      ? borne.then((fine) => this.takeOrPass(target, fine))
      : this.takeOrPass(target, borne);
  }

  /** A target that costs more than the limits bear is passed over: another may cost less. */
  private takeOrPass(target: Target, borne: boolean): boolean {
    if (borne) return this.take(target);
    const { message } = this.unasked!;
    this.plan.report(new GatewayError('unsupported', message, { cause: this.unasked }));
    return false;
  }

  private take(target: Target): boolean {
    const { attempts, gateway, pins } = this.call;
    const mark = pins?.get(target.provider.name);
    this.begunMs = Date.now();
    this.key = mark ? keyMarked(target.provider, mark) : gateway.health.pickKey(target, this.begunMs);
    this.keysTried = 1;
    gateway.health.begin(target, this.begunMs);
    if (attempts === 0) gateway.retries.call(this.call.model, gateway.inflight.count);
    return true;
  }

  /** The provider answered. */
  succeeded(): void {
    this.returnToken();
    this.ended('ok');
  }

  /** The provider's answer begins. How it ends, `attempt` tells when it does; where there are several, who joins them. */
  begun(attempt?: Attempt): void {
    this.returnToken();
    if (attempt !== undefined) attempt.begunBy = this;
  }

  /** How the attempt has ended, all of its answer included: by that its target and key are judged. */
  ended(outcome: GatewayError | 'ok'): void {
    this.call.gateway.health.report(this.target!, this.key, outcome, Date.now(), this.begunMs);
  }

  failed(thrown: unknown): void {
    const error = toGatewayError(thrown);
    this.error = error;
    this.call.heldFor = undefined;
    // What is nobody's fault is no sign of an outage; the token of what is stays spent.
    if (!error.blame) this.returnToken();
    this.extra = false;
    this.ended(error);
  }

  /** The provider replies: what it tells of the limits of its key is heeded before it has to refuse. */
  replied(reply: Reply): void {
    const nowMs = Date.now();
    const restMs = readUsedUpMs(reply.headText, nowMs);
    if (restMs === undefined) return;
    this.call.gateway.health.reportUsedUp(this.target!, this.key, restMs, nowMs);
  }

  /** Whether another target would be asked, were this how the attempt failed. */
  goesOnAfter(error: GatewayError): boolean {
    return this.call.attempts < maxAttempts && this.plan.goesOnAfter(error, this.step);
  }

  /** The answer was not in the form that was asked for: the next attempt may say so. */
  correct(fault: Fault): void {
    this.fault = fault;
  }

  get failure(): GatewayError {
    return this.error ?? this.unasked ?? new GatewayError('internal', 'The route has no targets.');
  }

  /** The same once more, where the connection had been closed while it waited for work: nobody's fault. */
  private nextConnection(): boolean | Promise<boolean> {
    const { target } = this;
    if (this.error?.kind !== 'upstream_stale' || target === undefined || this.staleTried === target)
      return false;
    this.staleTried = target;
    return this.isBorne(target);
  }

  /** The same target, told what was wrong with its answer; once. */
  private nextCorrection(): boolean | Promise<boolean> {
    const { fault, target } = this;
    this.fault = undefined;
    if (fault === undefined || target === undefined || this.corrected === target) return false;
    const borne = this.isBorne(target);
    if (borne instanceof Promise) return borne.then((fine) => fine && this.renderCorrection(fault, target));
    return borne && this.renderCorrection(fault, target);
  }

  private renderCorrection(fault: Fault, target: Target): boolean {
    this.corrected = target;
    // What had to be fetched is here since the first attempt.
    const turns = correctionOf(fault);
    return this.render(target, (asked) => ({ ...asked, messages: [...asked.messages, ...turns] })) === true;
  }

  /** The same target with another live key, where the last one was what failed. */
  private nextKey(): boolean | Promise<boolean> {
    const { error, target } = this;
    if (target === undefined || error === undefined || !keyTrouble.has(error.kind)) return false;
    // With no other key are the files there.
    if (this.call.pins !== undefined) return false;
    // What is forbidden may be so for the key or for whoever asks: one other key finds that out.
    if (this.keysTried >= Math.min(target.provider.keys.length, error.blame ? Infinity : 2)) return false;
    const { health } = this.call.gateway;
    const nowMs = Date.now();
    const key = health.pickLiveKey(target, nowMs);
    if (key === undefined) return false;
    const borne = this.isBorne(target);
    if (borne instanceof Promise) return borne.then((fine) => fine && this.takeKey(key, target));
    return borne && this.takeKey(key, target);
  }

  private takeKey(key: ProviderKey, target: Target): boolean {
    if (!this.afford(this.step!)) return false;
    this.key = key;
    this.keysTried++;
    this.begunMs = Date.now();
    this.call.gateway.health.begin(target, this.begunMs);
    return true;
  }

  private render(target: Target, change = this.change): boolean | Promise<boolean> {
    try {
      if (this.call.hasBudget && !canHold(target, this.call)) throw unpriced(target);
      const { pins } = this.call;
      if (pins?.has(target.provider.name) === false) throw elsewhere(target, pins);
      const rendered = this.inbound.render(target, change);
      if (rendered instanceof Promise) return this.renderLater(rendered);
      this.outbound = rendered as RenderedBy<I>;
      return true;
    } catch (thrown) {
      return this.passOver(thrown);
    }
  }

  private async renderLater(rendering: Promise<Outbound>): Promise<boolean> {
    try {
      this.outbound = (await rendering) as RenderedBy<I>;
      return true;
    } catch (thrown) {
      return this.passOver(thrown);
    }
  }

  /** This target cannot be asked; another one may. @throws what no target can help. */
  private passOver(thrown: unknown): false {
    if (!(thrown instanceof GatewayError) || !thrown.retry) {
      this.returnToken();
      throw thrown;
    }
    this.unasked ??= thrown;
    this.plan.report(thrown);
    return false;
  }
}

/** A budget could not hold: what the call costs would not count. */
export function unpriced({ id }: Pick<Target, 'id'>): GatewayError {
  return new GatewayError(
    'unsupported',
    `No price is known for ${id}, and this key has a limit in USD. Have a price for "${id}" added to the gateway's configuration (prices), 0 where it is free.`,
    { param: 'model', code: 'model_unpriced' },
  );
}

function elsewhere({ id }: Target, pins: Pins): GatewayError {
  return new GatewayError(
    'unsupported',
    `The request names a file that ${[...pins.keys()].join(' or ')} keeps: ${id} cannot read it. Name a model of that provider.`,
  );
}
