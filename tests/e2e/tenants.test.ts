/** Organisations, teams, keys and end users over sockets: who may ask for what, from where, how much, and until when. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/core/json.ts';
import { noFile } from '../../src/core/tenants.ts';
import { createKey, revokeKey, rotateKey, updateKey } from '../../src/store/keys.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { createTenant, updateTenant } from '../../src/store/tenants.ts';
import { startGateway, type TestGateway, until } from './gateway.ts';
import { Client } from './realtime-peers.ts';

const config = `
providers: { mock: }
models: { fast: mock/echo, other: mock/echo }
trusted_proxies: [127.0.0.1, "10.0.0.0/8"]
organisations:
  shop: { models: [fast, "mock/*"] }
  shut: { disabled: true }
  off: {}
teams:
  web: { organisation: shop, operations: [chat, embeddings] }
  shut: { organisation: shut }
  off: { organisation: off, disabled: true }
  users: { end_users: { limits: [{ requests: 2, per: day }] } }
keys:
  - { name: free, key: sk-free }
  - { name: narrow, key: sk-narrow, team: web, models: [fast, other] }
  - { name: embedder, key: sk-embedder, operations: [embeddings] }
  - { name: chatter, key: sk-chatter, operations: [chat] }
  - { name: home, key: sk-home, addresses: ["192.0.2.0/24", "2001:db8::/32"] }
  - { name: local, key: sk-local, addresses: ["127.0.0.0/8"] }
  - { name: shut, key: sk-shut, team: shut }
  - { name: off, key: sk-off, team: off }
  - { name: disabled, key: sk-disabled, disabled: true }
  - { name: renewed, key: sk-new, previous: { key: sk-old, until: 2100-01-01 } }
  - { name: replaced, key: sk-newer, previous: { key: sk-older, until: 2020-01-01 } }
  - { name: users, key: sk-users, team: users, end_users: { limits: [{ requests: 3, per: day }] } }
`;

let gateway: TestGateway;
let store: Store;

beforeAll(async () => {
  gateway = await startGateway(config);
  store = await openStore(gateway.dataDir, 'sqlite');
});

afterAll(async () => {
  await store.close();
  await gateway.stop();
});

const chatBody = { model: 'fast', messages: [{ role: 'user', content: 'hi' }] };
const say = { role: 'user', parts: [{ text: 'hi' }] };

/** Every place that a key opens, as it is asked for; the operation it is, and where it says what is wrong. */
const surfaces = [
  { name: 'openai-chat', path: '/v1/chat/completions', body: chatBody, operation: 'chat' },
  {
    name: 'openai-responses',
    path: '/v1/responses',
    body: { model: 'fast', input: 'hi' },
    operation: 'chat',
  },
  { name: 'completions', path: '/v1/completions', body: { model: 'fast', prompt: 'hi' }, operation: 'chat' },
  {
    name: 'anthropic-messages',
    path: '/v1/messages',
    body: { ...chatBody, max_tokens: 9 },
    operation: 'chat',
    shape: { type: 'error', error: { type: 'permission_error' } },
  },
  {
    name: 'count_tokens',
    path: '/v1/messages/count_tokens',
    body: chatBody,
    operation: 'chat',
    shape: { type: 'error', error: { type: 'permission_error' } },
  },
  {
    name: 'gemini',
    path: '/v1beta/models/fast:generateContent',
    body: { contents: [say] },
    operation: 'chat',
    shape: { error: { code: 403, status: 'PERMISSION_DENIED' } },
  },
  {
    name: 'embeddings',
    path: '/v1/embeddings',
    body: { model: 'fast', input: 'hi' },
    operation: 'embeddings',
  },
  {
    name: 'images',
    path: '/v1/images/generations',
    body: { model: 'fast', prompt: 'a cat' },
    operation: 'images',
  },
  {
    name: 'speech',
    path: '/v1/audio/speech',
    body: { model: 'fast', input: 'hi', voice: 'alloy' },
    operation: 'speech',
  },
  {
    name: 'moderations',
    path: '/v1/moderations',
    body: { model: 'fast', input: 'hi' },
    operation: 'moderations',
  },
  {
    name: 'rerank',
    path: '/v1/rerank',
    body: { model: 'fast', query: 'a', documents: ['b'] },
    operation: 'rerank',
  },
  { name: 'kept answers', path: '/v1/responses/resp_1', operation: 'chat' },
  { name: 'files', path: '/v1/files', operation: 'files' },
  { name: 'batches', path: '/v1/batches', operation: 'batches' },
  { name: 'models', path: '/v1/models', operation: undefined },
  { name: 'model', path: '/v1/models/fast', operation: undefined },
] as const satisfies {
  name: string;
  path: string;
  body?: JsonObject;
  operation: string | undefined;
  shape?: object;
}[];

async function ask(
  surface: { path: string; body?: JsonObject },
  secret: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: JsonObject; text: string }> {
  const response = await fetch(gateway.url + surface.path, {
    method: surface.body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', ...headers },
    ...(surface.body && { body: JSON.stringify(surface.body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, body: isJson ? JSON.parse(text) : {}, text };
}

const status = async (secret: string, headers?: Record<string, string>, body: JsonObject = chatBody) =>
  (await ask({ path: '/v1/chat/completions', body }, secret, headers)).status;

describe.each(surfaces)('$name', (surface) => {
  const shape = 'shape' in surface ? surface.shape : { error: { message: expect.any(String) } };

  test('is closed to keys of other operations, in the words of its dialect', async () => {
    const secret = surface.operation === 'chat' ? 'sk-embedder' : 'sk-chatter';
    const refused = await ask(surface, secret);
    if (surface.operation === undefined) {
      expect(refused.status).toBe(200);
      return;
    }
    expect(refused.status).toBe(403);
    expect(refused.body).toMatchObject(shape);
    const [name, allowed] = secret === 'sk-chatter' ? ['chatter', 'chat'] : ['embedder', 'embeddings'];
    expect(refused.text).toContain(`may not be used for ${surface.operation}`);
    expect(refused.text).toContain(`It may be used for ${allowed}.`);
    expect(refused.text).toContain(name);
    const open = surface.operation === 'chat' ? 'sk-chatter' : 'sk-free';
    expect((await ask(surface, open)).status).not.toBe(403);
  });

  test('is closed from other addresses', async () => {
    const refused = await ask(surface, 'sk-home');
    expect(refused.status).toBe(403);
    expect(refused.body).toMatchObject(shape);
    expect(refused.text).toContain('may not be used from the address 127.0.0.1');
    // Whoever found the key is not told where to go with it.
    expect(refused.text).not.toContain('192.0.2');
    expect((await ask(surface, 'sk-home', { 'x-forwarded-for': '192.0.2.7' })).status).not.toBe(403);
  });

  test('is closed while team or organisation is switched off', async () => {
    for (const [secret, says] of [
      ['sk-off', /The team .{1,2}off.{1,2} of the API key .{1,2}off.{1,2} is switched off/],
      ['sk-shut', /The organisation .{1,2}shut.{1,2} of the API key .{1,2}shut.{1,2} is switched off/],
    ] as const) {
      const refused = await ask(surface, secret);
      expect(refused.status).toBe(403);
      expect(refused.body).toMatchObject(shape);
      expect(refused.text).toMatch(says);
    }
    expect((await ask(surface, 'sk-disabled')).status).toBe(401);
  });
});

describe('realtime', () => {
  const dial = (secret: string) =>
    Client.dial(`${gateway.url}/v1/realtime?model=mock/echo`, {
      headers: { authorization: `Bearer ${secret}` },
    });

  test('is closed to keys that may not, and open to others', async () => {
    for (const secret of ['sk-chatter', 'sk-home', 'sk-off'])
      await expect(dial(secret)).rejects.toThrow('refused');
    const client = await dial('sk-free');
    await client.end();
  });
});

describe('models', () => {
  const ids = async (secret: string) => {
    const { body } = await ask({ path: '/v1/models' }, secret);
    return (body.data as { id: string }[]).map(({ id }) => id);
  };

  test('key, team and organisation must all allow one', async () => {
    expect(await status('sk-narrow')).toBe(200);
    // The key may, its organisation may not.
    const other = await ask(
      { path: '/v1/chat/completions', body: { ...chatBody, model: 'other' } },
      'sk-narrow',
    );
    expect(other.status).toBe(403);
    expect(other.body).toMatchObject({
      error: {
        code: 'model_not_allowed',
        message:
          'The organisation "shop" of the API key "narrow" may not use the model "other". It may use fast, mock/*.',
      },
    });
    // The organisation may, the key may not.
    expect(await status('sk-narrow', {}, { ...chatBody, model: 'mock/echo' })).toBe(403);
    expect(await ids('sk-narrow')).toEqual(['fast']);
    expect(await ids('sk-free')).toContain('mock/echo');
  });

  test('a model that is not allowed is not told from one that is not there', async () => {
    expect((await ask({ path: '/v1/models/other' }, 'sk-narrow')).status).toBe(403);
    expect((await ask({ path: '/v1/models/nothing' }, 'sk-narrow')).status).toBe(403);
  });
});

describe('addresses', () => {
  test.each([
    ['192.0.2.7', 200],
    ['203.0.113.9, 192.0.2.7', 200],
    // Only the last one that no trusted proxy wrote is believed.
    ['192.0.2.7, 203.0.113.9', 403],
    ['192.0.2.7, 10.1.2.3, 127.0.0.1', 200],
    ['192.0.2.7:4711', 200],
    ['[2001:db8::1]:4711', 200],
    ['::ffff:192.0.2.7', 200],
    ['2001:db9::1', 403],
    ['nonsense', 403],
    ['192.0.2.7, ', 403],
    ['', 403],
  ])('X-Forwarded-For: %s', async (said, expected) => {
    expect(await status('sk-home', { 'x-forwarded-for': said })).toBe(expected);
  });

  test('without a header it is the peer that counts', async () => {
    expect(await status('sk-local')).toBe(200);
    expect(await status('sk-local', { 'x-forwarded-for': '192.0.2.7' })).toBe(403);
  });

  test('of a peer that is no trusted proxy the header says nothing', async () => {
    const plain = await startGateway(config.replace(/^trusted_proxies.*$/m, ''));
    try {
      const headers = { authorization: 'Bearer sk-home', 'x-forwarded-for': '192.0.2.7' };
      expect((await plain.post('/v1/chat/completions', chatBody, headers)).status).toBe(403);
    } finally {
      await plain.stop();
    }
  });
});

describe('secrets', () => {
  test('the one before works until its time is over', async () => {
    for (const secret of ['sk-new', 'sk-old', 'sk-newer']) expect(await status(secret)).toBe(200);
    const late = await ask(surfaces[0], 'sk-older');
    expect(late.status).toBe(401);
    expect(late.text).toContain('was replaced and ended at 2020-01-01T00:00:00.000Z');
  });
});

describe('end users', () => {
  const as = (name: string) => status('sk-users', name === '' ? {} : { 'x-sluice-end-user': name });

  test('each has the limits of key and team, and calls without a name count as one', async () => {
    for (const name of ['ann', 'bob', '']) {
      expect(await as(name)).toBe(200);
      expect(await as(name)).toBe(200);
      const refused = await ask(surfaces[0], 'sk-users', name === '' ? {} : { 'x-sluice-end-user': name });
      expect(refused.status).toBe(429);
      expect(refused.text).toContain(`The end user \\"${name}\\" is limited to 2 requests per day`);
    }
    expect(await as('carol')).toBe(200);
  });

  test('what they used before a restart counts', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    const yaml = `
providers: { mock: }
organisations: { shop: { end_users: { limits: [{ requests: 2, per: day }] } } }
teams: { web: { organisation: shop } }
keys: [{ name: test, key: sk-test-key, team: web, end_users: { limits: [{ requests: 9, per: lifetime }] } }]
`;
    const call = async (running: TestGateway, endUser: string) => {
      const headers = { 'x-sluice-end-user': endUser };
      return (await running.post('/v1/chat/completions', { ...chatBody, model: 'mock/echo' }, headers))
        .status;
    };
    try {
      const first = await startGateway(yaml, { dataDir });
      expect([await call(first, 'ann'), await call(first, 'ann'), await call(first, 'bob')]).toEqual([
        200, 200, 200,
      ]);
      await first.stop();
      const second = await startGateway(yaml, { dataDir });
      expect([await call(second, 'ann'), await call(second, 'bob'), await call(second, 'bob')]).toEqual([
        429, 200, 429,
      ]);
      await second.stop();
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});

describe('the store', () => {
  const change = <T>(run: (trx: Parameters<typeof createKey>[0]) => Promise<T>) =>
    store.db.transaction().execute(run);
  const becomes = (secret: string, expected: number) =>
    until(async () => (await status(secret)) === expected);

  test('what changes there is seen while it runs', async () => {
    await change(async (trx) => {
      await createTenant(trx, 'organisations', 'acme', {}, noFile);
      await createTenant(trx, 'teams', 'ops', { organisation: 'acme' }, noFile);
    });
    const { key, secret } = await change((trx) => createKey(trx, 'job', { team: 'ops' }));
    await becomes(secret, 200);

    await change((trx) => updateKey(trx, key.id, { team: 'ops', models: ['other'] }));
    await becomes(secret, 403);
    await change((trx) => updateKey(trx, key.id, { team: 'ops' }));
    await becomes(secret, 200);

    const shut = { disabled: true };
    await change((trx) => updateTenant(trx, 'organisations', 'acme', shut, noFile));
    await becomes(secret, 403);
    await change((trx) => updateTenant(trx, 'organisations', 'acme', {}, noFile));
    await becomes(secret, 200);
    await change((trx) =>
      updateTenant(trx, 'teams', 'ops', { organisation: 'acme', operations: ['rerank'] }, noFile),
    );
    await becomes(secret, 403);
    await change((trx) => updateTenant(trx, 'teams', 'ops', { organisation: 'acme' }, noFile));

    const rotated = await change((trx) => rotateKey(trx, key.id, 3_600_000));
    await becomes(rotated.secret, 200);
    expect(await status(secret)).toBe(200);
    const again = await change((trx) => rotateKey(trx, key.id, 0));
    await becomes(again.secret, 200);
    expect(await status(rotated.secret)).toBe(401);
    expect(await status(secret)).toBe(401);

    await change((trx) => revokeKey(trx, key.id));
    await becomes(again.secret, 401);
    const rows = (await gateway.attempts()).filter((row) => row.key === 'job');
    expect(rows.length).toBeGreaterThan(0);
    expect(rows[0]).toMatchObject({ team: 'ops', organisation: 'acme' });
  });

  test('a key with the name of one in the configuration file stays out', async () => {
    const { secret } = await change((trx) => createKey(trx, 'free', {}));
    const marker = await change((trx) => createKey(trx, 'marker', {}));
    await becomes(marker.secret, 200);
    const refused = await ask(surfaces[0], secret);
    expect(refused.status).toBe(401);
    expect(refused.text).toContain('configuration');
  });
});
