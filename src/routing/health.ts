/** Which targets and provider keys do well: learned from how attempts end. */
import type { Provider, ProviderKey, Target } from '../config/snapshot.ts';
import type { ErrorKind, GatewayError } from '../core/error.ts';
import type { HealthChange, HealthReport, KeyReport, TargetReport } from '../core/health.ts';
import { Breaker } from './health/breaker.ts';
import { KeyPool, type KeyState, limit, recover, refuse, useUp } from './health/key-pool.ts';

/** A provider refused our key, or the key's account has no money left: somebody has to act. */
export interface Alarm {
  provider: string;
  /** Id of the key, never the secret. */
  key: string;
  error: GatewayError;
  /** Until then the key is set aside. */
  untilMs: number;
}

export interface HealthOptions {
  /** Called once each time a key is set aside as dead, not for every call that finds it so. */
  onAlarm?(alarm: Alarm): void;
  /** Called when a target's breaker opens or closes, and when a key is set aside or taken back. Not for what is adopted. */
  onChange?(change: HealthChange): void;
  /** The next number in [0, 1): how much shorter than usual an opening is. */
  random?(): number;
  /** The providers in force, by name: for those who look at health from outside. */
  providers?(): ReadonlyMap<string, Provider>;
}

/** Failing targets remembered, at most; clients may name any model of a provider, so the oldest make room. */
const maxFailingTargets = 10_000;

/** A target that has failed lately. */
interface Failing {
  provider: string;
  breaker: Breaker;
  lastError: ErrorKind | undefined;
}

/** All times are milliseconds since 1970. */
export class Health {
  // By object, not by name: a reload brings new pools, and with them another chance for keys that were replaced.
  private readonly pools = new WeakMap<Provider, KeyPool>();
  private readonly failing = new Map<string, Failing>();
  private readonly onAlarm: (alarm: Alarm) => void;
  private readonly onChange: (change: HealthChange) => void;
  private readonly random: () => number;
  private readonly providers: () => ReadonlyMap<string, Provider>;

  constructor(options: HealthOptions) {
    this.onAlarm = options.onAlarm ?? (() => {});
    this.onChange = options.onChange ?? (() => {});
    this.random = options.random ?? Math.random;
    this.providers = options.providers ?? (() => new Map());
  }

  /**
   * False while the target's breaker is open, while the one call is under way that finds out whether it may close, and
   * while every key of its provider is set aside.
   */
  readonly isHealthy = (target: Target, nowMs: number): boolean => {
    if (this.failing.size > 0 && this.failing.get(target.id)?.breaker.mayPass(nowMs) === false) return false;
    return this.poolOf(target.provider).hasLive(nowMs);
  };

  /**
   * The key to call with: live keys take turns; when all are set aside, the one that comes back soonest, so that the
   * client hears the provider's own answer. Undefined only for a provider without keys.
   */
  pickKey(provider: Provider, nowMs: number): ProviderKey | undefined {
    const pool = this.poolOf(provider);
    return pool.pickLive(nowMs) ?? pool.soonest;
  }

  /** The next live key, or undefined: whether trying again with another key makes sense. */
  pickLiveKey(provider: Provider, nowMs: number): ProviderKey | undefined {
    return this.poolOf(provider).pickLive(nowMs);
  }

  /** An attempt is about to be made. */
  begin(target: Target, nowMs: number): void {
    if (this.failing.size > 0) this.failing.get(target.id)?.breaker.begin(nowMs);
  }

  /** How an attempt ended that began at `begunMs`. Errors that are nobody's fault change nothing. */
  report(
    target: Target,
    key: ProviderKey | undefined,
    outcome: GatewayError | 'ok',
    nowMs: number,
    begunMs = nowMs,
  ): void {
    const state = key && this.poolOf(target.provider).stateOf(key);
    if (outcome === 'ok') {
      if (this.failing.size > 0) this.reportSuccess(target, nowMs, begunMs);
      if (state !== undefined && recover(state, nowMs)) this.tellKey(target.provider, key!, state, nowMs);
      return;
    }
    if (state !== undefined && outcome.kind === 'upstream_rate_limited') {
      if (limit(state, outcome.detail.retryAfterS, nowMs)) this.tellKey(target.provider, key!, state, nowMs);
    } else if (
      state !== undefined &&
      (outcome.kind === 'upstream_auth' || outcome.kind === 'upstream_quota')
    ) {
      this.reportRefused(target.provider, key!, state, outcome, nowMs);
    } else if (outcome.blame) {
      this.reportFailure(target, outcome, nowMs, begunMs);
      return;
    }
    this.failing.get(target.id)?.breaker.release(begunMs);
  }

  /** How an answer ended that was reported as `ok` when it began. */
  reportBrokenOff(
    target: Target,
    key: ProviderKey | undefined,
    error: GatewayError,
    nowMs: number,
    begunMs: number,
  ): void {
    if (error.blame) this.failing.get(target.id)?.breaker.takeBack();
    this.report(target, key, error, nowMs, begunMs);
  }

  /** A provider's answer says that nothing is left of what this key may use, for `restMs`. Nobody is to blame. */
  reportUsedUp(provider: Provider, key: ProviderKey | undefined, restMs: number, nowMs: number): void {
    const state = key && this.poolOf(provider).stateOf(key);
    if (state !== undefined && useUp(state, restMs, nowMs)) this.tellKey(provider, key!, state, nowMs);
  }

  /** Providers that have targets whose breakers are not closed, by name, each with the id of such a target. */
  unwell(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const [id, { provider, breaker }] of this.failing) {
      if (breaker.isOpen) found.set(provider, id);
    }
    return found;
  }

  /** A request of the gateway's own was answered by a provider, or was not. */
  tested(provider: string, answered: boolean, nowMs: number): void {
    for (const each of this.failing.values()) {
      if (each.provider === provider) each.breaker.tested(answered, nowMs);
    }
  }

  describe(nowMs: number): HealthReport {
    const providers = [...this.providers().values()].map((provider) => {
      const { states } = this.poolOf(provider);
      return {
        name: provider.name,
        keys: provider.keys.map(({ id }, i) => describeKey(id, states[i]!, nowMs)),
      };
    });
    const targets: TargetReport[] = [];
    for (const [id, each] of this.failing) {
      if (!each.breaker.isQuiet(nowMs)) targets.push(describeTarget(id, each, nowMs));
    }
    return { atMs: nowMs, providers, targets };
  }

  /** Takes over what another node has learned, where it is newer than what is known here. */
  adopt(change: HealthChange): void {
    if (change.of === 'target') {
      // What does well here needs no word of having got better.
      if (change.state === 'closed' && !this.failing.has(change.id)) return;
      const slash = change.id.indexOf('/');
      const failing = this.failingOf(change.id, slash < 0 ? change.id : change.id.slice(0, slash));
      if (failing.breaker.adopt(change)) failing.lastError = change.lastError;
      return;
    }
    const provider = this.providers().get(change.provider);
    const at = provider?.keys.findIndex(({ id }) => id === change.id) ?? -1;
    const state = provider && this.poolOf(provider).states[at];
    if (state === undefined) return;
    state.untilMs = change.untilMs;
    state.why = change.why;
  }

  private reportSuccess({ id }: Target, nowMs: number, begunMs: number): void {
    const failing = this.failing.get(id);
    if (failing === undefined) return;
    if (failing.breaker.end(false, nowMs, begunMs, this.random)) this.tellTarget(id, failing);
    else if (failing.breaker.isForgotten(nowMs)) this.failing.delete(id);
  }

  private reportFailure(target: Target, error: GatewayError, nowMs: number, begunMs: number): void {
    const failing = this.failingOf(target.id, target.provider.name);
    failing.lastError = error.kind;
    if (failing.breaker.end(true, nowMs, begunMs, this.random)) this.tellTarget(target.id, failing);
  }

  private reportRefused(
    provider: Provider,
    key: ProviderKey,
    state: KeyState,
    error: GatewayError,
    nowMs: number,
  ): void {
    if (!refuse(state, nowMs)) return;
    this.onAlarm({ provider: provider.name, key: key.id, error, untilMs: state.untilMs });
    this.tellKey(provider, key, state, nowMs);
  }

  private poolOf(provider: Provider): KeyPool {
    let pool = this.pools.get(provider);
    if (pool === undefined) {
      pool = new KeyPool(provider);
      this.pools.set(provider, pool);
    }
    return pool;
  }

  private failingOf(id: string, provider: string): Failing {
    let failing = this.failing.get(id);
    if (failing === undefined) {
      failing = { provider, breaker: new Breaker(), lastError: undefined };
      if (this.failing.size >= maxFailingTargets) this.failing.delete(this.failing.keys().next().value!);
      this.failing.set(id, failing);
    }
    return failing;
  }

  private tellTarget(id: string, { breaker, lastError }: Failing): void {
    this.onChange({ of: 'target', id, lastError, ...breaker.turn });
  }

  private tellKey({ name }: Provider, { id }: ProviderKey, { untilMs, why }: KeyState, nowMs: number): void {
    const state = untilMs > nowMs ? 'aside' : 'live';
    this.onChange({ of: 'key', provider: name, id, state, untilMs, why });
  }
}

export function createHealth(options: HealthOptions = {}): Health {
  return new Health(options);
}

function describeKey(id: string, { untilMs, why }: KeyState, nowMs: number): KeyReport {
  if (untilMs <= nowMs) return { id, state: 'live' };
  return { id, state: 'aside', untilMs, ...(why && { why }) };
}

function describeTarget(id: string, { breaker, lastError }: Failing, nowMs: number): TargetReport {
  const { sinceMs, untilMs, failures } = breaker;
  const state = breaker.stateAt(nowMs);
  return {
    id,
    state,
    ...(sinceMs > -Infinity && { sinceMs }),
    ...(state !== 'closed' && { untilMs }),
    failures,
    recent: breaker.recent(nowMs),
    ...(lastError && { lastError }),
  };
}
