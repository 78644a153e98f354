/** Keys in the store: only hashes are kept. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashSecret } from '../../src/core/secret.ts';
import { controlRevision } from '../../src/store/control.ts';
import { createKey, KeyError, listKeys, revokeKey } from '../../src/store/keys.ts';
import { openStore } from '../../src/store/open.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const open = (dir: string) => openStore(dir, storeUrl(dir));

describe.each(stores)('on $name', ({ newDir }) => {
  test('a key is found by the hash of its secret, which is nowhere in the data directory', async () => {
    const dir = await newDir();
    const store = await open(dir);
    const wish = {
      name: 'ci',
      team: 'web',
      models: ['fast', 'acme/*'],
      limits: [{ unit: 'usd' as const, max: 5_000_000_000, per: 'day' as const }],
      expiresAt: 2e12,
    };
    const { key, secret } = await createKey(store.db, wish);
    expect(secret).toMatch(/^sk-sluice-[0-9a-f]{32}$/);
    expect(key.hash).toBe(hashSecret(secret));
    expect(key).toMatchObject({ ...wish, organisation: 'default', disabled: false });
    expect(await listKeys(store.db)).toEqual([key]);
    await store.close();
    for (const name of readdirSync(dir))
      expect(readFileSync(join(dir, name), 'latin1')).not.toContain(secret.slice(10));
  });

  test('a name is in use until its key is revoked', async () => {
    const store = await open(await newDir());
    const { key } = await createKey(store.db, { name: 'ci' });
    await expect(createKey(store.db, { name: 'ci' })).rejects.toThrow(`A key named ci exists (${key.id}).`);
    expect(await revokeKey(store.db, 'ci')).toMatchObject({ id: key.id, disabled: true });
    await expect(revokeKey(store.db, 'ci')).rejects.toThrow('revoked already');
    const second = await createKey(store.db, { name: 'ci' });
    // By name the one in use is meant.
    expect(await revokeKey(store.db, 'ci')).toMatchObject({ id: second.key.id });
    await expect(revokeKey(store.db, 'nobody')).rejects.toThrow(KeyError);
    await store.close();
  });

  test('every change of keys changes their revision', async () => {
    const store = await open(await newDir());
    const revisions = [await controlRevision(store.db)];
    await createKey(store.db, { name: 'a' });
    revisions.push(await controlRevision(store.db));
    await revokeKey(store.db, 'a');
    revisions.push(await controlRevision(store.db));
    expect(new Set(revisions).size).toBe(3);
    await store.close();
  });

  test('opened by many processes at once for the first time, the tables are made once', async () => {
    const dir = await newDir();
    const source = (name: string) => JSON.stringify(join(import.meta.dir, '../../src/store', name));
    const script = (name: string) => `
    import { openStore } from ${source('open.ts')};
    import { createKey } from ${source('keys.ts')};
    const store = await openStore(${JSON.stringify(dir)}, ${JSON.stringify(storeUrl(dir))});
    await createKey(store.db, { name: '${name}' });
    await store.close();`;
    const started = ['a', 'b', 'c'].map((name) => Bun.spawn([process.execPath, '-e', script(name)]));
    expect(await Promise.all(started.map((one) => one.exited))).toEqual([0, 0, 0]);
    const store = await open(dir);
    expect((await listKeys(store.db)).map((key) => key.name).sort()).toEqual(['a', 'b', 'c']);
    await store.close();
  });

  test('a store of a newer version is refused in one line', async () => {
    const dir = await newDir();
    const store = await open(dir);
    await store.db
      .insertInto('kysely_migration' as never)
      .values({ name: '9999-later', timestamp: '' } as never)
      .execute();
    // It says itself that whoever does not know its migration is too old.
    await store.db
      .updateTable('meta')
      .set({ value: '9999-later' })
      .where('name', '=', 'compatible_with')
      .execute();
    await store.close();
    await expect(open(dir)).rejects.toThrow('written by a newer version of Sluice');
  });
});
