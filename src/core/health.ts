/** Health as data: for operators' pages and metrics, and for the other nodes of a gateway. */
import type { ErrorKind } from './error.ts';

/**
 * `closed`: all calls may go there. `open`: none, for a while. `half-open`: that while is over, and one call at a time
 * finds out how it is now.
 */
export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Why a key is set aside. For all models: `refused`, as the provider does not take it, or its account has no money left.
 * For one model: `rate_limited`, as the provider said "too many"; `used_up`, as it said that nothing is left before it had
 * to refuse.
 */
export type Aside = 'refused' | Limited;
export type Limited = 'rate_limited' | 'used_up';

/** An opening or a closing, as another node can take it over. Times are milliseconds since 1970. */
export interface Turn {
  state: 'closed' | 'open';
  sinceMs: number;
  untilMs: number;
  lengthMs: number;
}

/** All that is known at a moment. Times are milliseconds since 1970. */
export interface HealthReport {
  atMs: number;
  /** Those of the configuration in force. */
  providers: readonly { name: string; keys: readonly KeyReport[] }[];
  /** Those that failed lately; of all others there is nothing to tell. */
  targets: readonly TargetReport[];
}

export interface KeyReport {
  /** `openai#1`, never the secret. */
  id: string;
  /** Of all models. */
  state: 'live' | 'aside';
  /** Until when it is set aside, and why. */
  untilMs?: number;
  why?: 'refused';
  /** Models that it is set aside for, whatever its state; absent: none. */
  limited?: readonly LimitedModel[];
}

export interface LimitedModel {
  /** The provider's name for it; '' stands for its files and batches. */
  model: string;
  untilMs: number;
  why: Limited;
}

export interface TargetReport {
  /** `provider/model`; a provider's name alone stands for its files and batches. */
  id: string;
  state: BreakerState;
  /** Since when it is open or closed; absent: since it is known. */
  sinceMs?: number;
  /** Until when it is open, or was: half-open since. */
  untilMs?: number;
  /** In a row. */
  failures: number;
  /** How many calls ended within the last half minute, and how many badly; counted anew with each change. */
  recent: { calls: number; failed: number };
  lastError?: ErrorKind;
}

/**
 * What one node learns and others may take over, as plain data. A target is known by its id, a key by its provider and
 * its place in the configuration, which all nodes share. What half-open calls find out is told as the turn that comes of
 * it: each node sends one of its own.
 */
export type HealthChange =
  | ({ of: 'target'; id: string; lastError: ErrorKind | undefined } & Turn)
  | KeyChange;

export interface KeyChange {
  of: 'key';
  provider: string;
  id: string;
  /** Absent: all of them. */
  model?: string;
  state: 'live' | 'aside';
  untilMs: number;
  why: Aside;
}
