/** Three real gateways under a storm of calls while Redis goes and loses its data, and one of them is killed. */
import { afterAll, afterEach, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { openStore } from '../../src/store/open.ts';
import { spentSince } from '../../src/store/spent.ts';
import { startAnswering, well } from '../e2e/answering.ts';
import { ask, killRunning, makePlace, type Place, type Program, start, waitFor } from '../process/program.ts';
import { postgres, redis } from '../servers.ts';

const upstream = startAnswering();
const places: Place[] = [];

afterEach(() => {
  killRunning();
  for (const place of places.splice(0)) place.remove();
});
afterAll(() => upstream.stop());

interface Node extends Program {
  url: string;
  place: Place;
}

const centsAllowed = 1500;

async function startNode(store: string, shared: string, place = makePlace()): Promise<Node> {
  if (!places.includes(place)) places.push(place);
  writeFileSync(
    join(place.dir, 'sluice.yaml'),
    `store: ${store}
shared: ${shared}
listen: 127.0.0.1:0
drain: 5s
providers:
${upstream.provider('up')}
models: { m: up/m, free: up/free }
keys:
  - { name: limited, key: sk-limited, limits: [{ usd: ${centsAllowed / 100}, per: month }] }
  - { name: unlimited, key: sk-unlimited }
prices: { up/m: { input: 0, output: 0, request: 0.01 }, up/free: { input: 0, output: 0 } }
`,
  );
  const program = start(['serve'], { cwd: place.dir });
  return { ...program, url: await program.listening(), place };
}

/** What Redis says was used of the month. */
async function counted(url: string): Promise<number> {
  const client = new Redis(url);
  try {
    const [id, state] = await client.hmget('{sluice}:epoch', 'id', 'state');
    if (state !== 'open') return Number.NaN;
    const [key] = await client.keys(`{sluice}:${id}:key:limited/usd/month*`);
    return key === undefined ? 0 : Number(await client.hget(key, 'used'));
  } finally {
    client.disconnect();
  }
}

test('money is never above the limit, unlimited calls never notice, and counters come back to the truth', async () => {
  const database = await (await postgres()).createDatabase();
  const server = await redis();
  const url = server.createDatabase();
  const nodes: Node[] = await Promise.all([1, 2, 3].map(() => startNode(database, url)));
  upstream.answers.set('up', async (each) => {
    await Bun.sleep(10);
    return await well(each);
  });
  const asked = () => upstream.asked.filter(({ model }) => model === 'm').length;
  const statuses = new Map<number, number>();
  const troubles: string[] = [];
  let down = -1;
  let over = false;

  const client = async (i: number, key: string, model: string) => {
    while (!over) {
      if (i === down) {
        await Bun.sleep(10);
        continue;
      }
      try {
        const answer = await ask(nodes[i]!.url, key, model);
        const text = await answer.text();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status !== 200 && (model === 'free' || answer.status !== 429)) troubles.push(text);
        if (answer.status !== 200) await Bun.sleep(20);
      } catch (error) {
        // The connections of the one that is killed break.
        if (i !== down) troubles.push(String(error));
      }
      await Bun.sleep(model === 'free' ? 20 : 5);
    }
  };
  const clients = nodes.flatMap((_, i) => [
    ...Array.from({ length: 8 }, () => client(i, 'sk-limited', 'm')),
    client(i, 'sk-unlimited', 'free'),
  ]);
  await waitFor(() => (asked() >= 150 ? true : undefined));

  await server.stop();
  try {
    await waitFor(() => ((statuses.get(429) ?? 0) >= 20 ? true : undefined));
    down = 2;
    nodes[2]!.child.kill('SIGKILL');
    await nodes[2]!.ended;
    nodes[2] = await startNode(database, url, nodes[2]!.place);
    down = -1;
    await Bun.sleep(1_000);
  } finally {
    await server.start();
  }
  const atReturn = asked();
  expect(atReturn).toBeLessThan(centsAllowed);
  // It goes on, to the last cent.
  await waitFor(() => (asked() >= atReturn + 150 ? true : undefined));
  // Once more, in the midst of calls that Redis grants.
  await server.stop();
  await server.start();
  const refusedBefore = statuses.get(429) ?? 0;
  await waitFor(async () => {
    const isUsedUp = (statuses.get(429) ?? 0) > refusedBefore + 200 && !Number.isNaN(await counted(url));
    return isUsedUp ? true : undefined;
  });
  over = true;
  await Promise.all(clients);
  expect(troubles).toEqual([]);
  expect(asked()).toBeLessThanOrEqual(centsAllowed);

  // What is there when all is quiet is counted anew from the store.
  await server.stop();
  await server.start();
  const store = await openStore('', database);
  const spent = async () => {
    const rows = await spentSince(store.db, 'keys', { since: 0 });
    return rows.filter(({ key }) => key === 'limited').reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
  };
  await waitFor(async () => ((await counted(url)) === (await spent()) ? true : undefined));
  expect(await spent()).toBeGreaterThanOrEqual((asked() - 8) * 10_000_000);
  expect(await spent()).toBeLessThanOrEqual(centsAllowed * 10_000_000);
  await store.close();
}, 120_000);
