/** A store of an older version is brought up to date with all that is in it. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Kysely, type Migration, Migrator } from 'kysely';
import { keySchema } from '../../src/config/tenant-schema.ts';
import { newCallId } from '../../src/core/id.ts';
import { createRecorder } from '../../src/store/attempts.ts';
import { listCalls } from '../../src/store/call-list.ts';
import { listKeys } from '../../src/store/keys.ts';
import { listTenants } from '../../src/store/list-tenants.ts';
import { up as first } from '../../src/store/migrations/0001-first.ts';
import { up as answers } from '../../src/store/migrations/0002-answers.ts';
import { openStore } from '../../src/store/open.ts';
import type { Schema } from '../../src/store/schema.ts';
import { sqliteDialect } from '../../src/store/sqlite.ts';
import { queryUsage } from '../../src/store/usage.ts';
import { dispatch, noon, recordedAttempts, settle, tempDir } from '../ledger/attempts.ts';

const names = {
  key: 'ci',
  team: 'web',
  organisation: 'shop',
  model: 'fast',
  target: 'acme/one',
  provider: 'acme',
};

/** As it was before operations were told apart. */
async function writeOldStore(dataDir: string): Promise<void> {
  const db = new Kysely<Schema>({ dialect: sqliteDialect(join(dataDir, 'sluice.db')) });
  const migrations: Record<string, Migration> = {
    '0001-first': { up: first },
    '0002-answers': { up: answers },
  };
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  const old = { ...names, tags: 'a=b', price_source: 'test' };
  await db
    .insertInto('series')
    .values(old as Schema['series'] as never)
    .execute();
  const sums = {
    calls: 1,
    attempts: 1,
    unpriced: 0,
    estimated: 0,
    errors: 0,
    input: 5,
    cache_read: 0,
    cache_write: 0,
  };
  const hour = Math.floor(noon / 3_600_000);
  await db
    .insertInto('rollups')
    .values({ hour, series: 1, ...sums, output: 2, reasoning: 0, nano_usd: 77 })
    .execute();
  const usage = { input: 5, cache_read: 0, cache_write_5m: 0, cache_write_1h: 3, output: 2, reasoning: 0 };
  const attempt = {
    attempt: 1,
    at: noon,
    series: 1,
    duration_ms: 900,
    first_byte_ms: null,
    session: 'talk',
    end_user: '',
    outcome: 'ok',
    upstream_status: 200,
    client_status: 200,
    stream: 0,
    final: 1,
    estimated: 0,
    ...usage,
    audio_input: 0,
    audio_output: 0,
    nano_usd: 77,
    lost: 'seed',
  };
  for (const call of oldCalls)
    await db
      .insertInto('attempts')
      .values({ ...attempt, call } as never)
      .execute();
  await db.destroy();
}

/** More than are converted at once; one that is none of our making. */
const oldCalls = [...Array.from({ length: 1200 }, () => newCallId()), 'C-1 of somebody'];

test('what was stored was chat, and goes on being counted', async () => {
  const dataDir = tempDir();
  await writeOldStore(dataDir);
  const store = await openStore(dataDir, 'sqlite');
  try {
    const same = dispatch('c1', { ...names, tags: 'a=b' });
    const other = dispatch('c2', { ...names, tags: 'a=b', operation: 'embeddings' });
    await createRecorder(store.db, 'node').record(
      [
        { dispatch: same, settled: settle(same, { nanoUsd: 23 }, { input: 5 }) },
        { dispatch: other, settled: settle(other, { nanoUsd: 1 }, { input: 9 }) },
      ],
      '1:1',
    );
    const attempts = (await recordedAttempts(store)).filter(({ at }) => at === noon);
    expect(attempts.map(({ call }) => call).sort()).toEqual(oldCalls.toSorted());
    for (const row of attempts)
      expect(row).toMatchObject({
        key: 'ci',
        tags: 'a=b',
        session: 'talk',
        end_user: '',
        cache_read: 0,
        cache_write_1h: 3,
        nano_usd: 77,
        sell_nano_usd: null,
        lost: 'seed',
        units: '',
      });
    const calls = await listCalls(store.db, { filter: { key: ['ci'] }, limit: 2000 });
    expect(calls).toHaveLength(1203);
    const days = await store.db.selectFrom('days').select(['calls', 'nano_usd']).orderBy('series').execute();
    expect(days).toEqual([
      { calls: 2, nano_usd: 100 },
      { calls: 1, nano_usd: 1 },
    ]);
    const series = await store.db.selectFrom('series').select(['id', 'operation']).orderBy('id').execute();
    expect(series[0]).toEqual({ id: 1, operation: 'chat' });
    expect(series.map(({ operation }) => operation)).toEqual(['chat', 'embeddings']);
    expect(await queryUsage(store.db, { by: 'operation' })).toMatchObject([
      { operation: 'chat', calls: 2, input_tokens: 10, usd: '0.0000001' },
      { operation: 'embeddings', calls: 1, input_tokens: 9, usd: '0.000000001' },
    ]);
  } finally {
    await store.close();
  }
});

test('keys that were made before are documents, and go on as they were', async () => {
  const dataDir = tempDir();
  const db = new Kysely<Schema>({ dialect: sqliteDialect(join(dataDir, 'sluice.db')) });
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ '0001-first': { up: first } }) },
  });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  const old = {
    team: 'web',
    organisation: 'default',
    models: null,
    limits: '[]',
    created_at: noon,
    expires_at: null,
  };
  await db
    .insertInto('keys')
    .values([
      {
        ...old,
        id: 'key_1',
        name: 'ci',
        hash: 'a',
        models: '["fast"]',
        limits: '[{"unit":"usd","max":5500000000,"per":"day"},{"unit":"concurrency","max":8}]',
        expires_at: noon,
        revoked_at: null,
      },
      { ...old, id: 'key_2', name: 'ci', hash: 'b', team: 'default', revoked_at: noon + 1 },
    ] as never)
    .execute();
  await db.destroy();
  const store = await openStore(dataDir, 'sqlite');
  try {
    expect(await listKeys(store.db)).toMatchObject([
      {
        id: 'key_1',
        name: 'ci',
        hash: 'a',
        team: 'web',
        document: {
          team: 'web',
          models: ['fast'],
          limits: [{ usd: 5.5, per: 'day' }, { concurrency: 8 }],
          expires: new Date(noon).toISOString(),
        },
        revision: 0,
        createdAt: noon,
        updatedAt: noon,
        revokedAt: undefined,
      },
      {
        id: 'key_2',
        team: 'default',
        document: { team: 'default' },
        updatedAt: noon + 1,
        revokedAt: noon + 1,
      },
    ]);
    for (const { document } of await listKeys(store.db))
      expect(keySchema.safeParse(document).success).toBe(true);
    // Told to a gateway that starts.
    expect((await listTenants(store.db)).keys).toHaveLength(2);
  } finally {
    await store.close();
  }
});
