/** The real program in a process of its own: started, heard, asked and ended, for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dir, '../..');

/** How it is started: by the launcher that Node runs, or by Bun itself, whose process is then the gateway's own. */
const commands = {
  node: ['node', join(root, 'bin/sluice')],
  bun: [process.execPath, join(root, 'src/main.ts')],
} as const;

export interface Program {
  child: ChildProcess;
  /** All it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves with the gateway's URL as soon as it listens. @throws what it said when it ended instead. */
  listening(): Promise<string>;
  /** Resolves when it has ended. `code` is null when a signal ended it. */
  ended: Promise<{ code: number | null; signal: string | null }>;
  /** Asks it to stop and waits for it. */
  stop(): Promise<number | null>;
}

export interface Place {
  dir: string;
  remove(): void;
}

/** An empty directory to work in. */
export function makePlace(): Place {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-process-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Only what a machine without any provider account has set. */
const environment = (): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  TZ: 'UTC',
});

const running = new Set<ChildProcess>();

export function start(
  args: readonly string[],
  options: { cwd: string; by?: keyof typeof commands; env?: object },
): Program {
  const [command, file] = commands[options.by ?? 'bun'];
  const child = spawn(command, [file, ...args], {
    cwd: options.cwd,
    env: { ...environment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  const program: Program = {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    async listening() {
      const url = await waitFor(() => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`It ended: ${stdout}${stderr}`);
        // The banner is written at once: its last line is there when an empty one is.
        return stdout.includes('\n\n') ? /listening on (http:\/\/\S+)/.exec(stdout)?.[1] : undefined;
      });
      return url;
    },
    async stop() {
      child.kill('SIGTERM');
      return (await ended).code;
    },
  };
  return program;
}

/** Runs a command to its end. */
export async function run(
  args: readonly string[],
  options: { cwd: string; by?: keyof typeof commands; env?: object },
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const program = start(args, options);
  const { code } = await program.ended;
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

/** Ends what a failed test left running. */
export function killRunning(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** The first value that is not undefined, asked for again and again. */
export async function waitFor<T>(
  get: () => T | undefined | Promise<T | undefined>,
  waitMs = 60_000,
): Promise<T> {
  const end = performance.now() + waitMs;
  for (;;) {
    const value = await get();
    if (value !== undefined) return value;
    if (performance.now() > end) throw new Error(`What was waited for did not happen within ${waitMs} ms.`);
    await Bun.sleep(10);
  }
}

/** Asks with the given key. */
export function ask(url: string, key: string, model: string, rest: object = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...rest }),
  });
}
