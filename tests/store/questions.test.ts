/** What the console asks is answered beside the gateway's thread as it would be on it. */
import { describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore } from '../../src/store/open.ts';
import { openQuestions, questionsOn } from '../../src/store/questions.ts';
import { dispatch, noon, settle, tempDir } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

describe.each(stores)('on $name', ({ newDir }) => {
  test('the answers are the same, and so is what is refused', async () => {
    const dir = await newDir();
    const store = await openStore(dir, storeUrl(dir));
    const beside = openQuestions(dir, storeUrl(dir));
    const same = questionsOn(async () => store.db);
    try {
      const calls = ['a', 'b', 'c'].map((call, i) => dispatch(call, { at: noon + i, endUser: 'ann' }));
      await createRecorder(store.db, 'node').record(
        calls.map((begun) => ({ dispatch: begun, settled: settle(begun, { nanoUsd: 7 }, { input: 3 }) })),
        '1:1',
      );
      const usage = { by: ['day', 'model'] as const };
      expect(await beside.usage(usage)).toEqual(await same.usage(usage));
      expect(await beside.usage(usage)).toMatchObject([{ calls: 3, usd: '0.000000021' }]);
      const listed = { limit: 2, endUser: 'ann', after: undefined };
      expect(await beside.calls(listed)).toEqual(await same.calls(listed));
      expect((await beside.calls(listed)).map(({ call }) => call)).toEqual(['c', 'b']);
      expect(await beside.latencies({ by: ['key'] })).toEqual(await same.latencies({ by: ['key'] }));
      const wrong = { by: ['model', 'key'] as const };
      const refused = await beside.latencies(wrong).catch((error: Error) => error);
      expect(refused).toMatchObject({ name: 'LatencyError' });
      expect(await beside.usage({ by: [] })).toHaveLength(1);
    } finally {
      await beside.close();
      await store.close();
    }
  });
});

test('a store that cannot be opened is told of, and looked for again at the next question', async () => {
  const dir = tempDir();
  const path = join(dir, 'sluice.db');
  writeFileSync(path, 'not a database, and long enough to be read as one'.repeat(40));
  const questions = openQuestions(dir, 'sqlite');
  await expect(questions.usage({ by: 'model' })).rejects.toThrow('cannot open');
  writeFileSync(path, '');
  expect(await questions.usage({ by: 'model' })).toEqual([]);
  await questions.close();
});
