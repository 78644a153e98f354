/** Tokens of the admin API and its audit log, over sockets. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Administered, asking, startAdministered } from './console.ts';

let admin: Administered;

beforeAll(async () => {
  admin = await startAdministered('providers: { mock: {} }');
});
afterAll(() => admin.gateway.stop());

test('a token is made, says who it is, and is refused as soon as it is revoked', async () => {
  const made = await admin.owner('POST', '/tokens', { name: 'eye', role: 'viewer', organisation: 'shop' });
  expect(made.status).toBe(201);
  const eye = asking(admin.gateway.url, made.body.secret);
  const me = await eye('GET', '/me');
  expect(me.body).toMatchObject({ id: made.body.id, name: 'eye', role: 'viewer', organisation: 'shop' });
  expect(me.text).not.toContain(made.body.secret);
  expect((await admin.owner('GET', '/tokens')).body.data).toContainEqual(me.body);
  expect((await admin.owner('DELETE', `/tokens/${made.body.id}`)).body).toMatchObject({ state: 'revoked' });
  expect((await eye('GET', '/me')).status).toBe(401);
  expect(await admin.owner('DELETE', `/tokens/${made.body.id}`)).toMatchObject({ status: 409 });
  const { body } = await admin.owner('GET', `/audit?subject=token:${made.body.id}`);
  expect(body.data).toMatchObject([
    { action: 'revoke', before: { state: 'active' }, after: { state: 'revoked' } },
    { action: 'create', actor: 'token_first (first)', organisation: 'shop', before: null },
  ]);
  expect(JSON.stringify(body)).not.toContain(made.body.secret);
});

test('everything that is wrong is said at once, and nothing is made', async () => {
  const before = (await admin.owner('GET', '/tokens')).text;
  const { status, body } = await admin.owner('POST', '/tokens', {
    name: ' ',
    role: 'king',
    expires: 'soon',
    colour: 'red',
  });
  expect(status).toBe(400);
  const paths = body.error.mistakes.map(({ path }: { path: string }) => path);
  expect(paths.sort()).toEqual(['colour', 'expires', 'name', 'role']);
  expect(body.error.mistakes).toContainEqual({ path: 'name', message: 'must not be empty' });
  expect(body.error.mistakes).toContainEqual({ path: 'colour', message: 'unknown member "colour"' });
  expect(body.error.mistakes).toContainEqual({
    path: 'role',
    message: 'must be one of owner, admin, billing, viewer, member',
  });
  for (const wrong of [
    { name: 'a', role: 'member' },
    { name: 'a', role: 'viewer', team: 'web' },
    { name: 'a', role: 'owner', organisation: 'shop' },
    { name: 'a', role: 'viewer', expires: '2001-01-01T00:00:00Z' },
  ])
    expect(await admin.owner('POST', '/tokens', wrong)).toMatchObject({ status: 400 });
  expect(await admin.owner('POST', '/tokens', '{')).toMatchObject({ status: 400 });
  expect((await admin.owner('GET', '/tokens')).text).toBe(before);
});

test('an admin makes no owners and ends none, and the last owner cannot end itself', async () => {
  const staff = await admin.as({ role: 'admin' });
  expect(await staff('POST', '/tokens', { name: 'x', role: 'owner' })).toMatchObject({ status: 403 });
  expect(await staff('DELETE', '/tokens/token_first')).toMatchObject({ status: 403 });
  expect(await admin.owner('DELETE', '/tokens/token_first')).toMatchObject({ status: 409 });
  expect((await staff('GET', '/me')).status).toBe(200);
});

test('who is confined to an organisation sees and makes only its tokens', async () => {
  const shop = await admin.as({ role: 'admin', organisation: 'shop' });
  const other = await admin.owner('POST', '/tokens', { name: 'b', role: 'viewer', organisation: 'bank' });
  const { data } = (await shop('GET', '/tokens')).body;
  expect(data.length).toBeGreaterThan(0);
  for (const token of data) expect(token.organisation).toBe('shop');
  const foreign = await shop('DELETE', `/tokens/${other.body.id}`);
  const nobody = await shop('DELETE', '/tokens/token_nobody');
  expect(foreign.text.replace(other.body.id, 'token_nobody')).toBe(nobody.text);
  expect([foreign.status, nobody.status]).toEqual([404, 404]);
  for (const wish of [{}, { organisation: 'bank' }])
    expect(await shop('POST', '/tokens', { name: 'c', role: 'viewer', ...wish })).toMatchObject({
      status: 404,
    });
  const lines = (await shop('GET', '/audit')).body.data;
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(line.organisation).toBe('shop');
});

test('the same request with the same Idempotency-Key is done once, however many come at once', async () => {
  const key = { 'idempotency-key': 'one' };
  const wish = { name: 'once', role: 'viewer' };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => admin.owner('POST', '/tokens', wish, key)),
  );
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1);
  const { data } = (await admin.owner('GET', '/tokens')).body;
  expect(data.filter(({ name }: { name: string }) => name === 'once')).toHaveLength(1);
  expect(await asking(admin.gateway.url, answers[3]!.body.secret)('GET', '/me')).toMatchObject({
    status: 200,
  });

  const other = await admin.owner('POST', '/tokens', { ...wish, name: 'twice' }, key);
  expect(other).toMatchObject({ status: 422, body: { error: { code: 'other_request' } } });
  // Keys of other tokens are other keys, and a request that was refused has used up none.
  const staff = await admin.as({ role: 'admin' });
  expect(await staff('POST', '/tokens', { ...wish, name: 'theirs' }, key)).toMatchObject({ status: 201 });
  const second = { 'idempotency-key': 'two' };
  expect(await admin.owner('DELETE', '/tokens/none', undefined, second)).toMatchObject({ status: 404 });
  expect(await admin.owner('POST', '/tokens', wish, second)).toMatchObject({ status: 201 });
});

test('a list is read in pages that rows added meanwhile do not disturb', async () => {
  const seen: string[] = [];
  let cursor = '';
  for (;;) {
    const { status, body } = await admin.owner('GET', `/audit?limit=2${cursor}`);
    expect(status).toBe(200);
    seen.push(...body.data.map(({ id }: { id: string }) => id));
    if (body.next === null) break;
    cursor = `&cursor=${body.next}`;
    if (seen.length === 2) await admin.as({ role: 'viewer' });
  }
  expect(seen).toEqual([...new Set(seen)].sort().reverse());
  const all = (await admin.owner('GET', '/audit?limit=1000')).body.data;
  expect(all.slice(1).map(({ id }: { id: string }) => id)).toEqual(seen);
  for (const wrong of ['cursor=x', `cursor=${btoa('[1]')}`, 'limit=0', 'limit=1001', 'offset=3'])
    expect(await admin.owner('GET', `/audit?${wrong}`)).toMatchObject({ status: 400 });
});
