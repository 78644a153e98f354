/** A gateway that runs learns what changes: its configuration, its keys; and tells what was used. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, killRunning, makePlace, type Place, run, start, waitFor } from './program.ts';

let place: Place;

beforeEach(() => {
  place = makePlace();
});
afterEach(() => {
  killRunning();
  place.remove();
});
afterAll(killRunning);

const config = (models: string): string =>
  `listen: 127.0.0.1:0\nproviders: { mock: {} }\nkeys: [{ name: test, key: sk-test }]\nmodels: { ${models} }\n`;

const statusOf = async (url: string, model: string, key = 'sk-test'): Promise<number> =>
  (await ask(url, key, model)).status;

/** Until the gateway answers so. */
const becomes = (status: number, url: string, model: string, key?: string) =>
  waitFor(async () => ((await statusOf(url, model, key)) === status ? true : undefined));

describe('the configuration file', () => {
  test('is read again when it changes; a wrong one changes nothing', async () => {
    const file = join(place.dir, 'sluice.yaml');
    writeFileSync(file, config('old: mock/echo'));
    const program = start([], { cwd: place.dir });
    const url = await program.listening();
    expect(await statusOf(url, 'old')).toBe(200);
    expect(await statusOf(url, 'new')).toBe(404);

    writeFileSync(file, config('old: mock/echo, new: mock/echo'));
    await becomes(200, url, 'new');
    expect(await statusOf(url, 'old')).toBe(200);

    writeFileSync(file, config('newer: mock/echo').replace('models', 'modles'));
    const said = () => program.stdout() + program.stderr();
    await waitFor(() => (said().includes('modles') ? true : undefined));
    expect(said()).toInclude('sluice.yaml:4');
    expect(await statusOf(url, 'new')).toBe(200);
    expect(await statusOf(url, 'newer')).toBe(404);

    // As editors do it: a new file is moved over the old one.
    writeFileSync(join(place.dir, 'next.tmp'), config('newest: mock/echo'));
    renameSync(join(place.dir, 'next.tmp'), file);
    await becomes(200, url, 'newest');
    expect(await statusOf(url, 'new')).toBe(404);
    expect(await program.stop()).toBe(0);
  });

  test('teams and keys of it change with it, also what keys of the store belong to', async () => {
    const file = join(place.dir, 'sluice.yaml');
    const yaml = (team: string, key: string) =>
      `listen: 127.0.0.1:0\nproviders: { mock: {} }\nkeys: [{ name: test, team: web, ${key} }]\nteams: { web: { ${team} } }\n`;
    writeFileSync(file, yaml('', 'key: sk-test'));
    const program = start([], { cwd: place.dir });
    const url = await program.listening();
    const made = await run(['keys', 'create', '--name', 'ann', '--team', 'web'], { cwd: place.dir });
    const ann = made.stdout.trim();
    await becomes(200, url, 'mock/echo', ann);
    expect(await statusOf(url, 'mock/echo')).toBe(200);

    writeFileSync(file, yaml('models: [other/*]', 'key: sk-test'));
    await becomes(403, url, 'mock/echo');
    expect(await statusOf(url, 'mock/echo', ann)).toBe(403);

    writeFileSync(file, yaml('', 'key: sk-next, previous: { key: sk-test, until: 2100-01-01 }'));
    await becomes(200, url, 'mock/echo', 'sk-next');
    expect(await statusOf(url, 'mock/echo')).toBe(200);
    expect(await statusOf(url, 'mock/echo', ann)).toBe(200);

    writeFileSync(file, yaml('disabled: true', 'key: sk-next'));
    await becomes(403, url, 'mock/echo', 'sk-next');
    expect(await statusOf(url, 'mock/echo', ann)).toBe(403);
    expect(await statusOf(url, 'mock/echo')).toBe(401);
    expect(await program.stop()).toBe(0);
  });

  test('is read again on SIGHUP, through the launcher too', async () => {
    // A change behind a link is not seen by itself.
    mkdirSync(join(place.dir, 'elsewhere'));
    const file = join(place.dir, 'elsewhere', 'real.yaml');
    writeFileSync(file, config('old: mock/echo'));
    symlinkSync(file, join(place.dir, 'sluice.yaml'));
    const program = start([], { cwd: place.dir, by: 'node' });
    const url = await program.listening();
    writeFileSync(file, config('new: mock/echo'));
    expect(await statusOf(url, 'old')).toBe(200);
    program.child.kill('SIGHUP');
    await becomes(200, url, 'new');
    expect(await statusOf(url, 'old')).toBe(404);
    expect(await program.stop()).toBe(0);
  });

  test('a stream that is open when it changes goes on', async () => {
    const file = join(place.dir, 'sluice.yaml');
    writeFileSync(file, config('slow: mock/echo:chunks=20&delay=50ms'));
    const program = start([], { cwd: place.dir });
    const url = await program.listening();
    const response = await ask(url, 'sk-test', 'slow', { stream: true });
    writeFileSync(file, config('new: mock/echo'));
    await becomes(200, url, 'new');
    const text = await response.text();
    expect(text.trimEnd()).toEndWith('data: [DONE]');
    expect(await program.stop()).toBe(0);
  });

  test('SIGHUP without a file is no reason to die', async () => {
    const program = start(['--port', '0'], { cwd: place.dir });
    const url = await program.listening();
    program.child.kill('SIGHUP');
    await waitFor(() =>
      (program.stdout() + program.stderr()).includes('nothing to load anew') ? true : undefined,
    );
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(await program.stop()).toBe(0);
  });
});

test('keys are made and revoked while it runs', async () => {
  const program = start(['--port', '0'], { cwd: place.dir });
  const url = await program.listening();
  const made = await run(
    ['keys', 'create', '--name', 'ann', '--models', 'mock/echo', '--limit', 'requests=1000/day'],
    { cwd: place.dir },
  );
  expect(made.code).toBe(0);
  const secret = made.stdout.split('\n')[0]!;
  const since = performance.now();
  await becomes(200, url, 'mock/echo', secret);
  expect(await statusOf(url, 'mock/reason', secret)).toBe(403);
  const took = performance.now() - since;

  const list = await run(['keys', 'list', '--format', 'json'], { cwd: place.dir });
  const listed = JSON.parse(list.stdout);
  expect(listed.find(({ name }: { name: string }) => name === 'ann')).toMatchObject({
    models: ['mock/echo'],
    limits: [{ requests: 1000, per: 'day' }],
    state: 'active',
  });
  expect(list.stdout).not.toInclude(secret);

  const revoked = await run(['keys', 'revoke', 'ann'], { cwd: place.dir });
  expect(revoked.code).toBe(0);
  await waitFor(
    async () => ((await statusOf(url, 'mock/echo', secret)) === 401 ? true : undefined),
    2000 + took,
  );
  expect((await run(['keys', 'revoke', 'nobody'], { cwd: place.dir })).code).toBe(1);
  expect(await program.stop()).toBe(0);

  // The name stays in the books.
  const usage = await run(['usage', '--by', 'key', '--format', 'json'], { cwd: place.dir });
  expect(JSON.parse(usage.stdout)).toMatchObject([{ key: 'ann' }]);
});

test('usage is told while it runs, in every form', async () => {
  writeFileSync(join(place.dir, 'sluice.yaml'), config('fast: mock/usage:input=1000&output=500'));
  const program = start([], { cwd: place.dir });
  const url = await program.listening();
  for (let i = 0; i < 3; i++) expect(await statusOf(url, 'fast')).toBe(200);
  const row = {
    calls: 3,
    attempts: 3,
    unpriced: 0,
    estimated: 0,
    input_tokens: 3000,
    cached_tokens: 0,
    output_tokens: 1500,
    usd: '0.006',
    sell_usd: '0.006',
  };
  const usage = async (...flags: string[]) => (await run(['usage', ...flags], { cwd: place.dir })).stdout;
  await waitFor(async () => (JSON.parse(await usage('--format', 'json'))[0]?.calls === 3 ? true : undefined));
  expect(JSON.parse(await usage('--by', 'model', '--format', 'json'))).toEqual([{ model: 'fast', ...row }]);
  expect(JSON.parse(await usage('--by', 'key', '--format', 'json'))).toEqual([{ key: 'test', ...row }]);
  expect(JSON.parse(await usage('--by', 'provider', '--format', 'json', '--since', '1h'))).toEqual([
    { provider: 'mock', ...row },
  ]);
  expect(JSON.parse(await usage('--by', 'model', '--format', 'json', '--until', '2020-01-01'))).toEqual([]);
  expect(await usage('--format', 'csv')).toInclude('fast,3,3,0,0,3000,0,1500,0.006');
  expect(await usage()).toMatch(/fast +3 +3 +0 +0 +3,000 +0 +1,500 +0\.006/);
  expect(await program.stop()).toBe(0);
});
