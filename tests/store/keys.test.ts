/** Keys in the store: only hashes are kept. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../src/core/json.ts';
import { hashSecret } from '../../src/core/secret.ts';
import { type FileTenants, noFile } from '../../src/core/tenants.ts';
import { controlRevision } from '../../src/store/control.ts';
import { createKey, listKeys, revokeKey } from '../../src/store/keys.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { TenantError } from '../../src/store/tenant-error.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const open = (dir: string) => openStore(dir, storeUrl(dir));

/** Each in a transaction of its own. */
const create = (store: Store, name: string, document: JsonObject = {}, file?: FileTenants) =>
  store.db.transaction().execute((trx) => createKey(trx, name, document, file));
const revoke = (store: Store, name: string) => store.db.transaction().execute((trx) => revokeKey(trx, name));

describe.each(stores)('on $name', ({ newDir }) => {
  test('a key is found by the hash of its secret, which is nowhere in the data directory', async () => {
    const dir = await newDir();
    const store = await open(dir);
    const document = {
      team: 'web',
      models: ['fast', 'acme/*'],
      limits: [{ usd: 5, per: 'day' }],
      expires: '2033-05-18',
    };
    const file = { ...noFile, teams: new Set(['web']) };
    const { key, secret } = await create(store, 'ci', document, file);
    expect(secret).toMatch(/^sk-sluice-[0-9a-f]{32}$/);
    expect(key.hash).toBe(hashSecret(secret));
    expect(key).toMatchObject({ name: 'ci', team: 'web', document });
    expect(await listKeys(store.db)).toEqual([key]);
    await store.close();
    for (const name of readdirSync(dir))
      expect(readFileSync(join(dir, name), 'latin1')).not.toContain(secret.slice(10));
  });

  test('a name is in use until its key is revoked', async () => {
    const store = await open(await newDir());
    const { key } = await create(store, 'ci');
    await expect(create(store, 'ci')).rejects.toThrow(`A key named ci exists (${key.id}).`);
    expect((await revoke(store, 'ci')).after).toMatchObject({ id: key.id, revokedAt: expect.any(Number) });
    await expect(revoke(store, 'ci')).rejects.toThrow('revoked already');
    const second = await create(store, 'ci');
    // By name the one in use is meant.
    expect((await revoke(store, 'ci')).after).toMatchObject({ id: second.key.id });
    await expect(revoke(store, 'nobody')).rejects.toThrow(TenantError);
    await store.close();
  });

  test('every change of keys changes their revision', async () => {
    const store = await open(await newDir());
    const revisions = [await controlRevision(store.db)];
    await create(store, 'a');
    revisions.push(await controlRevision(store.db));
    await revoke(store, 'a');
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
    await store.db.transaction().execute((trx) => createKey(trx, '${name}'));
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
