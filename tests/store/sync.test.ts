/** Bringing SQLite's log onto the disk keeps nobody from writing, and waits for no reader. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { sql } from 'kysely';
import { openStore } from '../../src/store/open.ts';
import { tempDir } from '../ledger/attempts.ts';

test('sync does not wait for somebody who reads an older state', async () => {
  const dir = tempDir();
  const store = await openStore(dir, 'sqlite');
  const reader = new Database(join(dir, 'sluice.db'));
  try {
    reader.run('begin');
    expect(reader.query('select count(*) from meta').values()).toHaveLength(1);
    await store.db.insertInto('meta').values({ name: 'written', value: 'since' }).execute();
    // Whoever waits for the reader waits longer than this test may take.
    await sql`pragma busy_timeout = 3600000`.execute(store.db);
    await store.sync();
    expect(reader.query("select * from meta where name = 'written'").values()).toEqual([]);
  } finally {
    reader.close();
    await store.close();
  }
});
