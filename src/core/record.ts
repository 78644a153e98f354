/** What the data plane tells the ledger about attempts: the lines of the journal, as values. */
import type { ErrorKind } from './error.ts';
import type { NanoUsd, Price } from './money.ts';
import type { Usage } from './usage.ts';

/** What many attempts have in common: the same object for the same names, so that ledger and metrics can know it again. */
export interface Names {
  key: string;
  team: string;
  organisation: string;
  /** The model the client named. */
  model: string;
  /** provider/model that is asked. */
  target: string;
  provider: string;
  /** Canonical `a=b,c=d` of the call's tags; '' when it has none. */
  tags: string;
  /** Where the price comes from: see Price.source; '' where there is none. */
  priceSource: string;
  /** Which price it is: see Price.version; absent where there is none. */
  priceVersion?: string;
  /** That price, for whoever writes it down; names that are read back only say its version. */
  price?: Price;
  /** What was asked for, where it is not chat: `embeddings`. */
  operation?: string;
  /** Why this target: the way through the route, `fallback 2 > cheapest 1`. Absent: the client named it. */
  why?: string;
}

/** An upstream request is about to leave. Written before it does. Times are milliseconds since 1970. */
export interface Dispatched {
  /** Call id and attempt number: together the attempt's identity. */
  call: string;
  attempt: number;
  at: number;
  names: Names;
  stream: boolean;
  session: string;
  endUser: string;
  /** Upper bound of what it can cost, for limits of a gateway that starts again after a crash. */
  reservedNanoUsd: NanoUsd;
  /** What limits hold for it, where that is not what it can cost: the organisation pays another price. */
  reservedSellNanoUsd?: NanoUsd;
}

/** An attempt came to its end, well or not. Written before the client's last byte. */
export interface Settled {
  call: string;
  attempt: number;
  at: number;
  /** The last attempt of its call: exactly one per call that was dispatched. */
  final: boolean;
  outcome: Outcome;
  /** What the upstream answered with; 0 when it did not. */
  upstreamStatus: number;
  /** What the client was answered with (499: it went away); 0 on attempts that are not final. */
  clientStatus: number;
  /** From dispatch to the first meaningful bytes; undefined when none came. */
  firstByteMs: number | undefined;
  durationMs: number;
  usage: Usage;
  /** Counted by the gateway, because the provider's own count did not arrive. */
  estimated: boolean;
  /** Undefined when the target has no known price: the attempt is `unpriced`. */
  nanoUsd: NanoUsd | undefined;
  /**
   * What the organisation is charged and its limits count, where that is not `nanoUsd`: at its own price, or at the
   * fallback price where none is known. Absent: the same.
   */
  sellNanoUsd?: NanoUsd | undefined;
  /** Paths of request members that could not be said in the target's dialect. */
  lost: string[];
}

/** `ok`, `cancelled` by the client, an error kind, or `interrupted` (the gateway died in between). */
export type Outcome = 'ok' | 'interrupted' | ErrorKind;

/** What was thought of a route when a call's plan was made. Written at most once a call, before its first attempt. */
export interface Planned {
  call: string;
  at: number;
  /** JSON of a RecordedPlan. */
  text: string;
}

/** A price that was charged by, as it is kept: `json` says all its rates. */
export interface PriceRecord {
  version: string;
  source: string;
  json: string;
}

/**
 * The journal as the data plane sees it. All calls return once the line is with the operating system.
 * @throws when the line cannot be written (disk full): the caller must not go on as if it were.
 */
export interface Journal {
  /** It holds as much that is not in the store as it may: no new call may begin. Those that run go on, and are written. */
  readonly full: boolean;
  planned(record: Planned): void;
  dispatched(record: Dispatched): void;
  settled(dispatch: Dispatched, record: Settled): void;
}
