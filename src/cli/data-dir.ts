/** Which data directory a command works on, and what it says when it cannot. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig, readMember } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import { isStore } from '../config/schema.ts';
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
      `configuration file whose \`data\` and \`store\` are meant (default: ${defaultConfigFile} where there is one)`,
    );
}

/** Where the calls and keys of a gateway are. */
export interface Place {
  dataDir: string;
  /** The configuration's `store`. */
  url: string;
}

/**
 * `--data`, or the configuration file's `data`, or ./sluice-data; and the file's `store`, or SQLite. Of the file only those
 * members count: provider keys that are set for the gateway alone are not missed here.
 * @throws CommandError when the configuration file cannot be read.
 */
export function findPlace(flags: DataFlags): Place {
  const file = findConfigFile(flags.config);
  const read = (name: 'data' | 'store') => (file === undefined ? undefined : memberOf(file, name));
  return { dataDir: resolve(flags.data ?? read('data') ?? './sluice-data'), url: read('store') ?? 'sqlite' };
}

function memberOf(file: string, name: 'data' | 'store'): string | undefined {
  try {
    const value = readMember(file, name, process.env);
    if (name === 'data' || value === undefined || isStore(value)) return value;
  } catch {
    // Whatever is wrong is said better below.
  }
  const loaded = loadConfig(file, process.env);
  if (loaded.config !== undefined) return loaded.config[name];
  throw new CommandError(`${formatMistakes(file, loaded.mistakes)}\nOr name another file: --config FILE`, 2);
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
