/** Nodes that share limits through a real Redis, all in this process: each with connections, counters and a limiter of its own. */
import type { Key, Limit } from '../src/config/snapshot.ts';
import { createLimiter, type Limiter } from '../src/governance/limits.ts';
import { createSharedCounters, type SharedCounters } from '../src/governance/shared/shared-counters.ts';
import { openRedis, type SharedRedis } from '../src/shared/redis.ts';
import { freePort, type Started, start } from './processes.ts';

export interface LimitNode {
  link: SharedRedis;
  counters: SharedCounters;
  limiter: Limiter;
}

/** An empty Redis of many connections, which keeps nothing. */
export async function startRedis(): Promise<{ port: number; process: Started }> {
  const port = await freePort();
  const flags = ['--save', '', '--bind', '127.0.0.1', '--maxclients', '10000'];
  return { port, process: start('redis', ['redis-server', '--port', String(port), ...flags]) };
}

/** Begins to connect. */
export async function joinNode(port: number): Promise<LimitNode> {
  const place = { url: `redis://127.0.0.1:${port}`, prefix: 'bench' };
  const link = await openRedis(place, { onUp() {}, onDown() {} });
  const counters = createSharedCounters(link, {
    whenLost: 'closed',
    oneStore: true,
    afterCrash: false,
    flushed: async () => {},
    spent: async () => [],
    covers: () => true,
  });
  link.connect();
  return { link, counters, limiter: createLimiter(counters) };
}

/** Keys of one team, each with these limits of its own. */
export function makeKeys(count: number, limits: readonly Limit[]): Key[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `k${i}`,
    name: `k${i}`,
    team: 'web',
    organisation: 'shop',
    limits,
    expiresAt: undefined,
    disabled: false,
  }));
}
