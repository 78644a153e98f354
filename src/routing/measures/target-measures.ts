/** All that is learned of one target. */
import { errorKinds } from '../../core/error.ts';
import type { Outcome } from '../../core/record.ts';
import { Generations } from './generations.ts';
import type { Habits } from './habits.ts';
import { LateTimes } from './late-times.ts';
import { Speed } from './speed.ts';

/** How an attempt ended. */
export interface Ended {
  readonly outcome: Outcome | undefined;
  /** From dispatch to the first meaningful bytes; undefined where none came. Of a whole answer: to its end. */
  readonly firstByteMs: number | undefined;
  /** It was told when it came: see `Measures.sawFirst`. */
  readonly firstTold: boolean;
  readonly durationMs: number;
  readonly stream: boolean;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** It went to the target that its conversation had been answered by before. */
  readonly returned: boolean;
}

/** A whole answer took at least this part of its time to write, whatever first tokens usually take. */
const minWritingShare = 0.1;

/** Shorter prompts are not cached: neither a hit nor a miss is to be learned from. */
export const minCachedTokens = 1024;

/** Of the others, what they are like elsewhere is good enough. */
const maxKeys = 1000;

export class TargetMeasures {
  inFlight = 0;
  readonly speed = new Speed();
  /** By key. */
  readonly habits = new Generations<Habits>(maxKeys);
  private streamed: LateTimes | undefined;
  private whole: LateTimes | undefined;

  ended(end: Ended, nowMs: number): void {
    const { outcome, durationMs, stream } = end;
    this.speed.called(hasFailed(outcome), nowMs);
    if (outcome === 'ok') this.answered(end, nowMs);
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
      if (outputTokens > 0) speed.wrote(outputTokens, Math.max(0, durationMs - firstByteMs));
      return;
    }
    this.whole ??= new LateTimes();
    this.whole.add(durationMs, nowMs);
    // Nobody sees the first token of a whole answer: what is left after the usual time to it went into writing.
    if (outputTokens === 0) speed.sawFirst(durationMs, nowMs);
    else {
      const writingMs = durationMs - (speed.firstTokenMs(nowMs) ?? 0);
      speed.wrote(outputTokens, Math.max(writingMs, durationMs * minWritingShare));
    }
  }
}

/** Undefined: what is wrong with a request says nothing of the target, and neither does a client that left. */
function hasFailed(outcome: Outcome | undefined): boolean | undefined {
  if (outcome === 'ok') return false;
  if (outcome === undefined || outcome === 'interrupted') return undefined;
  return errorKinds[outcome].blame ? true : undefined;
}
