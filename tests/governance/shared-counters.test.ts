/** Limits that several nodes share through a real Redis. */
import { afterEach, describe, expect, test } from 'bun:test';
import { windowOf } from '../../src/config/window.ts';
import { Lease } from '../../src/governance/leases.ts';
import { until } from '../e2e/gateway.ts';
import { redis } from '../servers.ts';
import { FakeStore, joinNode, keyOf, limitOf, type Node, type NodeOptions } from './shared-nodes.ts';

const nodes: Node[] = [];

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.leave();
});

async function join(url: string, options?: NodeOptions): Promise<Node> {
  const node = await joinNode(url, options);
  nodes.push(node);
  return node;
}

async function joinAll(count: number, options?: NodeOptions): Promise<Node[]> {
  const url = (await redis()).createDatabase();
  const all: Node[] = [];
  for (let i = 0; i < count; i++) all.push(await join(url, options));
  return all;
}

describe('a limit of several nodes', () => {
  test('of requests is exact: as many pass as it allows, wherever they come', async () => {
    const all = await joinAll(3);
    const key = keyOf('exact', [limitOf('requests', 100)]);
    const results = await Promise.all(Array.from({ length: 150 }, (_, i) => all[i % 3]!.reserve(key, 0, 0)));
    const passed = results.filter((each) => each instanceof Lease);
    for (const lease of passed) lease.settle({ tokens: 0, nanoUsd: 0 }, Date.now());
    expect(passed.length).toBe(100);
    expect((await all[0]!.reserve(key, 0, 0)) instanceof Lease).toBe(false);
  });

  test('one after the other too, the last of them on the node that has used least', async () => {
    const [one, other] = (await joinAll(2)) as [Node, Node];
    const key = keyOf('steady', [limitOf('requests', 60)]);
    for (let i = 0; i < 50; i++) {
      const lease = await one.reserve(key, 0, 0);
      expect(lease).toBeInstanceOf(Lease);
      (lease as Lease).settle({ tokens: 0, nanoUsd: 0 }, Date.now());
    }
    for (let i = 0; i < 10; i++) expect(await other.reserve(key, 0, 0)).toBeInstanceOf(Lease);
    expect(await other.reserve(key, 0, 0)).toMatchObject({ kind: 'rate_limited' });
    expect(await one.reserve(key, 0, 0)).toMatchObject({ kind: 'rate_limited' });
  });

  test('of calls at once is exact, and what ends on one node may begin on the other', async () => {
    const [one, other] = (await joinAll(2)) as [Node, Node];
    const key = keyOf('parallel', [limitOf('concurrency', 4)]);
    const held = await Promise.all([1, 2, 3, 4].map(() => one.reserve(key, 0, 0)));
    expect(held.every((each) => each instanceof Lease)).toBe(true);
    expect(await other.reserve(key, 0, 0)).toMatchObject({ kind: 'rate_limited' });
    (held[0] as Lease).settle({ tokens: 0, nanoUsd: 0 }, Date.now());
    await until(async () => (await other.reserve(key, 0, 0)) instanceof Lease);
    expect(await one.reserve(key, 0, 0)).toMatchObject({ kind: 'rate_limited' });
  });
});

test('a call that comes seldom waits for Redis once, where there is plenty', async () => {
  const [one] = (await joinAll(2)) as [Node, Node];
  const key = keyOf('seldom', [limitOf('requests', 10_000), limitOf('tokens', 10_000_000)]);
  for (let i = 0; i < 3; i++) {
    const lease = await one.reserve(key, 100, 0);
    // Both long enough for what was used to be reported.
    await Bun.sleep(600);
    (lease as Lease).settle({ tokens: 100, nanoUsd: 0 }, Date.now());
    await Bun.sleep(600);
    expect(one.counters.stats.waited).toBe(2);
  }
});

const day = windowOf('day');
const none = { tokens: 0, nanoUsd: 0 };

/** Calls one after the other that end at once; each is in the store. @returns how many passed. */
async function pass(
  node: Node,
  key: ReturnType<typeof keyOf>,
  calls: number,
  store?: FakeStore,
): Promise<number> {
  let passed = 0;
  for (let i = 0; i < calls; i++) {
    const lease = await node.reserve(key, 0, 0);
    if (!(lease instanceof Lease)) continue;
    lease.settle(none, Date.now());
    store?.add({ owner: 'key', id: key.name, unit: 'requests', window: day }, 1);
    passed++;
  }
  return passed;
}

/** What Redis says was used of the first limit of a key, as a node sees it. */
async function usedOf(node: Node, key: ReturnType<typeof keyOf>): Promise<number> {
  const [limit] = node.limiter.limitsOf({ teams: new Map(), organisations: new Map() }, key);
  return node.limiter.look(limit!, Date.now()).used;
}

describe('a node that dies', () => {
  test('has used all it might have used, until its journal tells the truth', async () => {
    const url = (await redis()).createDatabase();
    const store = new FakeStore();
    const [one, other] = [await joinNode(url, { store }), await join(url, { store })];
    const key = keyOf('dies', [limitOf('requests', 50)]);
    expect(await pass(one, key, 20, store)).toBe(20);
    await one.kill();
    const before = await pass(other, key, 50, store);
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThanOrEqual(30);
    const again = await join(url, { store, afterCrash: true });
    let after = 0;
    await until(async () => {
      after += await pass(again, key, 1, store);
      return before + after >= 30;
    });
    expect(await pass(other, key, 3, store)).toBe(0);
  });

  test('has its calls at once taken back when it is silent for long', async () => {
    const [one, other] = (await joinAll(2)) as [Node, Node];
    const key = keyOf('silent', [limitOf('concurrency', 2)]);
    for (let i = 0; i < 2; i++) expect(await one.reserve(key, 0, 0)).toBeInstanceOf(Lease);
    nodes.splice(nodes.indexOf(one), 1);
    await one.kill();
    expect(await pass(other, key, 1)).toBe(0);
    // As if a long time had passed.
    const seen = String(await other.link.send('HGET', other.link.key('nodes'), one.link.node)).split(' ');
    await other.link.send(
      'HSET',
      other.link.key('nodes'),
      one.link.node,
      `${seen[0]} ${Number(seen[1]) - 61_000}`,
    );
    await until(async () => (await pass(other, key, 1)) === 1);
  });
});

describe('a Redis that goes away', () => {
  test('leaves each node what it holds; then closed limits refuse, and say why', async () => {
    const server = await redis();
    const url = server.createDatabase();
    const store = new FakeStore();
    const [one, other] = [await join(url, { store }), await join(url, { store })];
    const key = keyOf('closed', [limitOf('requests', 1000)]);
    const both = async (calls: number) =>
      (await pass(one, key, calls, store)) + (await pass(other, key, calls, store));
    let passed = await both(100);
    await server.stop();
    try {
      // Together they hold less than all.
      for (const node of [one, other]) {
        let refused = 0;
        await until(async () => {
          const now = await pass(node, key, 100, store);
          passed += now;
          refused += 100 - now;
          return refused > 100;
        });
        expect(await node.reserve(key, 0, 0)).toMatchObject({
          kind: 'rate_limited',
          message: expect.stringContaining('counted together with other gateways'),
          detail: { retryAfterS: 5 },
        });
      }
      expect(passed).toBeLessThanOrEqual(1000);
    } finally {
      await server.start();
    }
    // It is empty now: what was used is known from the store.
    await until(async () => {
      passed += await both(20);
      return passed >= 1000;
    });
    expect(passed).toBe(1000);
    expect(await both(5)).toBe(0);
  });

  test('lets open limits be counted by each node, never above the limit on one', async () => {
    const server = await redis();
    const store = new FakeStore();
    const node = await join(server.createDatabase(), { store, whenLost: 'open' });
    const key = keyOf('open', [limitOf('requests', 200)]);
    let passed = await pass(node, key, 50, store);
    await server.stop();
    try {
      passed += await pass(node, key, 200, store);
      expect(passed).toBe(200);
    } finally {
      await server.start();
    }
    await until(() => !node.counters.isLost);
    expect(await pass(node, key, 5, store)).toBe(0);
  });

  test('may hang: calls do not, and nothing is counted twice when it goes on', async () => {
    const server = await redis();
    const url = server.createDatabase();
    const store = new FakeStore();
    const [one, other] = [await join(url, { store }), await join(url, { store })];
    const key = keyOf('hangs', [limitOf('requests', 300)]);
    let passed = (await pass(one, key, 50, store)) + (await pass(other, key, 50, store));
    server.pause();
    try {
      await until(async () => {
        passed += (await pass(one, key, 50, store)) + (await pass(other, key, 50, store));
        return one.counters.isLost && other.counters.isLost;
      });
    } finally {
      server.resume();
    }
    expect(passed).toBeLessThanOrEqual(300);
    await until(async () => {
      passed += (await pass(one, key, 10, store)) + (await pass(other, key, 10, store));
      return passed >= 300;
    });
    expect(passed).toBe(300);
    expect(await pass(one, key, 5, store)).toBe(0);
  });

  test('and comes back empty while calls run keeps what they hold', async () => {
    const url = (await redis()).createDatabase();
    const store = new FakeStore();
    const [one, other] = [await join(url, { store }), await join(url, { store })];
    const key = keyOf('emptied', [limitOf('requests', 10)]);
    expect(await pass(one, key, 4, store)).toBe(4);
    const running = [await one.reserve(key, 0, 0), await one.reserve(key, 0, 0)];
    await one.link.send('FLUSHDB');
    await until(async () => (await one.link.send('HGET', one.link.key('epoch'), 'state')) === 'open');
    let passed = 0;
    await until(async () => {
      passed += await pass(other, key, 1, store);
      return passed >= 4;
    });
    expect(await pass(other, key, 3, store)).toBe(0);
    for (const lease of running) (lease as Lease).settle(none, Date.now());
    expect(await pass(one, key, 3, store)).toBe(0);
  });
});

test('of windows that the store does not tell, live nodes bring what they have used to an empty Redis', async () => {
  const [one, other] = (await joinAll(2)) as [Node, Node];
  const key = keyOf('ever', [limitOf('requests', 20, windowOf('lifetime'))]);
  expect((await pass(one, key, 8)) + (await pass(other, key, 7))).toBe(15);
  await one.link.send('FLUSHDB');
  await until(async () => (await one.link.send('HGET', one.link.key('epoch'), 'state')) === 'open');
  let passed = 0;
  await until(async () => {
    passed += await pass(one, key, 1);
    return passed >= 5;
  });
  expect((await pass(one, key, 3)) + (await pass(other, key, 3))).toBe(0);
});

test('nodes whose clocks are wrong count in the same window', async () => {
  const url = (await redis()).createDatabase();
  // By the clock of one it is a day later: its windows are those of Redis all the same.
  const skewMs = 86_400_000;
  const [one, other] = [await join(url), await join(url, { skewMs })];
  const key = keyOf('skewed', [limitOf('requests', 10)]);
  // It does not know yet that it is wrong; when it does, what it has counted elsewhere does not matter.
  expect(await pass(other, key, 1)).toBe(1);
  other.link.offsetMs = -skewMs;
  await until(async () => (await usedOf(other, key)) === 0);
  expect((await pass(one, key, 6)) + (await pass(other, key, 10))).toBe(10);
});

test('of a sliding window nobody gets more than what has left it', async () => {
  const [one, other] = (await joinAll(2)) as [Node, Node];
  const key = keyOf('slides', [limitOf('requests', 20, windowOf('second', true))]);
  const passedAt: number[] = [];
  const end = Date.now() + 3_000;
  while (Date.now() < end) {
    for (const node of [one, other]) {
      const beganMs = Date.now();
      if ((await pass(node, key, 1)) === 1) passedAt.push(beganMs);
    }
    await Bun.sleep(2);
  }
  expect(passedAt.length).toBeGreaterThan(25);
  for (const [i, at] of passedAt.entries()) {
    // Of any 21, the last is more than a second after the first: less what reading the clock may be late.
    if (i >= 20) expect(at - passedAt[i - 20]!).toBeGreaterThan(900);
  }
});

test('counters of end users are few on a node, expire in Redis, and hold all the same', async () => {
  const [one, other] = (await joinAll(2, { mostCounters: 20 })) as [Node, Node];
  for (const sliding of [false, true]) {
    const limits = [limitOf('requests', 3, windowOf('day', sliding))];
    const key = { ...keyOf(`crowd ${sliding}`, []), limitsEndUsers: true, endUserLimits: limits };
    const ask = async (node: Node, user: number) => {
      const lease = await node.reserve(key, 0, 0, `user ${user}`);
      if (lease instanceof Lease) lease.settle(none, Date.now());
      return lease instanceof Lease;
    };
    const users = Array.from({ length: 300 }, (_, i) => i);
    for (const node of [one, other])
      expect(await Promise.all(users.map((user) => ask(node, user)))).not.toContain(false);
    await until(() => one.counters.numbers.counters <= 20 && other.counters.numbers.counters <= 20);
    // Two of three are used, one on each node.
    const third = await Promise.all(users.map((user) => ask(user % 2 === 0 ? one : other, user)));
    expect(third).not.toContain(false);
    const fourth = await Promise.all(users.map((user) => ask(user % 2 === 0 ? other : one, user)));
    expect(fourth).not.toContain(true);
  }
  const names = (await one.link.send('KEYS', '*end_user:*')) as string[];
  expect(names.length).toBe(600);
  for (const name of names.slice(0, 20)) expect(await one.link.send('PTTL', name)).toBeGreaterThan(0);
});
