/** Several nodes write into one store at once: each from a journal of its own, into the same sums. */
import { describe, expect, test } from 'bun:test';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { queryUsage } from '../../src/store/usage.ts';
import { dispatch, noon, settle } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';
import { mistakesInBooks } from './books.ts';

const hourMs = 3_600_000;

/** Attempts of one node, over many series and hours, in an order of its own. */
function attemptsOf(node: number, round: number) {
  const attempts = Array.from({ length: 60 }, (_, i) => {
    const begun = dispatch(`n${node}r${round}c${i}`, { model: `m${i % 20}`, at: noon + (i % 3) * hourMs });
    return { dispatch: begun, settled: settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }) };
  });
  return node % 2 === 0 ? attempts : attempts.reverse();
}

/** One after the other: SQLite's connections of one thread cannot wait for each other. */
async function open(dir: string, count: number): Promise<Store[]> {
  const opened: Store[] = [];
  while (opened.length < count) opened.push(await openStore(dir, storeUrl(dir)));
  return opened;
}

describe.each(stores)('on $name', ({ name, newDir }) => {
  test('all is counted once, and nobody is refused because of the others', async () => {
    const dir = await newDir();
    const nodes = [0, 1, 2, 3];
    const opened = await open(dir, nodes.length);
    const rounds = [0, 1, 2, 3, 4];
    const write = async (node: number) => {
      const recorder = createRecorder(opened[node]!.db, `node${node}`);
      for (const round of rounds) await recorder.record(attemptsOf(node, round), `1:${round}`);
    };
    // As above.
    if (name === 'SQLite') for (const node of nodes) await write(node);
    else await Promise.all(nodes.map(write));
    const [store] = opened;
    const calls = nodes.length * rounds.length * 60;
    expect(await queryUsage(store!.db, { by: 'team' })).toMatchObject([
      { calls, attempts: calls, input_tokens: calls * 10, usd: '1.2000012' },
    ]);
    expect(await store!.db.selectFrom('series').select('id').execute()).toHaveLength(20);
    for (const node of nodes) {
      expect(await createRecorder(store!.db, `node${node}`).position()).toBe('1:4');
    }
    expect(await createRecorder(store!.db, 'new').position()).toBeUndefined();
    expect(await mistakesInBooks(store!.db)).toEqual([]);
    for (const each of opened) await each.close();
  });

  test('an attempt that two nodes tell of counts once', async () => {
    const dir = await newDir();
    const opened = await open(dir, 2);
    const attempts = attemptsOf(0, 0);
    for (const [i, { db }] of opened.entries()) await createRecorder(db, `node${i}`).record(attempts, '1:1');
    expect(await queryUsage(opened[0]!.db, { by: 'team' })).toMatchObject([{ calls: 60 }]);
    for (const each of opened) await each.close();
  });

  test('where one node was until now, it goes on where it was', async () => {
    const dir = await newDir();
    const { db, close } = await openStore(dir, storeUrl(dir));
    await db.insertInto('meta').values({ name: 'journal', value: '5:7' }).execute();
    const recorder = createRecorder(db, 'node');
    expect(await recorder.position()).toBe('5:7');
    await recorder.record([], '5:9');
    expect(await recorder.position()).toBe('5:9');
    await close();
  });

  test('names may be long, and hold what a text cannot', async () => {
    const dir = await newDir();
    const { db, close } = await openStore(dir, storeUrl(dir));
    const long = `a=${Array.from({ length: 2000 }, (_, i) => i).join('-')}`;
    for (const [i, tags] of [long, long, `${long}x`, 'a=\uD800', `b=1\0`].entries()) {
      const begun = dispatch(`c${i}`, { tags });
      await createRecorder(db, 'node').record([{ dispatch: begun, settled: settle(begun) }], '1:1');
    }
    const rows = await queryUsage(db, { by: 'tag' });
    expect(rows.find(({ tag }) => tag === long)).toMatchObject({ calls: 2 });
    expect(rows).toHaveLength(4);
    await close();
  });
});
