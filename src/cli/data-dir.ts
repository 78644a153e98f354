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
  const file = findConfigFile(flags.config);
  return resolve((file === undefined ? undefined : dataOf(file)) ?? './sluice-data');
}

function dataOf(file: string): string | undefined {
  try {
    const data: unknown = parse(readFileSync(file, 'utf8'))?.data;
    if (data === undefined || data === null) return undefined;
    if (typeof data === 'string' && !data.includes('${')) return data;
  } catch {
    // Whatever is wrong is said better below.
  }
  const loaded = loadConfig(file, process.env);
  if (loaded.config !== undefined) return loaded.config.data;
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
