/** Organisations, teams and keys, compiled from what is written of them in the configuration or in the store. */
import { hashSecret } from '../core/secret.ts';
import { compileAddresses } from './addresses.ts';
import { compileLimit } from './compile-limit.ts';
import { sellPpmOf } from './pricing-schema.ts';
import type { Config } from './schema.ts';
import type { Key, Organisation, Patterns, PreviousSecret, Restriction, Snapshot, Team } from './snapshot.ts';
import type { KeyDocument, OrganisationDocument, TeamDocument } from './tenant-schema.ts';

/** What keys belong to. */
export type Tenants = Pick<Snapshot, 'teams' | 'organisations'>;

/** Those of a configuration. */
export function compileTenants(
  config: Pick<Config, 'keys' | 'teams' | 'organisations'>,
): Required<Pick<Snapshot, 'keys' | 'previousSecrets' | 'teams' | 'organisations'>> {
  const teams = new Map(
    Object.entries(config.teams).map(([name, document]) => [name, compileTeam(name, document)]),
  );
  const organisations = new Map(
    Object.entries(config.organisations).map(([name, document]) => [
      name,
      compileOrganisation(name, document),
    ]),
  );
  const keys = new Map<string, Key>();
  const previousSecrets = new Map<string, PreviousSecret>();
  for (const { name, key: secret, previous, ...document } of config.keys) {
    const key = compileKey({ id: `key_${name}`, name }, document, { teams, organisations });
    keys.set(hashSecret(secret), key);
    if (previous !== undefined)
      previousSecrets.set(hashSecret(previous.key), { key, untilMs: previous.until });
  }
  return { keys, previousSecrets, teams, organisations };
}

export function compileOrganisation(name: string, document: OrganisationDocument): Organisation {
  const { pricing } = document;
  return Object.freeze({
    name,
    ...compileCommon('organisation', name, document),
    ...(pricing && { sellPpm: sellPpmOf(pricing) }),
  });
}

export function compileTeam(name: string, document: TeamDocument): Team {
  return Object.freeze({
    name,
    organisation: document.organisation,
    ...compileCommon('team', name, document),
  });
}

/** @param tenants what the key belongs to; when they change, it is compiled anew. */
export function compileKey(who: { id: string; name: string }, document: KeyDocument, tenants: Tenants): Key {
  const team = tenants.teams.get(document.team);
  const organisation = tenants.organisations?.get(team?.organisation ?? 'default');
  const own = compileCommon('key', who.name, document);
  const levels = [own, team, organisation];
  const restrictions = levels.flatMap((level) => level?.restriction ?? []);
  return Object.freeze({
    id: who.id,
    name: who.name,
    team: document.team,
    organisation: team?.organisation ?? 'default',
    ...own,
    restrictions: restrictions.length === 0 ? undefined : restrictions,
    limitsEndUsers: levels.some((level) => level?.endUserLimits !== undefined),
    expiresAt: document.expires,
    off: team?.disabled === true ? 'team' : organisation?.disabled === true ? 'organisation' : undefined,
  });
}

function compileCommon(
  owner: Restriction['owner'],
  name: string,
  document: Omit<OrganisationDocument, 'pricing'>,
) {
  const endUserLimits = document.end_users.limits.map(compileLimit);
  return {
    limits: document.limits.map(compileLimit),
    endUserLimits: endUserLimits.length === 0 ? undefined : endUserLimits,
    restriction: compileRestriction(owner, name, document),
    disabled: document.disabled,
  };
}

function compileRestriction(
  owner: Restriction['owner'],
  name: string,
  { models, operations, addresses }: Pick<OrganisationDocument, 'models' | 'operations' | 'addresses'>,
): Restriction | undefined {
  if (models === undefined && operations === undefined && addresses === undefined) return undefined;
  return Object.freeze({
    owner,
    name,
    models: models && compilePatterns(models),
    operations: operations && new Set(operations),
    addresses: addresses && compileAddresses(addresses),
  });
}

/** A `*` stands at the end, or nowhere. */
function compilePatterns(said: readonly string[]): Patterns {
  const names = new Set(said.filter((each) => !each.endsWith('*')));
  const prefixes = said.filter((each) => each.endsWith('*')).map((each) => each.slice(0, -1));
  return Object.freeze({
    said,
    has: (name: string) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix)),
  });
}
