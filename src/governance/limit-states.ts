/** How full the limits on a key's path are, to be told to people. */
import type { Key, Snapshot } from '../config/snapshot.ts';
import type { LimitState } from '../core/limit-state.ts';
import { formatUsd } from '../core/money.ts';
import { nobodysKey } from './keys.ts';
import type { Limiter } from './limits.ts';

/** @param of a key, or what keys belong to: a team with its organisation, or that alone. */
export function limitStates(
  snapshot: Snapshot,
  limiter: Pick<Limiter, 'limitsOf' | 'look'>,
  of: Key | Pick<Key, 'team' | 'organisation'>,
  nowMs: number,
): LimitState[] {
  const key = 'limits' in of ? of : { ...nobodysKey, ...of };
  return limiter.limitsOf(snapshot, key).map((bound) => {
    const { owner, ownerName, limit } = bound;
    const { used, reserved } = limiter.look(bound, nowMs);
    const say = (amount: number) => (limit.unit === 'usd' ? formatUsd(amount) : String(amount));
    return {
      owner,
      name: ownerName,
      unit: limit.unit,
      per: limit.window?.name ?? null,
      max: say(limit.max),
      used: say(used),
      reserved: say(reserved),
      percent: Math.round(((used + reserved) / limit.max) * 1000) / 10,
    };
  });
}
