/** Organisations, teams, keys and their limits by the admin API, over sockets: in force at once, seen by whom they concern. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { adminClient } from '../../src/admin/client.ts';
import { type Administered, startAdministered, stores } from './console.ts';

const yaml = `
providers: { mock: {} }
keys:
  - { name: filed, key: sk-filed-secret, team: old, limits: [{ requests: 5, per: day }], expires: 2099-01-01 }
teams: { old: { organisation: shop, limits: [{ usd: 9, per: month }] } }
organisations: { shop: { pricing: { markup: 20% } } }
`;

describe.each(stores)('on %s', (_, line) => {
  let admin: Administered;
  beforeAll(async () => {
    admin = await startAdministered(`${await line()}\n${yaml}`);
  });
  afterAll(() => admin.gateway.stop());

  const call = async (secret: string) => {
    const body = { model: 'mock/echo', messages: [{ role: 'user', content: 'Hi' }] };
    const answer = await admin.gateway.post('/v1/chat/completions', body, {
      authorization: `Bearer ${secret}`,
    });
    await answer.arrayBuffer();
    return answer.status;
  };

  test('an organisation, its team and a key are made, used, changed, rotated and ended', async () => {
    const { owner } = admin;
    expect(
      await owner('POST', '/organisations', { name: 'bank', limits: [{ requests: 2000, per: 'day' }] }),
    ).toMatchObject({
      status: 201,
      body: { name: 'bank', owned_by: 'store', document: { limits: [{ requests: 2000, per: 'day' }] } },
    });
    expect(await owner('POST', '/teams', { name: 'ops', organisation: 'bank' })).toMatchObject({
      status: 201,
    });
    expect(await owner('POST', '/organisations', { name: 'bank' })).toMatchObject({ status: 409 });
    const made = await owner('POST', '/keys', {
      name: 'ci',
      team: 'ops',
      limits: [
        { requests: 1000, per: 'day' },
        { usd: 5, per: 'month', time_zone: 'Europe/Berlin' },
        { tokens: 1e9, per: 'hour', sliding: true },
        { concurrency: 7 },
      ],
    });
    expect(made).toMatchObject({ status: 201, body: { name: 'ci', team: 'ops', state: 'active' } });
    const { id, secret } = made.body;
    expect(await call(secret)).toBe(200);
    const limits = (await owner('GET', `/limits?key=${id}`)).body.data;
    expect(limits).toMatchObject([
      {
        owner: 'key',
        name: 'ci',
        unit: 'requests',
        limit: '1000 requests per day',
        per: 'day',
        max: '1000',
        used: '1',
      },
      { limit: '5 USD per month', per: 'month', sliding: false, time_zone: 'Europe/Berlin', max: '5' },
      { limit: '1000000000 tokens in any hour', per: 'hour', sliding: true, time_zone: 'UTC' },
      { limit: '7 calls at once', per: null, sliding: false, time_zone: null },
      { owner: 'organisation', name: 'bank', max: '2000', used: '1', percent: 0.1 },
    ]);
    expect((await owner('GET', '/limits?organisation=bank')).body.data).toMatchObject([{ name: 'bank' }]);

    const read = await owner('GET', `/keys/${id}`);
    expect(read.text).not.toContain(secret);
    const match = { 'if-match': read.headers.get('etag')! };
    const off = await owner('PATCH', `/keys/${id}`, { disabled: true }, match);
    expect(off).toMatchObject({ status: 200, body: { state: 'disabled', document: { team: 'ops' } } });
    expect(await owner('PATCH', `/keys/${id}`, { disabled: null }, match)).toMatchObject({ status: 412 });
    expect(await call(secret)).toBe(401);
    expect(await owner('PATCH', `/keys/${id}`, { disabled: null })).toMatchObject({
      body: { state: 'active' },
    });

    const again = { 'idempotency-key': 'rotate-1' };
    const rotated = await owner('POST', `/keys/${id}/rotate`, { grace: '1h' }, again);
    expect(rotated.body.secret).not.toBe(secret);
    expect((await owner('POST', `/keys/${id}/rotate`, { grace: '1h' }, again)).text).toBe(rotated.text);
    expect(await call(rotated.body.secret)).toBe(200);
    expect(await call(secret)).toBe(200);
    const last = await owner('POST', `/keys/${id}/rotate`, { grace: '0m' });
    expect(await call(rotated.body.secret)).toBe(401);
    expect(await call(last.body.secret)).toBe(200);
    expect(await owner('DELETE', `/keys/${id}`)).toMatchObject({ body: { state: 'revoked' } });
    expect(await call(last.body.secret)).toBe(401);
    expect(await call(secret)).toBe(401);
    expect(await owner('DELETE', `/keys/${id}`)).toMatchObject({ status: 404 });

    const told = await owner('GET', `/audit?subject=key:${id}`);
    expect(told.body.data.map(({ action }: { action: string }) => action)).toEqual([
      'revoke',
      'rotate',
      'rotate',
      'update',
      'update',
      'create',
    ]);
    for (const line of told.body.data) expect(line).toMatchObject({ organisation: 'bank', team: 'ops' });
    for (const hidden of [secret, rotated.body.secret, 'hash']) expect(told.text).not.toContain(hidden);

    expect(await owner('DELETE', '/organisations/bank')).toMatchObject({ status: 409 });
    expect(await owner('DELETE', '/teams/ops')).toMatchObject({ status: 200 });
    expect(await owner('DELETE', '/organisations/bank')).toMatchObject({ status: 200 });
  });

  test('what the file owns is shown without secrets, and changed there', async () => {
    const { owner } = admin;
    const key = await owner('GET', '/keys/key_filed');
    expect(key.body).toMatchObject({
      owned_by: 'file',
      team: 'old',
      document: { limits: [{ requests: 5, per: 'day' }], expires: '2099-01-01T00:00:00.000Z' },
    });
    expect((await owner('GET', '/organisations/shop')).body.document).toEqual({ pricing: { markup: '20%' } });
    for (const path of ['/keys', '/keys/key_filed'])
      expect((await owner('GET', path)).text).not.toContain('sk-filed');
    for (const path of ['/keys/key_filed', '/teams/old', '/organisations/shop']) {
      expect(await owner('PATCH', path, { disabled: true })).toMatchObject({ status: 409 });
      expect(await owner('DELETE', path)).toMatchObject({ status: 409 });
    }
    expect(await owner('POST', '/keys', { name: 'filed' })).toMatchObject({ status: 409 });
    expect(await owner('PUT', '/organisations/shop/pricing', { discount: '1%' })).toMatchObject({
      status: 409,
    });
  });

  test('mistakes are all told at once and nothing is changed', async () => {
    const { owner } = admin;
    const before = (await owner('GET', '/keys')).text + (await owner('GET', '/audit')).text;
    const wrong = await owner('POST', '/keys', {
      name: 'k',
      limits: [
        { usd: -5, per: 'day' },
        { requests: 1e30, per: 'age' },
      ],
      colour: 1,
    });
    expect(wrong.status).toBe(400);
    const paths = wrong.body.error.mistakes.map(({ path }: { path: string }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['limits.0.usd', 'limits.1.requests', 'limits.1.per', 'colour']),
    );
    const asked = async (method: string, path: string, body?: unknown) =>
      (await owner(method, path, body)).body.error.message;
    expect(await asked('POST', '/keys', { name: 'k', modles: [] })).toBe(
      'modles: unknown member "modles"; did you mean "models"?',
    );
    expect(await asked('POST', '/keys', {})).toBe('name: is missing.');
    expect(await asked('GET', '/keys?limit=0')).toBe('limit: must be at least 1.');
    expect(await asked('GET', '/usage?by=modle')).toStartWith('by.0: must be one of model, key, team');
    expect(await asked('GET', '/calls?status=abc')).toBe('status: must be a status, such as 429, or 4xx.');
    expect(await asked('PUT', '/organisations/shop/pricing', { markup: 20 })).toContain('such as 20%');
    expect(await asked('POST', '/keys/key_filed/rotate', { grace: 'soon' })).toContain('0m, 12h or 7d');
    for (const bad of [
      {},
      { name: '' },
      { name: 'k', team: 'nobody' },
      { name: 'k\u0000' },
      { name: '__proto__' },
      { name: 'k', expires: 'later' },
    ])
      expect({ bad, status: (await owner('POST', '/keys', bad)).status }).toEqual({ bad, status: 400 });
    expect((await owner('GET', '/keys')).text + (await owner('GET', '/audit')).text).toBe(before);
  });

  test('a member makes keys of the own team alone', async () => {
    const { owner } = admin;
    await owner('POST', '/teams', { name: 'web', organisation: 'shop' });
    await owner('POST', '/organisations', { name: 'rival' });
    await owner('POST', '/teams', { name: 'theirs', organisation: 'rival' });
    const theirs = (await owner('POST', '/keys', { name: 'theirs', team: 'theirs' })).body;
    const member = await admin.as({ role: 'member', organisation: 'shop', team: 'web' });
    const mine = await member('POST', '/keys', { name: 'mine' });
    expect(mine).toMatchObject({ status: 201, body: { team: 'web' } });
    const names = (await member('GET', '/keys')).body.data.map(({ name }: { name: string }) => name);
    expect(names).toEqual(['mine']);
    expect((await member('GET', '/teams')).body.data).toMatchObject([{ name: 'web' }]);
    expect((await member('GET', '/organisations')).body.data).toEqual([]);
    const foreign = await member('POST', '/keys', { name: 'x', team: 'theirs' });
    const unknown = await member('POST', '/keys', { name: 'x', team: 'nobody' });
    expect(foreign.text.replace('theirs', 'nobody')).toBe(unknown.text);
    expect(await member('PATCH', `/keys/${mine.body.id}`, { team: 'theirs' })).toMatchObject({ status: 400 });
    expect((await member('POST', '/keys', { name: 'theirs' })).text).not.toContain(theirs.id);
    expect(await member('POST', `/keys/${mine.body.id}/rotate`, {})).toMatchObject({ status: 200 });
    expect(await member('DELETE', `/keys/${mine.body.id}`)).toMatchObject({ status: 200 });
    expect(await member('PATCH', '/teams/web', { limits: [] })).toMatchObject({ status: 403 });
  });

  test('who bills says what organisations pay, and nothing else of them', async () => {
    const billing = await admin.as({ role: 'billing' });
    const priced = await billing('PUT', '/organisations/rival/pricing', { markup: '12.5%' });
    expect(priced).toMatchObject({ status: 200, body: { document: { pricing: { markup: '12.5%' } } } });
    expect(await billing('PUT', '/organisations/rival/pricing', { markup: 'much' })).toMatchObject({
      status: 400,
    });
    expect(await billing('PATCH', '/organisations/rival', { disabled: true })).toMatchObject({ status: 403 });
  });

  test('the typed client asks what the API answers', async () => {
    const client = adminClient(admin.gateway.url, admin.gateway.app.firstSecrets!.adminToken);
    const page = await (await client.keys.$get({ query: { limit: '1' } })).json();
    if (!('data' in page)) throw new Error('no page');
    const [key] = page.data;
    const one = await client.keys[':id'].$get({ param: { id: key!.id } });
    expect(await one.json()).toEqual(key!);
    const made = await client.tokens.$post({ json: { name: 'typed', role: 'viewer' }, header: {} });
    expect(made.status).toBe(201);
  });
});
