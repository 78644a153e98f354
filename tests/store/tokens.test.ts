/** Tokens of the admin API in the store: one at the first start, more by wish, only hashes kept. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kysely, type Migration, Migrator } from 'kysely';
import { hashSecret } from '../../src/core/secret.ts';
import { up as first } from '../../src/store/migrations/0001-first.ts';
import { openStore } from '../../src/store/open.ts';
import type { Schema } from '../../src/store/schema.ts';
import { sqliteDialect } from '../../src/store/sqlite.ts';
import { createFirstToken, createToken, findToken, listTokens, revokeToken } from '../../src/store/tokens.ts';
import { tempDir } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const wish = { name: 'auditor', role: 'viewer', organisation: 'shop', team: undefined } as const;

describe.each(stores)('on $name', ({ newDir }) => {
  test('a token is found by the hash of its secret, which is nowhere in the data directory, until it ends', async () => {
    const dir = await newDir();
    const store = await openStore(dir, storeUrl(dir));
    const { token, secret } = await createToken(store.db, { ...wish, expiresAt: 2e12 });
    expect(secret).toMatch(/^sluice-admin-[0-9a-f]{32}$/);
    expect(await findToken(store.db, hashSecret(secret), 2e12 - 1)).toEqual(token);
    expect(await findToken(store.db, hashSecret(secret), 2e12)).toBeUndefined();
    expect(await findToken(store.db, secret, 0)).toBeUndefined();
    await store.db.transaction().execute((trx) => revokeToken(trx, token.id, 5));
    expect(await findToken(store.db, hashSecret(secret), 10)).toBeUndefined();
    expect(await listTokens(store.db)).toEqual([{ ...token, revokedAt: 5 }]);
    await store.close();
    for (const name of readdirSync(dir))
      expect(readFileSync(join(dir, name), 'latin1')).not.toContain(secret.slice(13));
  });

  test('the first token is made once, however many start at once', async () => {
    const dir = await newDir();
    const store = await openStore(dir, storeUrl(dir));
    const made = await Promise.all([1, 2, 3].map(() => createFirstToken(store.db)));
    expect(made.filter((secret) => secret !== undefined)).toHaveLength(1);
    expect(await listTokens(store.db)).toMatchObject([{ id: 'token_first', role: 'owner' }]);
    await store.close();
  });
});

test('the admin token of an older store goes on as the first one', async () => {
  const dir = tempDir();
  const db = new Kysely<Schema>({ dialect: sqliteDialect(join(dir, 'sluice.db')) });
  const migrations: Record<string, Migration> = { '0001-first': { up: first } };
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  await db
    .insertInto('secrets' as never)
    .values({ name: 'admin', hash: hashSecret('old'), created_at: 7 } as never)
    .execute();
  await db.destroy();
  const store = await openStore(dir, 'sqlite');
  expect(await findToken(store.db, hashSecret('old'), 10)).toMatchObject({ id: 'token_first', createdAt: 7 });
  expect(await createFirstToken(store.db)).toBeUndefined();
  await store.close();
});
