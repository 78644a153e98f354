/** What is wrong with a provider: it is none, something is missing to call it, something has no use. */
import { existsSync } from 'node:fs';
import type { DialectName } from '../core/chat.ts';
import { isObject } from '../core/json.ts';
import { keySchemes } from '../providers/auth.ts';
import { catalogue, placesOf } from '../providers/catalog.ts';
import { type Credential, credentialNames, identities, isIdentity } from '../providers/identity.ts';
import { type SettingName, settingForms, settingNames } from '../providers/places.ts';
import { completeProvider, type Env, entryOf } from './complete.ts';
import { hasKey, lackingOf, schemeOf, settingsUsed } from './hosting.ts';
import { type Finding, nearestOr, type Path } from './mistakes.ts';
import type { ProviderConfig } from './schema.ts';

export function verifyProvider(env: Env, name: string, provider: unknown): Finding[] {
  if (!isObject(provider)) return [];
  const path = ['providers', name];
  const findings: Finding[] = [];
  const report = (message: string, hint: string, at: Path = path) =>
    findings.push({ path: at, message, hint, onKey: true });
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    report(`"${name}" is no provider name`, 'use letters, digits, "-", "_" and "."');
  }
  const { speaks, url, like } = provider;
  const given = asGiven(provider);
  if (typeof like === 'string' && entryOf(name, given) === undefined) {
    const hint = nearestOr(like, Object.keys(catalogue), 'write one that the manual lists');
    return [
      ...findings,
      { path: [...path, 'like'], message: `no provider "${like}" in the catalogue`, hint },
    ];
  }
  if (
    entryOf(name, given) === undefined &&
    (speaks === undefined || (url === undefined && !isObject(speaks)))
  ) {
    report(
      `no provider "${name}" in the catalogue, and one of your own needs ${speaks === undefined ? 'speaks' : 'url'}`,
      nearestOr(name, Object.keys(catalogue), 'write speaks: openai-chat and url: http://host:port/v1'),
    );
    return findings;
  }
  if (isObject(speaks) && Object.keys(speaks).length === 0) {
    findings.push({ path: [...path, 'speaks'], message: 'names no dialect', hint: 'write openai-chat' });
    return findings;
  }
  if (given.key !== undefined && given.keys !== undefined) {
    report('key and keys are both given', 'keep one of them', [...path, 'key']);
  }
  if (!isAllowed(name, given)) {
    const message = `cannot be called with auth: ${given.auth}`;
    return [...findings, { path: [...path, 'auth'], message, hint: 'remove it, or write another' }];
  }
  return [...findings, ...findLacking(path, name, given, env), ...findUseless(path, name, given)];
}

/** Whether there is a place that may be asked with this kind of authorisation. */
function isAllowed(name: string, given: ProviderConfig): boolean {
  const entry = entryOf(name, given);
  const scheme = schemeOf(entry, given);
  if (entry === undefined) return true;
  const places = (Object.keys(entry.speaks) as DialectName[]).flatMap((dialect) => placesOf(entry, dialect));
  return places.some(({ auth }) => auth === undefined || auth.includes(scheme));
}

/** Members of the wrong kind are the schema's to report: here they only count as being there. */
function asGiven(provider: Readonly<Record<string, unknown>>): ProviderConfig {
  const { speaks, auth, keys, timeout: _, ...texts } = provider;
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(texts)) given[name] = asText(value);
  if (keys !== undefined) given.keys = [];
  if (keySchemes.some((scheme) => scheme === auth) || isIdentity(asText(auth))) given.auth = auth;
  if (typeof speaks === 'string') given.speaks = speaks;
  else if (Array.isArray(speaks)) given.speaks = speaks.map(asText);
  else if (isObject(speaks)) {
    given.speaks = Object.fromEntries(Object.entries(speaks).map(([name, url]) => [name, asText(url)]));
  }
  return given;
}

const asText = (value: unknown): string | undefined =>
  value === undefined || typeof value === 'string' ? value : String(value);

function findLacking(path: Path, name: string, given: ProviderConfig, env: Env): Finding[] {
  const entry = entryOf(name, given);
  const complete = completeProvider(name, given, env);
  const scheme = schemeOf(entry, complete);
  const findings: Finding[] = [];
  const report = (message: string, hint: string) => findings.push({ path, onKey: true, message, hint });
  if (entry !== undefined && !entry.keyless && !hasKey(complete) && !isIdentity(scheme)) {
    report(
      `has no key, and ${entry.env.join(' or ')} is not set`,
      'set it, or write key: "${VARIABLE}" with the variable you use',
    );
  }
  for (const member of lackingOf(entry, complete)) {
    if (!isCredential(member) && !settingNames.some((setting) => setting === member)) {
      report(`{${member}} stands for nothing in a URL`, 'write {model}, or what belongs there');
      continue;
    }
    const usual = isIdentity(scheme) ? identities[scheme].takes[member as Credential] : undefined;
    const variables = entry?.settings?.[member as SettingName] ?? usual ?? [];
    const unset = variables.length === 0 ? '' : `, and ${variables.join(' or ')} is not set`;
    const write = `write ${member}: ${exampleOf(member)}`;
    const instead =
      isCredential(member) && entry?.env[0] !== undefined ? `, or key: "\${${entry.env[0]}}"` : '';
    report(`has no ${member}${unset}`, (unset === '' ? write : `set it, or ${write}`) + instead);
  }
  return findings;
}

function exampleOf(member: SettingName | Credential): string {
  return isCredential(member) ? '"${VARIABLE}"' : settingForms[member as SettingName].example;
}

function isCredential(member: string): boolean {
  return credentialNames.some((name) => name === member);
}

/** What would be passed over in silence. */
function findUseless(path: Path, name: string, given: ProviderConfig): Finding[] {
  const entry = entryOf(name, given);
  const scheme = schemeOf(entry, given);
  const takes: readonly string[] = isIdentity(scheme) ? Object.keys(identities[scheme].takes) : [];
  // What the catalogue asks for may stand there, even where another URL or a key makes it needless.
  const used = settingsUsed(entry, given).union(new Set(Object.keys(entry?.settings ?? {})));
  const findings: Finding[] = [];
  const report = (member: string, message: string, hint: string) =>
    findings.push({ path: [...path, member], onKey: true, message, hint });
  for (const member of [...settingNames, ...credentialNames]) {
    if (given[member] === undefined || used.has(member) || takes.includes(member)) continue;
    if (isCredential(member) && hasKey(given)) report(member, 'is not used beside a key', 'keep one of them');
    else report(member, 'has no use here', 'remove it');
  }
  if (isIdentity(scheme) && hasKey(given)) {
    const { token } = identities[scheme];
    report(
      given.key === undefined ? 'keys' : 'key',
      `auth: ${scheme} takes no key`,
      `write ${token}, or another auth`,
    );
  }
  const { credentials } = given;
  if (takes.includes('credentials') && credentials !== undefined && !existsSync(credentials)) {
    report(
      'credentials',
      `there is no file ${credentials}`,
      'write the path of a JSON file with credentials',
    );
  }
  return findings;
}
