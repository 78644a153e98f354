/** Processes of the benchmark: started, measured through /proc, and stopped whatever happens. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Started {
  name: string;
  pid: number;
  /** What it wrote to its standard error and output last, for messages about its failure. */
  tail(): string;
  exited(): boolean;
  stop(): Promise<void>;
}

const running = new Set<Started>();

/** @returns once the process is spawned, not when it is ready. */
export function start(name: string, command: string[], env: Record<string, string> = {}): Started {
  const child = Bun.spawn(command, {
    env: { ...process.env, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  let said = '';
  const listen = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) said = (said + decoder.decode(bytes, { stream: true })).slice(-2000);
  };
  void listen(child.stdout);
  void listen(child.stderr);
  const started: Started = {
    name,
    pid: child.pid,
    tail: () => said.trim(),
    exited: () => child.exitCode !== null || child.signalCode !== null,
    async stop() {
      running.delete(started);
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      await child.exited;
      clearTimeout(late);
    },
  };
  running.add(started);
  return started;
}

/** Ends all that runs, without waiting: for the way out. SIGTERM, as nginx's worker would outlive a killed master. */
export function stopAll(signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const { pid } of running) {
    try {
      process.kill(pid, signal);
    } catch {
      // It is gone already.
    }
  }
}

/** @returns a port that nothing listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The process and its children: nginx works in a child. */
export function familyOf(pid: number): number[] {
  const family = [pid];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    // After the name, which may hold spaces: state, parent.
    const [, parent] = statFields(`/proc/${entry}/stat`);
    if (Number(parent) === pid) family.push(Number(entry));
  }
  return family;
}

function statFields(path: string): string[] {
  try {
    const text = readFileSync(path, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

const ticksPerSecond = Number(Bun.spawnSync(['getconf', 'CLK_TCK']).stdout.toString()) || 100;

/** CPU time so far, in the two ways the kernel tells it. */
export interface Cpu {
  /** Whole processes, in steps of a tick (10 ms). */
  tickMicros: number;
  /** Threads that live, to the nanosecond. */
  threadMicros: number;
}

/** User and system time of the processes with all their threads, in µs since they started. */
export function readCpu(pids: number[]): Cpu {
  const cpu: Cpu = { tickMicros: 0, threadMicros: 0 };
  for (const pid of pids) {
    const fields = statFields(`/proc/${pid}/stat`);
    cpu.tickMicros += ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
    for (const spent of threadsOf(pid).values()) cpu.threadMicros += spent;
  }
  return cpu;
}

/** CPU time by thread, in µs; nothing where the kernel does not say. */
function threadsOf(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const spent = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0];
      threads.set(task, Number(spent) / 1000);
    }
  } catch {
    // A thread ended in between: its time is missed here, and the ticks have it.
  }
  return threads;
}

/** @returns µs between two readings: by threads as that is exact, by ticks where threads have ended or are not told. */
export function cpuBetween(from: Cpu, to: Cpu): number {
  const ticks = to.tickMicros - from.tickMicros;
  const threads = to.threadMicros - from.threadMicros;
  const twoTicks = 2e6 / ticksPerSecond;
  return ticks - threads > twoTicks ? ticks : threads;
}

/**
 * Waits until the processes have nothing left to do: what they do after the last answer, such as writing calls into a
 * database, belongs to the calls.
 * @returns false when they were still at work after `maxMs`.
 */
export async function becomeIdle(pids: number[], maxMs: number): Promise<boolean> {
  const until = performance.now() + maxMs;
  let before = readCpu(pids);
  let idle = 0;
  while (performance.now() < until) {
    await sleep(50);
    const now = readCpu(pids);
    // Less than 4 % of a core, three times in a row.
    idle = cpuBetween(before, now) < 2000 ? idle + 1 : 0;
    if (idle === 3) return true;
    before = now;
  }
  return false;
}

/** Resident memory of the processes, in MB. */
export function readRssMb(pids: number[]): number {
  let kb = 0;
  for (const pid of pids) {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    kb += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }
  return kb / 1024;
}
