/** Which targets and provider keys do well: learned from how attempts end. */
import type { Provider, ProviderKey, Target } from '../config/snapshot.ts';
import type { ErrorKind, GatewayError } from '../core/error.ts';
import type { HealthChange, HealthReport, TargetReport } from '../core/health.ts';
import { Breaker } from './health/breaker.ts';
import { type Alarm, Keys } from './health/keys.ts';

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
  private readonly keys: Keys;
  private readonly failing = new Map<string, Failing>();
  private readonly onChange: (change: HealthChange) => void;
  private readonly random: () => number;
  private readonly providers: () => ReadonlyMap<string, Provider>;

  constructor(options: HealthOptions) {
    this.onChange = options.onChange ?? (() => {});
    this.keys = new Keys(options.onAlarm ?? (() => {}), this.onChange);
    this.random = options.random ?? Math.random;
    this.providers = options.providers ?? (() => new Map());
  }

  /**
   * False while the target's breaker is open, while the one call is under way that finds out whether it may close, and
   * while every key of its provider is set aside for it.
   */
  readonly isHealthy = (target: Target, nowMs: number): boolean => {
    if (this.failing.size > 0 && this.failing.get(target.id)?.breaker.mayPass(nowMs) === false) return false;
    return this.keys.poolOf(target.provider).hasLive(target.model, nowMs);
  };

  /**
   * The key to call with: live keys take turns; when all are set aside, the one that comes back soonest, so that the
   * client hears the provider's own answer. Undefined only for a provider without keys.
   */
  pickKey({ provider, model }: Target, nowMs: number): ProviderKey | undefined {
    const pool = this.keys.poolOf(provider);
    return pool.pickLive(model, nowMs) ?? pool.soonest(model);
  }

  /** The next live key, or undefined: whether trying again with another key makes sense. */
  pickLiveKey({ provider, model }: Target, nowMs: number): ProviderKey | undefined {
    return this.keys.poolOf(provider).pickLive(model, nowMs);
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
    if (outcome === 'ok') {
      if (this.failing.size > 0) this.reportSuccess(target, nowMs, begunMs);
      if (key !== undefined) this.keys.succeeded(target, key, nowMs, begunMs);
      return;
    }
    const isOfKey = key !== undefined && this.keys.failed(target, key, outcome, nowMs);
    if (outcome.blame && !isOfKey) this.reportFailure(target, outcome, nowMs, begunMs);
    else this.failing.get(target.id)?.breaker.release(begunMs);
  }

  /** An answer of the target says that nothing is left of what this key may use there, for `restMs`. Nobody is to blame. */
  reportUsedUp(target: Target, key: ProviderKey | undefined, restMs: number, nowMs: number): void {
    if (key !== undefined) this.keys.usedUp(target, key, restMs, nowMs);
  }

  /** Providers that have targets whose breakers are not closed, by name, each with the id of such a target. */
  unwell(nowMs: number): ReadonlyMap<string, string> {
    this.forget(nowMs);
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
    this.forget(nowMs);
    const providers = [...this.providers().values()].map((provider) => ({
      name: provider.name,
      keys: this.keys.describe(provider, nowMs),
    }));
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
    this.keys.adopt(this.providers().get(change.provider), change);
  }

  /** Lets go of targets that failed and that nobody has asked since. */
  private forget(nowMs: number): void {
    for (const [id, { breaker }] of this.failing) if (breaker.isLeft(nowMs)) this.failing.delete(id);
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
}

export function createHealth(options: HealthOptions = {}): Health {
  return new Health(options);
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
