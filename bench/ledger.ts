/**
 * CPU that limits and journal add to a call, in this process and by themselves: reserving and settling with limits of key,
 * team and organisation in memory, two lines in the journal; and what the applier spends on them beside the calls' path.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../src/config/compile.ts';
import { readConfig } from '../src/config/load.ts';
import { newCallId } from '../src/core/id.ts';
import type { Names } from '../src/core/record.ts';
import { emptyUsage } from '../src/core/usage.ts';
import { createMemoryCounters } from '../src/governance/counters-memory.ts';
import type { Lease } from '../src/governance/leases.ts';
import { createLimiter } from '../src/governance/limits.ts';
import { followJournal } from '../src/ledger/follow.ts';
import { openJournal } from '../src/ledger/journal.ts';
import { openStore } from '../src/store/open.ts';

const callsPerRound = 50_000;
const rounds = 7;

const yaml = `
providers: { mock: {} }
keys:
  - { name: ci, key: sk-bench, team: web, limits: [{ usd: 100000, per: month }, { requests: 1000000000, per: minute }] }
teams: { web: { organisation: shop, limits: [{ usd: 100000, per: month }] } }
organisations: { shop: { limits: [{ usd: 100000, per: month }, { tokens: 1000000000000, per: day }] } }
`;

const names: Names = {
  key: 'key_ci',
  team: 'web',
  organisation: 'shop',
  model: 'fast',
  target: 'mock/echo',
  provider: 'mock',
  tags: '',
  priceSource: 'bench',
};

/** Microseconds of CPU of the whole process. */
function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export interface LedgerCosts {
  /** Microseconds of CPU a call, the median of several rounds. */
  limits: number;
  journal: number;
  /** The applier's, on a thread of its own, on SQLite. */
  applier: number;
}

export async function measureLedger(): Promise<LedgerCosts> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-ledger-'));
  const { config } = readConfig(yaml, {});
  const snapshot = compile(config!, { version: 1 });
  const key = [...snapshot.keys.values()][0]!;
  const limiter = createLimiter(createMemoryCounters());
  const journal = openJournal(dir);
  const store = await openStore(dir, 'sqlite');
  const follower = await followJournal(dir, store);
  const usage = { ...emptyUsage(), input: 1200, output: 300 };
  const spent = { tokens: 1500, nanoUsd: 4_200_000 };
  const estimate = { tokens: 5300, nanoUsd: 20_000_000 };

  function holdAndSettle(): void {
    const lease = limiter.reserve(limiter.limitsOf(snapshot, key), estimate, Date.now()) as Lease;
    lease.settle(spent, Date.now());
  }

  function writeLines(): void {
    const call = newCallId();
    const at = Date.now();
    const dispatch = { call, attempt: 1, at, names, stream: true, session: '', endUser: '' };
    const dispatched = { ...dispatch, reservedNanoUsd: estimate.nanoUsd };
    journal.dispatched(dispatched);
    journal.settled(dispatched, {
      call,
      attempt: 1,
      at: at + 900,
      final: true,
      outcome: 'ok',
      upstreamStatus: 200,
      clientStatus: 200,
      firstByteMs: 210,
      durationMs: 900,
      usage,
      estimated: false,
      nanoUsd: spent.nanoUsd,
      lost: [],
    });
  }

  function costOf(work: () => void): number {
    const before = cpuMicros();
    for (let i = 0; i < callsPerRound; i++) work();
    return (cpuMicros() - before) / callsPerRound;
  }

  const costs: Record<keyof LedgerCosts, number[]> = { limits: [], journal: [], applier: [] };
  try {
    for (let round = 0; round < rounds; round++) {
      costs.limits.push(costOf(holdAndSettle));
      costs.journal.push(costOf(writeLines));
      const before = cpuMicros();
      await follower.catchUp();
      costs.applier.push((cpuMicros() - before) / callsPerRound);
    }
  } finally {
    follower.close();
    await store.close();
    journal.close();
    rmSync(dir, { recursive: true, force: true });
  }
  const used = limiter.limitsOf(snapshot, key).map((limit) => limiter.look(limit, Date.now()).used);
  if (used.length !== 5 || used.includes(0)) throw new Error(`limits have counted ${used}`);
  const median = (values: number[]) => values.sort((a, b) => a - b)[rounds >> 1]!;
  return { limits: median(costs.limits), journal: median(costs.journal), applier: median(costs.applier) };
}

export function formatLedger({ limits, journal, applier }: LedgerCosts): string {
  const say = (micros: number) => micros.toFixed(2).padStart(8);
  return [
    `µs of CPU a call (median of ${rounds} rounds of ${callsPerRound})`,
    `  reserve and settle, five limits of three owners ${say(limits)}`,
    `  two lines of the journal                        ${say(journal)}`,
    `  on the call's path (target: at most 10)         ${say(limits + journal)}`,
    `  applier, beside it, on SQLite                   ${say(applier)}`,
  ].join('\n');
}
