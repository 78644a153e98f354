/**
 * What limits cost that several nodes share through a real Redis: how many calls wait for it, how much CPU a call takes
 * beside limits in memory, and how many commands Redis sees. Three nodes in this process, each with connections, counters
 * and a limiter of its own; calls come evenly, hold what they may need for a while, and use less.
 */
import type { Key, Limit } from '../src/config/snapshot.ts';
import { windowOf } from '../src/config/window.ts';
import { createMemoryCounters } from '../src/governance/counters-memory.ts';
import { createLimiter, type Limiter } from '../src/governance/limits.ts';
import type { SharedCounters } from '../src/governance/shared/shared-counters.ts';
import type { SharedRedis } from '../src/shared/redis.ts';
import { joinNode, type LimitNode, makeKeys, startRedis } from './limit-nodes.ts';

const nodes = 3;
const keys = 20;
/** Of each node. */
const callsPerSecond = 1_000;
const tickMs = 5;
const heldMs = 200;
const needs = { tokens: 1_200, nanoUsd: 4_000_000 };
const used = { tokens: 700, nanoUsd: 1_500_000 };

const limit = (unit: Limit['unit'], max: number, window = windowOf('minute')): Limit => ({
  unit,
  max,
  window: unit === 'concurrency' ? undefined : window,
  whenExhausted: 'cut',
  warn: [],
});
/** Six on the path of each call. */
const own = [limit('requests', 100_000), limit('usd', 500e9, windowOf('day')), limit('concurrency', 400)];
const teams = new Map([['web', { name: 'web', organisation: 'shop', limits: [limit('tokens', 1e9)] }]]);
const organisations = new Map([
  [
    'shop',
    {
      name: 'shop',
      limits: [limit('usd', 9e15, windowOf('month')), limit('requests', 1e8, windowOf('hour', true))],
    },
  ],
]);
const callers = makeKeys(keys, own);

interface Load {
  calls: number;
  refused: number;
  cpuUs: number;
}

/** The same calls on each of the limiters. */
async function drive(limiters: readonly Limiter[], seconds: number): Promise<Load> {
  const load: Load = { calls: 0, refused: 0, cpuUs: 0 };
  const call = async (limiter: Limiter, key: Key) => {
    load.calls++;
    try {
      const reserved = limiter.reserve(limiter.limitsOf({ teams, organisations }, key), needs, Date.now());
      const lease = reserved instanceof Promise ? await reserved : reserved;
      setTimeout(() => lease.settle(used, Date.now()), heldMs);
    } catch {
      load.refused++;
    }
  };
  const before = process.cpuUsage();
  const beganMs = performance.now();
  while (performance.now() - beganMs < seconds * 1000) {
    const due = Math.floor(((performance.now() - beganMs) * callsPerSecond * limiters.length) / 1000);
    while (load.calls < due) void call(limiters[load.calls % limiters.length]!, callers[load.calls % keys]!);
    await Bun.sleep(tickMs);
  }
  const { user, system } = process.cpuUsage(before);
  load.cpuUs = user + system;
  await Bun.sleep(heldMs + 50);
  return load;
}

async function commandsOf(link: SharedRedis): Promise<number> {
  const info = String(await link.send('INFO', 'stats'));
  return Number(/total_commands_processed:(\d+)/.exec(info)?.[1]);
}

export async function measureShared(seconds: number, progress: (line: string) => void): Promise<string> {
  const { port, process: server } = await startRedis();
  progress('limits in memory');
  const memory = Array.from({ length: nodes }, () => createLimiter(createMemoryCounters()));
  await drive(memory, 1);
  const alone = await drive(memory, seconds);
  progress('limits shared through Redis');
  const joined: LimitNode[] = [];
  for (let i = 0; i < nodes; i++) joined.push(await joinNode(port));
  const limiters = joined.map(({ limiter }) => limiter);
  await drive(limiters, 3);
  const sum = (of: (each: SharedCounters) => number) =>
    joined.reduce((total, { counters }) => total + of(counters), 0);
  const waitedBefore = sum(({ stats }) => stats.waited);
  const exchangesBefore = sum(({ stats }) => stats.exchanges);
  const commandsBefore = await commandsOf(joined[0]!.link);
  const shared = await drive(limiters, seconds);
  const commands = (await commandsOf(joined[0]!.link)) - commandsBefore;
  const waited = sum(({ stats }) => stats.waited) - waitedBefore;
  const exchanges = sum(({ stats }) => stats.exchanges) - exchangesBefore;
  for (const { counters } of joined) await counters.close();
  for (const { link } of joined) await link.close();
  await server.stop();
  const perCall = ({ cpuUs, calls }: Load) => cpuUs / calls;
  return [
    `${nodes} nodes, ${callsPerSecond} calls/s each, ${keys} keys, six limits on the path of a call, ${seconds} s`,
    `  calls that waited for Redis     ${((100 * waited) / shared.calls).toFixed(2)} % of ${shared.calls} (target: at most 5 %), ${shared.refused} refused`,
    `  CPU of a call, with its timers  ${perCall(alone).toFixed(1)} µs in memory, ${perCall(shared).toFixed(1)} µs shared`,
    `  messages about counters         ${(exchanges / seconds / nodes).toFixed(1)} a second and node`,
    `  commands Redis ran              ${(commands / seconds).toFixed(0)} a second, those of its scripts counted too`,
  ].join('\n');
}
