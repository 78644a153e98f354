/** Keeps what is held for a streamed answer ahead of what has passed of it, and says when limits bear no more. */
import type { Usage } from '../core/usage.ts';
import type { Amounts } from '../governance/leases.ts';
import type { Call } from './call.ts';
import type { Stage } from './stages.ts';

/** Tokens of the answer are held that far ahead of those that passed, at least. */
const leastAhead = 16;
/** More is held in steps of half of what is held already, and of this at least. */
const leastStep = 64;
/** The last steps are as small as that: what is left is used up. */
const smallestStep = 4;
/** A token has about four letters, and around each piece of text stand names and marks: fewer bytes are never looked at. */
const leastBytesPerToken = 4;

export interface Metered {
  /** What an attempt needs for an answer of `output` tokens in all, to a prompt of at least `input`. */
  needs(output: number, input: number): Amounts;
  /** Tokens of all answers that are held now. */
  held: number;
}

type Heard = Pick<Stage, 'text' | 'usage'>;

/** Of one attempt. Counts bytes, which costs nothing; tokens only when they may be near to what is held. */
export class StreamMeter {
  private bytes = 0;
  private lookAt: number;
  private bytesPerToken = leastBytesPerToken;

  constructor(
    private readonly call: Pick<Call, 'topUp' | 'isAmple' | 'gateway'>,
    private readonly answer: Metered,
  ) {
    this.lookAt = this.bytesAt(answer.held - aheadOf(answer.held));
  }

  /** @returns whether it has to be looked at. */
  passes(bytes: number): boolean {
    this.bytes += bytes;
    return this.bytes >= this.lookAt;
  }

  /**
   * Holds more where that is needed.
   * @returns false where no limit bears what comes next; a promise where that takes counting.
   */
  look(heard: Heard): boolean | Promise<boolean> {
    return this.holdPlenty(heard.usage) || this.count(heard);
  }

  /** Where limits bear it many times over, twice what the bytes say is held, and nothing is counted. */
  private holdPlenty(usage: Usage | undefined): boolean {
    const { answer, call } = this;
    const most = Math.max(Math.ceil(this.bytes / leastBytesPerToken), usage?.output ?? 0);
    const plenty = 2 * most + leastStep;
    const needs = answer.needs(plenty, usage?.input ?? 0);
    if (!call.isAmple(needs) || call.topUp(needs) !== undefined) return false;
    answer.held = Math.max(answer.held, plenty);
    this.lookAt = this.bytes + (answer.held - most - aheadOf(answer.held)) * leastBytesPerToken;
    return true;
  }

  private async count(heard: Heard): Promise<boolean> {
    const { answer, call } = this;
    const { usage } = heard;
    const text = heard.text();
    // No token is shorter than a letter: where even that would not reach, nothing has to be counted.
    const counted = text.length < answer.held / 2 ? text.length : await call.gateway.countTokens(text);
    const output = Math.max(counted, usage?.output ?? 0);
    this.bytesPerToken = Math.max(leastBytesPerToken, this.bytes / Math.max(1, output));
    if (output + aheadOf(answer.held) >= answer.held) await this.holdMore(output, usage);
    const left = answer.held - output;
    // Towards the end it is looked at more often, since letters are not spread evenly.
    this.lookAt = this.bytesAt(Math.max(left - aheadOf(answer.held), left / 2));
    return left > 0;
  }

  private async holdMore(output: number, usage: Usage | undefined): Promise<void> {
    const { answer, call } = this;
    const wanted = Math.max(leastStep, answer.held / 2, output - answer.held + leastStep);
    for (let step = Math.ceil(wanted); step >= smallestStep; step = Math.floor(step / 2)) {
      const held = answer.held + step;
      const refused = call.topUp(answer.needs(held, usage?.input ?? 0));
      if ((refused instanceof Promise ? await refused : refused) !== undefined) continue;
      answer.held = held;
      return;
    }
  }

  private bytesAt(tokens: number): number {
    return this.bytes + Math.max(0, tokens) * this.bytesPerToken;
  }
}

function aheadOf(held: number): number {
  return Math.max(leastAhead, held / 8);
}
