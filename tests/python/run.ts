/**
 * Runs the tests of the official clients for Python against a gateway of its own. Without Python they are skipped, save
 * with `--required`: then that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { raiseStage } from '../conformance/replayed.ts';
import { key } from '../e2e/gateway.ts';

const root = join(import.meta.dir, '../..');
/** Packages for Python go into a folder of their own. */
const environment = join(root, '.venv');
const python = join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
const requirements = join(import.meta.dir, 'requirements.txt');

function run(command: string, args: readonly string[]): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim().split('\n').at(-1) || `it ended with ${status}`;
}

/** Installs the clients, once. @returns why that cannot be. */
function install(): string | undefined {
  const stamp = join(environment, 'installed.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  const failure =
    run('python3', ['-m', 'venv', environment]) ??
    run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
  if (failure === undefined) writeFileSync(stamp, wanted);
  return failure;
}

/** The tests run in a process of their own, while this one serves. */
async function runTests(): Promise<{ output: string; code: number }> {
  const stage = await raiseStage(key);
  try {
    const tests = Bun.spawn([python, '-m', 'unittest', 'discover', '--start-directory', import.meta.dir], {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '',
        PYTHONDONTWRITEBYTECODE: '1',
        SLUICE_URL: stage.gateway.url,
        SLUICE_KEY: key,
      },
      stdout: 'inherit',
      stderr: 'pipe',
    });
    const output = await new Response(tests.stderr).text();
    return { output, code: await tests.exited };
  } finally {
    await stage.stop();
  }
}

const missing = install();
if (missing !== undefined) {
  process.stderr.write(`The tests of the clients for Python are skipped: ${missing}\n`);
  process.exit(process.argv.includes('--required') ? 1 : 0);
}
const { output, code } = await runTests();
process.stderr.write(output);
const all = Number(/^Ran (\d+) tests?/m.exec(output)?.[1] ?? 0);
/** Tests that failed, however many of their parts did. */
const failed = new Set([...output.matchAll(/^(?:FAIL|ERROR): (\S+ \([\w.]+\))/gm)].map((match) => match[1]))
  .size;
process.stdout.write(`python: ${all - failed} passed, ${failed} failed\n`);
process.exit(code === 0 && all > 0 ? 0 : 1);
