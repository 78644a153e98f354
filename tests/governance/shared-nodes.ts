/** Nodes that share limits through a real Redis, in this process: each has connections, counters and a limiter of its own. */
import type { Key, Limit } from '../../src/config/snapshot.ts';
import { windowOf } from '../../src/config/window.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Lease, Spent } from '../../src/governance/leases.ts';
import { createLimiter, type Limiter } from '../../src/governance/limits.ts';
import { createSharedCounters, type SharedCounters } from '../../src/governance/shared/shared-counters.ts';
import { openRedis, type SharedRedis } from '../../src/shared/redis.ts';

export interface Node {
  link: SharedRedis;
  counters: SharedCounters;
  limiter: Limiter;
  /** Resolves to the lease, or to why there is none. */
  reserve(key: Key, tokens: number, nanoUsd: number, endUser?: string): Promise<Lease | GatewayError>;
  /** Goes without a goodbye. */
  kill(): Promise<void>;
  leave(): Promise<void>;
}

/** What all nodes have spent, as their store would know it. */
export class FakeStore {
  readonly spent = new Map<string, Spent>();

  add(counter: Omit<Spent, 'amount' | 'atMs'>, amount: number): void {
    const name = `${counter.owner}:${counter.id}/${counter.unit}/${counter.window?.name}`;
    const before = this.spent.get(name)?.amount ?? 0;
    this.spent.set(name, { ...counter, amount: before + amount, atMs: Date.now() });
  }
}

export interface NodeOptions {
  whenLost?: 'open' | 'closed';
  store?: FakeStore;
  afterCrash?: boolean;
  /** How wrong its clock is. */
  skewMs?: number;
  mostCounters?: number;
}

export async function joinNode(url: string, options: NodeOptions = {}): Promise<Node> {
  const link = await openRedis({ url, prefix: 'sluice' }, { onUp() {}, onDown() {} });
  const counters = createSharedCounters(link, {
    whenLost: options.whenLost ?? 'closed',
    oneStore: true,
    afterCrash: options.afterCrash ?? false,
    flushed: async () => {},
    spent: async () => [...(options.store?.spent.values() ?? [])],
    covers: (window) => window.per === 'day',
    ...(options.mostCounters !== undefined && { mostCounters: options.mostCounters }),
  });
  const limiter = createLimiter(counters);
  link.connect();
  const skewMs = options.skewMs ?? 0;
  return {
    link,
    counters,
    limiter,
    async reserve(key, tokens, nanoUsd, endUser) {
      try {
        const limits = limiter.limitsOf(world, key, endUser);
        return await limiter.reserve(limits, { tokens, nanoUsd }, Date.now() + skewMs);
      } catch (error) {
        if (error instanceof GatewayError) return error;
        throw error;
      }
    },
    kill: () => link.close(),
    async leave() {
      await counters.close();
      await link.close();
    },
  };
}

const teams = new Map<string, { name: string; organisation: string; limits: readonly Limit[] }>();
const organisations = new Map<string, { name: string; limits: readonly Limit[] }>();
const world = { teams, organisations };

export function limitTeam(name: string, organisation: string, limits: readonly Limit[]): void {
  teams.set(name, { name, organisation, limits });
}

export function limitOrganisation(name: string, limits: readonly Limit[]): void {
  organisations.set(name, { name, limits });
}

export function limitOf(unit: Limit['unit'], max: number, window = windowOf('day')): Limit {
  return {
    unit,
    max,
    window: unit === 'concurrency' ? undefined : window,
    whenExhausted: 'cut',
    warn: [],
  };
}

export function keyOf(name: string, limits: readonly Limit[], team = 'none', organisation = 'none'): Key {
  return {
    id: name,
    name,
    team,
    organisation,
    limits,
    expiresAt: undefined,
    disabled: false,
  };
}
