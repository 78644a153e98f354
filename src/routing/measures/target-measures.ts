/** All that is learned of one target. */
import { errorKinds } from '../../core/error.ts';
import type { Outcome } from '../../core/record.ts';
import { Generations } from './generations.ts';
import type { Habits } from './habits.ts';
import { LateTimes } from './late-times.ts';
import { type Result, Speed } from './speed.ts';

/** How an attempt ended. */
export interface Ended {
  readonly outcome: Outcome | undefined;
  /** From dispatch to the first meaningful bytes; undefined where none came. Of a whole answer: to its end. */
  readonly firstByteMs: number | undefined;
  /** It was told when it came: see `Measures.sawFirst`. */
  readonly firstTold: boolean;
  readonly durationMs: number;
  /** How much of that the client took, before it read on. */
  readonly restedMs: number;
  readonly stream: boolean;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Its prompt, of what that was taken to have at most; undefined: nobody counted, here or there. */
  readonly inputRatio?: number | undefined;
  /** It went to the target that its conversation had been answered by before. */
  readonly returned: boolean;
}

/** A whole answer took at least this part of its time to write, whatever first tokens usually take. */
const minWritingShare = 0.1;

/** Of the time a stream took to write: where a client took more, it is the client that was measured. */
const maxRestedShare = 0.1;

/** Shorter prompts are not cached: neither a hit nor a miss is to be learned from. */
export const minCachedTokens = 1024;

/** Of the others, what they are like elsewhere is good enough. */
const maxKeys = 1000;

export class TargetMeasures {
  inFlight = 0;
  /** When an answer began or came last; -Infinity: none did. */
  answeredMs = -Infinity;
  readonly speed = new Speed();
  /** By key. */
  readonly habits = new Generations<Habits>(maxKeys);
  private streamed: LateTimes | undefined;
  private whole: LateTimes | undefined;

  ended(end: Ended, nowMs: number): void {
    const { outcome, durationMs, stream } = end;
    this.speed.called(resultOf(outcome), nowMs);
    if (outcome === 'ok') {
      this.answeredMs = nowMs;
      this.answered(end, nowMs);
    }
    // Who was given up without a word would have taken longer still: what is known is that it took as long.
    else if (outcome === 'cancelled' && stream && end.firstByteMs === undefined) {
      if (durationMs > (this.speed.firstTokenMs(nowMs) ?? Infinity)) this.sawFirst(durationMs, nowMs);
    }
  }

  /** The first token of a streamed answer has come, after `ms`. */
  sawFirst(ms: number, nowMs: number): void {
    this.speed.sawFirst(ms, nowMs);
    this.streamed ??= new LateTimes();
    this.streamed.add(ms, nowMs);
  }

  lateMs(stream: boolean, nowMs: number): number | undefined {
    return (stream ? this.streamed : this.whole)?.late(nowMs);
  }

  private answered(end: Ended, nowMs: number): void {
    const { speed } = this;
    const { firstByteMs, durationMs, outputTokens } = end;
    if (end.stream) {
      if (firstByteMs === undefined) return;
      if (!end.firstTold) this.sawFirst(firstByteMs, nowMs);
      const writingMs = Math.max(0, durationMs - firstByteMs);
      // A provider writes on for a while when its client does not read: how fast, nobody can tell any more.
      if (outputTokens > 0 && end.restedMs <= writingMs * maxRestedShare)
        speed.wrote(outputTokens, writingMs, nowMs - durationMs);
      return;
    }
    this.whole ??= new LateTimes();
    this.whole.add(durationMs, nowMs);
    // Nobody sees the first token of a whole answer: what is left after the usual time to it went into writing.
    if (outputTokens === 0) speed.sawFirst(durationMs, nowMs);
    else {
      const writingMs = durationMs - (speed.firstTokenMs(nowMs) ?? 0);
      speed.wrote(outputTokens, Math.max(writingMs, durationMs * minWritingShare), nowMs - durationMs);
    }
  }
}

/** By these a provider refuses what it is asked, which says little of how it does with anything else. */
const refusals: ReadonlySet<Outcome> = new Set<Outcome>([
  'unsupported',
  'context_length',
  'upstream_bad_request',
  'upstream_content_filter',
]);

/** Undefined: a client that left, or a gateway that stopped, says nothing of the target. */
function resultOf(outcome: Outcome | undefined): Result | undefined {
  if (outcome === 'ok') return 'answered';
  if (outcome === undefined || outcome === 'interrupted') return undefined;
  // A model that is no more is nobody's fault, but another has to be asked all the same.
  if (errorKinds[outcome].blame || outcome === 'upstream_not_found') return 'failed';
  return refusals.has(outcome) ? 'refused' : undefined;
}
