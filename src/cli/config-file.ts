/** Which configuration file a command reads. */
import { existsSync } from 'node:fs';

export const defaultConfigFile = 'sluice.yaml';

/** The file named, or the usual one where there is one; undefined: none. */
export function findConfigFile(named: string | undefined): string | undefined {
  return named ?? (existsSync(defaultConfigFile) ? defaultConfigFile : undefined);
}
