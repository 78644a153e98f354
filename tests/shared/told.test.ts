/** What operators of several gateways are told: once, and of what all of them have used. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { startGateway, type TestGateway, until } from '../e2e/gateway.ts';
import { type Receiver, secret, startReceiver } from '../ledger/receiver.ts';
import { postgres, redis } from '../servers.ts';

let receiver: Receiver;
let nodes: TestGateway[];
let yaml: string;

beforeEach(async () => {
  receiver = startReceiver();
  yaml = `
store: ${await (await postgres()).createDatabase()}
shared: ${(await redis()).createDatabase()}
webhooks: [{ url: "${receiver.url}/hook", secret: ${secret} }]
providers: { mock: {} }
keys:
  - { name: shared, key: sk-shared, limits: [{ requests: 10, per: month, warn: [50, 80, 100] }] }
  - { name: slow, key: sk-slow, limits: [{ requests: 1000, per: month }] }
`;
  nodes = [await startGateway(yaml), await startGateway(yaml)];
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  await receiver.stop();
});

async function ask(node: TestGateway, key: string): Promise<number> {
  const body = { model: 'mock/echo', messages: [{ role: 'user', content: 'Hi' }] };
  const response = await node.post('/v1/chat/completions', body, { authorization: `Bearer ${key}` });
  await response.text();
  return response.status;
}

const told = (type: string) => receiver.received.filter(({ event }) => event.type === type);

/** A number of a node's metrics. */
async function metric(node: TestGateway, name: string): Promise<number> {
  const text = await (await fetch(`${node.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

test('a threshold is crossed by what all nodes have used, and told of once', async () => {
  const [one, other] = nodes as [TestGateway, TestGateway];
  // At once, so that neither has heard of the other when its own calls end.
  const both = async (here: number, there: number) => {
    const asks = [...Array<TestGateway>(here).fill(one), ...Array<TestGateway>(there).fill(other)];
    expect(await Promise.all(asks.map((node) => ask(node, 'sk-shared')))).toEqual(asks.map(() => 200));
  };
  await both(2, 2);
  await both(1, 0);
  await until(() => told('limit.threshold').length === 1);
  await both(1, 2);
  await until(() => told('limit.threshold').length === 2);
  await both(1, 1);
  await until(() => told('limit.threshold').length === 3);
  expect(await ask(one, 'sk-shared')).toBe(429);
  for (const node of nodes) await node.stop();
  const events = told('limit.threshold').map(({ event: { data } }) => [data.name, data.threshold, data.used]);
  expect(events).toEqual([
    ['shared', 50, 5],
    ['shared', 80, 8],
    ['shared', 100, 10],
  ]);
  nodes = [];
});

test('a Redis that is lost is told of once, and seen in the numbers of every node', async () => {
  for (const node of nodes) {
    expect(await ask(node, 'sk-slow')).toBe(200);
    await until(async () => (await metric(node, 'sluice_shared_up')) === 1);
    expect(await metric(node, 'sluice_shared_waited_total')).toBeGreaterThan(0);
    expect(await metric(node, 'sluice_shared_slices')).toBe(1);
    expect(await metric(node, 'sluice_shared_counters')).toBe(1);
    expect(await metric(node, 'sluice_shared_exchanges_total')).toBeGreaterThan(0);
  }
  const server = await redis();
  await server.stop();
  try {
    for (const node of nodes) {
      await until(async () => (await metric(node, 'sluice_shared_up')) === 0);
      await until(async () => (await ask(node, 'sk-slow')) === 429);
    }
    await until(() => told('shared.unreachable').length === 1);
  } finally {
    await server.start();
  }
  for (const node of nodes) {
    await until(async () => (await metric(node, 'sluice_shared_up')) === 1);
    await until(async () => (await ask(node, 'sk-slow')) === 200);
  }
  for (const node of nodes) await node.stop();
  nodes = [];
  expect(told('shared.unreachable').map(({ event }) => event.data)).toEqual([
    { node: expect.any(String), reason: expect.any(String), when_lost: 'closed' },
  ]);
});
