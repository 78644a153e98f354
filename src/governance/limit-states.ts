/** How full the limits on a key's path are, to be told to people. */
import type { Key, Snapshot } from '../config/snapshot.ts';
import type { LimitState } from '../core/limit-state.ts';
import { nobodysKey } from './keys.ts';
import { describe, say } from './limit-words.ts';
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
    return {
      owner,
      name: ownerName,
      unit: limit.unit,
      limit: describe(limit),
      per: limit.window?.per ?? null,
      sliding: limit.window?.sliding ?? false,
      time_zone: limit.window?.timeZone ?? null,
      max: say(limit, limit.max),
      used: say(limit, used),
      reserved: say(limit, reserved),
      percent: Math.round(((used + reserved) / limit.max) * 1000) / 10,
    };
  });
}
