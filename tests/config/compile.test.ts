/** The snapshot: everything a call needs, made ready from the configuration. */
import { describe, expect, test } from 'bun:test';
import { compile } from '../../src/config/compile.ts';
import { type Env, readConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Snapshot, Target } from '../../src/config/snapshot.ts';
import { windowOf } from '../../src/config/window.ts';
import { hashSecret } from '../../src/core/secret.ts';

const transport = async () => new Response('mock');

function snapshotOf(text: string, env: Env = {}): Snapshot {
  const { config, mistakes } = readConfig(text, env);
  expect(mistakes).toEqual([]);
  return compile(config as Config, { version: 3, transports: { mock: transport } });
}

function targetOf(snapshot: Snapshot, model: string): Target {
  const route = snapshot.resolve(model);
  if (route?.type !== 'target') throw new Error(`${model} is no single target`);
  return route.target;
}

function basesOf(target: Target): Record<string, string> {
  return Object.fromEntries(target.endpoints.map(({ dialect, base }) => [dialect.name, base]));
}

describe('providers', () => {
  test('of the catalogue need only a key; a pool has an entry each', () => {
    const { providers } = snapshotOf('providers: { openai: { key: o }, anthropic: { keys: [a, b] } }');
    expect(providers.get('openai')?.keys).toEqual([
      { id: 'openai#1', header: ['authorization', 'Bearer o'] },
    ]);
    expect(providers.get('anthropic')?.keys).toEqual([
      { id: 'anthropic#1', header: ['x-api-key', 'a'] },
      { id: 'anthropic#2', header: ['x-api-key', 'b'] },
    ]);
  });

  test('take the usual variable when the file names no key', () => {
    const { providers } = snapshotOf('providers: { openai: {} }', { OPENAI_API_KEY: 'o' });
    expect(providers.get('openai')?.keys[0]?.header).toEqual(['authorization', 'Bearer o']);
  });

  test('without a key send no header', () => {
    expect(snapshotOf('providers: { ollama: }').providers.get('ollama')?.keys).toEqual([
      { id: 'ollama#1', header: undefined },
    ]);
  });

  test('of your own: one dialect, a list, or a map of dialect to URL', () => {
    const snapshot = snapshotOf(`providers:
  one: { speaks: openai-chat, url: "http://a/v1/" }
  two: { speaks: [anthropic-messages, openai-chat], url: "http://b/v1", key: k }
  map: { speaks: { openai-chat: "http://c/v1", anthropic-messages: "http://d/v1" } }
  claude: { speaks: anthropic-messages, url: "http://e/v1", key: k }
  other: { speaks: anthropic-messages, url: "http://e/v1", key: k, auth: bearer }`);
    expect(basesOf(targetOf(snapshot, 'one/m'))).toEqual({ 'openai-chat': 'http://a/v1' });
    expect(targetOf(snapshot, 'two/m').endpoints.map(({ dialect }) => dialect.name)).toEqual([
      'anthropic-messages',
      'openai-chat',
    ]);
    expect(basesOf(targetOf(snapshot, 'map/m'))).toEqual({
      'openai-chat': 'http://c/v1',
      'anthropic-messages': 'http://d/v1',
    });
    expect(snapshot.providers.get('two')?.keys[0]?.header?.[0]).toBe('authorization');
    expect(snapshot.providers.get('claude')?.keys[0]?.header?.[0]).toBe('x-api-key');
    expect(snapshot.providers.get('other')?.keys[0]?.header?.[0]).toBe('authorization');
  });

  test('a url replaces the bases it stands for, and no dialect is guessed at the new host', () => {
    const snapshot = snapshotOf(
      'providers: { openrouter: { key: k, url: "http://r/v1" }, deepseek: { key: k, url: "http://d/v1" } }',
    );
    for (const base of Object.values(basesOf(targetOf(snapshot, 'openrouter/m'))))
      expect(base).toBe('http://r/v1');
    expect(basesOf(targetOf(snapshot, 'openrouter/m'))).toMatchObject({
      'openai-chat': 'http://r/v1',
      'anthropic-messages': 'http://r/v1',
    });
    expect(basesOf(targetOf(snapshot, 'deepseek/m'))).toEqual({ 'openai-chat': 'http://d/v1' });
  });

  test('time limits are what is written, else the defaults', () => {
    const { providers } = snapshotOf('providers: { mock: { timeout: { first_byte: 30s, total: 10m } } }');
    expect(providers.get('mock')?.timeouts).toEqual({
      connectMs: 10_000,
      firstByteMs: 30_000,
      idleMs: 120_000,
      minBytesPerS: 0,
      totalMs: 600_000,
      sessionMs: 600_000,
    });
  });

  test('mock answers inside the process, unless it is given a URL', () => {
    expect(snapshotOf('providers: { mock: }').providers.get('mock')?.transport).toBe(transport);
    const remote = snapshotOf('providers: { mock: { url: "http://127.0.0.1:9/v1" } }');
    expect(remote.providers.get('mock')?.transport).toBeUndefined();
    expect(basesOf(targetOf(remote, 'mock/echo'))['anthropic-messages']).toBe('http://127.0.0.1:9/v1');
  });
});

describe('models', () => {
  const snapshot = snapshotOf(`providers: { mock: , openai: { key: o } }
models:
  fast: openai/gpt-4.1-mini
  quick: fast
  smart: { fallback: [openai/gpt-5, { split: [{ to: quick, weight: 9 }, { to: mock/echo, weight: 0.5 }] }] }`);

  test('a target is ready to call', () => {
    expect(targetOf(snapshot, 'fast')).toMatchObject({
      id: 'openai/gpt-4.1-mini',
      model: 'gpt-4.1-mini',
      modelJson: '"gpt-4.1-mini"',
      price: { source: expect.stringMatching(/^genai-prices@\d/) },
    });
    expect(targetOf(snapshot, 'fast').endpoints[0]?.base).toBe('https://api.openai.com/v1');
  });

  test('an alias is the very route it names', () => {
    expect(snapshot.resolve('quick')).toBe(snapshot.resolve('fast')!);
  });

  test('trees keep their shape', () => {
    expect(snapshot.resolve('smart')).toMatchObject({
      type: 'fallback',
      children: [
        { type: 'target', target: { id: 'openai/gpt-5' } },
        {
          type: 'split',
          children: [
            { weight: 9, route: { target: { id: 'openai/gpt-4.1-mini' } } },
            { weight: 0.5, route: { target: { id: 'mock/echo' } } },
          ],
        },
      ],
    });
  });

  test('provider/model is a target by itself, the same each time, whatever slashes follow', () => {
    const route = snapshot.resolve('mock/a/b:c');
    expect(route).toMatchObject({ type: 'target', target: { provider: { name: 'mock' }, model: 'a/b:c' } });
    expect(snapshot.resolve('mock/a/b:c')).toBe(route!);
    expect(targetOf(snapshot, 'openai/gpt-4.1-mini')).toBe(targetOf(snapshot, 'fast'));
  });

  test('anything else is unknown', () => {
    for (const name of [
      '',
      'nope',
      'mock',
      'mock/',
      '/x',
      'groq/x',
      'constructor',
      'constructor/x',
      `mock/${'x'.repeat(300)}`,
    ]) {
      expect(snapshot.resolve(name)).toBeUndefined();
    }
  });

  test('clients cannot fill the memory with names: the oldest of a thousand goes', () => {
    const { resolve } = snapshotOf('providers: { mock: }');
    const first = resolve('mock/0');
    for (let i = 1; i < 1000; i++) resolve(`mock/${i}`);
    expect(resolve('mock/0')).toBe(first!);
    resolve('mock/1000');
    expect(resolve('mock/0')).not.toBe(first!);
  });

  test('lists name what is configured, then well-known models of the providers that are on', () => {
    expect(snapshot.listed.slice(0, 3)).toEqual(['fast', 'quick', 'smart']);
    expect(snapshot.listed).toContain('mock/echo');
    expect(snapshot.listed).toContain('openai/gpt-5');
    expect(snapshot.listed.some((name) => name.startsWith('anthropic/'))).toBe(false);
  });
});

test('keys are known by their hash, carry team and organisation, and count dollars in nano-dollars', () => {
  const snapshot = snapshotOf(`providers: { mock: }
keys:
  - { name: ci, key: secret, team: web, models: ["mock/*"], expires: 2030-01-31, limits: [{ usd: 0.5, per: day }, { concurrency: 8 }] }
  - { name: lone, key: other, disabled: true }
teams: { web: { organisation: shop, limits: [{ tokens: 1000, per: hour }] } }
organisations: { shop: { limits: [{ requests: 5, per: second }] } }`);
  expect(snapshot.keys.get(hashSecret('secret'))).toMatchObject({
    id: 'key_ci',
    name: 'ci',
    team: 'web',
    organisation: 'shop',
    restrictions: [{ owner: 'key', name: 'ci', models: { said: ['mock/*'] } }],
    limits: [
      { unit: 'usd', max: 500_000_000, window: windowOf('day'), whenExhausted: 'cut', warn: [50, 80, 100] },
      { unit: 'concurrency', max: 8, window: undefined, whenExhausted: 'cut', warn: [] },
    ],
    expiresAt: Date.UTC(2030, 0, 31),
    disabled: false,
  });
  expect(snapshot.keys.get(hashSecret('other'))).toMatchObject({
    team: 'default',
    organisation: 'default',
    disabled: true,
  });
  expect(snapshot.teams.get('web')?.limits).toMatchObject([
    { unit: 'tokens', max: 1000, window: windowOf('hour') },
  ]);
  expect(snapshot.organisations?.get('shop')?.limits).toMatchObject([
    { unit: 'requests', max: 5, window: windowOf('second') },
  ]);
  expect(hashSecret('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('settings are in the units their names say', () => {
  expect(snapshotOf('listen: "localhost:1"\ndata: /d\nlog: { level: debug }').settings).toEqual({
    host: 'localhost',
    port: 1,
    dataDir: '/d',
    store: 'sqlite',
    shared: undefined,
    bodyLimitBytes: 33_554_432,
    fileLimitBytes: 536_870_912,
    fetchMedia: 'public',
    drainMs: 30_000,
    journal: { limitBytes: 8 * 1024 ** 3, alarmBytes: 1024 ** 3 },
    retention: { callsMs: 400 * 86_400_000, plansMs: 30 * 86_400_000 },
    webhooks: [],
    logLevel: 'debug',
  });
});

test('no secret of a client is kept in the snapshot', () => {
  const snapshot = snapshotOf('keys: [{ name: a, key: sk-very-secret }]');
  expect(JSON.stringify([...snapshot.keys])).not.toContain('sk-very-secret');
});
