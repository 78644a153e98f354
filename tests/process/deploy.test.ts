/** The files of deploy/ fit each other, and the program. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/load.ts';
import { run } from './program.ts';

const deploy = join(import.meta.dir, '../../deploy');
const read = (name: string) => readFileSync(join(deploy, name), 'utf8');

interface Service {
  environment?: Record<string, string>;
  env_file?: string;
  volumes?: string[];
  stop_grace_period?: string;
  depends_on?: Record<string, unknown>;
}

const services: Record<string, Service> = parse(read('compose.yaml'), { merge: true }).services;
const nodes = Object.entries(services).filter(([name]) => name.startsWith('sluice-'));

/** `${NAME:-default}`, as it is where nothing is set. */
const plain = (text: string) => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');

function environmentOf({ environment = {} }: Service): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, plain(value)]));
}

/** Variables that are named in the environment's file, all of them empty but those with a default. */
const example = new Map(
  read('.env.example')
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .map((line) => line.split('=') as [string, string]),
);

describe('deploy/', () => {
  test('has two nodes, each with a data directory of its own', () => {
    expect(nodes.map(([name]) => name)).toEqual(['sluice-1', 'sluice-2']);
    const data = nodes.map(([, { volumes = [] }]) => volumes.filter((each) => each.endsWith(':/data')));
    expect(new Set(data.flat()).size).toBe(2);
    for (const [name] of nodes) expect(read('nginx.conf')).toContain(`server ${name}:4000`);
  });

  test.each(nodes)('%s has all that sluice.yaml asks of the environment', async (_, service) => {
    const file = join(deploy, 'sluice.yaml');
    const asked = [...read('sluice.yaml').matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name!);
    expect(asked.length).toBeGreaterThan(0);
    const env = environmentOf(service);
    expect(Object.keys(env)).toEqual(expect.arrayContaining(asked));
    const checked = await run(['check', file], { cwd: deploy, by: 'node', env });
    expect(checked).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('is valid') });
    for (const missing of asked) {
      const { [missing]: _left, ...rest } = env;
      const { code, stderr } = await run(['check', file], { cwd: deploy, by: 'node', env: rest });
      expect([code, stderr]).toEqual([2, expect.stringContaining(missing)]);
    }
  });

  test.each(nodes)('%s reaches the database and the Redis that are there', (_, service) => {
    const { SLUICE_STORE = '', SLUICE_SHARED = '' } = environmentOf(service);
    const store = new URL(SLUICE_STORE);
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = environmentOf(services[store.hostname]!);
    const { username, password, pathname } = store;
    expect([username, password, pathname]).toEqual([POSTGRES_USER!, POSTGRES_PASSWORD!, `/${POSTGRES_DB}`]);
    const redis = new URL(SLUICE_SHARED).hostname;
    expect(Object.keys(services)).toContain(redis);
    expect(Object.keys(service.depends_on ?? {})).toEqual([store.hostname, redis]);
    expect(service.env_file).toBe('.env');
    for (const [, name] of read('compose.yaml').matchAll(/\$\{(\w+)/g)) expect(example.has(name!)).toBe(true);
  });

  test.each(nodes)('%s is given longer to stop than its calls are', (_, service) => {
    const { config } = readConfig(read('sluice.yaml'), environmentOf(service));
    const [, seconds] = /^(\d+)s$/.exec(service.stop_grace_period!)!;
    expect(Number(seconds) * 1000).toBeGreaterThan(config!.drain + 5_000);
  });
});
