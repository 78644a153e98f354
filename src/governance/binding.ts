/** Which limits are on a call's path: those of its key, team and organisation, and of the end user that it names. */
import type { Key, Limit, Snapshot } from '../config/snapshot.ts';
import type { Window } from '../config/window.ts';
import { type BoundLimit, counterName, type Owner, type Tally } from './leases.ts';
import { type Raise, watchOf } from './limit-watch.ts';

/** Whose end users they are. */
export type EndUsersOf = 'key' | 'team' | 'organisation';

type Tenants = Pick<Snapshot, 'teams' | 'organisations'>;

/** End users of a key whose limits are remembered; those of others are looked up anew. */
const maxEndUsers = 1000;

/** Stands for the window of a counter that was not looked up yet. */
const ended: Tally = {
  endsAtMs: -Infinity,
  reserved: 0,
  used: () => 0,
  take: () => false,
  settle() {},
  retryAtMs: () => Infinity,
};

/** Looked up once for each snapshot and key, and end user where they have limits. */
export class Binding {
  private boundFor: object | undefined;
  private bound = new WeakMap<Key, readonly BoundLimit[]>();
  private ofEndUsers = new WeakMap<Key, Map<string, readonly BoundLimit[]>>();

  /** @param raise is told of soft limits; absent: nobody is. */
  constructor(private readonly raise: Raise | undefined) {}

  limitsOf(snapshot: Tenants, key: Key, endUser = ''): readonly BoundLimit[] {
    if (this.boundFor !== snapshot) {
      this.boundFor = snapshot;
      this.bound = new WeakMap();
      this.ofEndUsers = new WeakMap();
    }
    if (key.limitsEndUsers === true) return this.withEndUser(snapshot, key, endUser);
    let limits = this.bound.get(key);
    if (limits === undefined) {
      limits = bindLimits(snapshot, key, this.raise);
      this.bound.set(key, limits);
    }
    return limits;
  }

  private withEndUser(snapshot: Tenants, key: Key, endUser: string): readonly BoundLimit[] {
    let known = this.ofEndUsers.get(key);
    if (known === undefined) {
      known = new Map();
      this.ofEndUsers.set(key, known);
    }
    let limits = known.get(endUser);
    if (limits === undefined) {
      limits = bindLimits(snapshot, key, this.raise, endUser);
      // Maps keep the order of insertion: the first is the oldest.
      if (known.size >= maxEndUsers) known.delete(known.keys().next().value!);
      known.set(endUser, limits);
    }
    return limits;
  }
}

/** A limit that is on no key's path. */
export function bindLimit(owner: Owner, name: string, limit: Limit): BoundLimit {
  const counter = counterName(owner, name, limit.unit, limit.window);
  return { owner, ownerName: name, limit, counter, tally: ended };
}

function bindLimits(
  snapshot: Tenants,
  key: Key,
  raise: Raise | undefined,
  endUser?: string,
): readonly BoundLimit[] {
  const bound = new Map<string, BoundLimit>();
  const bind = (owner: Owner, id: string, ownerName: string, limits: readonly Limit[] = []) => {
    for (const limit of limits) {
      const counter = counterName(owner, id, limit.unit, limit.window);
      // Two limits on one counter would count each call twice; the stricter implies the other.
      const other = bound.get(counter);
      if (other !== undefined && other.limit.max <= limit.max) continue;
      const watch = raise && watchOf(owner, ownerName, key.organisation, limit, raise);
      bound.set(counter, { owner, ownerName, limit, counter, watch, tally: ended });
    }
  };
  const team = snapshot.teams.get(key.team);
  const organisation = snapshot.organisations?.get(key.organisation);
  bind('key', key.name, key.name, key.limits);
  bind('team', key.team, key.team, team?.limits);
  bind('organisation', key.organisation, key.organisation, organisation?.limits);
  if (endUser !== undefined) {
    bind('end_user', endUserId('key', key.name, endUser), endUser, key.endUserLimits);
    bind('end_user', endUserId('team', key.team, endUser), endUser, team?.endUserLimits);
    bind(
      'end_user',
      endUserId('organisation', key.organisation, endUser),
      endUser,
      organisation?.endUserLimits,
    );
  }
  return [...bound.values()];
}

/** All counters that keys, teams and organisations have, and their windows; those of end users are made when they come. */
export function countersOf({ keys, teams, organisations }: Snapshot): Map<string, Window | undefined> {
  const counters = new Map<string, Window | undefined>();
  const add = (owner: Owner, name: string, limits: readonly Limit[]) => {
    for (const { unit, window } of limits) counters.set(counterName(owner, name, unit, window), window);
  };
  for (const { name, limits } of keys.values()) add('key', name, limits);
  for (const [name, { limits }] of teams) add('team', name, limits);
  for (const [name, { limits }] of organisations ?? []) add('organisation', name, limits);
  return counters;
}

/** By what an end user of a key, team or organisation is counted. Names may have any characters in them. */
export function endUserId(of: EndUsersOf, name: string, endUser: string): string {
  return `${of}:${encodeURIComponent(name)}/${endUser}`;
}
