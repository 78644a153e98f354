/** Gateways on one PostgreSQL: what one is told, all know at once; without it they go on by what they knew. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { sql } from 'kysely';
import { createKey, revokeKey } from '../../src/store/keys.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { tempDir } from '../ledger/attempts.ts';
import { type PostgresServer, postgres } from '../servers.ts';
import { key, startGateway, type TestGateway, until } from './gateway.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await postgres();
});

const config = (url: string) =>
  `store: ${url}\nproviders: { mock: {} }\nkeys: [{ name: test, key: ${key} }]\n`;

/** Calls that were answered, by the gateway's store. */
const answered = new Map<string, number>();

async function statusFor(gateway: TestGateway, secret: string): Promise<number> {
  const body = { model: 'mock/echo', messages: [{ role: 'user', content: 'Hi' }] };
  const response = await gateway.post('/v1/chat/completions', body, { authorization: `Bearer ${secret}` });
  await response.text();
  const { store } = gateway.app.snapshot().settings;
  if (response.status === 200) answered.set(store, (answered.get(store) ?? 0) + 1);
  return response.status;
}

const readiness = async (gateway: TestGateway) => (await fetch(`${gateway.url}/readyz`)).status;

const makeKey = async ({ db }: Store, name: string, document = {}) =>
  (await db.transaction().execute((trx) => createKey(trx, name, document))).secret;

describe('two nodes', () => {
  let store: Store;
  let nodes: TestGateway[];
  let url = '';
  beforeAll(async () => {
    url = await server.createDatabase();
    nodes = [await startGateway(config(url)), await startGateway(config(url))];
    store = await openStore('', url);
  });
  afterAll(async () => {
    for (const node of nodes) await node.stop();
    await store.close();
  });

  const everywhere = (secret: string, status: number) =>
    until(async () =>
      (await Promise.all(nodes.map((node) => statusFor(node, secret)))).every((s) => s === status),
    );

  /** Ends the connections that wait for notices. */
  const deafen = async () => {
    const { rows } = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'listen %'`.execute(store.db);
    return rows.length;
  };

  test('take a key that is made beside them, and let go of one that is revoked', async () => {
    const secret = await makeKey(store, 'shared');
    await everywhere(secret, 200);
    await store.db.transaction().execute((trx) => revokeKey(trx, 'shared'));
    await everywhere(secret, 401);
  });

  test('also after they lost the connection by which they hear of changes', async () => {
    expect(await deafen()).toBe(2);
    const secret = await makeKey(store, 'unheard');
    await everywhere(secret, 200);
    await store.db.transaction().execute((trx) => revokeKey(trx, 'unheard'));
    await everywhere(secret, 401);
    expect(await deafen()).toBe(2);
  });

  test('write what they spend into the same sums, each attempt once', async () => {
    const calls = await Promise.all(
      nodes.flatMap((node) => Array.from({ length: 20 }, () => statusFor(node, key))),
    );
    expect(calls).toEqual(Array(40).fill(200));
    await nodes[1]!.app.flushed();
    expect(await nodes[0]!.usage('organisation')).toMatchObject([{ calls: answered.get(url) }]);
  });
});

describe('a node that starts while the store is away', () => {
  test('serves the keys it knew, refuses nobody for good, and catches up', async () => {
    const url = await server.createDatabase();
    const dataDir = tempDir();
    let node = await startGateway(config(url), { dataDir });
    const store = await openStore('', url);
    const limited = await makeKey(store, 'limited', { limits: [{ requests: 3, per: 'lifetime' }] });
    const revoked = await makeKey(store, 'revoked');
    await store.db.transaction().execute((trx) => revokeKey(trx, 'revoked'));
    // Made last: who has heard of it has heard of the others.
    const known = await makeKey(store, 'known');
    await until(async () => (await statusFor(node, known)) === 200);
    expect(await statusFor(node, revoked)).toBe(401);
    expect([await statusFor(node, limited), await statusFor(node, limited)]).toEqual([200, 200]);
    await node.stop();
    await store.close();

    await server.stop();
    let stranger: TestGateway | undefined;
    try {
      node = await startGateway(config(url), { dataDir });
      stranger = await startGateway(config(url));
      expect(await statusFor(node, key)).toBe(200);
      expect(await statusFor(node, known)).toBe(200);
      expect(await statusFor(node, revoked)).toBe(401);
      expect(await statusFor(node, limited)).toBe(200);
      // It may have been made since: only the store knows.
      expect(await statusFor(node, 'sk-unheard-of')).toBe(503);
      expect(await readiness(node)).toBe(200);
      expect(await statusFor(stranger, key)).toBe(200);
      expect(await statusFor(stranger, known)).toBe(503);
      expect(await readiness(stranger)).toBe(503);
    } finally {
      await server.start();
    }
    const back = stranger!;
    await until(async () => (await statusFor(back, known)) === 200);
    expect(await readiness(back)).toBe(200);
    for (const gateway of [node, back]) {
      await until(async () => (await statusFor(gateway, 'sk-unheard-of')) === 401);
    }
    // Three before and while it was away: what was spent before is known again.
    await until(async () => (await statusFor(node, limited)) === 429);
    await back.app.flushed();
    const attempts = await node.attempts();
    expect(attempts).toHaveLength(answered.get(url)!);
    await node.stop();
    await back.stop();
  });
});
