/** A connection on a thread of its own answers as one on the caller's does. */
import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { openStore } from '../../src/store/open.ts';
import { tempDir } from '../ledger/attempts.ts';

const open = (dir: string) => openStore(dir, 'sqlite', { thread: 'beside' });

test('statements, transactions and errors are those of the same thread', async () => {
  const dir = tempDir();
  const store = await open(dir);
  const same = await openStore(dir, 'sqlite');
  try {
    await same.db.deleteFrom('meta').execute();
    const value = { name: 'a', value: '1' };
    await store.db.insertInto('meta').values(value).execute();
    expect(await same.db.selectFrom('meta').selectAll().execute()).toEqual([value]);
    const { numUpdatedRows } = await store.db
      .updateTable('meta')
      .set({ value: '2' })
      .executeTakeFirstOrThrow();
    expect(numUpdatedRows).toBe(1n);

    const wrong = store.db.transaction().execute(async (trx) => {
      await trx.updateTable('meta').set({ value: '3' }).execute();
      await trx.insertInto('meta').values(value).execute();
    });
    const refused = await wrong.then(
      () => undefined,
      (error: Error & { code?: string }) => error,
    );
    expect(refused).toBeInstanceOf(Error);
    expect(refused!.code).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    expect(refused!.message).toContain('meta.name');
    expect((await same.db.selectFrom('meta').selectAll().execute())[0]!.value).toBe('2');

    const bytes = new Uint8Array([0, 1, 255]);
    const row = await sql<{
      b: Uint8Array;
      n: null;
      i: number;
    }>`select ${bytes} as b, null as n, 9007199254740991 as i`
      .execute(store.db)
      .then(({ rows }) => rows[0]!);
    expect(row).toEqual({ b: bytes, n: null, i: Number.MAX_SAFE_INTEGER });
  } finally {
    await store.close();
    await same.close();
  }
});

test('a transaction has the connection to itself until its end', async () => {
  const store = await open(tempDir());
  try {
    await store.db.deleteFrom('meta').execute();
    await store.db.insertInto('meta').values({ name: 'n', value: '0' }).execute();
    const add = () =>
      store.db.transaction().execute(async (trx) => {
        const { value } = await trx.selectFrom('meta').select('value').executeTakeFirstOrThrow();
        await Bun.sleep(1);
        await trx
          .updateTable('meta')
          .set({ value: `${Number(value) + 1}` })
          .execute();
      });
    await Promise.all(Array.from({ length: 20 }, add));
    expect((await store.db.selectFrom('meta').select('value').executeTakeFirstOrThrow()).value).toBe('20');
  } finally {
    await store.close();
  }
});

test('the caller goes on while a statement runs', async () => {
  const store = await open(tempDir());
  try {
    let done = false;
    const counting =
      sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select sum(i) from n`
        .execute(store.db)
        .then(() => {
          done = true;
        });
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    await counting;
  } finally {
    await store.close();
  }
});

test('a file that is none is told of as on the same thread, and nothing is left running', async () => {
  const dir = tempDir();
  writeFileSync(join(dir, 'sluice.db'), 'not a database, and long enough to be read as one'.repeat(40));
  await expect(open(dir)).rejects.toThrow('cannot open');
  const store = await open(tempDir());
  await store.close();
  await expect(store.db.selectFrom('meta').selectAll().execute()).rejects.toThrow();
});
