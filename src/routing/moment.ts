/** What a route is chosen by: the request, and what is known of targets just now. Live, or given for a dry run. */
import type { Key, Target } from '../config/snapshot.ts';

export interface Moment {
  nowMs: number;
  /** The next number in [0, 1) of a seeded sequence. */
  random(): number;
  ask: Ask;
  sight: Sight;
}

/** A request, as far as routes look at it. Members may be computed when first asked for: most routes need none. */
export interface Ask {
  /** As the client named it. */
  readonly model: string;
  /** `chat`, or what else is asked for. */
  readonly operation: string;
  readonly stream: boolean;
  /** Estimated, rather too low than too high. */
  readonly inputTokens: number;
  /** The client's own limit of the answer. */
  readonly maxTokens: number | undefined;
  readonly key: Key;
  /** '' where the client names none. */
  readonly session: string;
  readonly endUser: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Digest of the beginning of the prompt, the same for all turns of a conversation; '' where there is none. */
  readonly prompt: string;
}

/** What is known of targets. Undefined: not enough was seen lately. */
export interface Sight {
  /** False while a target cools down, or no key of its provider can be used. */
  isHealthy(target: Target, nowMs: number): boolean;
  /** Mean time to the first token of late, in ms. */
  firstTokenMs(target: Target, nowMs: number): number | undefined;
  /**
   * The time to the first token that 95 of 100 calls stayed below of late, in ms.
   * @param stream false: of answers that are not streamed, which come all at once. Default: true.
   */
  lateFirstTokenMs(target: Target, nowMs: number, stream?: boolean): number | undefined;
  /** Mean tokens a second of late, once the first has come. */
  tokensPerSecond(target: Target, nowMs: number): number | undefined;
  /** Share of attempts that failed of late, from 0 to below 1; 0 where nothing is known. */
  failureShare(target: Target, nowMs: number): number;
  /** Calls of late, older ones counted for less. */
  recentCalls(target: Target, nowMs: number): number;
  /** Its times have changed a moment ago: those of others may have, too. */
  isUnsettled(target: Target, nowMs: number): boolean;
  /** Mean tokens of an answer to this key. */
  outputTokens(target: Target, key: Key): number | undefined;
  /** What nine of ten of them are no longer than. */
  highOutputTokens(target: Target, key: Key): number | undefined;
  /** What nineteen of twenty of its prompts keep below, of what they were taken to have at most. */
  inputRatio(target: Target, key: Key): number | undefined;
  /** Share of the prompt that comes from the target's cache when a conversation of this key returns to it. */
  cachedShare(target: Target, key: Key): number | undefined;
  /** Calls that are running. */
  inFlight(target: Target): number;
  /** Id of the target that a conversation was answered by last, for as long as its prompt cache may know it. */
  keptBy(conversation: string, nowMs: number): string | undefined;
}
