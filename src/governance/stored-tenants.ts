/**
 * Organisations, teams and keys of the store, beside those of the configuration, which win where both have a name.
 *
 * Keys are compiled when they are first used: ten thousand of them cost nothing at the start, and nothing when a team of
 * theirs changes.
 */
import { compileKey, compileOrganisation, compileTeam } from '../config/compile-tenants.ts';
import type { Key, Organisation, Snapshot, Team } from '../config/snapshot.ts';
import { keySchema, organisationSchema, teamSchema } from '../config/tenant-schema.ts';
import type { StoredKey, StoredTenant, TenantsChange } from '../core/tenants.ts';

/** A key of the store, and what it was compiled to. */
export interface HeldKey {
  readonly stored: StoredKey;
  key: Key | undefined;
}

/** Told of documents that are not understood: what they are of is switched off. */
type Alarm = (what: string, fields: Record<string, unknown>) => void;

interface Compiled<T> {
  revision: number;
  tenant: T;
}

export class StoredTenants {
  private organisations: ReadonlyMap<string, Compiled<Organisation>> = new Map();
  private teams: ReadonlyMap<string, Compiled<Team>> = new Map();
  private readonly byId = new Map<string, HeldKey>();
  private readonly byHash = new Map<string, HeldKey>();

  constructor(private readonly alarm: Alarm) {}

  /** @returns whether teams or organisations have changed: then `mergedInto` and all keys say something else. */
  apply(change: TenantsChange): boolean {
    for (const stored of change.keys) this.put(stored);
    const organisations = renew(this.organisations, change.organisations, (each) =>
      this.organisationOf(each),
    );
    const teams = renew(this.teams, change.teams, (each) => this.teamOf(each));
    const changed = organisations !== this.organisations || teams !== this.teams;
    this.organisations = organisations;
    this.teams = teams;
    if (changed) this.forgetCompiled();
    return changed;
  }

  /** The snapshot with what the store has beside it. */
  mergedInto(snapshot: Snapshot): Snapshot {
    if (this.teams.size === 0 && this.organisations.size === 0) return snapshot;
    return Object.freeze({
      ...snapshot,
      teams: new Map([...tenantsOf(this.teams), ...snapshot.teams]),
      organisations: new Map([...tenantsOf(this.organisations), ...(snapshot.organisations ?? [])]),
    });
  }

  /** Keys are compiled anew when they are used next: what they belong to has changed. */
  forgetCompiled(): void {
    for (const held of this.byId.values()) held.key = undefined;
  }

  /** @param hash of its secret, or of the one before. */
  find(hash: string): HeldKey | undefined {
    return this.byHash.get(hash);
  }

  findId(id: string): HeldKey | undefined {
    return this.byId.get(id);
  }

  /** Of several of a name, the one that is not revoked. */
  findName(name: string): HeldKey | undefined {
    let revoked: HeldKey | undefined;
    for (const held of this.byId.values()) {
      if (held.stored.name !== name) continue;
      if (held.stored.revokedAt === undefined) return held;
      revoked = held;
    }
    return revoked;
  }

  /** Those that may limit their end users: only they are looked at closely. */
  withEndUserLimits(tenants: Pick<Snapshot, 'teams' | 'organisations'>): Key[] {
    return [...this.byId.values()]
      .filter(({ stored }) => stored.document.end_users !== undefined)
      .map((held) => this.compile(held, tenants));
  }

  /** @param tenants merged ones. */
  compile(held: HeldKey, tenants: Pick<Snapshot, 'teams' | 'organisations'>): Key {
    held.key ??= this.keyOf(held.stored, tenants);
    return held.key;
  }

  private put(stored: StoredKey): void {
    const before = this.byId.get(stored.id)?.stored;
    if (before !== undefined) {
      this.byHash.delete(before.hash);
      if (before.previousHash !== undefined) this.byHash.delete(before.previousHash);
    }
    const held: HeldKey = { stored, key: undefined };
    this.byId.set(stored.id, held);
    this.byHash.set(stored.hash, held);
    if (stored.previousHash !== undefined) this.byHash.set(stored.previousHash, held);
  }

  private keyOf(stored: StoredKey, tenants: Pick<Snapshot, 'teams' | 'organisations'>): Key {
    const parsed = keySchema.safeParse(stored.document);
    if (!parsed.success) this.complain('key', stored.name, parsed.error);
    const document = parsed.success ? parsed.data : keySchema.parse({ team: stored.team, disabled: true });
    if (stored.revokedAt !== undefined) document.disabled = true;
    // The file may have had it until now: its keys go on, but nobody may take its limits for granted.
    else if (document.team !== 'default' && !tenants.teams.has(document.team))
      this.alarm('a key belongs to a team that is not there any more, whose limits hold no longer', {
        key: stored.name,
        team: document.team,
      });
    return compileKey(stored, document, tenants);
  }

  private teamOf({ name, document }: StoredTenant): Team {
    const parsed = teamSchema.safeParse(document);
    if (!parsed.success) this.complain('team', name, parsed.error);
    return compileTeam(name, parsed.success ? parsed.data : teamSchema.parse({ disabled: true }));
  }

  private organisationOf({ name, document }: StoredTenant): Organisation {
    const parsed = organisationSchema.safeParse(document);
    if (!parsed.success) this.complain('organisation', name, parsed.error);
    return compileOrganisation(
      name,
      parsed.success ? parsed.data : organisationSchema.parse({ disabled: true }),
    );
  }

  private complain(owner: string, name: string, { message }: Error): void {
    this.alarm('what the store has of a tenant is not understood: it is switched off', {
      owner,
      name,
      error: message,
    });
  }
}

/** @returns `known` itself where nothing has changed. */
function renew<T>(
  known: ReadonlyMap<string, Compiled<T>>,
  rows: readonly StoredTenant[],
  compile: (row: StoredTenant) => T,
): ReadonlyMap<string, Compiled<T>> {
  const same =
    rows.length === known.size && rows.every(({ name, revision }) => known.get(name)?.revision === revision);
  if (same) return known;
  return new Map(
    rows.map((row) => {
      const before = known.get(row.name);
      const { revision } = row;
      return [row.name, before?.revision === revision ? before : { revision, tenant: compile(row) }];
    }),
  );
}

function* tenantsOf<T>(compiled: ReadonlyMap<string, Compiled<T>>): Generator<[string, T]> {
  for (const [name, { tenant }] of compiled) yield [name, tenant];
}
