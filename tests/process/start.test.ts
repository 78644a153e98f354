/** The program as its users start and stop it. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sseEvents } from '../recordings.ts';
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

/** Curl that is no curl: then the line is tried by hand. */
const haveCurl = spawnSync('curl', ['--version']).status === 0;

const secretOf = (stdout: string): string => /API key +(\S+)/.exec(stdout)?.[1] ?? '';

describe.each(['node', 'bun'] as const)('started by %s', (by) => {
  test('the first start says all that is needed to call it, the second nothing secret', async () => {
    const first = start(['serve', '--port', '0'], { cwd: place.dir, by });
    const url = await first.listening();
    expect(url).toStartWith('http://127.0.0.1:');
    const key = secretOf(first.stdout());
    const token = /admin token +(\S+)/.exec(first.stdout())?.[1] ?? '';
    expect(key.length).toBeGreaterThan(20);
    expect(token.length).toBeGreaterThan(20);
    expect(token).not.toBe(key);
    const line = first
      .stdout()
      .split('\n')
      .find((each) => each.startsWith('curl '));
    expect(line).toBeDefined();
    if (haveCurl) {
      const { status, stdout } = spawnSync('sh', ['-c', line!.replace('curl ', 'curl -sS --fail ')], {
        encoding: 'utf8',
      });
      expect(status).toBe(0);
      expect(JSON.parse(stdout).choices[0].message.content).toBe('Hello, Sluice!');
    }
    expect(existsSync(join(place.dir, 'sluice-data'))).toBe(true);
    expect(await first.stop()).toBe(0);

    const second = start(['serve', '--port', '0'], { cwd: place.dir, by });
    const again = await second.listening();
    expect(second.stdout()).not.toInclude('API key');
    expect(second.stdout()).not.toInclude('admin token');
    expect(second.stdout() + second.stderr()).not.toInclude(key);
    expect((await ask(again, key, 'mock/echo')).status).toBe(200);
    expect(await second.stop()).toBe(0);
  });

  test('an interrupt from the terminal ends it as well', async () => {
    const program = start(['--port', '0'], { cwd: place.dir, by });
    await program.listening();
    program.child.kill('SIGINT');
    expect((await program.ended).code).toBe(0);
  });
});

describe('told to stop', () => {
  test('it lets an open stream come to its end, and takes no other call', async () => {
    const program = start(['--port', '0'], { cwd: place.dir, by: 'node' });
    const url = await program.listening();
    const key = secretOf(program.stdout());
    const response = await ask(url, key, 'mock/echo:chunks=20,delay=50ms', { stream: true });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader.read()).value ?? '';
    program.child.kill('SIGTERM');
    await waitFor(async () => {
      const refused = await ask(url, key, 'mock/echo').then(
        ({ status }) => status === 503,
        () => true,
      );
      return refused || undefined;
    });
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    const events = sseEvents(text);
    expect(events.at(-1)?.data).toBe('[DONE]');
    expect(events.length).toBeGreaterThan(20);
    expect((await program.ended).code).toBe(0);
    const usage = await run(['usage', '--format', 'json'], { cwd: place.dir });
    const rows = JSON.parse(usage.stdout) as { model: string }[];
    expect(rows.find(({ model }) => model.includes('chunks'))).toMatchObject({
      calls: 1,
      attempts: 1,
      estimated: 0,
    });
  });

  test('it does not wait for ever for one that hangs; that one ends with an error and is settled', async () => {
    writeFileSync(join(place.dir, 'sluice.yaml'), 'drain: 200ms\nproviders: { mock: {} }\n');
    const program = start(['--port', '0'], { cwd: place.dir });
    const url = await program.listening();
    const key = secretOf(program.stdout());
    const response = await ask(url, key, 'mock/stall:3', { stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    program.child.kill('SIGTERM');
    expect((await program.ended).code).toBe(0);
    const usage = await run(['usage', '--format', 'json'], { cwd: place.dir });
    expect(JSON.parse(usage.stdout)).toMatchObject([{ calls: 1, attempts: 1, estimated: 1 }]);
  });
});

describe('what keeps it from starting is said in one line', () => {
  /** Started with these arguments it ends with 1 after one line on standard error and nothing else. */
  const refusal = async (args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(['serve', ...args], { cwd: place.dir });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    return stderr;
  };

  test('another gateway has the data directory', async () => {
    const first = start(['--port', '0', '--data', 'd'], { cwd: place.dir });
    await first.listening();
    expect(await refusal(['--port', '0', '--data', 'd'])).toMatch(/in use by process \d+.*--data DIR/);
    expect(await first.stop()).toBe(0);
  });

  test('the port is taken', async () => {
    const other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() });
    expect(await refusal(['--port', String(other.port)])).toMatch(
      new RegExp(`Port ${other.port} .*--port N`),
    );
    await other.stop(true);
  });

  test('the data directory cannot be made', async () => {
    writeFileSync(join(place.dir, 'file'), '');
    expect(await refusal(['--port', '0', '--data', 'file/data'])).toInclude('file/data');
    expect(await refusal(['--port', '0', '--data', 'file'])).toInclude('file');
  });

  test('the data directory is no place for files', async () => {
    if (!existsSync('/proc/self')) return;
    expect(await refusal(['--port', '0', '--data', '/proc/sluice'])).toInclude('/proc/sluice');
  });

  test('the address is not this machine’s', async () => {
    writeFileSync(join(place.dir, 'sluice.yaml'), 'listen: 192.0.2.1:4000\n');
    expect(await refusal([])).toInclude('192.0.2.1');
  });
});

describe('a configuration', () => {
  const wrong = 'listen: 127.0.0.1:0\nmodles: {}\nproviders:\n  acme: { speaks: openai-chat }\n';

  test('that is wrong: check and serve name every mistake with its line, and end with 2', async () => {
    writeFileSync(join(place.dir, 'wrong.yaml'), wrong);
    for (const command of ['check', 'serve']) {
      const { code, stdout, stderr } = await run([command, '--config', 'wrong.yaml'], { cwd: place.dir });
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/wrong\.yaml:2:\d+.*modles.*models/);
      expect(stderr).toMatch(/wrong\.yaml:4:\d+.*url/);
    }
    expect(existsSync(join(place.dir, 'sluice-data'))).toBe(false);
  });

  test('that is right: check says what it sets up, and ends with 0', async () => {
    writeFileSync(join(place.dir, 'sluice.yaml'), 'providers: { mock: {} }\nmodels: { fast: mock/echo }\n');
    const { code, stdout, stderr } = await run(['check'], { cwd: place.dir });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toInclude('fast → mock/echo');
  });

  test('that does not exist', async () => {
    for (const command of ['check', 'serve']) {
      const { code, stderr } = await run([command, '--config', 'none.yaml'], { cwd: place.dir });
      expect(code).toBe(2);
      expect(stderr).toInclude('none.yaml');
    }
  });
});

test('help and wrong arguments', async () => {
  const help = await run(['--help'], { cwd: place.dir, by: 'node' });
  expect(help.code).toBe(0);
  for (const command of ['serve', 'check', 'keys', 'usage', 'mock']) expect(help.stdout).toInclude(command);
  const odd = await run(['serve', '--port', 'many'], { cwd: place.dir, by: 'node' });
  expect(odd.code).toBe(1);
  expect(odd.stderr).toInclude('0 to 65535');
  expect((await run(['fly'], { cwd: place.dir })).code).toBe(1);
});
