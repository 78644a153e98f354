/** Load of whole calls: wrk against one contender, with the CPU time the contender took for it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { httpBytes, type Sent } from './asks.ts';
import type { Contender } from './contenders.ts';
import { becomeIdle, cpuBetween, readCpu } from './processes.ts';

export interface Load {
  /** Sent in turn. */
  requests: readonly Sent[];
  connections: number;
  seconds: number;
  /** Every answer must have this text in it; undefined: only its status is looked at. */
  expect?: string;
}

export interface Sample {
  cpuMicrosPerCall: number;
  callsPerSecond: number;
  p50Micros: number;
  p99Micros: number;
}

interface WrkFigures {
  calls: number;
  micros: number;
  p50: number;
  p99: number;
  refused: number;
  broken: number;
  wrong: number;
}

const script = fileURLToPath(new URL('call.lua', import.meta.url));

/** @throws Error when a call failed: figures of errors are no figures. */
export async function measureCalls(contender: Contender, load: Load, scratch: string): Promise<Sample> {
  const before = readCpu(contender.pids);
  const figures = await runWrk(contender, load, scratch);
  await becomeIdle(contender.pids, 5000);
  const cpuMicros = cpuBetween(before, readCpu(contender.pids));
  return {
    cpuMicrosPerCall: cpuMicros / figures.calls,
    callsPerSecond: (figures.calls / figures.micros) * 1e6,
    p50Micros: figures.p50,
    p99Micros: figures.p99,
  };
}

/** Load whose figures nobody wants: code is compiled, connections and memory are there. */
export async function warmUp(contender: Contender, load: Load, scratch: string): Promise<void> {
  await runWrk(contender, load, scratch);
  await becomeIdle(contender.pids, 5000);
}

async function runWrk(contender: Contender, load: Load, scratch: string): Promise<WrkFigures> {
  const prefix = join(scratch, 'request-');
  load.requests.forEach((sent, i) => {
    writeFileSync(`${prefix}${i + 1}`, httpBytes(sent, contender.port));
  });
  const url = `http://127.0.0.1:${contender.port}/`;
  const flags = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '30s', '-s', script];
  const wrk = Bun.spawn(['wrk', ...flags, url], {
    env: {
      ...process.env,
      BENCH_REQUESTS: String(load.requests.length),
      BENCH_REQUEST: prefix,
      BENCH_EXPECT: load.expect ?? '',
    },
    stderr: 'pipe',
    timeout: (load.seconds + 40) * 1000,
  });
  const [said, complaint] = await Promise.all([
    new Response(wrk.stdout).text(),
    new Response(wrk.stderr).text(),
  ]);
  const line = /^FIGURES (.*)$/m.exec(said)?.[1];
  if (line === undefined) throw new Error(`wrk failed: ${(complaint || said).trim()}`);
  const figures = JSON.parse(line) as WrkFigures;
  if (figures.calls === 0) throw new Error('no call came back');
  const failed = figures.refused + figures.broken + figures.wrong;
  if (failed > 0) throw new Error(`${failed} of ${figures.calls} calls failed`);
  return figures;
}
