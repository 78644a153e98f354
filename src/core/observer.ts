/** What the data plane reports while it runs: metrics and log hang behind this. No prompt text passes here, ever. */
import type { GatewayError } from './error.ts';
import type { NanoUsd } from './money.ts';
import type { Dispatched, Settled } from './record.ts';

export interface CallEnd {
  id: string;
  /** `chat`, or what else was asked for. */
  operation: string;
  dialect: string;
  /** '' where the call ended before its key was known. */
  key: string;
  model: string;
  target: string;
  attempts: number;
  status: number;
  durationMs: number;
  error: GatewayError | undefined;
}

export interface Resumed {
  call: string;
  /** The target whose answer broke off. */
  from: string;
  /** The target that goes on with it; undefined where none did. */
  to: string | undefined;
  /** How it broke off: an error kind. */
  failure: string;
}

export interface Observer {
  callStarted(): void;
  callEnded(end: CallEnd): void;
  /** A stream broke off after its beginning had been shown, and was to be gone on with. */
  resumed(end: Resumed): void;
  attemptSettled(dispatch: Dispatched, record: Settled): void;
  /**
   * An attempt ended that is a part of a conversation: of one that nobody is known to have answered before, of one that
   * was kept by its target, or moved to another. `savedNanoUsd`: by prompt caches, because it was kept.
   */
  bondSettled(target: string, fate: 'new' | 'kept' | 'moved', savedNanoUsd: NanoUsd): void;
  /** A target was late: `target` (provider/model) is asked beside it, and where it is faster, has won. */
  hedgeStarted(target: string): void;
  hedgeWon(target: string): void;
  /** A call that nobody hears was asked and is over; `reason`: it was not asked at all. */
  shadowEnded(end: CallEnd): void;
  shadowDropped(reason: string): void;
  /** Something an operator must act on: a dead provider key, a journal that cannot be written. */
  alarm(what: string, fields: Record<string, unknown>): void;
}
