/** What nodes share through Redis: limits, and what they learn of health. Nothing of it is loaded where there is one node only. */
import { resolve } from 'node:path';
import type { Settings, Shared } from '../config/snapshot.ts';
import type { HealthChange } from '../core/health.ts';
import type { Counters } from '../governance/leases.ts';
import { isRemembered, spentBefore } from '../governance/spent-before.ts';
import type { Logger } from '../observe/log.ts';
import type { Health } from '../routing/health.ts';
import type { SharedRedis } from '../shared/redis.ts';
import { openStore } from '../store/open.ts';
import { askSpent } from './ledger.ts';

export interface Sharing {
  /** Of limits that hold for all nodes together. */
  counters: Counters;
  /** Tells the others what this node has learned. */
  publish(change: HealthChange): void;
  /** From now on what others learn is adopted, and Redis is sought. */
  join(health: Health): void;
  /** Reports what limits have used, gives back what is held of them, lets go of Redis. */
  close(): Promise<void>;
}

/**
 * Undefined where nothing is shared.
 * @param flushed resolves when all that this node has settled so far is in the store.
 */
export async function openSharing(
  settings: Settings,
  flushed: () => Promise<void>,
  log: Logger,
): Promise<Sharing | undefined> {
  const { shared } = settings;
  if (shared === undefined) return undefined;
  const { openRedis } = await import('../shared/redis.ts');
  const { HealthChannel } = await import('../shared/health-channel.ts');
  const redis = await openRedis(
    { url: shared.redis, prefix: shared.prefix },
    {
      onUp: () => log.info('connected to the Redis that nodes share'),
      onDown: (reason) => log.error({ reason }, 'alarm: the Redis that nodes share is away'),
    },
  );
  const limits = await shareLimits(redis, shared, settings, flushed, log);
  let health: Health | undefined;
  const channel = new HealthChannel(redis, {
    adopt(change) {
      health?.adopt(change);
      log.debug({ ...change }, 'another node has learned of health');
    },
  });
  return {
    counters: limits.counters,
    publish: (change) => channel.publish(change),
    join(own) {
      health = own;
      redis.connect();
    },
    async close() {
      await limits.close();
      await redis.close();
    },
  };
}

async function shareLimits(
  redis: SharedRedis,
  { whenLost }: Shared,
  { dataDir, store }: Settings,
  flushed: () => Promise<void>,
  log: Logger,
): Promise<{ counters: Counters; close(): Promise<void> }> {
  const { createSharedCounters } = await import('../governance/shared/shared-counters.ts');
  const { expectFarewell } = await import('../shared/farewell.ts');
  const farewell = expectFarewell(resolve(dataDir));
  const counters = createSharedCounters(redis, {
    whenLost,
    oneStore: store !== 'sqlite',
    afterCrash: farewell.afterCrash,
    flushed,
    async spent() {
      const opened = await openStore(resolve(dataDir), store);
      try {
        const ask = askSpent(async () => opened.db);
        return await spentBefore(ask, Date.now() + redis.offsetMs);
      } finally {
        await opened.close();
      }
    },
    covers: isRemembered,
    onLost(lost) {
      if (lost)
        log.error(
          { whenLost },
          'alarm: limits cannot be shared: this node goes on with what it holds of them',
        );
      else log.info('limits are shared again');
    },
  });
  return {
    counters,
    async close() {
      await counters.close();
      if (!counters.isLost) farewell.said();
    },
  };
}
