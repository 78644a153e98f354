/** A provider's keys: they take turns, and those that are refused, limited or used up are set aside for a while. */
import type { Provider, ProviderKey } from '../../config/snapshot.ts';
import { hashSecret } from '../../core/secret.ts';
import { KeyHealth } from './key-health.ts';

export class KeyPool {
  readonly keys: readonly KeyHealth[];
  private turn = 0;

  /** @param known what was learned before of keys that may be among these: a key that was replaced has a new chance. */
  constructor(
    readonly provider: Provider,
    known: readonly KeyHealth[] = [],
  ) {
    this.keys = provider.keys.map((key) => {
      const digest = digestOf(key);
      return (
        known.find((each) => each.id === key.id && each.digest === digest) ?? new KeyHealth(key.id, digest)
      );
    });
  }

  /** The next in turn that is not set aside for that model. */
  pickLive(model: string, nowMs: number): ProviderKey | undefined {
    const size = this.keys.length;
    for (let i = 0; i < size; i++) {
      const at = (this.turn + i) % size;
      if (this.keys[at]!.untilMs(model) > nowMs) continue;
      this.turn = at + 1;
      return this.provider.keys[at];
    }
    return undefined;
  }

  /** The one that comes back first for that model. */
  soonest(model: string): ProviderKey | undefined {
    let best = 0;
    for (let i = 1; i < this.keys.length; i++) {
      if (this.keys[i]!.untilMs(model) < this.keys[best]!.untilMs(model)) best = i;
    }
    return this.provider.keys[best];
  }

  hasLive(model: string, nowMs: number): boolean {
    for (const key of this.keys) if (key.untilMs(model) <= nowMs) return true;
    return this.keys.length === 0;
  }

  healthOf(key: ProviderKey): KeyHealth | undefined {
    return this.keys[this.provider.keys.indexOf(key)];
  }
}

/** Tells whether a key is the same as before, without keeping what is secret of it. */
function digestOf({ header, digest }: ProviderKey): string {
  return digest ?? (header === undefined ? '' : hashSecret(header.join(': ')));
}
