/** Which target is asked next, and with which key: the one place that decides about another attempt. */
import type { RouteOptions } from '../config/route.ts';
import type { ProviderKey, Target } from '../config/snapshot.ts';
import type { Message } from '../core/chat.ts';
import { GatewayError, toGatewayError } from '../core/error.ts';
import { describeWay, maxAttempts, type Plan, type Step } from '../routing/plan.ts';
import type { ClientRequest } from '../wire/http/server/messages.ts';
import { correctionOf, type Fault } from './by-instruction.ts';
import type { Call } from './call.ts';
import { keyMarked, type Pins } from './objects/kept-objects.ts';
import type { Inbound, Outbound } from './render.ts';

/** With these another key of the same provider may do better. */
const keyTrouble: ReadonlySet<string> = new Set(['upstream_auth', 'upstream_quota', 'upstream_rate_limited']);

/** A client's request, for whatever target. */
export interface Renderer {
  /**
   * @param more turns to add to the client's own.
   * @throws GatewayError `unsupported` where this target cannot be asked, others of the client's own making.
   */
  render(target: Target, more?: readonly Message[]): Outbound | Promise<Outbound>;
}

type RenderedBy<I extends Renderer> = Awaited<ReturnType<I['render']>>;

export class Tries<I extends Renderer = Inbound> {
  /** The request for the target to ask now. */
  outbound!: RenderedBy<I>;
  key: ProviderKey | undefined;
  /** What the route wants of attempts at the target to ask now. */
  options: RouteOptions = {};
  private target: Target | undefined;
  private keysTried = 0;
  private staleTried: Target | undefined;
  private fault: Fault | undefined;
  private corrected: Target | undefined;
  /** Of the last attempt. */
  private error: GatewayError | undefined;
  /** Why a target could not be asked at all: says less than what another one answered. */
  private unasked: GatewayError | undefined;

  constructor(
    readonly call: Call,
    readonly inbound: I,
    readonly request: ClientRequest,
    private readonly plan: Plan,
    private first: Step | undefined,
  ) {}

  /**
   * Moves on to the next attempt; false when there is none left. A promise only where a target's request needs something
   * fetched first. @throws GatewayError of the client's own making.
   */
  next(): boolean | Promise<boolean> {
    // A client that has left needs no other answer; one that waits does not wait for ever.
    if (this.request.gone || this.call.attempts >= maxAttempts) return false;
    if (this.nextConnection() || this.nextCorrection() || this.nextKey()) return true;
    if (this.error !== undefined) this.plan.report(this.error);
    return this.nextTarget();
  }

  private nextTarget(): boolean | Promise<boolean> {
    for (;;) {
      const step = this.first ?? this.plan.next(Date.now());
      this.first = undefined;
      this.options = step?.options ?? {};
      this.call.why = step?.trail === undefined ? '' : describeWay(step);
      this.target = step?.target;
      const { target } = this;
      if (target === undefined) return false;
      const rendered = this.render(target);
      if (rendered instanceof Promise)
        return rendered.then((fine) => (fine ? this.take(target) : this.nextTarget()));
      if (rendered) return this.take(target);
    }
  }

  private take(target: Target): boolean {
    const mark = this.call.pins?.get(target.provider.name);
    this.key = mark
      ? keyMarked(target.provider, mark)
      : this.call.gateway.health.pickKey(target.provider, Date.now());
    this.keysTried = 1;
    return true;
  }

  /** The provider answered. */
  succeeded(): void {
    this.call.gateway.health.report(this.target!, this.key, 'ok', Date.now());
  }

  failed(thrown: unknown): void {
    this.error = toGatewayError(thrown);
    this.call.gateway.health.report(this.target!, this.key, this.error, Date.now());
  }

  /** The answer was not in the form that was asked for: the next attempt may say so. */
  correct(fault: Fault): void {
    this.fault = fault;
  }

  get failure(): GatewayError {
    return this.error ?? this.unasked ?? new GatewayError('internal', 'The route has no targets.');
  }

  /** The same once more, where the connection had been closed while it waited for work: nobody's fault. */
  private nextConnection(): boolean {
    if (this.error?.kind !== 'upstream_stale' || this.staleTried === this.target) return false;
    this.staleTried = this.target;
    return true;
  }

  /** The same target, told what was wrong with its answer; once. */
  private nextCorrection(): boolean {
    const { fault, target } = this;
    this.fault = undefined;
    if (fault === undefined || target === undefined || this.corrected === target) return false;
    this.corrected = target;
    // What had to be fetched is here since the first attempt.
    return this.render(target, correctionOf(fault)) === true;
  }

  /** The same target with another live key, where the last one was what failed. */
  private nextKey(): boolean {
    const { error, target } = this;
    if (target === undefined || error === undefined || !keyTrouble.has(error.kind)) return false;
    // With no other key are the files there.
    if (this.call.pins !== undefined) return false;
    if (this.keysTried >= target.provider.keys.length) return false;
    const key = this.call.gateway.health.pickLiveKey(target.provider, Date.now());
    if (key === undefined) return false;
    this.key = key;
    this.keysTried++;
    return true;
  }

  private render(target: Target, more?: readonly Message[]): boolean | Promise<boolean> {
    try {
      if (target.price === undefined && this.call.hasBudget) throw unpriced(target);
      const { pins } = this.call;
      if (pins?.has(target.provider.name) === false) throw elsewhere(target, pins);
      const rendered = this.inbound.render(target, more);
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
    if (!(thrown instanceof GatewayError) || !thrown.retry) throw thrown;
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
