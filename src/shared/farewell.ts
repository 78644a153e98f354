/** Whether the last process on a data directory said goodbye to the nodes it shared limits with. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Farewell {
  /** It did not: what it held of the limits is known only from its journal. */
  afterCrash: boolean;
  /** To be called when this process has said goodbye. */
  said(): void;
}

/** To be called when the directory is this process' own. @throws Error when it cannot be written. */
export function expectFarewell(dataDir: string): Farewell {
  const file = join(dataDir, 'sharing');
  const afterCrash = existsSync(file);
  writeFileSync(file, '');
  return { afterCrash, said: () => rmSync(file, { force: true }) };
}
