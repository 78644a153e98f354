/** One upstream request of a call: what it was asked, how it ended, what it used and cost. */
import type { Target } from '../config/snapshot.ts';
import { type GatewayError, toGatewayError } from '../core/error.ts';
import { chargeKnown, type NanoUsd } from '../core/money.ts';
import type { Dispatched, Settled } from '../core/record.ts';
import { emptyUsage, type Usage, usedNothing } from '../core/usage.ts';
import { fateOf } from '../routing/bonds.ts';
import type { Ended } from '../routing/measures/target-measures.ts';
import type { Step } from '../routing/plan.ts';
import { inputRatio } from './bound-input.ts';
import type { Call } from './call.ts';
import { learn } from './learn.ts';
import { namesOf } from './names.ts';
import { hasOwnRates, heldFor, soldFor } from './sold.ts';
import type { StreamMeter } from './stream-meter.ts';

/** One upstream request. `settle` says how it ended; it is written when it is known whether another follows. */
export class Attempt implements Ended {
  private readonly dispatchedMs = performance.now();
  /** When its work began: later than it was dispatched, where a session waits for its next answer. */
  startedMs = this.dispatchedMs;
  upstreamStatus = 0;
  firstByteMs: number | undefined;
  firstTold = false;
  restedMs = 0;
  usage: Usage | undefined;
  estimated = false;
  /** What it cost; undefined: no price is known. */
  nanoUsd: NanoUsd | undefined;
  /** What its organisation is charged for it, where that is something else. */
  private sellNanoUsd: NanoUsd | undefined;
  lost: string[] = [];
  /** What it was asked beside the client's request: counted where the provider does not. */
  addedTokens = 0;
  /** What the provider has told so far, kept also when nothing of it reaches the client. */
  heard: { readonly usage: Usage | undefined; text(): string } | undefined;
  /** Is to hear how its answer ended, once that has begun. */
  begunBy: { ended(outcome: GatewayError | 'ok'): void } | undefined;
  /** Holds more while its answer streams, where limits would cut it off. */
  meter: StreamMeter | undefined;
  /** It is being settled: whoever else wants to waits for that. */
  settling: Promise<void> | undefined;
  outcome: Settled['outcome'] | undefined;
  /** Whom the route chose, and where: what it turned out to be the work of is another matter. */
  readonly planned: Target;
  readonly step: Step | undefined;
  private endedMs = 0;
  private written = false;

  constructor(
    readonly call: Call,
    private asked: Target,
    private begun: Dispatched,
  ) {
    this.planned = asked;
    this.step = call.step;
  }

  get target(): Target {
    return this.asked;
  }

  get dispatch(): Dispatched {
    return this.begun;
  }

  /** It turned out to be the work of another model: named and priced as that one's. */
  reassign(target: Target): void {
    const { call } = this;
    this.asked = target;
    const names = namesOf(call.key!, target, call.model, call.labels!.tags, call.operation, call.why);
    this.begun = { ...this.begun, names };
  }

  get stream(): boolean {
    return this.begun.stream;
  }

  get durationMs(): number {
    return this.endedMs - this.startedMs;
  }

  get inputTokens(): number {
    return this.usage!.input;
  }

  get inputRatio(): number | undefined {
    const { boundInput } = this.call;
    const input = this.usage!.input - this.addedTokens;
    // What was not counted by who reads it says nothing of how that one counts.
    return boundInput === 0 || this.estimated || input <= 0 ? undefined : inputRatio(input, boundInput);
  }

  get cachedTokens(): number {
    return this.usage!.cacheRead;
  }

  get outputTokens(): number {
    return this.usage!.output;
  }

  get returned(): boolean {
    return this.step !== undefined && fateOf(this.step) === 'kept';
  }

  get settled(): boolean {
    return this.outcome !== undefined;
  }

  /** Something meaningful arrived. */
  meaningful(): void {
    if (this.firstByteMs !== undefined) return;
    const nowMs = performance.now();
    this.firstByteMs = nowMs - this.startedMs;
    if (!this.stream) return;
    this.firstTold = true;
    this.call.gateway.measures.sawFirst(this.planned, this.firstByteMs, this.atOf(nowMs));
  }

  /** How it ended, and what it used; usage is counted here, once. */
  settle(outcome: Settled['outcome'], usage: Usage | undefined, estimated: boolean): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.endedMs = performance.now();
    this.usage = usage ?? emptyUsage();
    this.estimated = estimated || hasOwnRates(this.usage, this.target.price);
    // What used nothing costs nothing, also where the price is unknown.
    this.nanoUsd = usedNothing(this.usage) ? 0 : chargeKnown(this.usage, this.target.price);
    this.call.spentTokens += this.usage.input + this.usage.output;
    const sold =
      this.nanoUsd === undefined
        ? heldFor(this.usage, this.target, this.call)
        : soldFor(this.nanoUsd, this.call);
    if (sold !== (this.nanoUsd ?? 0)) this.sellNanoUsd = sold;
    this.call.spentNanoUsd += sold;
    learn(this, this.atOf(this.endedMs));
  }

  /** Milliseconds since 1970. */
  private atOf(ms: number): number {
    return this.dispatch.at + Math.round(ms - this.dispatchedMs);
  }

  fail(error: GatewayError): void {
    this.settle(error.kind, undefined, false);
  }

  /** Puts the settled attempt into the journal, once. */
  write(clientStatus: number, final: boolean): void {
    if (this.written) return;
    this.written = true;
    if (this.outcome === undefined) this.settle('internal', undefined, false);
    const record: Settled = {
      call: this.dispatch.call,
      attempt: this.dispatch.attempt,
      at: this.atOf(this.endedMs),
      final,
      outcome: this.outcome!,
      upstreamStatus: this.upstreamStatus,
      clientStatus,
      firstByteMs: this.firstByteMs,
      durationMs: this.durationMs,
      usage: this.usage!,
      estimated: this.estimated,
      nanoUsd: this.nanoUsd,
      sellNanoUsd: this.sellNanoUsd,
      lost: this.lost,
    };
    try {
      this.call.gateway.journal.settled(this.dispatch, record);
    } catch (thrown) {
      this.call.gateway.observer.alarm('journal', { error: (thrown as Error).message });
      throw toGatewayError(thrown);
    }
    this.call.gateway.observer.attemptSettled(this.dispatch, record);
  }
}
