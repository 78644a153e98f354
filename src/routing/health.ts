/** Which targets and provider keys do well: learned from how attempts end, forgotten with the first success. */
import type { Provider, ProviderKey, Target } from '../config/snapshot.ts';
import type { GatewayError } from '../core/error.ts';

/** A provider refused our key, or the key's account has no money left: somebody has to act. */
export interface Alarm {
  provider: string;
  /** Id of the key, never the secret. */
  key: string;
  error: GatewayError;
  /** Until then the key is set aside. */
  untilMs: number;
}

export interface Health {
  /** False while the target cools down after failures, or every key of its provider is set aside. */
  isHealthy(target: Target, nowMs: number): boolean;
  /**
   * The key to call with: live keys take turns; when all are set aside, the one that comes back soonest, so that the
   * client hears the provider's own answer. Undefined only for a provider without keys.
   */
  pickKey(provider: Provider, nowMs: number): ProviderKey | undefined;
  /** The next live key, or undefined: whether trying again with another key makes sense. */
  pickLiveKey(provider: Provider, nowMs: number): ProviderKey | undefined;
  /** How an attempt ended. Errors that are nobody's fault change nothing. */
  report(target: Target, key: ProviderKey | undefined, outcome: GatewayError | 'ok', nowMs: number): void;
}

/** How long something is set aside: at first, and doubling with each time until it does well again, at most. */
interface Pace {
  firstMs: number;
  maxMs: number;
}

const deadKey: Pace = { firstMs: 5 * 60_000, maxMs: 60 * 60_000 };
const limitedKey: Pace = { firstMs: 5_000, maxMs: 60_000 };
const failingTarget: Pace = { firstMs: 1_000, maxMs: 30_000 };
/** A target cools down after this many blamed failures in a row. */
const failuresToOpen = 5;
/** The longest wait a provider's `retry-after` may impose. */
const maxRetryAfterMs = 60 * 60_000;
/** Failing targets remembered, at most; clients may name any model of a provider, so the oldest make room. */
const maxFailingTargets = 10_000;

interface CoolDown {
  untilMs: number;
  /** How long the last one was; 0 when all has been well since. */
  lengthMs: number;
  /** What it was for. */
  pace: Pace | undefined;
  /** Failures in a row. */
  failures: number;
}

/** A provider's keys: cool-downs in the order of its keys, and whose turn it is. */
interface Pool {
  turn: number;
  keys: CoolDown[];
}

/** `onAlarm` is called once each time a key is set aside as dead, not for every call that finds it so. */
export function createHealth(onAlarm: (alarm: Alarm) => void = () => {}): Health {
  // By object, not by name: a reload brings new pools, and with them another chance for keys that were replaced.
  const pools = new WeakMap<Provider, Pool>();
  // Only targets that have failed since their last success.
  const failing = new Map<string, CoolDown>();

  function poolOf(provider: Provider): Pool {
    let pool = pools.get(provider);
    if (pool === undefined) {
      pool = { turn: 0, keys: provider.keys.map(noCoolDown) };
      pools.set(provider, pool);
    }
    return pool;
  }

  function pickLiveKey(provider: Provider, nowMs: number): ProviderKey | undefined {
    const pool = poolOf(provider);
    const size = pool.keys.length;
    for (let i = 0; i < size; i++) {
      const at = (pool.turn + i) % size;
      if (pool.keys[at]!.untilMs > nowMs) continue;
      pool.turn = at + 1;
      return provider.keys[at];
    }
    return undefined;
  }

  function reportDeadKey(
    target: Target,
    id: string,
    key: CoolDown,
    error: GatewayError,
    nowMs: number,
  ): void {
    // Calls that were under way when the key was set aside tell nothing new.
    if (key.pace === deadKey && key.untilMs > nowMs) return;
    start(key, deadKey, nowMs);
    onAlarm({ provider: target.provider.name, key: id, error, untilMs: key.untilMs });
  }

  function reportTarget(id: string, nowMs: number): void {
    let target = failing.get(id);
    if (target === undefined) {
      target = noCoolDown();
      if (failing.size >= maxFailingTargets) failing.delete(failing.keys().next().value!);
      failing.set(id, target);
    }
    target.failures++;
    if (target.failures >= failuresToOpen && target.untilMs <= nowMs) start(target, failingTarget, nowMs);
  }

  return {
    pickLiveKey,
    pickKey(provider, nowMs) {
      return pickLiveKey(provider, nowMs) ?? provider.keys[soonest(poolOf(provider).keys)];
    },
    isHealthy(target, nowMs) {
      const coolDown = failing.get(target.id);
      if (coolDown !== undefined && coolDown.untilMs > nowMs) return false;
      const { keys } = poolOf(target.provider);
      for (const key of keys) if (key.untilMs <= nowMs) return true;
      return keys.length === 0;
    },
    report(target, providerKey, outcome, nowMs) {
      const key = providerKey && poolOf(target.provider).keys[target.provider.keys.indexOf(providerKey)];
      if (outcome === 'ok') {
        failing.delete(target.id);
        if (key !== undefined) recover(key);
      } else if (key !== undefined && outcome.kind === 'upstream_rate_limited') {
        limit(key, outcome.detail.retryAfterS, nowMs);
      } else if (
        key !== undefined &&
        (outcome.kind === 'upstream_auth' || outcome.kind === 'upstream_quota')
      ) {
        reportDeadKey(target, providerKey!.id, key, outcome, nowMs);
      } else if (outcome.blame) {
        reportTarget(target.id, nowMs);
      }
    },
  };
}

function noCoolDown(): CoolDown {
  return { untilMs: -Infinity, lengthMs: 0, pace: undefined, failures: 0 };
}

function start(coolDown: CoolDown, pace: Pace, nowMs: number): void {
  const before = coolDown.pace === pace ? coolDown.lengthMs : 0;
  coolDown.pace = pace;
  coolDown.lengthMs = before === 0 ? pace.firstMs : Math.min(before * 2, pace.maxMs);
  coolDown.untilMs = nowMs + coolDown.lengthMs;
}

/** The provider's word on when to come back counts, else our guess. */
function limit(key: CoolDown, retryAfterS: number | undefined, nowMs: number): void {
  if (key.untilMs <= nowMs) start(key, limitedKey, nowMs);
  else if (key.pace === deadKey) return;
  if (retryAfterS !== undefined && retryAfterS > 0) {
    key.untilMs = nowMs + Math.min(retryAfterS * 1000, maxRetryAfterMs);
  }
}

/** A dead key that works lives. A limited one waits on: the success may be of a call from before it was limited. */
function recover(key: CoolDown): void {
  if (key.pace === deadKey) key.untilMs = -Infinity;
  key.lengthMs = 0;
}

function soonest(keys: readonly CoolDown[]): number {
  let best = 0;
  for (let i = 1; i < keys.length; i++) if (keys[i]!.untilMs < keys[best]!.untilMs) best = i;
  return best;
}
