/**
 * How limits spread in a fleet, and what the Redis they share sees of it: the gateway's own counters on many nodes, with a
 * real Redis. All nodes spend one budget until nothing is left of it. `bun bench/fleet-limits.ts [nodes] [calls/s of a node]`.
 */
import type { Limit } from '../src/config/snapshot.ts';
import { windowOf } from '../src/config/window.ts';
import type { SharedCounters } from '../src/governance/shared/shared-counters.ts';
import { joinNode, type LimitNode, makeKeys, startRedis } from './limit-nodes.ts';
import { stopAll } from './processes.ts';

const nodes = Number(process.argv[2] ?? 1000);
const callsPerSecond = Number(process.argv[3] ?? 1);
/** The budget lasts so long. */
const seconds = 30;
/** All nodes are there and have their slices by then. */
const settledSeconds = 10;
const heldMs = 500;
const needs = { tokens: 1_000, nanoUsd: 4_000_000 };
const used = { tokens: 600, nanoUsd: 2_400_000 };
const calls = nodes * callsPerSecond * seconds;

const limit = (unit: Limit['unit'], max: number): Limit => ({
  unit,
  max,
  window: windowOf('month'),
  whenExhausted: 'cut',
  warn: [],
});
/** One budget for all, and a limit that nobody reaches for each key. */
const organisations = new Map([
  ['shop', { name: 'shop', limits: [limit('usd', calls * used.nanoUsd), limit('requests', calls * 100)] }],
]);
const teams = new Map([['web', { name: 'web', organisation: 'shop', limits: [] }]]);
const keys = makeKeys(5, [limit('tokens', calls * 1_000_000)]);

const { port } = await startRedis();
const fleet: LimitNode[] = [];
for (let i = 0; i < nodes; i++) {
  fleet.push(await joinNode(port));
  // As they come in a rolling start, not all within one second.
  if (i % 20 === 19) await Bun.sleep(50);
}

let made = 0;
let spent = 0;
/** When each node was refused first, of those to which nothing was granted since. */
const refusedAt = new Map<number, number>();
const call = async (node: number) => {
  const key = keys[Math.floor(Math.random() * keys.length)]!;
  const limiter = fleet[node]!.limiter;
  made++;
  try {
    const reserved = limiter.reserve(limiter.limitsOf({ teams, organisations }, key), needs, Date.now());
    const lease = reserved instanceof Promise ? await reserved : reserved;
    refusedAt.delete(node);
    setTimeout(() => {
      lease.settle(used, Date.now());
      spent += used.nanoUsd;
    }, heldMs);
  } catch {
    if (!refusedAt.has(node)) refusedAt.set(node, performance.now());
  }
};

async function readRedis(): Promise<{ cpuS: number; bytes: number }> {
  const { link } = fleet[0]!;
  const info = `${await link.send('INFO', 'stats')}${await link.send('INFO', 'cpu')}`;
  const read = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1]);
  return {
    cpuS: read('used_cpu_user') + read('used_cpu_sys'),
    bytes: read('total_net_input_bytes') + read('total_net_output_bytes'),
  };
}

const sum = (of: (each: SharedCounters) => number) =>
  fleet.reduce((total, { counters }) => total + of(counters), 0);
const drive = async (until: () => boolean) => {
  const beganMs = performance.now();
  for (let due = 0; !until(); await Bun.sleep(5)) {
    const wanted = ((performance.now() - beganMs) * callsPerSecond * nodes) / 1000;
    for (; due < wanted; due++) void call(Math.floor(Math.random() * nodes));
  }
};
const after = (s: number) => {
  const endMs = performance.now() + s * 1000;
  return () => performance.now() > endMs;
};

await drive(after(settledSeconds));
const [before, exchangesBefore, waitedBefore, madeBefore] = [
  await readRedis(),
  sum(({ stats }) => stats.exchanges),
  sum(({ stats }) => stats.waited),
  made,
];
const lookSeconds = 10;
await drive(after(lookSeconds));
const now = await readRedis();
const exchanges = sum(({ stats }) => stats.exchanges) - exchangesBefore;
const waited = sum(({ stats }) => stats.waited) - waitedBefore;
const looked = made - madeBefore;
const giveUp = after(120);
await drive(() => refusedAt.size >= nodes * 0.99 || giveUp());
const times = [...refusedAt.values()].sort((a, b) => a - b);
await Bun.sleep(heldMs + 100);
const full = (100 * spent) / (calls * used.nanoUsd);

process.stdout.write(`${nodes} nodes, ${callsPerSecond} calls/s each, three shared limits on the path of a call.
  messages about limits        ${(exchanges / lookSeconds).toFixed(0)} a second in all, ${(exchanges / lookSeconds / nodes).toFixed(1)} a node
  Redis                        ${((100 * (now.cpuS - before.cpuS)) / lookSeconds).toFixed(0)} % of a core, ${((1e6 * (now.cpuS - before.cpuS)) / exchanges).toFixed(0)} µs a message, ${((now.bytes - before.bytes) / lookSeconds / 1e6).toFixed(1)} MB/s
  times that a call waited     ${((100 * waited) / looked).toFixed(2)} for 100 calls
  spent when all were refused  ${full.toFixed(2)} % of the budget
  from the first refusal until half of the nodes refused ${((times[times.length >> 1]! - times[0]!) / 1000).toFixed(1)} s, 99 of 100 ${((times.at(-1)! - times[0]!) / 1000).toFixed(1)} s
`);
stopAll('SIGKILL');
process.exit(0);
