/**
 * What a session uses, as its events tell: every answer and every transcript is an attempt of its own, in the journal
 * before the client hears of it, and each time the limits are asked anew.
 *
 * One attempt is always open: it was dispatched when the session began, or when the one before it was settled, and
 * stands for whatever comes next. So a crash leaves it behind as interrupted, and the last one ends the call.
 */
import type { Target } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/error.ts';
import type { Price } from '../../core/money.ts';
import { emptyUsage, type Usage } from '../../core/usage.ts';
import { type RealtimeEvent, readEvent } from '../../dialects/realtime/events.ts';
import { RealtimeGauge } from '../../dialects/realtime/gauge.ts';
import type { Amounts, BoundLimit } from '../../governance/leases.ts';
import type { Refused } from '../../governance/limits.ts';
import type { Message } from '../../wire/websocket/frames.ts';
import type { Attempt } from '../attempt.ts';
import type { Call } from '../call.ts';
import { needsOf } from '../expected-usage.ts';
import type { Outbound } from '../render.ts';
import { type Buyer, canHold } from '../sold.ts';

/** What an answer may need, until one has shown how long they are. */
const usualOutput = 1024;
/** Where the time of a session is what is sold, it is settled so often. */
const settledEveryMs = 60_000;

/** Limits that hold for a session as one call, and those that each answer counts against. */
export function splitLimits(limits: readonly BoundLimit[]): {
  standing: BoundLimit[];
  spending: BoundLimit[];
} {
  const spends = ({ limit }: BoundLimit): boolean => limit.unit === 'tokens' || limit.unit === 'usd';
  return { standing: limits.filter((each) => !spends(each)), spending: limits.filter(spends) };
}

/** What the first answer of a session may need. */
export function firstEstimate(target: Target, buyer: Buyer): Amounts {
  return estimateFor({ ...emptyUsage(), ...outputOf(usualOutput, true) }, target, buyer);
}

export class RealtimeMeter {
  private readonly gauge = new RealtimeGauge();
  /** When the answer that is under way began. */
  private begunMs: number | undefined;
  private firstPieceMs: number | undefined;
  /** The longest answer so far, in tokens. */
  private longest = 0;
  private speaks = true;
  /** Up to when the time of the session is settled. */
  private settledMs = performance.now();

  /**
   * @param limits those that answers count against, as they are now. @throws GatewayError `unauthorized`.
   * @param transcribes the session writes down what it hears, and answers nothing.
   */
  constructor(
    private readonly call: Call,
    private readonly outbound: Outbound,
    private attempt: Attempt,
    private readonly limits: () => readonly BoundLimit[],
    private readonly transcribes: boolean,
  ) {}

  /** When time that is sold has to be settled; Infinity where it is not sold. */
  get dueMs(): number {
    return this.soldByTime ? this.settledMs + settledEveryMs : Infinity;
  }

  hear(message: Message): void {
    this.gauge.hear(message);
  }

  /**
   * Takes what a provider sent, before it is passed on.
   * @returns why the session cannot go on; a promise only where other nodes have to be asked. @throws GatewayError when the journal cannot be written.
   */
  take(text: string): Refused | Promise<Refused> {
    const event = readEvent(text);
    if (event === undefined) return undefined;
    this.gauge.note(event);
    switch (event.type) {
      case 'session':
        return this.checkTranscriber(event.settings.transcriber);
      case 'begun':
        this.begunMs = performance.now();
        this.firstPieceMs = undefined;
        return this.renew();
      case 'piece':
        this.firstPieceMs ??= performance.now();
        return undefined;
      case 'done':
        return this.answered(event);
      case 'transcribed':
        return this.transcribed(event.usage, event.text);
    }
  }

  /** The time that is sold, so far. @returns as `take`. */
  settleTime(): Refused | Promise<Refused> {
    this.attempt.settle('ok', this.withTime(emptyUsage()), false);
    return this.goOn();
  }

  /** Whether the provider is in the middle of an answer. */
  get answering(): boolean {
    return this.gauge.answering;
  }

  /** The session is over: what is left is settled. @param error why, unless it came to its end. */
  end(error: GatewayError | undefined): void {
    const { attempt } = this;
    if (attempt.settled) return;
    if (this.answering) {
      this.timeAnswer();
      attempt.settle(error?.kind ?? 'cancelled', this.withTime(this.gauge.estimateAnswer()), true);
      return;
    }
    // Where nothing was under way, only what was the provider's fault speaks against the attempt.
    attempt.settle(error?.blame === true ? error.kind : 'ok', this.withTime(emptyUsage()), false);
  }

  private answered({ usage, failure }: RealtimeEvent & { type: 'done' }): Refused | Promise<Refused> {
    const counted = usage ?? (failure === undefined ? this.gauge.estimateAnswer() : emptyUsage());
    this.longest = Math.max(this.longest, counted.output);
    this.speaks = counted.audioOutput > 0;
    this.gauge.counted(counted);
    this.timeAnswer();
    const estimated = usage === undefined && failure === undefined;
    this.attempt.settle(failure?.kind ?? 'ok', this.withTime(counted), estimated);
    return this.goOn();
  }

  private transcribed(usage: Usage | undefined, text: string): Refused | Promise<Refused> {
    const { transcriber } = this.gauge.settings;
    // It comes with the session: nobody charges for it.
    if (usage === undefined && (transcriber === undefined || this.soldByTime)) return undefined;
    if (transcriber !== undefined) this.attempt.reassign(this.targetOf(transcriber));
    const counted = usage ?? this.gauge.estimateTranscript(text);
    this.attempt.startedMs = performance.now();
    this.attempt.settle('ok', counted, usage === undefined);
    return this.goOn();
  }

  /** The durations of an answer are its own, not those of the silence before it. */
  private timeAnswer(): void {
    const { attempt, begunMs, firstPieceMs } = this;
    attempt.startedMs = begunMs ?? performance.now();
    attempt.firstByteMs = firstPieceMs === undefined ? undefined : firstPieceMs - attempt.startedMs;
    if (!this.gauge.answering) this.begunMs = undefined;
  }

  /**
   * What was settled is written, and the next attempt begins; unless it may not: then that was the last. It waits for no
   * other node: what it uses until they have answered counts, and ends the session where it may not go on.
   */
  private goOn(): Refused | Promise<Refused> {
    const refused = this.renew();
    if (refused === undefined || refused instanceof Promise) {
      const { upstreamStatus } = this.attempt;
      this.attempt = this.call.dispatch(this.outbound, true);
      this.attempt.upstreamStatus = upstreamStatus;
    }
    return refused;
  }

  /** Asks every limit for what comes next, in the windows that run now. */
  private renew(): Refused | Promise<Refused> {
    const usage = {
      ...this.gauge.estimateInput(),
      ...outputOf(Math.max(usualOutput, this.longest), this.speaks),
    };
    try {
      const renewing = this.call.renew(this.limits(), estimateFor(usage, this.outbound.target, this.call));
      return renewing?.then(() => undefined, refusalOf);
    } catch (thrown) {
      return refusalOf(thrown);
    }
  }

  /** Models that cost money nobody knows, and others than the one that was asked for, write nothing down. */
  private checkTranscriber(model: string | undefined): GatewayError | undefined {
    if (model === undefined) return undefined;
    const { target } = this.outbound;
    if (this.transcribes && model !== target.model) {
      return new GatewayError(
        'forbidden',
        `This session was opened for the transcription model "${target.model}", not for "${model}". Open another one with model=${target.provider.name}/${model}.`,
        { param: 'session.audio.input.transcription.model', code: 'model_not_allowed' },
      );
    }
    const other = this.targetOf(model);
    if (!this.call.hasBudget || this.soldByTime || canHold(other, this.call)) return undefined;
    return new GatewayError(
      'unsupported',
      `No price is known for ${other.id}, and this key has a limit in USD. Have a price for "${other.id}" added to the gateway's configuration (prices), 0 where it is free.`,
      { param: 'session.audio.input.transcription.model', code: 'model_unpriced' },
    );
  }

  /** A model of the same provider. */
  private targetOf(model: string): Target {
    const { target } = this.outbound;
    if (model === target.model) return target;
    const id = `${target.provider.name}/${model}`;
    const route = this.call.snapshot.resolve(id);
    if (route?.type === 'target' && route.target.provider === target.provider) return route.target;
    return { ...target, id, model, modelJson: JSON.stringify(model), price: undefined };
  }

  private get soldByTime(): boolean {
    const { price } = this.outbound.target;
    return price !== undefined && sellsTime(price);
  }

  private withTime(usage: Usage): Usage {
    if (!this.soldByTime) return usage;
    const now = performance.now();
    const millisecond = Math.max(1, Math.round(now - this.settledMs));
    this.settledMs = now;
    return { ...usage, units: { ...usage.units, millisecond } };
  }
}

/** Sessions are sold by their time where audio has a price and tokens have none. */
function sellsTime({ units, rates }: Price): boolean {
  return units?.hour !== undefined && rates.input === 0 && rates.output === 0;
}

/** @throws what is no refusal. */
function refusalOf(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  throw thrown;
}

function outputOf(output: number, speaks: boolean): Pick<Usage, 'output' | 'audioOutput'> {
  return { output, audioOutput: speaks ? output : 0 };
}

function estimateFor(usage: Usage, target: Target, buyer: Buyer): Amounts {
  const timed = target.price !== undefined && sellsTime(target.price);
  return needsOf(timed ? { ...usage, units: { millisecond: settledEveryMs } } : usage, target, buyer);
}
