/** What the data plane reports while it runs: metrics and log hang behind this. No prompt text passes here, ever. */
import type { GatewayError } from './error.ts';
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

export interface Observer {
  callStarted(): void;
  callEnded(end: CallEnd): void;
  attemptSettled(dispatch: Dispatched, record: Settled): void;
  /** Something an operator must act on: a dead provider key, a journal that cannot be written. */
  alarm(what: string, fields: Record<string, unknown>): void;
}
