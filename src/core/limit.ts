/** A limit as plain data: as the store keeps it, and as it is posted between threads. */
import type { NanoUsd } from './money.ts';

export type LimitUnit = 'requests' | 'tokens' | 'usd' | 'concurrency';

export const periods = ['second', 'minute', 'hour', 'day', 'week', 'month', 'lifetime'] as const;
/** `lifetime`: what was used once is used for good. */
export type Period = (typeof periods)[number];

/**
 * What becomes of a call that turns out to need more than a limit bears. `refuse`: the most it may need is held before
 * it begins, so that it never does. `cut`: its answer ends where the limit does. `finish`: its answer is finished, and
 * the next call is refused.
 */
export const exhaustions = ['finish', 'cut', 'refuse'] as const;
export type WhenExhausted = (typeof exhaustions)[number];

export interface PlainLimit {
  unit: LimitUnit;
  /** `usd` counts nano-dollars. */
  max: number | NanoUsd;
  /** Concurrency has none. */
  per?: Period | undefined;
  /** The last minute, day and so on at any moment, instead of the calendar's. */
  sliding?: boolean | undefined;
  /** Whose calendar it is (IANA); UTC where nothing is said. */
  timeZone?: string | undefined;
  whenExhausted?: WhenExhausted | undefined;
  /** Percent of `max` at which somebody is told. */
  warn?: readonly number[] | undefined;
}
