/** A provider's keys: they take turns, and those that are refused, limited or used up are set aside for a while. */
import type { Provider, ProviderKey } from '../../config/snapshot.ts';
import type { Aside } from '../../core/health.ts';

/** How long a key is set aside: at first, and doubling with each time until it does well again, at most. */
const paces = {
  refused: { firstMs: 5 * 60_000, maxMs: 60 * 60_000 },
  rate_limited: { firstMs: 5_000, maxMs: 60_000 },
} as const;

/** The longest wait a provider's `retry-after` may impose. */
const maxRetryAfterMs = 60 * 60_000;
/** The longest a key rests whose limit is used up: until it is refused, that is only foresight. */
const maxUsedUpMs = 60_000;

export interface KeyState {
  untilMs: number;
  /** How long the last time was; 0 when all has been well since. */
  lengthMs: number;
  why: Aside | undefined;
}

export class KeyPool {
  readonly states: readonly KeyState[];
  private turn = 0;

  constructor(readonly provider: Provider) {
    this.states = provider.keys.map(() => ({ untilMs: -Infinity, lengthMs: 0, why: undefined }));
  }

  /** The next in turn that is not set aside. */
  pickLive(nowMs: number): ProviderKey | undefined {
    const size = this.states.length;
    for (let i = 0; i < size; i++) {
      const at = (this.turn + i) % size;
      if (this.states[at]!.untilMs > nowMs) continue;
      this.turn = at + 1;
      return this.provider.keys[at];
    }
    return undefined;
  }

  /** The one that comes back first. */
  get soonest(): ProviderKey | undefined {
    let best = 0;
    for (let i = 1; i < this.states.length; i++) {
      if (this.states[i]!.untilMs < this.states[best]!.untilMs) best = i;
    }
    return this.provider.keys[best];
  }

  hasLive(nowMs: number): boolean {
    for (const { untilMs } of this.states) if (untilMs <= nowMs) return true;
    return this.states.length === 0;
  }

  stateOf(key: ProviderKey): KeyState | undefined {
    return this.states[this.provider.keys.indexOf(key)];
  }
}

/** @returns whether that is news: calls that were under way when it was set aside tell nothing new. */
export function refuse(key: KeyState, nowMs: number): boolean {
  if (key.why === 'refused' && key.untilMs > nowMs) return false;
  start(key, 'refused', nowMs);
  return true;
}

/** The provider's word on when to come back counts, else our guess. @returns whether that is news. */
export function limit(key: KeyState, retryAfterS: number | undefined, nowMs: number): boolean {
  const aside = key.untilMs > nowMs;
  if (aside && key.why === 'refused') return false;
  if (!aside || key.why !== 'rate_limited') start(key, 'rate_limited', nowMs);
  if (retryAfterS !== undefined && retryAfterS > 0) {
    key.untilMs = nowMs + Math.min(retryAfterS * 1000, maxRetryAfterMs);
  }
  return !aside;
}

/** @returns whether that is news. */
export function useUp(key: KeyState, restMs: number, nowMs: number): boolean {
  const untilMs = nowMs + Math.min(restMs, maxUsedUpMs);
  if (untilMs <= key.untilMs) return false;
  const aside = key.untilMs > nowMs;
  key.untilMs = untilMs;
  key.why = 'used_up';
  return !aside;
}

/**
 * A refused key that works lives. A limited one waits on: the success may be of a call from before it was limited.
 * @returns whether it is taken back.
 */
export function recover(key: KeyState, nowMs: number): boolean {
  key.lengthMs = 0;
  if (key.why !== 'refused' || key.untilMs <= nowMs) return false;
  key.untilMs = nowMs;
  return true;
}

function start(key: KeyState, why: keyof typeof paces, nowMs: number): void {
  const { firstMs, maxMs } = paces[why];
  const before = key.why === why ? key.lengthMs : 0;
  key.why = why;
  key.lengthMs = before === 0 ? firstMs : Math.min(before * 2, maxMs);
  key.untilMs = nowMs + key.lengthMs;
}
