/** Usage and calls by the admin API, over sockets: grouped, filtered, in pages, as files, and only what may be seen. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Administered, startAdministered, stores } from './console.ts';

const yaml = `
providers:
  mock: {}
prices:
  mock/echo: { input: 1000, output: 2000 }
keys:
  - { name: alpha, key: sk-alpha, team: web }
  - { name: beta, key: sk-beta, team: ops }
teams:
  web: { organisation: shop }
  ops: { organisation: bank }
`;

const nasty = `%_'"; drop table attempts; --`;

describe.each(stores)('on %s', (_, line) => {
  let admin: Administered;

  async function call(key: string, headers: Record<string, string> = {}, model = 'mock/echo') {
    const body = { model, messages: [{ role: 'user', content: 'Hello there' }] };
    const answer = await admin.gateway.post('/v1/chat/completions', body, {
      authorization: `Bearer ${key}`,
      ...headers,
    });
    await answer.arrayBuffer();
    return answer.headers.get('x-request-id')!;
  }

  const ids = async (query: string, ask = admin.owner): Promise<string[]> => {
    const { status, body, text } = await ask('GET', `/calls?${query}`);
    if (status !== 200) throw new Error(text);
    return body.data.map(({ id }: { id: string }) => id);
  };

  const made: Record<string, string> = {};

  beforeAll(async () => {
    admin = await startAdministered(`${await line()}\n${yaml}`);
    made.plain = await call('sk-alpha');
    made.tagged = await call('sk-alpha', { 'x-sluice-tags': 'app=chat,env=prod', 'x-sluice-session': 's1' });
    made.user = await call('sk-beta', { 'x-sluice-end-user': nasty, 'x-sluice-tags': 'app=other' });
    made.formula = await call('sk-beta', { 'x-sluice-end-user': '=cmd|"x"!A1' });
    made.failed = await call('sk-beta', {}, 'mock/nothing');
    await admin.gateway.app.flushed();
  });
  afterAll(() => admin.gateway.stop());

  test('calls are found by whatever is known of them, the newest first', async () => {
    const { plain, tagged, user, formula, failed } = made as Required<typeof made>;
    const all = [failed, formula, user, tagged, plain] as string[];
    expect(await ids('')).toEqual(all);
    const finds: [string, (string | undefined)[]][] = [
      ['key=alpha', [tagged, plain]],
      ['key=alpha&key=beta', all],
      ['team=ops', [failed, formula, user]],
      ['organisation=shop', [tagged, plain]],
      ['model=mock/echo', [formula, user, tagged, plain]],
      ['target=mock/nothing', [failed]],
      ['tag=app=chat', [tagged]],
      ['tag=app=chat&tag=env=prod', [tagged]],
      ['tag=app=cha', []],
      ['session=s1', [tagged]],
      [`end_user=${encodeURIComponent(nasty)}`, [user]],
      ['status=200&team=web', [tagged, plain]],
      ['status=2xx&team=web', [tagged, plain]],
      ['status=4xx', [failed]],
      ['status=404&status=500', [failed]],
      ['outcome=ok&team=web', [tagged, plain]],
      ['since=2001-01-01T00:00:00Z&until=2002-01-01T00:00:00Z', []],
    ];
    for (const [query, found] of finds)
      expect({ query, ids: await ids(query) }).toEqual({ query, ids: found as string[] });
    // Nothing is a pattern, and nothing is a statement.
    for (const name of [
      'key',
      'team',
      'organisation',
      'model',
      'target',
      'tag',
      'session',
      'end_user',
      'outcome',
    ])
      for (const value of ['%', '_', "' or 1=1 --", `%${nasty}`])
        expect(await ids(`${name}=${encodeURIComponent(value)}`)).toEqual([]);
    expect(await ids('')).toEqual(all);
  });

  test('page by page they are the same', async () => {
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await admin.owner('GET', `/calls?limit=2${cursor}`);
      seen.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.next === null ? '' : `&cursor=${body.next}`;
    } while (cursor !== '');
    expect(seen).toEqual(await ids(''));
  });

  test('one call tells its attempts and what they cost', async () => {
    const [listed] = (await admin.owner('GET', `/calls?session=s1`)).body.data;
    expect(listed).toMatchObject({
      id: made.tagged,
      key: 'alpha',
      key_name: 'alpha',
      team: 'web',
      organisation: 'shop',
      tags: 'app=chat,env=prod',
      status: 200,
      attempts: 1,
      unpriced: 0,
    });
    expect(Number(listed.usd)).toBeGreaterThan(0);
    expect(listed.sell_usd).toBe(listed.usd);
    const { body } = await admin.owner('GET', `/calls/${made.tagged}`);
    expect(body).toMatchObject({ id: made.tagged, attempts: [{ target: 'mock/echo', usd: listed.usd }] });
    expect(await admin.owner('GET', '/calls/nothing')).toMatchObject({ status: 404 });
  });

  test('usage is summed by several dimensions at once', async () => {
    const { body } = await admin.owner('GET', '/usage?by=day,organisation&model=mock/echo');
    const day = new Date().toISOString().slice(0, 10);
    expect(body.data).toMatchObject([
      { day, organisation: expect.any(String), calls: 2, attempts: 2 },
      { day, calls: 2 },
    ]);
    const first = (await admin.owner('GET', '/usage?by=key,target&limit=1')).body;
    const second = (await admin.owner('GET', `/usage?by=key,target&limit=2&cursor=${first.next}`)).body;
    const whole = (await admin.owner('GET', '/usage?by=key,target')).body;
    expect([...first.data, ...second.data]).toEqual(whole.data);
    expect(whole.data).toHaveLength(3);
    for (const wrong of ['by=colour', 'by=', 'colour=red', 'since=yesterday', 'status=ok'])
      expect({ wrong, status: (await admin.owner('GET', `/usage?${wrong}`)).status }).toEqual({
        wrong,
        status: 400,
      });
  });

  test('latencies are told by model and by key, in pages', async () => {
    const latencies = async (query: string) => (await admin.owner('GET', `/latencies?${query}`)).body;
    const day = new Date().toISOString().slice(0, 10);
    const { data } = await latencies('by=day,model');
    expect(data).toMatchObject([{ day, model: 'mock/echo', duration: { count: 4 }, first_byte: null }]);
    const { p50, p95, p99 } = data[0].duration;
    expect([p50, p95, p99]).toEqual([p50, p95, p99].toSorted((a, b) => a - b));
    const whole = await latencies('by=key');
    expect(whole.data.map((row: { duration: object }) => row.duration)).toMatchObject([
      { count: 2 },
      { count: 2 },
    ]);
    const first = await latencies('by=key&limit=1');
    const second = await latencies(`by=key&limit=1&cursor=${first.next}`);
    expect([...first.data, ...second.data]).toEqual(whole.data);
    expect(second.next).toBeNull();
    expect((await latencies('by=key&key=alpha')).data).toMatchObject([{ duration: { count: 2 } }]);
    expect((await latencies('model=nothing')).data).toEqual([]);
    for (const wrong of ['by=team', 'by=key,model', 'key=alpha', 'team=web'])
      expect({ wrong, status: (await admin.owner('GET', `/latencies?${wrong}`)).status }).toEqual({
        wrong,
        status: 400,
      });
  });

  test('files hold the same, and nothing in them is a formula', async () => {
    const csv = await admin.owner('GET', '/calls/export?format=csv');
    expect(csv.headers.get('content-type')).toContain('text/csv');
    expect(csv.text.split('\r\n')).toHaveLength(7);
    expect(csv.text).toContain(`,"'=cmd|""x""!A1",`);
    const jsonl = await admin.owner('GET', '/calls/export?format=jsonl&team=web');
    const lines = jsonl.text
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    expect(lines).toEqual((await admin.owner('GET', '/calls?team=web')).body.data);
    const usage = await admin.owner('GET', '/usage/export?format=jsonl&by=team');
    expect(
      usage.text
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text)),
    ).toEqual((await admin.owner('GET', '/usage?by=team')).body.data);
    expect((await admin.owner('GET', '/usage/export?by=team')).text).toStartWith('team,calls,');
    expect((await admin.owner('GET', '/calls/export?format=csv&team=nobody')).text).toStartWith('id,at,');
    expect((await admin.owner('GET', '/calls/export?format=xls')).status).toBe(400);
  });

  test('who is confined to a tenant sees that one only, whatever is asked for', async () => {
    const member = await admin.as({ role: 'member', organisation: 'shop', team: 'web' });
    const mine = [made.tagged!, made.plain!];
    expect(await ids('', member)).toEqual(mine);
    for (const query of [
      'organisation=bank',
      'team=ops',
      'key=beta',
      'organisation=bank&organisation=shop&team=ops',
    ])
      expect(await ids(query, member)).toEqual([]);
    expect((await member('GET', '/usage?by=team')).body.data).toMatchObject([{ team: 'web', calls: 2 }]);
    for (const file of ['/calls/export?format=jsonl', '/usage/export?format=jsonl&by=key,organisation'])
      expect((await member('GET', file)).text).not.toMatch(/bank|beta|ops/);
    const foreign = await member('GET', `/calls/${made.user}`);
    const unknown = await member('GET', '/calls/nothing');
    expect(foreign.status).toBe(404);
    expect(foreign.text.replace(made.user!, 'nothing')).toBe(unknown.text);
  });
});
