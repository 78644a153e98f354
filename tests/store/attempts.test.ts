/** Attempts with numbers that no provider should tell: rows and sums say the same, and nobody is stuck with them. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { endUsersSpentSince, spentSince } from '../../src/store/spent.ts';
import { dispatch, noon, settle } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';
import { mistakesInBooks } from './books.ts';
import { recordedAttempts } from './recorded-attempts.ts';

const hourMs = 3_600_000;

describe.each(stores)('on $name', ({ newDir }) => {
  let store: Store;

  beforeEach(async () => {
    const dir = await newDir();
    store = await openStore(dir, storeUrl(dir));
  });

  afterEach(async () => {
    expect(await mistakesInBooks(store.db)).toEqual([]);
    await store.close();
  });

  test('more tokens than a row has room for', async () => {
    const begun = dispatch('c1', { endUser: 'ann' });
    const usage = {
      input: 4_000_000_000,
      cacheRead: 3_000_000_000,
      cacheWrite5m: 3_000_000_000,
      cacheWrite1h: 3_000_000_000,
      output: 3_000_000_000,
      reasoning: 3_000_000_000,
    };
    await createRecorder(store.db, 'node').record(
      [{ dispatch: begun, settled: settle(begun, { nanoUsd: 1_000_000_000_000_000 }, usage) }],
      '1:1',
    );
    expect(await mistakesInBooks(store.db)).toEqual([]);
    const tokens = 2 * 2_147_483_647;
    // From sums and, where the first hour is not whole, from the attempts.
    for (const since of [noon - (noon % hourMs), noon - 1]) {
      expect(await spentSince(store.db, 'keys', { since })).toMatchObject([{ key: 'ci', tokens }]);
    }
    expect(await endUsersSpentSince(store.db, noon - 1)).toMatchObject([{ endUser: 'ann', tokens }]);
  });

  test('more attempts of a call than their number has room for, told again', async () => {
    const recorder = createRecorder(store.db, 'node');
    const attempts = [32_766, 32_767, 40_000].map((attempt) => {
      const begun = dispatch('c1', { attempt });
      return { dispatch: begun, settled: settle(begun, { nanoUsd: 1 }, { input: 1 }) };
    });
    for (const position of ['1:1', '1:2']) await recorder.record(attempts, position);
    expect(await recorder.position()).toBe('1:2');
    expect((await recordedAttempts(store)).map(({ attempt }) => attempt)).toEqual([32_766, 32_767]);
  });
});
