/** What operators add at run time: prices and keys of providers, in force at once, kept from whoever reads the store. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway, until } from '../e2e/gateway.ts';
import { type Administered, asking, startAdministered, stores } from './console.ts';

/** Answers as a provider would, and remembers by which keys it was asked. */
const heard = new Set<string>();
const upstream = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    heard.add(request.headers.get('authorization') ?? '');
    await request.arrayBuffer();
    const message = { role: 'assistant', content: 'hi' };
    const usage = { prompt_tokens: 1_000_000, completion_tokens: 0, total_tokens: 1_000_000 };
    return Response.json({
      id: 'x',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage,
    });
  },
});
afterAll(() => upstream.stop(true));

const yaml = `
providers:
  acme: { speaks: openai-chat, url: "http://127.0.0.1:${upstream.port}/v1", key: from-file }
  mock: {}
  openai: { url: "http://127.0.0.1:${upstream.port}/v1", keys: [] }
prices: { acme/owned: { input: 7, output: 7 } }
`;

const call = async (admin: Administered, model: string) => {
  const answer = await admin.gateway.post('/v1/chat/completions', {
    model,
    messages: [{ role: 'user', content: 'Hi' }],
  });
  await answer.arrayBuffer();
  return answer;
};

describe.each(stores)('on %s', (_, line) => {
  let admin: Administered;
  beforeAll(async () => {
    process.env.SLUICE_SECRET = 'a long random text';
    admin = await startAdministered(`${await line()}\n${yaml}`);
  });
  afterAll(async () => {
    await admin.gateway.stop();
    delete process.env.SLUICE_SECRET;
  });

  test('a price that is set is charged, and one of the file wins', async () => {
    const put = (price: object, target = 'acme/m') =>
      admin.owner('PUT', `/prices/${encodeURIComponent(target)}`, price);
    expect((await call(admin, 'acme/m')).headers.get('x-sluice-cost-usd')).toBeNull();
    expect((await put({ input: 3, output: 4 })).body).toEqual({
      target: 'acme/m',
      override: { input: 3, output: 4 },
    });
    await until(async () => (await call(admin, 'acme/m')).headers.get('x-sluice-cost-usd') === '3');
    const [known] = (await admin.owner('GET', '/prices?target=acme/m')).body.data;
    expect(known).toMatchObject({
      target: 'acme/m',
      source: 'store',
      override: { input: 3 },
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
    });
    const before = (await admin.owner('GET', '/prices')).text;
    expect(await put({ input: -1, output: 'x', colour: 1 })).toMatchObject({ status: 400 });
    expect((await put({ input: -1, output: 'x', colour: 1 })).body.error.mistakes).toHaveLength(3);
    expect(await put({ input: 1, output: 1 }, 'acme/owned')).toMatchObject({ status: 409 });
    expect(await put({ input: 1, output: 1 }, 'nobody/m')).toMatchObject({ status: 400 });
    expect(await put({ input: 1, output: 1 }, '__proto__')).toMatchObject({ status: 400 });
    expect((await admin.owner('GET', '/prices')).text).toBe(before);
    expect(await admin.owner('DELETE', '/prices/acme%2Fm')).toMatchObject({ status: 200 });
    expect(await admin.owner('DELETE', '/prices/acme%2Fm')).toMatchObject({ status: 404 });
    await until(async () => (await call(admin, 'acme/m')).headers.get('x-sluice-cost-usd') === null);
    expect((await admin.owner('GET', '/audit?subject=price')).body.data).toMatchObject([
      { action: 'delete', subject: 'price:acme/m', before: { input: 3, output: 4 }, after: null },
      { action: 'create', before: null, after: { input: 3, output: 4 } },
    ]);
  });

  test('a key that is added joins the pool, is never given back, and leaves it again', async () => {
    const secret = 'upstream-secret-0123456789';
    const made = await admin.owner('POST', '/provider-keys', { provider: 'acme', name: 'second', secret });
    expect(made).toMatchObject({ status: 201, body: { provider: 'acme', name: 'second', state: 'in_use' } });
    heard.clear();
    await until(async () => (await call(admin, 'acme/m')) && heard.size === 2);
    expect([...heard].sort()).toEqual(['Bearer from-file', `Bearer ${secret}`]);
    for (const path of ['/provider-keys', '/audit', '/health'])
      expect((await admin.owner('GET', path)).text).not.toContain(secret);
    expect(made.text).not.toContain(secret);
    expect(
      await admin.owner('POST', '/provider-keys', { provider: 'acme', name: 'again', secret }),
    ).toMatchObject({ status: 409 });
    expect(
      await admin.owner('POST', '/provider-keys', { provider: 'nobody', name: 'x', secret }),
    ).toMatchObject({ status: 404 });
    expect(
      await admin.owner('POST', '/provider-keys', { provider: 'acme', name: 'x', secret: 'a\nb' }),
    ).toMatchObject({ status: 400 });
    for (const name of readdirSync(admin.gateway.dataDir, { recursive: true }) as string[]) {
      if (!name.includes('sluice.db')) continue;
      expect(readFileSync(join(admin.gateway.dataDir, name), 'latin1')).not.toContain(secret);
    }
    expect(await admin.owner('DELETE', `/provider-keys/${made.body.id}`)).toMatchObject({ status: 200 });
    await until(async () => {
      heard.clear();
      for (let i = 0; i < 4; i++) await call(admin, 'acme/m');
      return heard.size === 1;
    });
    expect([...heard]).toEqual(['Bearer from-file']);
  });

  test('a provider of the catalogue lives on keys that are kept here alone', async () => {
    const secret = 'upstream-secret-openai';
    const wish = { provider: 'openai', name: 'only', secret };
    const made = await admin.owner('POST', '/provider-keys', wish);
    expect(made).toMatchObject({ status: 201, body: { state: 'in_use' } });
    const askedBy = async () => {
      heard.clear();
      for (let i = 0; i < 3; i++) await call(admin, 'openai/m');
      return [...heard];
    };
    await until(async () => (await askedBy()).join() === `Bearer ${secret}`);
    expect(await admin.owner('DELETE', `/provider-keys/${made.body.id}`)).toMatchObject({ status: 200 });
    await until(async () => (await askedBy()).join() === '');
  });
});

test('with another SLUICE_SECRET the gateway goes on without the keys, and says so; without one none are taken', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const wish = { provider: 'acme', name: 'second', secret: 'upstream-secret' };
  try {
    process.env.SLUICE_SECRET = 'one';
    const first = await startGateway(yaml, { dataDir });
    const token = first.app.firstSecrets!.adminToken;
    expect(await asking(first.url, token)('POST', '/provider-keys', wish)).toMatchObject({ status: 201 });
    await first.stop();

    process.env.SLUICE_SECRET = 'two';
    const second = await startGateway(yaml, { dataDir });
    const ask = asking(second.url, token);
    expect((await ask('GET', '/provider-keys')).body.data).toMatchObject([
      { name: 'second', state: 'sealed' },
    ]);
    heard.clear();
    for (let i = 0; i < 3; i++) {
      const answer = await second.post('/v1/chat/completions', {
        model: 'acme/m',
        messages: [{ role: 'user', content: 'Hi' }],
      });
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
    }
    expect([...heard]).toEqual(['Bearer from-file']);
    await second.stop();

    delete process.env.SLUICE_SECRET;
    const third = await startGateway(yaml, { dataDir });
    const refused = await asking(third.url, token)('POST', '/provider-keys', { ...wish, name: 'third' });
    expect(refused).toMatchObject({ status: 501, body: { error: { code: 'not_configured' } } });
    expect(refused.body.error.message).toContain('SLUICE_SECRET');
    expect((await asking(third.url, token)('GET', '/provider-keys')).body.data).toHaveLength(1);
    await third.stop();
  } finally {
    delete process.env.SLUICE_SECRET;
    rmSync(dataDir, { recursive: true, force: true });
  }
});
