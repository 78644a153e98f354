/** Whatever happens to the store while calls come in: they are answered, and everything arrives once, to the nano-dollar. */
import { Database } from 'bun:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { unpackCallId } from '../../src/core/id.ts';
import { openStore } from '../../src/store/open.ts';
import { queryUsage, totalUsage } from '../../src/store/usage.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { secret, startReceiver } from '../ledger/receiver.ts';
import { waitFor } from '../process/program.ts';
import { type PostgresServer, postgres } from '../servers.ts';
import { mistakesInBooks } from '../store/books.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { startLossyProxy } from './lossy-proxy.ts';

let provider: FakeProvider;
let server: PostgresServer;
beforeAll(async () => {
  provider = await startFakeProvider();
  server = await postgres();
});
afterAll(() => provider.stop());

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

const model = 'oa/usage:input=1000,output=100';
const answerNano = 2_000_000;

function begin(store: string, more = ''): Promise<TestGateway> {
  provider.requests.length = 0;
  return startGateway(`
store: "${store}"
providers: { oa: { speaks: openai-chat, url: "${provider.base}", key: up } }
prices: { "${model}": { input: 1, output: 10 } }
${more}
`);
}

const messages = [{ role: 'user', content: 'Hello' }];

/** A store that hangs, or is locked, is waited for, and machines are slow. */
const until = async (condition: () => boolean | Promise<boolean>): Promise<void> =>
  void (await waitFor(async () => ((await condition()) ? true : undefined), 45_000));

/** Calls, one after another, from three clients, until it is stopped. */
function keepAsking(of: TestGateway) {
  let asking = true;
  const statuses: number[] = [];
  const clients = Array.from({ length: 3 }, async () => {
    while (asking) {
      const response = await of.post('/v1/chat/completions', { model, messages });
      await response.text();
      statuses.push(response.status);
      await Bun.sleep(2);
    }
  });
  return {
    statuses,
    /** Resolves when so many more were answered. */
    async answered(count: number): Promise<void> {
      const goal = statuses.length + count;
      await until(() => statuses.length >= goal);
    },
    async stop(): Promise<void> {
      asking = false;
      await Promise.all(clients);
    },
  };
}

async function metric(of: TestGateway, name: string): Promise<number> {
  const text = await (await fetch(`${of.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

const storeIsUp = async (of: TestGateway) => (await metric(of, 'sluice_store_up')) === 1;
const ready = async (of: TestGateway) => {
  const response = await fetch(`${of.url}/readyz`);
  return [response.status, await response.text()] as const;
};

async function expectAllOnce(of: TestGateway, url: string, more = 0): Promise<void> {
  await of.app.flushed();
  const store = await openStore(of.dataDir, url);
  const rows = await store.db.selectFrom('attempts').select(['call', 'attempt', 'nano_usd']).execute();
  const usage = totalUsage(await queryUsage(store.db, { by: 'model' }));
  expect(await mistakesInBooks(store.db)).toEqual([]);
  await store.close();
  const attempts = provider.requests.length + more;
  expect(rows).toHaveLength(attempts);
  expect(new Set(rows.map(({ call, attempt }) => `${unpackCallId(call)} ${attempt}`)).size).toBe(attempts);
  expect(rows.reduce((sum, { nano_usd }) => sum + nano_usd!, 0)).toBe(attempts * answerNano);
  expect(usage).toMatchObject({ calls: attempts, attempts, unpriced: 0 });
  expect(Math.round(Number(usage.usd) * 1e9)).toBe(attempts * answerNano);
  await until(async () => (await metric(of, 'sluice_journal_backlog_bytes')) === 0);
  expect(await storeIsUp(of)).toBe(true);
  expect(await ready(of)).toEqual([200, 'ready\n']);
}

/** Under load: breaks the store, waits until that is noticed, repairs it. */
async function survive(url: string, breakIt: () => Promise<() => Promise<unknown>>, noticed = true) {
  gateway ??= await begin(url);
  const load = keepAsking(gateway);
  await load.answered(30);
  const repair = await breakIt();
  try {
    if (noticed) {
      await until(async () => !(await storeIsUp(gateway!)));
      const [status, text] = await ready(gateway);
      expect(status).toBe(200);
      expect(text).toContain('the store cannot be written: calls go on');
      expect(await metric(gateway, 'sluice_journal_backlog_bytes')).toBeGreaterThan(0);
    }
    await load.answered(60);
  } finally {
    await repair();
  }
  await load.answered(30);
  await load.stop();
  expect(new Set(load.statuses)).toEqual(new Set([200]));
  await expectAllOnce(gateway, url);
}

describe('SQLite', () => {
  const pathOf = (of: TestGateway) => join(of.dataDir, 'sluice.db');

  test('that another process has locked', async () => {
    gateway = await begin('sqlite');
    const path = pathOf(gateway);
    await survive('sqlite', async () => {
      const other = new Database(path);
      other.run('pragma busy_timeout = 5000');
      other.run('begin immediate');
      return async () => {
        other.run('rollback');
        other.close();
      };
    });
  }, 120_000);

  test('that is taken away and put back', async () => {
    gateway = await begin('sqlite');
    const path = pathOf(gateway);
    await survive('sqlite', async () => {
      renameSync(path, `${path}.away`);
      return async () => renameSync(`${path}.away`, path);
    });
  }, 120_000);

  test('that is replaced by a copy made a moment ago', async () => {
    gateway = await begin('sqlite');
    const path = pathOf(gateway);
    const load = keepAsking(gateway);
    await load.answered(30);
    const copier = new Database(path);
    copier.run('pragma busy_timeout = 5000');
    copier.run(`vacuum into '${path}.copy'`);
    copier.close();
    await load.answered(30);
    await load.stop();
    await gateway.app.flushed();
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    renameSync(`${path}.copy`, path);
    const more = keepAsking(gateway);
    await more.answered(30);
    await more.stop();
    expect(new Set([...load.statuses, ...more.statuses])).toEqual(new Set([200]));
    await expectAllOnce(gateway, 'sqlite');
  }, 120_000);
});

describe('PostgreSQL', () => {
  async function query(url: string, ...statements: string[]): Promise<void> {
    const client = new Client({ connectionString: url });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  }
  const nameOf = (url: string) => url.slice(url.lastIndexOf('/') + 1);
  const disconnect = (url: string) =>
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${nameOf(url)}' and pid <> pg_backend_pid()`;

  test('that crashes and is started again', async () => {
    await survive(await server.createDatabase(), async () => {
      await server.stop();
      return () => server.start();
    });
  }, 120_000);

  test('that hangs', async () => {
    await survive(await server.createDatabase(), async () => {
      server.pause();
      return async () => server.resume();
    });
  }, 120_000);

  test('that is read-only for a while', async () => {
    const url = await server.createDatabase();
    await survive(url, async () => {
      const alter = `alter database ${nameOf(url)}`;
      await query(
        server.urlOf('postgres'),
        `${alter} set default_transaction_read_only = on`,
        disconnect(url),
      );
      return () =>
        query(server.urlOf('postgres'), `${alter} reset default_transaction_read_only`, disconnect(url));
    });
  }, 120_000);

  test('whose disk is full', async () => {
    const url = await server.createDatabase();
    await survive(url, async () => {
      await query(
        url,
        `create function full_disk() returns trigger language plpgsql as
         $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`,
        'create trigger full_disk before insert on attempts for each row execute function full_disk()',
      );
      return () => query(url, 'drop trigger full_disk on attempts');
    });
  }, 120_000);

  test('whose connections are cut off again and again, in the middle of transactions', async () => {
    const url = await server.createDatabase();
    await survive(
      url,
      async () => {
        for (let i = 0; i < 40; i++) {
          await query(server.urlOf('postgres'), disconnect(url));
          await Bun.sleep(25);
        }
        return async () => {};
      },
      false,
    );
  }, 120_000);

  test('whose answers to COMMIT are lost: what was committed is not counted again', async () => {
    const direct = await server.createDatabase();
    const proxy = await startLossyProxy(server.port);
    try {
      gateway = await begin(direct.replace(`:${server.port}/`, `:${proxy.port}/`));
      const load = keepAsking(gateway);
      await load.answered(30);
      proxy.loseCommits = true;
      await until(() => proxy.lost >= 4);
      proxy.loseCommits = false;
      await load.answered(30);
      await load.stop();
      expect(new Set(load.statuses)).toEqual(new Set([200]));
      await expectAllOnce(gateway, direct);
    } finally {
      await gateway?.stop();
      gateway = undefined;
      proxy.stop();
    }
  }, 120_000);

  test('that is away: operators hear of it while it is, once', async () => {
    const receiver = startReceiver();
    try {
      const hooks = `webhooks: [{ url: "${receiver.url}/ops", secret: "${secret}" }]`;
      gateway = await begin(await server.createDatabase(), hooks);
      await server.stop();
      try {
        await (await gateway.post('/v1/chat/completions', { model, messages })).text();
        await until(() => receiver.received.length > 0);
      } finally {
        await server.start();
      }
      await until(async () => storeIsUp(gateway!));
      await gateway.app.flushed();
      expect(receiver.received.map(({ event }) => event.type)).toEqual(['store.unwritable']);
    } finally {
      await receiver.stop();
    }
  }, 120_000);
});

test('a journal that is full takes no new calls, and the store catches up', async () => {
  gateway = await begin('sqlite', 'journal: { limit: 9mb, alarm: 1mb }');
  const other = new Database(join(gateway.dataDir, 'sluice.db'));
  other.run('pragma busy_timeout = 5000');
  other.run('begin immediate');
  const headers = { 'x-sluice-session': 's'.repeat(200), 'x-sluice-end-user': 'u'.repeat(200) };
  const { journal } = gateway.app.gateway;
  // Written as calls write it, only faster.
  const dispatch = {
    call: '',
    attempt: 1,
    at: Date.now(),
    names: {
      key: 'k',
      team: 't',
      organisation: 'o',
      model: 'm',
      target: 't',
      provider: 'p',
      tags: '',
      priceSource: '',
    },
    stream: false,
    session: 's'.repeat(500),
    endUser: '',
    reservedNanoUsd: answerNano,
  };
  let written = 0;
  for (; !journal.full; written++) journal.dispatched({ ...dispatch, call: `c${written}` });
  const refused = await gateway.post('/v1/chat/completions', { model, messages }, headers);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('10');
  expect(await refused.json()).toMatchObject({
    error: { code: 'unavailable', message: expect.stringContaining('takes no new calls just now') },
  });
  const [status, text] = await ready(gateway);
  expect(status).toBe(503);
  expect(text).toContain('the journal is full');
  other.run('rollback');
  other.close();
  await until(() => !journal.full);
  expect((await gateway.post('/v1/chat/completions', { model, messages })).status).toBe(200);
  expect(written).toBeGreaterThan(10_000);
}, 120_000);

describe('what is kept for clients', () => {
  const input = 'Hello';
  const respond = (body: object) => gateway!.post('/v1/responses', { model: 'oa/echo', input, ...body });
  type Said = { id: string; error?: { code: string; message: string } };

  test('is found while the store is away, and in it afterwards', async () => {
    gateway = await begin(await server.createDatabase());
    await server.stop();
    let first: Said;
    try {
      const response = await respond({});
      expect(response.status).toBe(200);
      first = (await response.json()) as Said;
      expect((await respond({ previous_response_id: first.id })).status).toBe(200);
    } finally {
      await server.start();
    }
    await until(async () => storeIsUp(gateway!));
    expect((await respond({ previous_response_id: first.id })).status).toBe(200);
  }, 120_000);

  test('and is in the store only is not had while that is away: who needs it hears so, others are answered', async () => {
    gateway = await begin(await server.createDatabase());
    const first = (await (await respond({})).json()) as Said;
    // Until it is written it is found in memory.
    await until(async () => gateway!.app.gateway.answers.waiting === 0);
    await server.stop();
    try {
      const refused = await respond({ previous_response_id: first.id });
      expect(refused.status).toBe(503);
      const { error } = (await refused.json()) as Said;
      expect(error).toMatchObject({ code: 'unavailable' });
      expect(error!.message).toContain('which is away just now');
      expect((await respond({})).status).toBe(200);
      expect((await gateway.post('/v1/chat/completions', { model, messages })).status).toBe(200);
    } finally {
      await server.start();
    }
    await until(async () => (await respond({ previous_response_id: first.id })).status === 200);
  }, 120_000);
});
