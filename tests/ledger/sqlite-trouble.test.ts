/** SQLite that refuses to be written, in its own words: nothing is lost, nothing counted twice. */
import { expect, test } from 'bun:test';
import { sql } from 'kysely';
import { followJournal } from '../../src/ledger/follow.ts';
import { openJournal } from '../../src/ledger/journal.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { dispatch, settle, stored, tempDir } from './attempts.ts';

const count = 3000;

async function pageCount(db: Store['db']): Promise<number> {
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db);
  return rows[0]!.page_count;
}

test.each([
  ['read-only', 'readonly database'],
  ['full', 'full'],
])('%s for a while', async (trouble, says) => {
  const dir = tempDir();
  const journal = openJournal(dir);
  for (let i = 0; i < count; i++) {
    const begun = dispatch(`call${i}`, { model: `m${i % 7}` });
    journal.dispatched(begun);
    journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
  }
  journal.close();
  const store = await openStore(dir, 'sqlite');
  const { db } = store;
  const pages = await pageCount(db);
  await sql
    .raw(trouble === 'full' ? `pragma max_page_count = ${pages + 20}` : 'pragma query_only = on')
    .execute(db);
  const follower = await followJournal(dir, store);
  for (let i = 0; i < 3; i++) await expect(follower.catchUp()).rejects.toThrow(says);
  await sql
    .raw(trouble === 'full' ? 'pragma max_page_count = 1000000' : 'pragma query_only = off')
    .execute(db);
  await follower.catchUp();
  follower.close();
  await store.close();
  const { attempts, sums } = await stored(dir);
  expect(attempts).toHaveLength(count);
  expect(sums).toMatchObject({ attempts: count, input: count * 10, nanoUsd: count * 1_000_001 });
});
