/** The applier's thread removes what is old by itself, as soon as there is a store, and as the configuration says. */
import { expect, test } from 'bun:test';
import { keepRetention } from '../../src/ledger/retention-loop.ts';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { recordedAttempts } from '../store/recorded-attempts.ts';
import { dispatch, settle, tempDir } from './attempts.ts';

const dayMs = 86_400_000;

test('what is older than it is kept goes, once the store is there; what is not, stays', async () => {
  let store: Store | undefined;
  const loop = keepRetention(() => store?.db, { firstMs: 1, everyMs: 5 });
  const opened = await openStore(tempDir(), 'sqlite');
  try {
    const old = dispatch('old', { at: Date.now() - 90 * dayMs });
    const fresh = dispatch('fresh', { at: Date.now() - 10 * dayMs });
    await createRecorder(opened.db, 'node').record(
      [old, fresh].map((begun) => ({ dispatch: begun, settled: settle(begun) })),
      '1:1',
    );
    const left = async () => (await recordedAttempts(opened)).map(({ call }) => call);
    loop.set({ callsMs: undefined, plansMs: 1 });
    store = opened;
    await Bun.sleep(50);
    expect(await left()).toEqual(['fresh', 'old']);
    loop.set({ callsMs: 30 * dayMs, plansMs: undefined });
    while ((await left()).length > 1) await Bun.sleep(5);
    expect(await left()).toEqual(['fresh']);
  } finally {
    await loop.stop();
    await opened.close();
  }
});
