/** The configuration whose prices a command works with. */
import { configFromEnvironment, loadConfig } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import type { Config } from '../config/schema.ts';
import { findConfigFile } from './config-file.ts';
import { CommandError } from './data-dir.ts';

/** @throws CommandError with every mistake of the file. */
export function readPricedConfig(named: string | undefined): Config {
  const file = findConfigFile(named);
  if (file === undefined) return configFromEnvironment(process.env);
  const { config, mistakes } = loadConfig(file, process.env);
  if (config === undefined) throw new CommandError(formatMistakes(file, mistakes), 2);
  return config;
}
