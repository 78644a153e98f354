/** What the configuration file says by name, for commands that change the store beside it. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { nearestOr } from '../config/mistakes.ts';
import { isObject } from '../core/json.ts';
import type { FileTenants } from '../core/tenants.ts';
import { catalogue } from '../providers/catalog.ts';
import { findConfigFile } from './config-file.ts';
import type { DataFlags } from './data-dir.ts';

/** Names only: variables that are set for the gateway alone are not missed here. */
export function fileTenants(flags: DataFlags): FileTenants {
  const { keys, teams, organisations } = sectionsOf(flags);
  const names = (Array.isArray(keys) ? keys : []).flatMap((key) =>
    isObject(key) && typeof key.name === 'string' ? [key.name] : [],
  );
  return { keys: new Set(names), teams: namesIn(teams), organisations: namesIn(organisations) };
}

/** One question for each model that is allowed and known to nobody: it may be mistyped, or come later. */
export function unknownModels(flags: DataFlags, models: readonly string[]): string[] {
  const sections = sectionsOf(flags);
  const configured = namesIn(sections.models);
  const providers = new Set([...Object.keys(catalogue), ...namesIn(sections.providers)]);
  return models.flatMap((model) => {
    const provider = model.split('/')[0]!;
    if (model.endsWith('*') || configured.has(model)) return [];
    if (model.includes('/')) {
      if (providers.has(provider)) return [];
      return [
        `no provider "${provider}" is known: ${nearestOr(provider, providers, 'is it written right?')}`,
      ];
    }
    return [`no model "${model}" is configured: ${nearestOr(model, configured, 'is it written right?')}`];
  });
}

function sectionsOf(flags: DataFlags): Record<string, unknown> {
  const file = findConfigFile(flags.config);
  if (file === undefined) return {};
  try {
    const sections: unknown = parse(readFileSync(file, 'utf8'));
    return isObject(sections) ? sections : {};
  } catch {
    // What is wrong with it is for `check` to say.
    return {};
  }
}

const namesIn = (section: unknown): ReadonlySet<string> =>
  new Set(isObject(section) ? Object.keys(section) : []);
