/** Organisations, teams and keys in the store: what belongs to what, who gives way, and what is listed. */
import { describe, expect, test } from 'bun:test';
import type { Transaction } from 'kysely';
import { type FileTenants, noFile } from '../../src/core/tenants.ts';
import { createKey, findKey, listKeys, revokeKey, rotateKey, updateKey } from '../../src/store/keys.ts';
import { listTenants } from '../../src/store/list-tenants.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import type { Schema } from '../../src/store/schema.ts';
import {
  createTenant,
  findTenant,
  listTenantsOf,
  removeTenant,
  updateTenant,
} from '../../src/store/tenants.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

describe.each(stores)('on $name', ({ newDir }) => {
  const open = async (): Promise<Store> => {
    const dir = await newDir();
    return openStore(dir, storeUrl(dir));
  };
  const on =
    (store: Store) =>
    <T>(run: (trx: Transaction<Schema>) => Promise<T>): Promise<T> =>
      store.db.transaction().execute(run);

  test('what something belongs to must be there, and stays while it does', async () => {
    const store = await open();
    const change = on(store);
    await expect(change((trx) => createKey(trx, 'ci', { team: 'web' }))).rejects.toThrow(
      'There is no team "web"',
    );
    const homeless = { organisation: 'shop' };
    await expect(change((trx) => createTenant(trx, 'teams', 'web', homeless, noFile))).rejects.toThrow(
      'There is no organisation "shop"',
    );
    expect(await listTenants(store.db)).toMatchObject({ organisations: [], teams: [], keys: [] });

    await change((trx) => createTenant(trx, 'organisations', 'shop', {}, noFile));
    await change((trx) => createTenant(trx, 'teams', 'web', homeless, noFile));
    const { key } = await change((trx) => createKey(trx, 'ci', { team: 'web' }));
    await expect(change((trx) => createTenant(trx, 'teams', 'web', {}, noFile))).rejects.toMatchObject({
      kind: 'taken',
    });
    await expect(change((trx) => removeTenant(trx, 'organisations', 'shop', noFile))).rejects.toThrow(
      'The organisation "shop" has teams, such as "web"',
    );
    await expect(change((trx) => removeTenant(trx, 'teams', 'web', noFile))).rejects.toThrow(
      'The team "web" has keys, such as "ci"',
    );
    await expect(change((trx) => updateKey(trx, 'ci', { team: 'nope' }))).rejects.toMatchObject({
      kind: 'unknown',
    });
    await expect(
      change((trx) => updateTenant(trx, 'teams', 'web', { organisation: 'nope' }, noFile)),
    ).rejects.toMatchObject({ kind: 'unknown' });
    expect(await findKey(store.db, 'ci')).toEqual(key);

    await change((trx) => revokeKey(trx, 'ci'));
    await change((trx) => removeTenant(trx, 'teams', 'web', noFile));
    await change((trx) => removeTenant(trx, 'organisations', 'shop', noFile));
    await expect(change((trx) => removeTenant(trx, 'teams', 'web', noFile))).rejects.toMatchObject({
      kind: 'not_found',
    });
    await store.close();
  });

  test('what the file owns is not touched here, and can be belonged to', async () => {
    const store = await open();
    const change = on(store);
    const file: FileTenants = {
      keys: new Set(['ci']),
      teams: new Set(['web']),
      organisations: new Set(['shop']),
    };
    const refused = { kind: 'owned' };
    for (const attempt of [
      (trx: Transaction<Schema>) => createKey(trx, 'ci', {}, file),
      (trx: Transaction<Schema>) => updateKey(trx, 'ci', {}, file),
      (trx: Transaction<Schema>) => rotateKey(trx, 'ci', 0, file),
      (trx: Transaction<Schema>) => revokeKey(trx, 'ci', file),
      (trx: Transaction<Schema>) => createTenant(trx, 'teams', 'web', {}, file),
      (trx: Transaction<Schema>) => updateTenant(trx, 'teams', 'web', {}, file),
      (trx: Transaction<Schema>) => removeTenant(trx, 'organisations', 'shop', file),
    ])
      await expect(change<unknown>(attempt)).rejects.toMatchObject(refused);
    await change((trx) => createTenant(trx, 'teams', 'ops', { organisation: 'shop' }, file));
    expect((await change((trx) => createKey(trx, 'other', { team: 'web' }, file))).key.team).toBe('web');
    await store.close();
  });

  test('names are names, whatever is in them', async () => {
    const store = await open();
    const change = on(store);
    const names = ["'); drop table keys;--", '%', '_', 'a/b', '"', '\\', 'x'.repeat(128)].sort();
    for (const name of names) {
      await change((trx) => createTenant(trx, 'teams', name, {}, noFile));
      await change((trx) => createKey(trx, name, { team: name }));
    }
    for (const name of names) {
      expect((await findTenant(store.db, 'teams', name))?.name).toBe(name);
      expect((await listKeys(store.db, { teams: [name] })).map((key) => key.name)).toEqual([name]);
      expect((await findKey(store.db, name))?.name).toBe(name);
    }
    expect(await findKey(store.db, 'key_%')).toBeUndefined();
    expect(await findTenant(store.db, 'teams', 'nobody%')).toBeUndefined();
    await change((trx) => revokeKey(trx, '%'));
    await change((trx) => removeTenant(trx, 'teams', '%', noFile));
    expect(await listTenantsOf(store.db, 'teams')).toHaveLength(names.length - 1);
    await store.close();
  });

  test('lists go on where they ended', async () => {
    const store = await open();
    const change = on(store);
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) {
      await change((trx) => createTenant(trx, 'teams', name, {}, noFile));
      await change((trx) => createKey(trx, name, { team: name }));
    }
    const [first, second] = await listKeys(store.db, { limit: 2 });
    expect([first!.name, second!.name]).toEqual(['a', 'b']);
    const rest = await listKeys(store.db, { after: second! });
    expect(rest.map(({ name }) => name)).toEqual(['c', 'd', 'e']);
    expect(await listKeys(store.db, { teams: [] })).toEqual([]);
    const teams = await listTenantsOf(store.db, 'teams', { after: 'b', limit: 2 });
    expect(teams.map(({ name }) => name)).toEqual(['c', 'd']);
    expect(await listTenantsOf(store.db, 'teams', { of: 'default' })).toHaveLength(5);
    expect(await listTenantsOf(store.db, 'teams', { of: 'shop' })).toEqual([]);
    await store.close();
  });

  test('only the keys that changed are told again', async () => {
    const store = await open();
    const change = on(store);
    for (const name of ['a', 'b', 'c']) await change((trx) => createKey(trx, name, {}));
    const all = await listTenants(store.db);
    expect(all.keys).toHaveLength(3);
    expect((await listTenants(store.db, all.revision)).keys).toEqual([]);
    const now = 1_900_000_000_000;
    const { secret, before, after } = await change((trx) => rotateKey(trx, 'b', 60_000, noFile, now));
    const changed = await listTenants(store.db, all.revision);
    expect(changed.keys).toEqual([after]);
    expect(after).toMatchObject({ previousHash: before.hash, previousUntil: now + 60_000, updatedAt: now });
    expect(after.hash).not.toBe(before.hash);
    expect(secret).toMatch(/^sk-sluice-/);
    expect(changed.revision).toBeGreaterThan(all.revision);
    await store.close();
  });

  test('of two that want the same name at once, one has it', async () => {
    const dir = await newDir();
    // As two processes would.
    const another = () => openStore(dir, storeUrl(dir), { thread: 'beside' });
    const [one, two] = [await another(), await another()];
    const made = await Promise.allSettled(
      [one, two].map((store) => on(store)((trx) => createKey(trx, 'same', {}))),
    );
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(made.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { kind: 'taken' } });
    expect(await listKeys(one.db)).toHaveLength(1);
    await Promise.all([one.close(), two.close()]);
  });
});
