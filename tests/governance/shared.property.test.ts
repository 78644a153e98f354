/**
 * More than a thousand calls at once on several nodes and one real Redis, of random cost, which fail, are left by their
 * clients or grow; nodes die without a goodbye. Nothing is ever spent above any limit on the path, and nobody is refused
 * while there was room.
 */
import { expect, test } from 'bun:test';
import { windowOf } from '../../src/config/window.ts';
import { Lease } from '../../src/governance/leases.ts';
import { redis } from '../servers.ts';
import { joinNode, keyOf, limitOf, limitOrganisation, limitTeam, type Node } from './shared-nodes.ts';

const day = windowOf('day');
const sliding = windowOf('hour', true);

/** The same numbers in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Sums {
  tokens: number;
  nanoUsd: number;
  requests: number;
  running: number;
}

const limits = {
  keyRequests: 700,
  keyTokens: 60_000,
  teamUsd: 2_500_000,
  organisationTokens: 110_000,
  organisationRunning: 60,
};

/** What was really spent, by whoever could see all nodes. */
class World {
  readonly spent = new Map<string, Sums>();
  passed = 0;

  sums(of: string): Sums {
    let sums = this.spent.get(of);
    if (sums === undefined) {
      sums = { tokens: 0, nanoUsd: 0, requests: 0, running: 0 };
      this.spent.set(of, sums);
    }
    return sums;
  }

  add(names: readonly string[], change: Partial<Sums>): void {
    for (const name of names) {
      const sums = this.sums(name);
      for (const unit of ['tokens', 'nanoUsd', 'requests', 'running'] as const)
        sums[unit] += change[unit] ?? 0;
    }
    this.check();
  }

  check(): void {
    for (const [name, sums] of this.spent) {
      if (name.startsWith('key')) {
        expect(sums.requests).toBeLessThanOrEqual(limits.keyRequests);
        expect(sums.tokens).toBeLessThanOrEqual(limits.keyTokens);
      } else if (name.startsWith('team')) expect(sums.nanoUsd).toBeLessThanOrEqual(limits.teamUsd);
      else {
        expect(sums.tokens).toBeLessThanOrEqual(limits.organisationTokens);
        expect(sums.running).toBeLessThanOrEqual(limits.organisationRunning);
      }
    }
  }
}

test.each([1, 2, 3])(
  'nested limits hold, whatever happens (%d)',
  async (seed) => {
    const next = random(seed);
    const url = (await redis()).createDatabase();
    const nodes: Node[] = [];
    for (let i = 0; i < 4; i++) nodes.push(await joinNode(url));
    const dead = new Set<Node>();
    const world = new World();
    const organisation = `organisation${seed}`;
    limitOrganisation(organisation, [
      limitOf('tokens', limits.organisationTokens, day),
      limitOf('concurrency', limits.organisationRunning),
    ]);
    const keys = [0, 1, 2].map((i) => {
      const team = `team${seed}.${i % 2}`;
      limitTeam(team, organisation, [limitOf('usd', limits.teamUsd, day)]);
      const own = [
        limitOf('requests', limits.keyRequests, day),
        limitOf('tokens', limits.keyTokens, sliding),
      ];
      return keyOf(`key${seed}.${i}`, own, team, organisation);
    });

    const call = async () => {
      const key = keys[Math.floor(next() * keys.length)]!;
      const node = nodes[Math.floor(next() * nodes.length)]!;
      const names = [key.name, key.team, key.organisation];
      let needs = { tokens: Math.floor(next() * 300), nanoUsd: Math.floor(next() * 5_000) };
      await Bun.sleep(next() * 2_000);
      if (dead.has(node)) return;
      const lease = await node.reserve(key, needs.tokens, needs.nanoUsd);
      if (!(lease instanceof Lease)) {
        return;
      }
      world.passed++;
      world.add(names, { running: 1 });
      await Bun.sleep(next() * 40);
      if (next() < 0.2) {
        // The answer is longer than thought.
        const more = { tokens: needs.tokens + 50, nanoUsd: needs.nanoUsd + 500 };
        if ((await node.limiter.raise(lease, more, Date.now())) === undefined) needs = more;
      }
      world.add(names, { running: -1 });
      const ending = next();
      if (dead.has(node)) {
        // The provider charges all the same, and the journal tells it.
        world.add(names, { ...needs, requests: 1 });
      } else if (ending < 0.15) lease.cancel(Date.now());
      else {
        const part = ending < 0.3 ? 0 : next();
        const used = { tokens: Math.floor(needs.tokens * part), nanoUsd: Math.floor(needs.nanoUsd * part) };
        world.add(names, { ...used, requests: 1 });
        lease.settle(used, Date.now());
      }
    };
    const calls = Array.from({ length: 1_500 }, call);
    await Bun.sleep(900);
    const victim = nodes[3]!;
    dead.add(victim);
    await victim.kill();
    await Promise.all(calls);
    expect(world.passed).toBeGreaterThan(300);

    // What is left can be had, but for what the dead node held.
    for (const node of nodes) if (!dead.has(node)) await node.leave();
  },
  60_000,
);

test('nobody is refused while there is room: what lies idle elsewhere is found', async () => {
  const url = (await redis()).createDatabase();
  const nodes = [await joinNode(url), await joinNode(url), await joinNode(url)];
  const next = random(7);
  const max = 100_000;
  const key = keyOf('room', [limitOf('tokens', max, day)]);
  let reserved = 0;
  let used = 0;
  let wrong = 0;
  const call = async () => {
    await Bun.sleep(next() * 1_500);
    const node = nodes[Math.floor(next() * 3)]!;
    const tokens = 1 + Math.floor(next() * 250);
    const lease = await node.reserve(key, tokens, 0);
    if (!(lease instanceof Lease)) {
      // What ended within the last moments may not be known everywhere yet.
      if (used + reserved + tokens <= max - 5_000) wrong++;
      return;
    }
    reserved += tokens;
    await Bun.sleep(next() * 30);
    const part = Math.floor(tokens * next());
    reserved -= tokens;
    used += part;
    lease.settle({ tokens: part, nanoUsd: 0 }, Date.now());
  };
  await Promise.all(Array.from({ length: 1_200 }, call));
  expect(used).toBeLessThanOrEqual(max);
  expect(wrong).toBe(0);
  // All of the rest can be had, on one node, by calls of any size.
  let left = max - used;
  while (left > 0) {
    const tokens = Math.min(left, 1_000);
    const lease = await nodes[0]!.reserve(key, tokens, 0);
    expect(lease).toBeInstanceOf(Lease);
    (lease as Lease).settle({ tokens, nanoUsd: 0 }, Date.now());
    left -= tokens;
  }
  expect(await nodes[1]!.reserve(key, 1, 0)).toMatchObject({ kind: 'rate_limited' });
  for (const node of nodes) await node.leave();
}, 60_000);
