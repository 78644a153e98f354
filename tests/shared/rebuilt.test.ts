/** Gateways on one PostgreSQL and one Redis: limits count what was spent before Redis did, whatever their windows and owners. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createKey, updateKey } from '../../src/store/keys.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { startAnswering } from '../e2e/answering.ts';
import { startGateway, type TestGateway, until } from '../e2e/gateway.ts';
import { postgres, redis } from '../servers.ts';

const upstream = startAnswering();
let store: Store;
let places: { store: string; shared: string };
const nodes: TestGateway[] = [];

beforeEach(async () => {
  places = {
    store: await (await postgres()).createDatabase(),
    shared: (await redis()).createDatabase(),
  };
  store = await openStore('', places.store);
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  await store.close();
  upstream.asked.length = 0;
});
afterAll(() => upstream.stop());

/** Of each key, five requests: of whatever window, and whoever owns the limit. */
const windows = {
  day: '{ requests: 5, per: day }',
  week: '{ requests: 5, per: week }',
  month: '{ requests: 5, per: month, time_zone: Asia/Kathmandu }',
  lifetime: '{ requests: 5, per: lifetime }',
  last_hour: '{ requests: 5, per: hour, sliding: true }',
  last_day: '{ requests: 5, per: day, sliding: true }',
  dollars: '{ usd: 0.05, per: week, time_zone: America/New_York }',
};
const keys = [...Object.keys(windows), 'of_team', 'of_organisation', 'anna', 'ben'];

async function join(): Promise<TestGateway> {
  const node = await startGateway(`
store: ${places.store}
shared: ${places.shared}
providers:
${upstream.provider('up')}
${upstream.provider('shadow')}
models:
  m: up/m
  mirrored: { mirror: up/m, to: shadow/m, budget: { requests: 5, per: month } }
prices: { up/m: { input: 0, output: 0, request: 0.01 } }
organisations: { shop: { limits: [{ requests: 5, per: day }] } }
teams:
  web: { limits: [{ requests: 5, per: month }] }
  sales: { organisation: shop }
  users: { end_users: { limits: [{ requests: 5, per: lifetime }] } }
keys:
${Object.entries(windows)
  .map(([name, limit]) => `  - { name: ${name}, key: sk-${name}, limits: [${limit}] }`)
  .join('\n')}
  - { name: of_team, key: sk-of_team, team: web }
  - { name: of_organisation, key: sk-of_organisation, team: sales }
  - { name: of_users, key: sk-of_users, team: users }
  - { name: free, key: sk-free }
`);
  nodes.push(node);
  return node;
}

/** @param who a key, or an end user of one. */
async function statusOf(node: TestGateway, who: string, model = 'm'): Promise<number> {
  const isUser = who === 'anna' || who === 'ben';
  const headers: Record<string, string> = { authorization: `Bearer sk-${isUser ? 'of_users' : who}` };
  if (isUser) headers['x-sluice-end-user'] = who;
  const body = { model, messages: [{ role: 'user', content: 'Hi' }] };
  const response = await node.post('/v1/chat/completions', body, headers);
  await response.text();
  return response.status;
}

/** How many of so many calls pass, spread over nodes. */
async function passed(over: readonly TestGateway[], who: string, calls: number): Promise<number> {
  let count = 0;
  for (let i = 0; i < calls; i++) if ((await statusOf(over[i % over.length]!, who)) === 200) count++;
  return count;
}

async function ofEach(over: readonly TestGateway[], calls: number): Promise<Record<string, number>> {
  const counts = await Promise.all(keys.map((who) => passed(over, who, calls)));
  return Object.fromEntries(keys.map((who, i) => [who, counts[i]!]));
}

const all = (count: number) => Object.fromEntries(keys.map((who) => [who, count]));

/** What was asked of the shadow. */
const shadows = () => upstream.asked.filter(({ path }) => path.startsWith('shadow/')).length;

async function flush(): Promise<void> {
  const { Redis } = await import('ioredis');
  const client = new Redis(places.shared);
  await client.flushdb();
  client.disconnect();
}

async function isOpen(): Promise<boolean> {
  const { Redis } = await import('ioredis');
  const client = new Redis(places.shared);
  const state = await client.hget('{sluice}:epoch', 'state');
  client.disconnect();
  return state === 'open';
}

describe('what was spent before', () => {
  test('is known after Redis has lost its data, and to nodes that start with an empty one', async () => {
    const [one, other] = [await join(), await join()];
    expect(await ofEach([one, other], 3)).toEqual(all(3));
    for (let i = 0; i < 3; i++) await statusOf([one, other][i % 2]!, 'free', 'mirrored');
    await until(() => shadows() === 3);
    await flush();
    await until(isOpen);
    expect(await ofEach([other, one], 1)).toEqual(all(1));
    await statusOf(one, 'free', 'mirrored');
    await until(() => shadows() === 4);
    for (const node of nodes.splice(0)) await node.stop();
    await flush();

    const late = await join();
    await until(isOpen);
    expect(await ofEach([late], 3)).toEqual(all(1));
    for (let i = 0; i < 3; i++) await statusOf(late, 'free', 'mirrored');
    await until(() => shadows() === 5);
    await late.stop();
    expect(shadows()).toBe(5);
    nodes.splice(0);
  }, 60_000);

  test('counts against limits that are made while nodes run', async () => {
    const [one, other] = [await join(), await join()];
    const made = async (name: string) =>
      (await store.db.transaction().execute((trx) => createKey(trx, name, {}))).secret;
    const limits: Record<string, Record<string, string | number | boolean>> = {
      fixed: { requests: 10, per: 'month' },
      sliding: { requests: 10, per: 'day', sliding: true },
      ever: { requests: 10, per: 'lifetime' },
    };
    for (const [name, limit] of Object.entries(limits)) {
      const secret = await made(name);
      const ask = async (node: TestGateway) => {
        const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };
        const response = await node.post('/v1/chat/completions', body, { authorization: `Bearer ${secret}` });
        await response.text();
        return response.status;
      };
      let count = 0;
      const call = async (node: TestGateway) => {
        const status = await ask(node);
        if (status === 200) count++;
        return status;
      };
      for (const node of [one, other]) await until(async () => (await call(node)) === 200);
      while (count < 7) await call(count % 2 === 0 ? one : other);
      await store.db.transaction().execute((trx) => updateKey(trx, name, { limits: [limit] }));
      await until(async () => (await used(one, name)) === 7 && (await used(other, name)) === 7);
      // More is made of it, and less: what was used stays.
      const more = { ...limit, requests: 12 };
      await store.db.transaction().execute((trx) => updateKey(trx, name, { limits: [more] }));
      await until(async () => (await most(one, name)) === 12 && (await most(other, name)) === 12);
      await Promise.all(Array.from({ length: 20 }, (_, i) => call(i % 2 === 0 ? one : other)));
      expect(count).toBe(12);
    }
  }, 60_000);
});

/** The limit of a key as a node sees it, after it has looked. */
async function stateOf(node: TestGateway, name: string) {
  const { gateway } = node.app;
  const key = gateway.keyring.named(name);
  const [bound] = key === undefined ? [] : gateway.limiter.limitsOf(gateway.snapshot(), key);
  return bound && { ...gateway.limiter.look(bound, Date.now()), max: bound.limit.max };
}

const used = async (node: TestGateway, name: string) => (await stateOf(node, name))?.used;
const most = async (node: TestGateway, name: string) => (await stateOf(node, name))?.max;
