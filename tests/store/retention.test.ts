/** What is older than it is kept goes, a little at a time; sums stay, and nobody waits. */
import { describe, expect, test } from 'bun:test';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { removeOld } from '../../src/store/retention.ts';
import { queryUsage } from '../../src/store/usage.ts';
import { dispatch, noon, settle } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';
import { recordedAttempts } from './recorded-attempts.ts';

const dayMs = 86_400_000;
const month = { callsMs: 30 * dayMs, plansMs: 10 * dayMs };

describe.each(stores)('on $name', ({ newDir }) => {
  async function fill(count: number): Promise<{ dir: string; store: Store }> {
    const dir = await newDir();
    const store = await openStore(dir, storeUrl(dir), { thread: 'beside' });
    const recorder = createRecorder(store.db, 'node', () => noon);
    for (let from = 0; from < count; from += 5000) {
      const some = Array.from({ length: Math.min(5000, count - from) }, (_, i) => {
        const begun = dispatch(`c${from + i}`, { session: `s${from}`, endUser: 'ann' });
        return { dispatch: begun, settled: settle(begun, { nanoUsd: 3 }) };
      });
      await recorder.record(some, `1:${from}`);
    }
    return { dir, store };
  }

  test('calls, plans and labels go when their time is over, and sums stay', async () => {
    const { store } = await fill(2500);
    const later = createRecorder(store.db, 'node', () => noon + 20 * dayMs);
    const begun = dispatch('later', { at: noon + 20 * dayMs, endUser: 'ann', session: 'new' });
    const plans = [
      { call: 'c1', at: noon, text: '{}' },
      { call: 'later', at: noon + 20 * dayMs, text: '{}' },
    ];
    await later.record([{ dispatch: begun, settled: settle(begun, { nanoUsd: 3 }) }], '2:1', plans);

    expect(await removeOld(store.db, month, noon + 25 * dayMs)).toBe(1);
    expect(await recordedAttempts(store)).toHaveLength(2501);
    // A label is kept some days longer than the last attempt that may have it.
    expect(await removeOld(store.db, month, noon + 33 * dayMs)).toBe(2500 + 1 + 1);
    expect(await recordedAttempts(store)).toMatchObject([{ call: 'later', end_user: 'ann', session: 'new' }]);
    const labels = await store.db.selectFrom('labels').select('label').orderBy('label').execute();
    expect(labels.map(({ label }) => label)).toEqual(['ann', 'new']);
    expect(await queryUsage(store.db, { by: 'model' })).toMatchObject([{ calls: 2501, usd: '0.000007503' }]);
    expect(await removeOld(store.db, month, noon + 33 * dayMs)).toBe(0);
    await store.close();
  }, 30_000);

  test('for ever is for ever', async () => {
    const { store } = await fill(3);
    expect(await removeOld(store.db, { callsMs: undefined, plansMs: undefined }, noon * 2)).toBe(0);
    expect(await removeOld(store.db, { callsMs: undefined, plansMs: 1 }, noon * 2)).toBe(0);
    expect(await recordedAttempts(store)).toHaveLength(3);
    await store.close();
  });

  test('one node at a time, and the next one when that is done', async () => {
    const { dir, store } = await fill(6000);
    const other = await openStore(dir, storeUrl(dir), { thread: 'beside' });
    const both = await Promise.all(
      [store, other].map(({ db }) => removeOld(db, month, noon + 40 * dayMs, { batchRows: 100 })),
    );
    expect(both.toSorted()).toEqual([6003, undefined]);
    expect(await removeOld(other.db, month, noon + 40 * dayMs)).toBe(0);
    await other.close();
    await store.close();
  }, 30_000);

  test('it ends after the batch it is at when it is told to', async () => {
    const { store } = await fill(1000);
    const stop = new AbortController();
    const removing = removeOld(store.db, month, noon + 40 * dayMs, { batchRows: 10, signal: stop.signal });
    stop.abort();
    expect(await removing).toBeLessThan(1000);
    // Nobody has to wait for it to be over.
    expect(await removeOld(store.db, month, noon + 40 * dayMs)).toBeGreaterThan(0);
    await store.close();
  }, 30_000);

  test('others write and read while a hundred thousand are removed', async () => {
    const { dir, store } = await fill(100_000);
    const other = await openStore(dir, storeUrl(dir), { thread: 'beside' });
    const recorder = createRecorder(other.db, 'other', () => noon + 40 * dayMs);
    let done = false;
    const removing = removeOld(store.db, month, noon + 40 * dayMs).finally(() => {
      done = true;
    });
    let written = 0;
    let left = 100_000;
    while (!done) {
      const begun = dispatch(`new${written}`, { at: noon + 40 * dayMs });
      await recorder.record([{ dispatch: begun, settled: settle(begun) }], `2:${written}`);
      written++;
      if (!done) {
        const { count } = await other.db
          .selectFrom('attempts')
          .select((eb) => eb.fn.countAll<number>().as('count'))
          .where('at', '<', noon + 10 * dayMs)
          .executeTakeFirstOrThrow();
        // Each batch is there for others at once, and none of them holds up what is written.
        expect(Number(count)).toBeLessThanOrEqual(left);
        left = Number(count);
      }
    }
    expect(await removing).toBeGreaterThan(100_000 - 1);
    expect(written).toBeGreaterThan(20);
    expect(await recordedAttempts(other)).toHaveLength(written);
    await other.close();
    await store.close();
  }, 120_000);
});
