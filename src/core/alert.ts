/** Events that somebody wants to be told of: what raises them, and what they say. No prompt text passes here, ever. */
import type { NanoUsd } from './money.ts';

/** Times are milliseconds since 1970. */
export type Alert = LimitAlert | KeyAlert | StoreAlert | JournalAlert | SharedAlert;

/**
 * `limit`: use of a limit has crossed a soft threshold of it. `exhausted`: a budget (a limit in USD) bears no more calls
 * until its window ends, and one was refused. Once for each limit, window and threshold.
 */
export interface LimitAlert {
  kind: 'limit' | 'exhausted';
  /** `key`, `team`, `organisation` and so on, and its name. */
  owner: string;
  name: string;
  /** The organisation that the owner belongs to; '' where none does. */
  organisation: string;
  /** The limit in words, the same for the same limit: `100 USD per month`. */
  limit: string;
  unit: 'requests' | 'tokens' | 'usd' | 'concurrency';
  /** Which of the limit's windows: when it began, such as 2030-01-01T00:00:00Z, or `lifetime`. */
  window: string;
  /** Percent of the limit that were reached. */
  threshold: number;
  /** In the limit's unit; USD as nano-dollars. */
  used: number | NanoUsd;
  max: number | NanoUsd;
  at: number;
}

/** A provider refuses a key of ours. */
export interface KeyAlert {
  kind: 'key_refused';
  provider: string;
  /** Its id, never the secret. */
  key: string;
  reason: string;
  /** It is set aside until then. */
  untilMs: number;
  at: number;
}

/** The store cannot be written: calls go on, and the journal grows. */
export interface StoreAlert {
  kind: 'store';
  reason: string;
  at: number;
}

/** The journal holds more that is not in the store than the configured `alarm`; from `limitBytes` on calls are refused. */
export interface JournalAlert {
  kind: 'journal';
  /** Whose journal: host and data directory. */
  node: string;
  backlogBytes: number;
  alarmBytes: number;
  limitBytes: number;
  at: number;
}

/** What nodes share limits and health through cannot be reached: each goes on with what it holds. */
export interface SharedAlert {
  kind: 'shared';
  /** Who has lost it: host and data directory. */
  node: string;
  reason: string;
  /** What becomes of limits of which a node has used up its part. */
  whenLost: 'open' | 'closed';
  at: number;
}

/** Where alerts are raised. */
export interface Alerts {
  /** Returns at once and never throws. The same event may be raised again: whoever is told of it is told once. */
  raise(alert: Alert): void;
}

/** What an alert is known again by: of several with the same identity, on whatever node, one is told. */
export interface AlertIdentity {
  kind: Alert['kind'];
  subject: string;
  window: string;
  threshold: number;
}

const msPerHour = 3_600_000;

/** Trouble that comes back is told once an hour. */
export function identityOf(alert: Alert): AlertIdentity {
  const { kind } = alert;
  if (kind === 'limit' || kind === 'exhausted') {
    const { owner, name, limit, window, threshold } = alert;
    return { kind, subject: `${owner}:${name}/${limit}`, window, threshold };
  }
  const subject =
    kind === 'key_refused' ? `${alert.provider}/${alert.key}` : kind === 'journal' ? alert.node : kind;
  const hour = new Date(Math.floor(alert.at / msPerHour) * msPerHour);
  return { kind, subject, window: hour.toISOString(), threshold: 0 };
}
