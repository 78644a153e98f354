/** What the schema cannot see: names that must exist, routes that must end, keys that must differ. */
import { isObject } from '../core/json.ts';
import { catalogue, catalogued } from '../providers/catalog.ts';
import { entryOf } from './complete.ts';
import { servesModel, speaksOf } from './hosting.ts';
import { type Finding, nearestOr, type Path } from './mistakes.ts';
import { routesBelow } from './route-schema.ts';
import type { Config } from './schema.ts';
import { verifyProvider } from './verify-provider.ts';

/** The file as it stands, before or beside its validation: members of any kind, wrong ones included. */
export interface Draft {
  sections: Readonly<Record<string, unknown>>;
  env: Readonly<Record<string, string | undefined>>;
  providerNames: ReadonlySet<string>;
}

/** Looks at names only; members that are not what they should be are the schema's to report, and passed over. */
export function verify(draft: Draft): Finding[] {
  const { providers, models, prices } = draft.sections;
  return [
    ...entriesOf(providers).flatMap(([name, provider]) => verifyProvider(draft.env, name, provider)),
    ...entriesOf(models).flatMap(([name, route]) => verifyRoute(draft, ['models', name], route)),
    ...findCycles(new Map(entriesOf(models))),
    ...verifyKeys(draft),
    ...verifyOrganisations(draft),
    ...(['teams', 'organisations'] as const).flatMap((section) =>
      entriesOf(draft.sections[section]).flatMap(([name, tenant]) =>
        isObject(tenant) ? verifyAllowed(draft, [section, name], tenant.models) : [],
      ),
    ),
    ...entriesOf(prices).flatMap(([target, price]) => verifyPrice(draft, target, price)),
  ];
}

/** Looks at models that a host does not serve: what only the completed configuration tells. */
export function verifyTargets(config: Config): Finding[] {
  return Object.entries(config.models).flatMap(([model, route]) =>
    leavesOf(['models', model], route).flatMap(({ path, name }) => {
      const slash = name.indexOf('/');
      const provider = config.providers?.[name.slice(0, slash)];
      if (Object.hasOwn(config.models, name) || provider === undefined) return [];
      const entry = entryOf(name.slice(0, slash), provider);
      if (servesModel(speaksOf(entry, provider), name.slice(slash + 1))) return [];
      const known = (entry?.known ?? []).map((id) => `${name.slice(0, slash)}/${id}`);
      const hint = known.length === 0 ? 'write another model' : `write, for example, ${known[0]}`;
      return [{ path, message: `"${name}" is no model that is served there`, hint }];
    }),
  );
}

const entriesOf = (section: unknown): [string, unknown][] =>
  isObject(section) ? Object.entries(section) : [];
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function verifyRoute(draft: Draft, path: Path, route: unknown): Finding[] {
  return leavesOf(path, route).flatMap((leaf) => verifyModelName(draft, leaf.path, leaf.name));
}

/** The names a route leads to, with their places. */
function leavesOf(path: Path, route: unknown): { path: Path; name: string }[] {
  if (typeof route === 'string') return route === '' ? [] : [{ path, name: route }];
  if (!isObject(route)) return [];
  return routesBelow(route).flatMap((below) => leavesOf([...path, ...below.path], below.route));
}

/** A name must be that of a model here, or `provider/model` of a provider here. */
function verifyModelName(draft: Draft, path: Path, name: string): Finding[] {
  const models = entriesOf(draft.sections.models).map(([model]) => model);
  if (models.includes(name)) return [];
  const slash = name.indexOf('/');
  if (slash < 0) {
    const hint = nearestOr(name, models, 'write provider/model, or the name of a model under models:');
    return [{ path, message: `no model "${name}"`, hint }];
  }
  const provider = name.slice(0, slash);
  if (!draft.providerNames.has(provider)) return [unknownProvider(draft, path, provider)];
  if (slash < name.length - 1) return [];
  return [{ path, message: `"${name}" names no model`, hint: `write ${name}MODEL` }];
}

function unknownProvider(draft: Draft, path: Path, provider: string): Finding {
  const message = `no provider "${provider}"`;
  const entry = catalogued(provider);
  if (entry === undefined) {
    const hint = nearestOr(
      provider,
      [...draft.providerNames, ...Object.keys(catalogue)],
      'add it under providers: with speaks and url',
    );
    return { path, message, hint };
  }
  const [variable] = entry.env;
  const value = entry.keyless || variable === undefined ? '{}' : `{ key: "\${${variable}}" }`;
  return { path, message, hint: `add ${provider}: ${value} under providers:` };
}

function findCycles(models: ReadonlyMap<string, unknown>): Finding[] {
  const findings: Finding[] = [];
  const done = new Set<string>();
  const visit = (name: string, trail: string[]): void => {
    for (const leaf of leavesOf(['models', name], models.get(name))) {
      const start = trail.indexOf(leaf.name);
      if (start >= 0) {
        findings.push({
          path: leaf.path,
          message: `the route leads back to itself: ${[...trail.slice(start), leaf.name].join(' → ')}`,
          hint: 'let one of them name a provider/model instead',
        });
      } else if (models.has(leaf.name) && !done.has(leaf.name)) visit(leaf.name, [...trail, leaf.name]);
    }
    done.add(name);
  };
  for (const name of models.keys()) if (!done.has(name)) visit(name, [name]);
  return findings;
}

function verifyKeys(draft: Draft): Finding[] {
  const names = new Map<unknown, number>();
  const secrets = new Map<unknown, number>();
  const teams = entriesOf(draft.sections.teams).map(([team]) => team);
  return listOf(draft.sections.keys).flatMap((key, index) => {
    if (!isObject(key)) return [];
    const path = ['keys', index];
    const findings: Finding[] = [];
    const previous = isObject(key.previous) ? key.previous.key : undefined;
    for (const [member, value, seen] of [
      [['name'], key.name, names],
      [['key'], key.key, secrets],
      [['previous', 'key'], previous, secrets],
    ] as const) {
      if (typeof value !== 'string' || value === '') continue;
      const first = seen.get(value);
      if (first === undefined) seen.set(value, index);
      else {
        const what = seen === names ? `the name "${value}"` : 'the same secret';
        const hint = `give each key its own ${seen === names ? 'name' : 'secret'}`;
        findings.push({ path: [...path, ...member], message: `keys[${first}] has ${what} already`, hint });
      }
    }
    if (typeof key.team === 'string' && key.team !== 'default' && !teams.includes(key.team)) {
      const hint = nearestOr(key.team, teams, `add ${key.team}: {} under teams:`);
      findings.push({ path: [...path, 'team'], message: `no team "${key.team}"`, hint });
    }
    return [...findings, ...verifyAllowed(draft, path, key.models)];
  });
}

/** No team belongs to it, and one belongs to another of nearly its name: it is mistyped. Else its teams are in the store. */
function verifyOrganisations(draft: Draft): Finding[] {
  const used = entriesOf(draft.sections.teams).map(
    ([, team]) => (isObject(team) && team.organisation) || 'default',
  );
  const listed = entriesOf(draft.sections.organisations);
  const unlisted = used.map(String).filter((team) => !listed.some(([name]) => name === team));
  return listed.flatMap(([name]) => {
    if (name === 'default' || used.includes(name)) return [];
    const hint = nearestOr(name, unlisted, '');
    if (hint === '') return [];
    return [{ path: ['organisations', name], onKey: true, message: `no team belongs to "${name}"`, hint }];
  });
}

/** What a pattern matches is not looked at, for models come and go. */
function verifyAllowed(draft: Draft, path: Path, models: unknown): Finding[] {
  return listOf(models).flatMap((model, i) =>
    typeof model === 'string' && !model.includes('*')
      ? verifyModelName(draft, [...path, 'models', i], model)
      : [],
  );
}

function verifyPrice(draft: Draft, target: string, price: unknown): Finding[] {
  const path = ['prices', target];
  const findings: Finding[] = [];
  const slash = target.indexOf('/');
  if (slash <= 0 || slash === target.length - 1) {
    findings.push({
      path,
      onKey: true,
      message: `"${target}" is no target`,
      hint: 'write provider/model, such as acme/my-model',
    });
  } else {
    const provider = target.slice(0, slash);
    if (!draft.providerNames.has(provider) && catalogued(provider) === undefined) {
      findings.push({ ...unknownProvider(draft, path, provider), onKey: true });
    }
  }
  if (isObject(price) && price.cached !== undefined && price.cache_read !== undefined) {
    findings.push({
      path: [...path, 'cached'],
      onKey: true,
      message: 'cached and cache_read are the same',
      hint: 'keep one of them',
    });
  }
  return findings;
}
