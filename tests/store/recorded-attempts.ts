/** What a store knows of attempts, for tests and benchmarks. */
import { type RecordedAttempt, selectAttempts, toRecord } from '../../src/store/calls.ts';
import type { Store } from '../../src/store/open.ts';

/** All attempts, call by call. */
export async function recordedAttempts({ db }: Pick<Store, 'db'>): Promise<RecordedAttempt[]> {
  const rows = await selectAttempts(db).orderBy('attempts.call').orderBy('attempts.attempt').execute();
  return rows.map(toRecord);
}
