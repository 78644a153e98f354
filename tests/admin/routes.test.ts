/**
 * Every route of the admin API, for every role and for tokens of other tenants: who may ask, and that whoever may not
 * changes nothing and learns nothing. The routes are those of the API's own description: one that has no rule here fails.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Administered, type Ask, startAdministered, stores } from './console.ts';

const roles = ['owner', 'admin', 'billing', 'viewer', 'member'] as const;
type Role = (typeof roles)[number];

interface Rule {
  /** Who may, with the whole gateway as scope; a member has an organisation. */
  may: readonly Role[];
  /** A request that is fine, for things of the tenant of this name. */
  path: (tenant: string) => string;
  body?: (tenant: string) => unknown;
  /** What it is answered with to whoever may. */
  status?: number;
  /** About the whole gateway: refused to whoever is confined to a tenant. */
  gateway?: true;
  /** To somebody of another tenant: as if there were nothing (404), or a list without it. */
  foreign?: 404 | 400 | 'without';
}

const all = roles;
const staff: readonly Role[] = ['owner', 'admin'];
const viewers: readonly Role[] = [...staff, 'viewer'];
/** Ids that exist, by tenant: `bank` and `shop` are made alike. */
const ids: Record<string, { key: string; token: string; call: string; providerKey: string }> = {};
let made = 0;
const fresh = (name: string) => `${name}-${++made}`;

const rules: Record<string, Rule> = {
  'GET /admin/v1/me': { may: all, path: () => '/me' },
  'GET /admin/v1/openapi.json': { may: all, path: () => '/openapi.json' },
  'GET /admin/v1/tokens': { may: viewers, path: () => '/tokens', foreign: 'without' },
  'POST /admin/v1/tokens': {
    may: staff,
    path: () => '/tokens',
    body: (tenant) => ({ name: fresh('t'), role: 'viewer', organisation: tenant }),
    status: 201,
    foreign: 404,
  },
  'DELETE /admin/v1/tokens/{id}': {
    may: staff,
    path: (tenant) => `/tokens/${ids[tenant]!.token}`,
    foreign: 404,
  },
  'GET /admin/v1/audit': { may: viewers, path: () => '/audit?limit=1000', foreign: 'without' },
  'GET /admin/v1/organisations': { may: all, path: () => '/organisations', foreign: 'without' },
  'GET /admin/v1/organisations/{name}': {
    may: all,
    path: (tenant) => `/organisations/${tenant}`,
    foreign: 404,
  },
  'POST /admin/v1/organisations': {
    may: staff,
    path: () => '/organisations',
    body: () => ({ name: fresh('o') }),
    status: 201,
    gateway: true,
  },
  'PATCH /admin/v1/organisations/{name}': {
    may: staff,
    path: (tenant) => `/organisations/${tenant}`,
    body: () => ({ limits: [] }),
    gateway: true,
  },
  'PUT /admin/v1/organisations/{name}/pricing': {
    may: [...staff, 'billing'],
    path: (tenant) => `/organisations/${tenant}/pricing`,
    body: () => ({ markup: '5%' }),
    gateway: true,
  },
  // It has teams: whoever may is told so.
  'DELETE /admin/v1/organisations/{name}': {
    may: staff,
    path: (tenant) => `/organisations/${tenant}`,
    status: 409,
    gateway: true,
  },
  'GET /admin/v1/teams': { may: all, path: () => '/teams', foreign: 'without' },
  'GET /admin/v1/teams/{name}': { may: all, path: (tenant) => `/teams/team-${tenant}`, foreign: 404 },
  'POST /admin/v1/teams': {
    may: staff,
    path: () => '/teams',
    body: (tenant) => ({ name: fresh('team'), organisation: tenant }),
    status: 201,
    foreign: 400,
  },
  'PATCH /admin/v1/teams/{name}': {
    may: staff,
    path: (tenant) => `/teams/team-${tenant}`,
    body: () => ({ limits: [] }),
    foreign: 404,
  },
  // It has keys.
  'DELETE /admin/v1/teams/{name}': {
    may: staff,
    path: (tenant) => `/teams/team-${tenant}`,
    status: 409,
    foreign: 404,
  },
  'GET /admin/v1/keys': { may: all, path: () => '/keys?limit=1000', foreign: 'without' },
  'GET /admin/v1/keys/{id}': { may: all, path: (tenant) => `/keys/${ids[tenant]!.key}`, foreign: 404 },
  'POST /admin/v1/keys': {
    may: [...staff, 'member'],
    path: () => '/keys',
    body: (tenant) => ({ name: fresh('k'), team: `team-${tenant}` }),
    status: 201,
    foreign: 400,
  },
  'PATCH /admin/v1/keys/{id}': {
    may: [...staff, 'member'],
    path: (tenant) => `/keys/${ids[tenant]!.key}`,
    body: () => ({ limits: [] }),
    foreign: 404,
  },
  'POST /admin/v1/keys/{id}/rotate': {
    may: [...staff, 'member'],
    path: (tenant) => `/keys/${ids[tenant]!.key}/rotate`,
    body: () => ({ grace: '1h' }),
    foreign: 404,
  },
  'DELETE /admin/v1/keys/{id}': {
    may: [...staff, 'member'],
    path: (tenant) => `/keys/${ids[tenant]!.key}`,
    foreign: 404,
  },
  'GET /admin/v1/limits': { may: all, path: (tenant) => `/limits?team=team-${tenant}`, foreign: 404 },
  'GET /admin/v1/usage': { may: all, path: () => '/usage?by=key,team,organisation', foreign: 'without' },
  'GET /admin/v1/usage/export': {
    may: all,
    path: () => '/usage/export?by=key,team,organisation',
    foreign: 'without',
  },
  'GET /admin/v1/calls': { may: all, path: () => '/calls', foreign: 'without' },
  'GET /admin/v1/calls/export': { may: all, path: () => '/calls/export', foreign: 'without' },
  'GET /admin/v1/calls/{id}': { may: all, path: (tenant) => `/calls/${ids[tenant]!.call}`, foreign: 404 },
  'GET /admin/v1/prices': { may: all, path: () => '/prices' },
  'PUT /admin/v1/prices/{target}': {
    may: staff,
    path: () => `/prices/${encodeURIComponent('mock/echo')}`,
    body: () => ({ input: 1, output: 1 }),
    gateway: true,
  },
  'DELETE /admin/v1/prices/{target}': {
    may: staff,
    path: () => `/prices/${encodeURIComponent('mock/echo')}`,
    gateway: true,
  },
  'GET /admin/v1/provider-keys': { may: viewers, path: () => '/provider-keys', gateway: true },
  'POST /admin/v1/provider-keys': {
    may: ['owner'],
    path: () => '/provider-keys',
    body: () => ({ provider: 'mock', name: 'n', secret: fresh('secret') }),
    status: 201,
    gateway: true,
  },
  'DELETE /admin/v1/provider-keys/{id}': {
    may: ['owner'],
    path: (tenant) => `/provider-keys/${ids[tenant]!.providerKey}`,
    gateway: true,
  },
  'GET /admin/v1/latencies': { may: viewers, path: () => '/latencies?by=target', gateway: true },
  'GET /admin/v1/health': { may: viewers, path: () => '/health', gateway: true },
  'POST /admin/v1/explain': {
    may: [...viewers, 'member'],
    path: () => '/explain',
    body: (tenant) => ({ model: 'mock/echo', key: `key-${tenant}` }),
    foreign: 404,
  },
};

/** What changes leave behind: the audit log has a line for each, the newest first. */
const seen = async (owner: Ask): Promise<string> => (await owner('GET', '/audit?limit=1')).text;

let admin: Administered;
const holders = new Map<string, Ask>();

/** Makes what the rules speak of anew, where it was ended. */
async function provide(tenant: string): Promise<void> {
  const { owner } = admin;
  const expectMade = async (path: string, body: object) => {
    const { status, body: said, text } = await owner('POST', path, body);
    if (status !== 201) throw new Error(text);
    return said.id as string;
  };
  const { call } = ids[tenant] ?? { call: '' };
  const name = `key-${tenant}`;
  const listed = (await owner('GET', `/keys?limit=1000&team=team-${tenant}`)).body.data;
  const live = listed.find(
    (each: { name: string; state: string }) => each.name === name && each.state === 'active',
  );
  const key = live?.id ?? (await expectMade('/keys', { name, team: `team-${tenant}` }));
  ids[tenant] = {
    call,
    key,
    token: await expectMade('/tokens', { name: `token-${tenant}`, role: 'viewer', organisation: tenant }),
    providerKey: await expectMade('/provider-keys', { provider: 'mock', name: 'n', secret: fresh('s') }),
  };
  await owner('PUT', `/prices/${encodeURIComponent('mock/echo')}`, { input: 1, output: 1 });
}

describe.each(stores)('on %s', (_, line) => {
  beforeAll(async () => {
    for (const tenant of Object.keys(ids)) delete ids[tenant];
    holders.clear();
    process.env.SLUICE_SECRET = 'a long random text';
    admin = await startAdministered(`${await line()}\nproviders: { mock: {} }`);
    for (const tenant of ['bank', 'shop']) {
      await admin.owner('POST', '/organisations', { name: tenant });
      await admin.owner('POST', '/teams', { name: `team-${tenant}`, organisation: tenant });
      const key = await admin.owner('POST', '/keys', { name: `key-${tenant}`, team: `team-${tenant}` });
      const headers = { authorization: `Bearer ${key.body.secret}` };
      const body = { model: 'mock/echo', messages: [{ role: 'user', content: 'Hi' }] };
      let answer: Response;
      do {
        answer = await admin.gateway.post('/v1/chat/completions', body, headers);
        await answer.arrayBuffer();
        if (answer.status === 401) await Bun.sleep(20);
      } while (answer.status === 401);
      ids[tenant] = {
        key: key.body.id,
        call: answer.headers.get('x-request-id')!,
        token: '',
        providerKey: '',
      };
      await provide(tenant);
    }
    await admin.gateway.app.flushed();
    for (const role of roles) {
      if (role !== 'member') holders.set(role, await admin.as({ role }));
      if (role !== 'owner') holders.set(`${role} of bank`, await admin.as({ role, organisation: 'bank' }));
    }
    holders.set('member', holders.get('member of bank')!);
  });
  afterAll(async () => {
    await admin.gateway.stop();
    delete process.env.SLUICE_SECRET;
  });

  test('every route there is has a rule here, and every rule a route', async () => {
    const { body } = await admin.owner('GET', '/openapi.json');
    const described = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(Object.keys(rules).sort());
  });

  describe.each(Object.entries(rules))('%s', (route, rule) => {
    const method = route.split(' ')[0]!;
    const ask = (as: Ask, tenant: string) => as(method, rule.path(tenant), rule.body?.(tenant));

    test('without a token, or with a wrong one, it is refused', async () => {
      const before = await seen(admin.owner);
      for (const authorization of ['', 'Bearer nothing', `Basic ${btoa('a:b')}`]) {
        const answer = await admin.owner(method, rule.path('bank'), rule.body?.('bank'), { authorization });
        expect(answer).toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
        const said = authorization === 'Bearer nothing' ? 'not known here' : 'Send an admin token';
        expect(answer.body.error.message).toContain(said);
      }
      expect(await seen(admin.owner)).toBe(before);
    });

    test.each([...roles])('as %s', async (role) => {
      if (method !== 'GET') await provide('bank');
      const before = await seen(admin.owner);
      const answer = await ask(holders.get(role)!, 'bank');
      const may = rule.may.includes(role) && !(role === 'member' && rule.gateway);
      expect({ role, status: answer.status }).toEqual({ role, status: may ? (rule.status ?? 200) : 403 });
      if (!may || method === 'GET' || answer.status >= 400) expect(await seen(admin.owner)).toBe(before);
      if (!may) expect(Object.keys(answer.body)).toEqual(['error']);
    });

    test.each(['admin', 'billing', 'viewer', 'member'] as const)('as %s of another tenant', async (role) => {
      if (method !== 'GET') await provide('shop');
      const before = await seen(admin.owner);
      const answer = await ask(holders.get(`${role} of bank`)!, 'shop');
      const may = rule.may.includes(role) && rule.gateway === undefined;
      const status = !may ? 403 : typeof rule.foreign === 'number' ? rule.foreign : 200;
      expect({ role, status: answer.status }).toEqual({ role, status });
      expect(await seen(admin.owner)).toBe(before);
      if (may && rule.foreign === 'without') {
        for (const theirs of [ids.shop!.key, ids.shop!.token, ids.shop!.call, 'shop'])
          expect(answer.text).not.toContain(theirs);
      }
      if (may && typeof rule.foreign === 'number') {
        // Word for word what is said of what there is not.
        const real = ids.shop!;
        ids.nobody = { key: 'key_none', token: 'token_none', call: 'call_none', providerKey: 'pk_none' };
        const nothing = await ask(holders.get(`${role} of bank`)!, 'nobody');
        let said = answer.text;
        for (const [kind, id] of Object.entries(real))
          said = said.replaceAll(id, ids.nobody[kind as keyof typeof real]);
        expect(said.replaceAll('shop', 'nobody')).toBe(nothing.text);
        expect(answer.status).toBe(nothing.status);
      }
    });
  });
});
