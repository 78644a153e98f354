/** The launcher stands in for Bun: what goes in and comes out is as if Bun had been started itself. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const launcher = join(import.meta.dir, '../../bin/run-bun.cjs');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-launch-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function launch(script: string, env: Record<string, string | undefined> = {}, args: string[] = []) {
  const file = join(folder, 'script.ts');
  writeFileSync(file, script);
  return Bun.spawn(['node', launcher, file, ...args], {
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, ...env },
  });
}

test('arguments go in, output and exit code come out', async () => {
  const run = launch('console.log(process.argv.slice(2).join()); console.error("e"); process.exit(7)', {}, [
    'a',
    '--b',
  ]);
  expect(await run.exited).toBe(7);
  expect(await new Response(run.stdout).text()).toBe('a,--b\n');
  expect(await new Response(run.stderr).text()).toBe('e\n');
});

test('many upstream requests at once are allowed for, unless the environment says otherwise', async () => {
  const script = 'console.log(process.env.BUN_CONFIG_MAX_HTTP_REQUESTS)';
  const told = launch(script, { BUN_CONFIG_MAX_HTTP_REQUESTS: '9' });
  expect(await new Response(told.stdout).text()).toBe('9\n');
  const untold = launch(script, { BUN_CONFIG_MAX_HTTP_REQUESTS: undefined });
  expect(await new Response(untold.stdout).text()).toBe('65336\n');
});

test('a signal that comes twice at once is passed on once', async () => {
  const run = launch(`let heard = 0;
process.on('SIGTERM', () => { if (heard++ === 0) setTimeout(() => { console.log(heard); process.exit(3); }, 200); });
setInterval(() => {}, 1000);
console.log('ready');`);
  const reader = run.stdout.getReader();
  const first = await reader.read();
  expect(new TextDecoder().decode(first.value)).toBe('ready\n');
  run.kill('SIGTERM');
  run.kill('SIGTERM');
  expect(await run.exited).toBe(3);
  expect(new TextDecoder().decode((await reader.read()).value)).toBe('1\n');
});

test('when Bun dies of a signal, so does the launcher', async () => {
  const run = launch("process.kill(process.pid, 'SIGKILL')");
  await run.exited;
  expect(run.signalCode).toBe('SIGKILL');
});
