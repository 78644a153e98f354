/** Both kinds of store, for tests that hold on either: `describe.each(stores)('on $name', ({ newDir }) => …)`. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './ledger/attempts.ts';
import { postgres } from './servers.ts';
import { keepStoreUrl } from './store-url.ts';

export interface StoreKind {
  name: 'SQLite' | 'PostgreSQL';
  /** @returns a new data directory whose store, `storeUrl(dir)`, is new too. */
  newDir(): Promise<string>;
  /** Makes it unusable before anybody opened it. @returns what makes it usable again. */
  breakStore(dir: string): Promise<() => Promise<void>>;
}

export const stores: StoreKind[] = [
  {
    name: 'SQLite',
    newDir: async () => tempDir(),
    async breakStore(dir) {
      // A directory where the database file should be.
      mkdirSync(join(dir, 'sluice.db'));
      return async () => rmSync(join(dir, 'sluice.db'), { recursive: true });
    },
  },
  {
    name: 'PostgreSQL',
    async newDir() {
      const dir = tempDir();
      keepStoreUrl(dir, await (await postgres()).createDatabase());
      return dir;
    },
    async breakStore() {
      const server = await postgres();
      await server.stop();
      return () => server.start();
    },
  },
];
