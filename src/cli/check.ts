/** `sluice check`: says everything that is wrong with a configuration, or in short what it sets up. */
import type { Command } from 'commander';
import { compile } from '../config/compile.ts';
import { configFromEnvironment, type Env, loadConfig } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import { findUnreachable } from '../config/reach.ts';
import type { Route } from '../config/route.ts';
import type { Config } from '../config/schema.ts';
import type { Provider, Snapshot } from '../config/snapshot.ts';
import { childrenOf, targetsOf } from '../config/targets.ts';
import { defaultConfigFile, findConfigFile } from './config-file.ts';

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('check the configuration: every mistake at once, or a summary of what it sets up')
    .argument('[file]', 'the same as --config')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigFile} where there is one)`)
    .action((file: string | undefined, flags: { config?: string }) => {
      const { text, exitCode } = checkConfig(file ?? flags.config, process.env);
      (exitCode === 0 ? process.stdout : process.stderr).write(`${text}\n`);
      process.exitCode = exitCode;
    });
}

/** @returns what to print, and 0, or 2 when there are mistakes. */
export function checkConfig(file: string | undefined, env: Env): { text: string; exitCode: 0 | 2 } {
  const source = findConfigFile(file);
  if (source === undefined) {
    const snapshot = compile(configFromEnvironment(env), { version: 1 });
    return { text: summarise('No configuration file; set up from the environment.', snapshot), exitCode: 0 };
  }
  const { config, mistakes } = loadConfig(source, env);
  if (config === undefined) return { text: formatMistakes(source, mistakes), exitCode: 2 };
  return {
    text: summarise(`${source} is valid.`, compile(config, { version: 1 }), config.webhooks),
    exitCode: 0,
  };
}

function summarise(title: string, snapshot: Snapshot, webhooks: Config['webhooks'] = []): string {
  const { settings, providers, models, organisations, teams, keys } = snapshot;
  const { store, shared } = settings;
  const unpriced = new Set(
    [...models.values()].flatMap(targetsOf).flatMap((t) => (t.price === undefined ? [t.id] : [])),
  );
  const rows: [name: string, lines: string[]][] = [
    [
      'listen',
      [
        settings.host.includes(':')
          ? `[${settings.host}]:${settings.port}`
          : `${settings.host}:${settings.port}`,
      ],
    ],
    ['store', store === 'sqlite' ? [] : [describeAddress(store)]],
    ['shared', shared === undefined ? [] : [describeAddress(shared.redis)]],
    ['webhooks', webhooks.map(({ url }) => new URL(url).origin)],
    ['providers', [[...providers.values()].map(describeProvider).join(', ') || 'none']],
    ['models', [...models].map(([name, route]) => `${name} → ${describeRoute(route)}`)],
    ['organisations', [...(organisations?.keys() ?? [])]],
    ['teams', [...teams].map(([name, { organisation }]) => `${name} (organisation ${organisation})`)],
    [
      'keys',
      [...keys.values()].map(
        ({ name, team, disabled }) => `${name} (team ${team}${disabled ? ', disabled' : ''})`,
      ),
    ],
    ['unreachable', findUnreachable(snapshot)],
    ['unpriced', [...unpriced].map((id) => `${id}: no price is known; add it under prices:`)],
  ];
  const lines = rows.flatMap(([name, values]) =>
    values.map((value, i) => `  ${(i === 0 ? name : '').padEnd(15)}${value}`),
  );
  return [title, ...lines].join('\n');
}

/** Without its password. */
function describeAddress(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

function describeProvider({ name, keys }: Provider): string {
  const secrets = keys.filter(({ header, authorise }) => (header ?? authorise) !== undefined).length;
  if (secrets === 0) return `${name} (no key)`;
  return secrets === 1 ? name : `${name} (${secrets} keys)`;
}

function describeRoute(route: Route): string {
  if (route.type === 'target') return route.target.id;
  const parts =
    route.type === 'split'
      ? route.children.map((share) => `${share.weight} × ${describeRoute(share.route)}`)
      : childrenOf(route).map(describeRoute);
  return `${route.type} [${parts.join(', ')}]`;
}
