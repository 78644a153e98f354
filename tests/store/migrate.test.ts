/** A store of an older version is brought up to date with all that is in it. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { Kysely, type Migration, Migrator, sql } from 'kysely';
import { keySchema } from '../../src/config/tenant-schema.ts';
import { newCallId } from '../../src/core/id.ts';
import { createRecorder } from '../../src/store/attempts.ts';
import { listCalls } from '../../src/store/call-list.ts';
import { listKeys } from '../../src/store/keys.ts';
import { listTenants } from '../../src/store/list-tenants.ts';
import { up as first } from '../../src/store/migrations/0001-first.ts';
import { up as answers } from '../../src/store/migrations/0002-answers.ts';
import { up as operations } from '../../src/store/migrations/0003-operations.ts';
import { up as objects } from '../../src/store/migrations/0004-objects.ts';
import { up as why } from '../../src/store/migrations/0005-why.ts';
import { up as plans } from '../../src/store/migrations/0006-plans.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { postgresDialect } from '../../src/store/postgres.ts';
import type { Schema } from '../../src/store/schema.ts';
import { sqliteDialect } from '../../src/store/sqlite.ts';
import { queryUsage } from '../../src/store/usage.ts';
import { dispatch, noon, settle, tempDir } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';
import { recordedAttempts } from './recorded-attempts.ts';

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

/** As far as the version before several nodes. */
const before: Record<string, Migration> = {
  '0001-first': { up: first },
  '0002-answers': { up: answers },
  '0003-operations': { up: operations },
  '0004-objects': { up: objects },
  '0005-why': { up: why },
  '0006-plans': { up: plans },
};

function database(dir: string): Kysely<Schema> {
  const url = storeUrl(dir);
  return new Kysely<Schema>({
    dialect: url === 'sqlite' ? sqliteDialect(join(dir, 'sluice.db')) : postgresDialect(url),
  });
}

/** Writes a call as that version does: in its columns, and in those only. */
async function writeAsBefore(db: Kysely<Schema>, i: number): Promise<void> {
  const hour = Math.floor(noon / 3_600_000);
  await db.transaction().execute(async (trx) => {
    await sql`insert into series (key, team, organisation, model, target, provider, tags, price_source, operation, why)
      values ('ci', 'web', 'shop', 'fast', 'acme/one', 'acme', '', 'test', 'chat', '') on conflict do nothing`.execute(
      trx,
    );
    const { rows } = await sql<{ id: number }>`select id from series where key = 'ci'`.execute(trx);
    await sql`insert into attempts (call, attempt, at, series, duration_ms, first_byte_ms, session, end_user, outcome,
      upstream_status, client_status, stream, final, estimated, input, cache_read, cache_write_5m, cache_write_1h,
      output, reasoning, audio_input, audio_output, nano_usd, lost, units)
      values (${`old${i}`}, 1, ${noon}, ${rows[0]!.id}, 5, null, '', '', 'ok', 200, 200, 0, 1, 0, 10, 0, 0, 0, 0, 0, 0, 0, 7, '', '')`.execute(
      trx,
    );
    await sql`insert into rollups (hour, series, calls, attempts, unpriced, estimated, errors, input, cache_read,
      cache_write, output, reasoning, nano_usd) values (${hour}, ${rows[0]!.id}, 1, 1, 0, 0, 0, 10, 0, 0, 0, 0, 7)
      on conflict (hour, series) do update set calls = rollups.calls + 1, attempts = rollups.attempts + 1,
      input = rollups.input + 10, nano_usd = rollups.nano_usd + 7`.execute(trx);
    await sql`insert into meta (name, value) values ('journal', ${`1:${i}`})
      on conflict (name) do update set value = excluded.value`.execute(trx);
  });
}

describe.each(stores)('the store of the version before on $name', ({ name, newDir }) => {
  test('is migrated while that version goes on writing: nothing is lost or counted twice', async () => {
    const dir = await newDir();
    const old = database(dir);
    const migrator = new Migrator({ db: old, provider: { getMigrations: async () => before } });
    expect((await migrator.migrateToLatest()).error).toBeUndefined();
    let written = 0;
    while (written < 20) await writeAsBefore(old, written++);
    // Its rows are of another kind from then on: it fails, whole, and what it could not write stays in its journal.
    const write = async () => {
      for (;;) await writeAsBefore(old, written++);
    };
    const opened: Store[] = [];
    let refused: Promise<unknown>;
    if (name === 'SQLite') {
      // It has one node, and on one thread nobody waits for another connection.
      opened.push(await openStore(dir, 'sqlite'));
      refused = write().catch((error: Error) => error);
    } else {
      refused = write().catch((error: Error) => error);
      // Several nodes of the new version start at once.
      opened.push(...(await Promise.all([1, 2, 3].map(() => openStore(dir, storeUrl(dir))))));
    }
    expect(await refused).toBeInstanceOf(Error);
    expect(written).toBeGreaterThan(20);
    const { db } = opened[0]!;
    const calls = async () => Number((await db.selectFrom('attempts').select('call').execute()).length);
    // The last one failed.
    expect(await calls()).toBe(written - 1);
    const recorder = createRecorder(db, 'node');
    expect(await recorder.position()).toBe(`1:${written - 2}`);
    // The node is replaced, and its journal read from somewhat before.
    const again = Array.from({ length: 10 }, (_, i) => {
      const begun = dispatch(`old${written - 5 + i}`, { model: 'fast' });
      return { dispatch: begun, settled: settle(begun, { nanoUsd: 7 }, { input: 10 }) };
    });
    await recorder.record(again, '2:1');
    expect(await calls()).toBe(written + 5);
    expect(await queryUsage(db, { by: 'model' })).toMatchObject([
      { model: 'fast', calls: written + 5, input_tokens: (written + 5) * 10 },
    ]);
    for (const store of opened) await store.close();
    await old.destroy();
  });

  test('a version that does not know the newest migrations works on where they only add', async () => {
    const dir = await newDir();
    const newer = await openStore(dir, storeUrl(dir));
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '')`.execute(newer.db);
    const beside = await openStore(dir, storeUrl(dir));
    const begun = dispatch('c1');
    await createRecorder(beside.db, 'node').record([{ dispatch: begun, settled: settle(begun) }], '1:1');
    await beside.close();
    await sql`update meta set value = '9999-later' where name = 'compatible_with'`.execute(newer.db);
    await expect(openStore(dir, storeUrl(dir))).rejects.toThrow('written by a newer version of Sluice');
    await newer.close();
  });
});
