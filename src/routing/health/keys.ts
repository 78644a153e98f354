/** The keys of all providers: what attempts tell of them, and what a reload of the configuration finds again. */
import type { Provider, ProviderKey, Target } from '../../config/snapshot.ts';
import type { GatewayError } from '../../core/error.ts';
import type { HealthChange, KeyChange, KeyReport, Limited } from '../../core/health.ts';
import type { KeyHealth } from './key-health.ts';
import { KeyPool } from './key-pool.ts';

/** A provider refused our key, or the key's account has no money left: somebody has to act. */
export interface Alarm {
  provider: string;
  /** Id of the key, never the secret. */
  key: string;
  error: GatewayError;
  /** Until then the key is set aside. */
  untilMs: number;
}

export class Keys {
  private readonly pools = new WeakMap<Provider, KeyPool>();
  /** By name of a provider: what was learned of its keys outlives the configuration they are of. */
  private readonly known = new Map<string, readonly KeyHealth[]>();

  constructor(
    private readonly onAlarm: (alarm: Alarm) => void,
    private readonly onChange: (change: HealthChange) => void,
  ) {}

  poolOf(provider: Provider): KeyPool {
    let pool = this.pools.get(provider);
    if (pool === undefined) {
      pool = new KeyPool(provider, this.known.get(provider.name));
      this.pools.set(provider, pool);
      this.known.set(provider.name, pool.keys);
    }
    return pool;
  }

  succeeded({ provider, model }: Target, key: ProviderKey, nowMs: number, begunMs: number): void {
    const health = this.poolOf(provider).healthOf(key);
    if (health?.recover(model, nowMs, begunMs)) this.tellRefused(provider, health, 'live');
  }

  /** @returns whether that speaks of the key, so that the target is not to blame. */
  failed({ provider, model }: Target, key: ProviderKey, error: GatewayError, nowMs: number): boolean {
    const health = error.blame ? this.poolOf(provider).healthOf(key) : undefined;
    if (health === undefined) return false;
    switch (error.kind) {
      case 'upstream_rate_limited':
        if (health.limit(model, error.detail.retryAfterS, nowMs))
          this.tellLimited(provider, health, model, 'rate_limited');
        return true;
      case 'upstream_auth':
      case 'upstream_quota':
        if (health.refuse(nowMs)) {
          this.onAlarm({ provider: provider.name, key: key.id, error, untilMs: health.refusedUntilMs });
          this.tellRefused(provider, health, 'aside');
        }
        return true;
      default:
        return false;
    }
  }

  usedUp({ provider, model }: Target, key: ProviderKey, restMs: number, nowMs: number): void {
    const health = this.poolOf(provider).healthOf(key);
    if (health?.useUp(model, restMs, nowMs)) this.tellLimited(provider, health, model, 'used_up');
  }

  describe(provider: Provider, nowMs: number): KeyReport[] {
    return this.poolOf(provider).keys.map((key) => {
      const limited = key.limitedModels(nowMs);
      return {
        id: key.id,
        ...(key.refusedUntilMs > nowMs
          ? { state: 'aside', untilMs: key.refusedUntilMs, why: 'refused' }
          : { state: 'live' }),
        ...(limited.length > 0 && { limited }),
      };
    });
  }

  /** @param provider the one that the change names, if it is configured here. */
  adopt(provider: Provider | undefined, { id, model, untilMs, why }: KeyChange): void {
    const key = provider && this.poolOf(provider).keys.find((each) => each.id === id);
    key?.adopt(model, untilMs, why);
  }

  private tellRefused({ name }: Provider, { id, refusedUntilMs }: KeyHealth, state: 'aside' | 'live'): void {
    this.onChange({ of: 'key', provider: name, id, state, untilMs: refusedUntilMs, why: 'refused' });
  }

  private tellLimited({ name }: Provider, key: KeyHealth, model: string, why: Limited): void {
    const untilMs = key.untilMs(model);
    this.onChange({ of: 'key', provider: name, id: key.id, model, state: 'aside', untilMs, why });
  }
}
