/** What nodes share through Redis: limits, and what they learn of health. Nothing of it is loaded where there is one node only. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Alerts } from '../core/alert.ts';
import type { HealthChange } from '../core/health.ts';
import type { SharedNumbers } from '../core/shared-numbers.ts';
import type { SharedCounters } from '../governance/shared/shared-counters.ts';
import { isRemembered, spentBefore } from '../governance/spent-before.ts';
import type { Logger } from '../observe/log.ts';
import type { Health } from '../routing/health.ts';
import type { SharedRedis } from '../shared/redis.ts';
import { openStore } from '../store/open.ts';
import type { Configuration } from './configuration.ts';
import { allSpent, askSpent } from './ledger.ts';

export interface Sharing {
  /** Of limits that hold for all nodes together. */
  counters: SharedCounters;
  numbers(): SharedNumbers;
  /** Tells the others what this node has learned. */
  publish(change: HealthChange): void;
  /** From now on what others learn is adopted, and Redis is sought. */
  join(health: Health): void;
  /** Reports what limits have used, gives back what is held of them, lets go of Redis. */
  close(): Promise<void>;
}

export interface SharingOptions {
  /** Resolves when all that this node has settled so far is in the store. */
  flushed(): Promise<void>;
  alerts: Alerts;
  log: Logger;
}

/** Undefined where nothing is shared. */
export async function openSharing(
  configuration: Configuration,
  { flushed, alerts, log }: SharingOptions,
): Promise<Sharing | undefined> {
  const { settings } = configuration.snapshot();
  const { shared } = settings;
  if (shared === undefined) return undefined;
  const { openRedis } = await import('../shared/redis.ts');
  const { HealthChannel } = await import('../shared/health-channel.ts');
  const { whenLost } = shared;
  const node = `${hostname()}:${resolve(settings.dataDir)}`;
  const raise = (reason: string) => alerts.raise({ kind: 'shared', node, reason, whenLost, at: Date.now() });
  const redis = await openRedis(
    { url: shared.redis, prefix: shared.prefix },
    {
      onUp: () => log.info('connected to the Redis that nodes share'),
      onDown(reason) {
        log.error({ reason }, 'alarm: the Redis that nodes share is away');
        raise(reason);
      },
    },
  );
  const limits = await shareLimits(redis, configuration, {
    flushed,
    log,
    onLost(lost) {
      if (lost) {
        log.error(
          { whenLost },
          'alarm: limits cannot be shared: this node goes on with what it holds of them',
        );
        raise('it does not answer');
      } else log.info('limits are shared again');
    },
  });
  let health: Health | undefined;
  const channel = new HealthChannel(redis, {
    adopt(change) {
      health?.adopt(change);
      log.debug({ ...change }, 'another node has learned of health');
    },
  });
  return {
    counters: limits.counters,
    numbers: () => ({
      up: redis.up && !limits.counters.isLost,
      ...limits.counters.stats,
      ...limits.counters.numbers,
    }),
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
  configuration: Configuration,
  { flushed, log, onLost }: Pick<SharingOptions, 'flushed' | 'log'> & { onLost(lost: boolean): void },
): Promise<{ counters: SharedCounters; close(): Promise<void> }> {
  const { createSharedCounters } = await import('../governance/shared/shared-counters.ts');
  const { expectFarewell } = await import('../shared/farewell.ts');
  const { shared, dataDir, store } = configuration.snapshot().settings;
  const farewell = expectFarewell(resolve(dataDir));
  const counters = createSharedCounters(redis, {
    whenLost: shared!.whenLost,
    oneStore: store !== 'sqlite',
    afterCrash: farewell.afterCrash,
    flushed,
    async spent(windows) {
      const opened = await openStore(resolve(dataDir), store);
      const redisMs = Date.now() + redis.offsetMs;
      try {
        if (windows === undefined) return await allSpent(opened, configuration, redisMs);
        return await spentBefore(
          askSpent(async () => opened.db),
          redisMs,
          windows,
        );
      } finally {
        await opened.close();
      }
    },
    covers: isRemembered,
    onLost,
    onLate: ({ message }) =>
      log.warn({ error: message }, 'what new limits have to count is not known yet: it is asked for again'),
  });
  return {
    counters,
    async close() {
      await counters.close();
      if (!counters.isLost) farewell.said();
    },
  };
}
