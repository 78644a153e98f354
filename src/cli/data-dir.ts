/** Which data directory a command works on, and what it says when it cannot. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { loadConfig } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import { defaultConfigFile, findConfigFile } from './config-file.ts';

export interface DataFlags {
  data?: string;
  config?: string;
}

/** A command's refusal: one line for the person at the terminal. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
  }
}

export function addDataOptions(command: Command): Command {
  return command
    .option('-d, --data <dir>', 'data directory of the gateway (default: ./sluice-data)')
    .option(
      '-c, --config <file>',
      `configuration file whose \`data\` is meant (default: ${defaultConfigFile} where there is one)`,
    );
}

/**
 * `--data`, or the configuration file's `data`, or ./sluice-data. Of the file only that member counts: provider keys
 * that are set for the gateway alone are not missed here.
 * @throws CommandError when the configuration file cannot be read.
 */
export function findDataDir(flags: DataFlags): string {
  if (flags.data !== undefined) return resolve(flags.data);
  return resolve(memberOf(flags, 'data') ?? './sluice-data');
}

/**
 * The configuration file's `store`, else SQLite in the data directory.
 * @throws CommandError when the configuration file cannot be read.
 */
export function findStore(flags: DataFlags): string {
  return memberOf(flags, 'store') ?? 'sqlite';
}

function memberOf(flags: DataFlags, member: 'data' | 'store'): string | undefined {
  const file = findConfigFile(flags.config);
  if (file === undefined) return undefined;
  try {
    const value: unknown = parse(readFileSync(file, 'utf8'))?.[member];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && !value.includes('${')) return value;
  } catch {
    // Whatever is wrong is said better below.
  }
  const loaded = loadConfig(file, process.env);
  if (loaded.config !== undefined) return loaded.config[member];
  throw new CommandError(`${formatMistakes(file, loaded.mistakes)}\nOr name the directory: --data DIR`, 2);
}

/** Runs a command and turns whatever it throws into a line on standard error and an exit code. */
export async function runCommand(run: () => Promise<string>): Promise<void> {
  try {
    process.stdout.write(await run());
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${error instanceof CommandError ? '' : 'sluice: '}${message}\n`);
    process.exitCode = error instanceof CommandError ? error.exitCode : 1;
  }
}
