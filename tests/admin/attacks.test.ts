/** What somebody tries who has a token of a part of the gateway, and wants more: over sockets, on either store. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { type Administered, type Ask, asking, startAdministered, stores } from './console.ts';

const yaml = `
providers: { mock: {} }
organisations: { shop: { limits: [{ usd: 50, per: month }] } }
teams: { filed: { organisation: shop } }
keys:
  - { name: test, key: sk-test-key }
  - { name: till, key: sk-till-key, team: filed }
`;

describe.each(stores)('on %s', (_, line) => {
  let admin: Administered;
  let owner: Ask;
  beforeAll(async () => {
    admin = await startAdministered(`${await line()}\n${yaml}`);
    owner = admin.owner;
    await owner('POST', '/organisations', { name: 'bank' });
    for (const organisation of ['bank', 'shop'])
      await owner('POST', '/teams', { name: `team-${organisation}`, organisation });
  });
  afterAll(() => admin.gateway.stop());

  const keyOf = async (name: string, team: string) => {
    const { status, body, text } = await owner('POST', '/keys', { name, team });
    if (status !== 201) throw new Error(text);
    return body as { id: string; secret: string };
  };
  const namesSeen = async (ask: Ask, path: string): Promise<string[]> =>
    (await ask('GET', path)).body.data.map(({ name }: { name: string }) => name);

  test("a token of another organisation's team cannot be made, and shows nothing where a team has moved", async () => {
    await keyOf('hidden', 'team-shop');
    const bank = await admin.as({ role: 'admin', organisation: 'bank' });
    const wish = { name: 'spy', role: 'viewer', organisation: 'bank' };
    const foreign = await bank('POST', '/tokens', { ...wish, team: 'team-shop' });
    const nobodys = await bank('POST', '/tokens', { ...wish, team: 'nobody' });
    expect(foreign).toMatchObject({ status: 404, text: nobodys.text });
    expect(await owner('POST', '/tokens', { ...wish, team: 'team-shop' })).toMatchObject({ status: 404 });

    await owner('POST', '/teams', { name: 'moving', organisation: 'bank', models: ['theirs/*'] });
    const left = await admin.as({ role: 'viewer', organisation: 'bank', team: 'moving' });
    await owner('PATCH', '/teams/moving', { organisation: 'shop' });
    const moved = await keyOf('moved', 'moving');
    expect(await namesSeen(left, '/keys')).toEqual([]);
    expect(await namesSeen(left, '/keys?team=moving')).toEqual([]);
    expect(await left('GET', `/keys/${moved.id}`)).toMatchObject({ status: 404 });
    expect(await left('GET', `/limits?key=${moved.id}`)).toMatchObject({ status: 404 });
    // That it moved, and from whom to whom, is for neither of the two.
    for (const [organisation, other] of [
      ['bank', 'shop'],
      ['shop', 'bank'],
    ]) {
      const viewer = await admin.as({ role: 'viewer', organisation });
      expect((await viewer('GET', '/audit?limit=1000')).text).not.toContain(other!);
    }
    expect((await owner('GET', '/audit?subject=team:moving&action=update')).body.data).toMatchObject([
      { organisation: null, team: null, before: { organisation: 'bank' }, after: { organisation: 'shop' } },
    ]);
  });

  test('nobody gets the keys of others by making a team of the name they say', async () => {
    const bank = await admin.as({ role: 'admin', organisation: 'bank' });
    const { id } = await keyOf('teamless', 'default');
    await owner('POST', '/teams', { name: 'closing', organisation: 'shop' });
    const closed = await keyOf('closed', 'closing');
    await owner('DELETE', `/keys/${closed.id}`);
    await owner('DELETE', '/teams/closing');
    for (const name of ['default', 'closing', 'filed', 'team-shop'])
      expect(await bank('POST', '/teams', { name, organisation: 'bank' })).toMatchObject({
        status: 409,
        body: { error: { message: 'That name is taken. Choose another one.' } },
      });
    expect(await bank('GET', `/keys/${id}`)).toMatchObject({ status: 404 });
    for (const name of ['teamless', 'closed', 'till'])
      expect(await namesSeen(bank, '/keys')).not.toContain(name);
  });

  test('a key does not leave the team of whoever is confined to it', async () => {
    const member = await admin.as({ role: 'member', organisation: 'shop', team: 'team-shop' });
    const { id } = await keyOf('bound', 'team-shop');
    const freed = await member('PATCH', `/keys/${id}`, { team: null });
    expect(freed).toMatchObject({
      status: 200,
      body: { team: 'team-shop', document: { team: 'team-shop' } },
    });
    for (const team of ['default', 'team-bank', 'filed', '__proto__'])
      expect({ team, ...(await member('PATCH', `/keys/${id}`, { team })) }).toMatchObject({
        team,
        status: 400,
      });
    expect((await owner('GET', `/keys/${id}`)).body.team).toBe('team-shop');
  });

  test('whoever has a team alone does not change what it may use', async () => {
    const staff = await admin.as({ role: 'admin', organisation: 'shop', team: 'team-shop' });
    for (const [method, path, body] of [
      ['PATCH', '/teams/team-shop', { limits: [] }],
      ['DELETE', '/teams/team-shop', undefined],
      ['POST', '/teams', { name: 'team-shop', organisation: 'shop' }],
    ] as const)
      expect(await staff(method, path, body)).toMatchObject({ status: 403 });
    // Nor learns what its organisation has.
    await staff('POST', '/keys', { name: 'asks' });
    let answer = await staff('POST', '/explain', { model: 'mock/echo', key: 'asks' });
    while (answer.status === 404) {
      await Bun.sleep(10);
      answer = await staff('POST', '/explain', { model: 'mock/echo', key: 'asks' });
    }
    expect(answer).toMatchObject({ status: 200, body: { limits: [] } });
    expect((await owner('POST', '/explain', { model: 'mock/echo', key: 'asks' })).body.limits).toMatchObject([
      { owner: 'organisation' },
    ]);
  });

  test("a key that is named like another's id does not stand before it", async () => {
    const bank = await admin.as({ role: 'member', organisation: 'bank' });
    // Which of two came first was a matter of chance: with these few it is one of none.
    for (let i = 0; i < 6; i++) {
      const { id } = await keyOf(`aim-${i}`, 'team-shop');
      expect(await bank('POST', '/keys', { name: id, team: 'team-bank' })).toMatchObject({ status: 201 });
      expect(await owner('GET', `/keys/${id}`)).toMatchObject({ status: 200, body: { name: `aim-${i}` } });
      expect(await owner('DELETE', `/keys/${id}`)).toMatchObject({ body: { id, state: 'revoked' } });
    }
  });

  test('a token that is revoked while its request is still being sent changes nothing', async () => {
    const made = await owner('POST', '/tokens', { name: 'slow', role: 'admin' });
    const body = JSON.stringify({ name: 'too-late' });
    const { hostname, port } = new URL(admin.gateway.url);
    const socket = connect(Number(port), hostname);
    const answered = new Promise<string>((resolve, reject) => {
      socket.once('data', (bytes) => resolve(bytes.toString()));
      socket.once('error', reject);
    });
    const head = [
      'POST /admin/v1/organisations HTTP/1.1',
      'Host: gateway',
      `Authorization: Bearer ${made.body.secret}`,
      `Content-Length: ${body.length}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body.slice(0, 5)}`);
    // Until it has surely been asked whose it is.
    for (let i = 0; i < 20; i++) await owner('GET', '/me');
    expect(await owner('DELETE', `/tokens/${made.body.id}`)).toMatchObject({ status: 200 });
    socket.write(body.slice(5));
    expect(await answered).toStartWith('HTTP/1.1 401 ');
    socket.destroy();
    expect(await owner('GET', '/organisations/too-late')).toMatchObject({ status: 404 });
  });

  test('a forged cursor is refused', async () => {
    const wrong = [
      '["a\\u0000"]',
      '["\\ud800"]',
      '[1]',
      '{}',
      '[1e308,"x"]',
      '[1.5,"x"]',
      '["a","b\\u0000"]',
      '"',
    ];
    for (const path of ['/keys', '/calls', '/tokens', '/audit', '/teams', '/organisations', '/prices']) {
      for (const place of wrong) {
        const cursor = Buffer.from(place).toString('base64url');
        const { status } = await owner('GET', `${path}?cursor=${cursor}`);
        expect({ path, place, status }).toEqual({ path, place, status: 400 });
      }
    }
    // One of another token opens nothing.
    const page = await owner('GET', '/keys?limit=1');
    const bank = await admin.as({ role: 'viewer', organisation: 'bank' });
    const { data } = (await bank('GET', `/keys?limit=1000&cursor=${page.body.next}`)).body;
    for (const { team } of data) expect(team).toBe('team-bank');
  });

  test('what is sent is read as JSON whatever it is called, and never passed over', async () => {
    const { id } = await keyOf('switched', 'team-shop');
    for (const [type, disabled] of [
      ['text/json', true],
      ['application/x-www-form-urlencoded', null],
      ['multipart/form-data; boundary=json', true],
    ] as const) {
      const answer = await owner('PATCH', `/keys/${id}`, { disabled }, { 'content-type': type });
      expect({ type, state: answer.body.state }).toEqual({ type, state: disabled ? 'disabled' : 'active' });
    }
  });

  test('names that no path, page or audit line can hold are none', async () => {
    for (const name of ['.', '..', 'a\u0000', '\ud800', 'a\nb', 'x'.repeat(10_000), '__proto__', ' '])
      for (const path of ['/organisations', '/teams', '/keys'])
        expect({ name, path, ...(await owner('POST', path, { name })) }).toMatchObject({
          name,
          path,
          status: 400,
        });
    for (const name of ['a\u0000', '\ud800', 'a\nb', 'x'.repeat(10_000), ' '])
      expect({ name, ...(await owner('POST', '/tokens', { name, role: 'viewer' })) }).toMatchObject({
        name,
        status: 400,
      });
    for (const name of [
      "'; drop table keys; --",
      '%',
      '_',
      '100%25',
      'a/b?c#d',
      '=1+1',
      'constructor',
      '🗝',
    ]) {
      const { status, body } = await owner('POST', '/organisations', { name });
      expect({ name, status }).toEqual({ name, status: 201 });
      const path = `/organisations/${encodeURIComponent(name)}`;
      expect(await owner('GET', path)).toMatchObject({ status: 200, body });
      expect(await owner('DELETE', path)).toMatchObject({ status: 200 });
    }
  });

  test('members and numbers that make no sense are refused, and break nothing', async () => {
    for (const body of [
      '{"name":"k","constructor":1}',
      '{"name":"k","__proto__":{"team":"team-bank"}}',
      '{"name":"k","limits":[{"usd":1e308,"per":"day"}]}',
      '{"name":"k","limits":[{"tokens":1e400,"per":"day"}]}',
      '{"name":"k","limits":[{"tokens":NaN,"per":"day"}]}',
      `{"name":"k","limits":[${'{"tokens":1,"per":"day"},'.repeat(5000)}{"tokens":1,"per":"day"}]}`,
      `{"name":"k","models":${JSON.stringify(Array.from({ length: 5000 }, (_, i) => `m${i}`))}}`,
      '{"name":"k","models":["a\\u0000"]}',
      '{"name":"k","expires":"9e9"}',
      '['.repeat(1_000_000),
      'null',
      '[]',
    ])
      expect({ sent: body.slice(0, 50), ...(await owner('POST', '/keys', body)) }).toMatchObject({
        sent: body.slice(0, 50),
        status: 400,
      });
    expect(await owner('PATCH', '/teams/team-shop', '{"__proto__":{"disabled":true}}')).toMatchObject({
      status: 400,
    });
    const deep = `{"model":"mock/echo","body":{"messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;
    expect(await owner('POST', '/explain', deep)).toMatchObject({ status: 400 });
    expect(await owner('POST', '/keys', 'x'.repeat(33 * 1024 * 1024))).toMatchObject({ status: 413 });
    expect(await namesSeen(owner, '/keys?limit=1000')).not.toContain('k');
  });

  test('no answer is kept by whoever stands between', async () => {
    for (const [method, path, body] of [
      ['GET', '/keys', undefined],
      ['POST', '/keys', { name: 'uncached' }],
      ['GET', '/keys/none', undefined],
      ['GET', '/calls/export', undefined],
    ] as const)
      expect((await owner(method, path, body)).headers.get('cache-control')).toBe('no-store');
  });

  test('a secret that is used as a token of another kind is none', async () => {
    const key = await keyOf('no-token', 'team-shop');
    expect(await asking(admin.gateway.url, key.secret)('GET', '/me')).toMatchObject({ status: 401 });
    const token = admin.gateway.app.firstSecrets!.adminToken;
    const answer = await admin.gateway.post('/v1/chat/completions', {}, { authorization: `Bearer ${token}` });
    expect(answer.status).toBe(401);
  });
});
