/** What a gateway that died left in its journal, brought into the store without starting one. */
import { openStore } from '../store/open.ts';
import { tryLockDataDir } from './data-dir.ts';
import { followJournal } from './follow.ts';
import { openJournal } from './journal.ts';
import { recover } from './recover.ts';

/**
 * Settles what is open and applies all, unless a gateway runs on the directory: that one does it itself.
 * @returns false when a gateway runs.
 */
export async function applyLeftovers(dataDir: string, storeUrl: string): Promise<boolean> {
  const lock = tryLockDataDir(dataDir);
  if (lock === undefined) return false;
  const journal = openJournal(dataDir, { lock });
  try {
    recover(journal);
    const store = await openStore(dataDir, storeUrl);
    try {
      const follower = await followJournal(dataDir, store);
      await follower.catchUp();
      follower.close();
    } finally {
      await store.close();
    }
  } finally {
    journal.close();
  }
  return true;
}
