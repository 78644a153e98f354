/** The admin API of two gateways on one PostgreSQL, and of one whose store is away. */
import { afterAll, beforeAll, expect, setSystemTime, test } from 'bun:test';
import { createAdmin } from '../../src/admin/admin.ts';
import type { AdminPowers } from '../../src/admin/powers.ts';
import { openStore } from '../../src/store/open.ts';
import { createFirstToken } from '../../src/store/tokens.ts';
import { startGateway, type TestGateway, until } from '../e2e/gateway.ts';
import { tempDir } from '../ledger/attempts.ts';
import { postgres } from '../servers.ts';
import { type Administered, type Ask, asking, startAdministered, stores } from './console.ts';

let one: Administered;
let other: TestGateway;
let nodes: [Ask, Ask];

beforeAll(async () => {
  const [, line] = stores.find(([kind]) => kind === 'PostgreSQL')!;
  const yaml = `${await line()}\nproviders: { mock: {} }\n`;
  one = await startAdministered(yaml);
  other = await startGateway(yaml);
  nodes = [one.owner, asking(other.url, one.gateway.app.firstSecrets!.adminToken)];
});
afterAll(async () => {
  await one.gateway.stop();
  await other.stop();
});

const call = async (url: string, secret: string) => {
  const body = { model: 'mock/echo', messages: [{ role: 'user', content: 'Hi' }] };
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  await answer.arrayBuffer();
  return answer.status;
};

test('the same request to both is done once, and a key of that name is made once', async () => {
  const again = { 'idempotency-key': 'race' };
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => nodes[i % 2]!('POST', '/keys', { name: 'raced' }, again)),
  );
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(answers[0]).toMatchObject({ status: 201, body: { name: 'raced' } });
  expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1);
  const without = await Promise.all(
    Array.from({ length: 8 }, (_, i) => nodes[i % 2]!('POST', '/keys', { name: 'contested' })),
  );
  expect(without.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)]);
  const { data } = (await nodes[1]('GET', '/audit?action=create&subject=key')).body;
  expect(data).toHaveLength(2);
});

test('of two changes upon the same ETag one is made', async () => {
  const { body } = await nodes[0]('POST', '/keys', { name: 'matched' });
  const etag = (await nodes[1]('GET', `/keys/${body.id}`)).headers.get('etag')!;
  const answers = await Promise.all(
    [10, 20, 30, 40].map((requests, i) =>
      nodes[i % 2]!(
        'PATCH',
        `/keys/${body.id}`,
        { limits: [{ requests, per: 'day' }] },
        { 'if-match': etag },
      ),
    ),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
});

test('of the last two owners one remains, whichever node they are ended on', async () => {
  const made = await nodes[0]('POST', '/tokens', { name: 'second', role: 'owner' });
  const second = asking(other.url, made.body.secret);
  const answers = await Promise.all([
    nodes[0]('DELETE', `/tokens/${made.body.id}`),
    second('DELETE', '/tokens/token_first'),
  ]);
  const ended = answers.filter(({ status }) => status === 200);
  expect(ended).toHaveLength(1);
  if (answers[1]!.status === 200) {
    // The first one is needed hereafter: the second makes another in its place.
    const third = await second('POST', '/tokens', { name: 'third', role: 'owner' });
    nodes = [asking(one.gateway.url, third.body.secret), asking(other.url, third.body.secret)];
  }
});

test('what is ended on one node is ended on the other', async () => {
  const token = (await nodes[0]('POST', '/tokens', { name: 'short', role: 'viewer' })).body;
  const elsewhere = asking(other.url, token.secret);
  expect(await elsewhere('GET', '/me')).toMatchObject({ status: 200 });
  await nodes[0]('DELETE', `/tokens/${token.id}`);
  expect(await elsewhere('GET', '/me')).toMatchObject({ status: 401 });

  const key = (await nodes[0]('POST', '/keys', { name: 'ended' })).body;
  await until(async () => (await call(other.url, key.secret)) === 200);
  await nodes[0]('DELETE', `/keys/${key.id}`);
  await until(async () => (await call(other.url, key.secret)) === 401);
});

test('while the store is away known tokens ask what needs none; all else is told that it is away', async () => {
  expect(await nodes[0]('GET', '/me')).toMatchObject({ status: 200 });
  const server = await postgres();
  await server.stop();
  try {
    expect(await nodes[0]('GET', '/me')).toMatchObject({ status: 200, body: { role: 'owner' } });
    expect(await nodes[0]('GET', '/health')).toMatchObject({ status: 200 });
    for (const ask of [
      () => nodes[0]('GET', '/keys'),
      () => nodes[0]('POST', '/keys', { name: 'unkept' }),
      () => asking(one.gateway.url, 'sluice-admin-unknown')('GET', '/me'),
    ])
      expect(await ask()).toMatchObject({ status: 503, body: { error: { code: 'store_unavailable' } } });
  } finally {
    await server.start();
  }
  await until(async () => (await nodes[0]('GET', '/keys')).status === 200);
  expect((await nodes[0]('GET', '/keys')).text).not.toContain('unkept');
});

test('a token is trusted for a minute without the store, and not once it is known to be revoked', async () => {
  const store = await openStore(tempDir(), 'sqlite');
  const secret = await createFirstToken(store.db);
  let away = false;
  const powers = {
    store: async () => {
      if (away) throw new Error('away');
      return store.db;
    },
    alarm: () => {},
  } as unknown as AdminPowers;
  const admin = createAdmin(powers);
  const ask = async () =>
    (
      await admin(
        new Request('http://gateway/admin/v1/me', { headers: { authorization: `Bearer ${secret}` } }),
      )
    ).status;
  const begun = Date.now();
  try {
    setSystemTime(begun);
    expect(await ask()).toBe(200);
    away = true;
    setSystemTime(begun + 59_999);
    expect(await ask()).toBe(200);
    // Being trusted is no proof to be trusted on.
    setSystemTime(begun + 60_000);
    expect(await ask()).toBe(503);
    away = false;
    expect(await ask()).toBe(200);
    await store.db.updateTable('tokens').set({ revoked_at: begun }).execute();
    expect(await ask()).toBe(401);
    away = true;
    expect(await ask()).toBe(503);
  } finally {
    setSystemTime();
    await store.close();
  }
});
