/** Real gateways, each in a process of its own, on one real Redis: their limits hold for all of them together. */
import { afterAll, afterEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAnswering, well } from '../e2e/answering.ts';
import { ask, killRunning, makePlace, type Place, type Program, start, waitFor } from '../process/program.ts';
import { redis } from '../servers.ts';

const upstream = startAnswering();
const places: Place[] = [];

afterEach(() => {
  killRunning();
  upstream.answers.clear();
  upstream.asked.length = 0;
  for (const place of places.splice(0)) place.remove();
});
afterAll(() => upstream.stop());

const key = 'sk-shared-key';

interface Node extends Program {
  url: string;
  place: Place;
}

async function startNode(shared: string, limits: string, place = makePlace()): Promise<Node> {
  if (!places.includes(place)) places.push(place);
  writeFileSync(
    join(place.dir, 'sluice.yaml'),
    `shared: ${shared}
listen: 127.0.0.1:0
providers:
${upstream.provider('up')}
models: { m: up/m }
keys: [{ name: shared, key: ${key}, limits: ${limits} }]
prices: { up/m: { input: 0, output: 0, request: 0.01 } }
`,
  );
  const program = start(['serve'], { cwd: place.dir });
  return { ...program, url: await program.listening(), place };
}

const startNodes = (shared: string, limits: string) =>
  Promise.all([1, 2, 3].map(() => startNode(shared, limits)));

/** Statuses of calls that are all made at once, spread over the nodes. */
async function askAll(nodes: readonly Node[], calls: number): Promise<number[]> {
  return await Promise.all(
    Array.from({ length: calls }, async (_, i) => {
      const answer = await ask(nodes[i % nodes.length]!.url, key, 'm');
      await answer.text();
      return answer.status;
    }),
  );
}

const count = (statuses: readonly number[], status: number) =>
  statuses.filter((each) => each === status).length;

describe('three gateways', () => {
  test('let as many requests pass as the limit of the day allows', async () => {
    const nodes = await startNodes((await redis()).createDatabase(), '[{ requests: 60, per: day }]');
    const statuses = await askAll(nodes, 120);
    expect([count(statuses, 200), count(statuses, 429)]).toEqual([60, 60]);
    expect(upstream.asked.length).toBe(60);
  });

  test('spend no more than the budget, and all of it', async () => {
    const nodes = await startNodes((await redis()).createDatabase(), '[{ usd: 0.5, per: month }]');
    let passed = 0;
    for (let round = 0; round < 10; round++) passed += count(await askAll(nodes, 12), 200);
    // A cent each.
    expect(passed).toBe(50);
    expect(upstream.asked.length).toBe(50);
  });

  test('run as many calls at once as the limit allows', async () => {
    const nodes = await startNodes((await redis()).createDatabase(), '[{ concurrency: 5 }]');
    let running = 0;
    let most = 0;
    upstream.answers.set('up', async (each) => {
      most = Math.max(most, ++running);
      await Bun.sleep(20);
      running--;
      return await well(each);
    });
    let passed = 0;
    for (let round = 0; round < 5; round++) passed += count(await askAll(nodes, 15), 200);
    expect(most).toBe(5);
    expect(passed).toBeGreaterThanOrEqual(25);
  });

  test('count what a node has spent that was killed, and that came back', async () => {
    const url = (await redis()).createDatabase();
    const limits = '[{ requests: 40, per: day }]';
    const [one, two] = [await startNode(url, limits), await startNode(url, limits)];
    expect(count(await askAll([one, two], 20), 200)).toBe(20);
    one.child.kill('SIGKILL');
    await one.ended;
    const passed = count(await askAll([two], 30), 200);
    expect(passed).toBeLessThanOrEqual(20);
    const again = await startNode(url, limits, one.place);
    // What the dead node held idle is found again.
    let more = 0;
    await waitFor(async () => {
      more += count(await askAll([again, two], 4), 200);
      return passed + more >= 20 ? true : undefined;
    });
    expect(count(await askAll([again, two], 6), 200)).toBe(0);
    expect(upstream.asked.length).toBe(40);
  });
});
