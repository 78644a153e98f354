/** Explaining: the same plan as a live call's, beforehand by the admin API and the command line, afterwards in its record. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { showRecordedCall } from '../../src/cli/recorded-call.ts';
import type { ExplainedRoute, Explanation, PlannedRoute, RecordedPlan } from '../../src/core/explain.ts';
import { formatUsd } from '../../src/core/money.ts';
import { startGateway, type TestGateway } from './gateway.ts';

const yaml = `
providers:
  mock: {}
  down: { speaks: openai-chat, url: "http://127.0.0.1:9/v1" }
  away: { speaks: openai-chat, url: "http://127.0.0.1:9/v1" }
  talk: { speaks: anthropic-messages, url: "http://127.0.0.1:9/v1" }
models:
  smart: { fallback: [down/m, { split: [{ to: mock/echo, weight: 1 }] }] }
  best:
    when:
      - { if: 'request.tokens > 1000', to: mock/long }
      - { if: 'tags.plan == "pro" && key.team == "web"', to: smart }
    else: { cheapest: [mock/dear, mock/fair] }
  cheap: { cheapest: [mock/dear, mock/fair] }
  words: talk/m
  watched: { mirror: mock/echo, to: mock/long }
  plain: mock/echo
  thrift: { cheapest: [mock/echo-slow, mock/echo] }
  other: { fallback: [away/m, { split: [{ to: mock/echo, weight: 1 }] }] }
prices:
  away/m: { input: 1, output: 1 }
  mock/echo: { input: 1, output: 2 }
  mock/echo-slow: { input: 9, output: 9 }
  mock/long: { input: 1, output: 2 }
  mock/dear: { input: 9, output: 9 }
  mock/fair: { input: 1, output: 1 }
  down/m: { input: 1, output: 1 }
keys:
  - { name: test, key: sk-test-key, team: web, models: [smart, best, cheap, words, other, plain, thrift], limits: [{ usd: 0.5, per: day }, { concurrency: 1 }] }
teams: { web: {} }
`;

let gateway: TestGateway;
let token: string;

beforeAll(async () => {
  gateway = await startGateway(yaml);
  token = gateway.app.firstSecrets!.adminToken;
});
afterAll(() => gateway.stop());

function ask(body: unknown, secret = token): Promise<Response> {
  return fetch(`${gateway.url}/admin/v1/explain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function explained(query: object): Promise<Explanation> {
  const response = await ask(query);
  expect(response.status).toBe(200);
  return (await response.json()) as Explanation;
}

const hello = { model: 'smart', messages: [{ role: 'user', content: 'Hello' }] };
const targets = ({ targets: all }: Explanation) => all.map(({ target }) => target);

describe('beforehand', () => {
  test('the targets in their order, each by its way through the route, with what it is expected to cost', async () => {
    const plan = await explained({ body: hello, key: 'test' });
    expect(plan).toMatchObject({ model: 'smart', key: 'test', tokens: 16 });
    expect(plan.refused).toBeUndefined();
    expect(plan.targets).toMatchObject([
      { target: 'down/m', way: 'fallback 1', healthy: true, fits: true, expected_cost_usd: '0.000516' },
      { target: 'mock/echo', way: 'fallback 2 > split 1', expected_cost_usd: '0.001016' },
    ]);
    expect(plan.route).toMatchObject({
      type: 'fallback',
      children: [
        { type: 'target', target: 'down/m' },
        { type: 'split', children: [{ target: 'mock/echo', score: 1, unit: 'weight' }] },
      ],
    });
  });

  test('conditions see request, key and tags', async () => {
    expect(targets(await explained({ model: 'best', tokens: 5000 }))).toEqual(['mock/long']);
    expect(targets(await explained({ model: 'best', key: 'test', tags: { plan: 'pro' } }))[0]).toBe('down/m');
    const plan = await explained({ model: 'best', tokens: 10 });
    expect(targets(plan)).toEqual(['mock/fair', 'mock/dear']);
    expect(plan.route?.children?.map(({ if: condition, unused }) => [condition, unused])).toEqual([
      [undefined, undefined],
      ['request.tokens > 1000', true],
      ['tags.plan == "pro" && key.team == "web"', true],
    ]);
  });

  test('a moment in which targets are down', async () => {
    const plan = await explained({ model: 'smart', down: ['down/*'] });
    expect(targets(plan)).toEqual(['mock/echo', 'down/m']);
    expect(plan.targets[1]).toMatchObject({ healthy: false });
  });

  test('limits that would bite, and what may not be asked', async () => {
    const dear = await explained({ model: 'cheap', key: 'test', tokens: 10, max_tokens: 1_000_000 });
    expect(dear.limits).toMatchObject([
      { owner: 'key', name: 'test', unit: 'usd', per: 'day', max: '0.5', needed: '1.00001', refuses: true },
      { unit: 'concurrency', needed: '1', refuses: false },
    ]);
    expect(dear.refused?.kind).toBe('budget_exceeded');
    expect((await explained({ model: 'mock/echo', key: 'test' })).refused?.kind).toBe('forbidden');
    const unpriced = await explained({ model: 'words', key: 'test' });
    expect(unpriced.targets[0]?.passed_over).toContain('No price is known for talk/m');
    expect(unpriced.refused?.kind).toBe('unsupported');
  });

  test('what is lost, or cannot be said, in the language of a target', async () => {
    const body = { ...hello, model: 'words', logprobs: true, seed: 4 };
    const [target] = (await explained({ body })).targets;
    expect([target?.passed_over ?? '', ...(target?.lost ?? [])].join()).toMatch(/logprobs|seed/);
  });

  test('who is asked unseen', async () => {
    const { route } = await explained({ model: 'watched' });
    expect(route?.children).toMatchObject([{ target: 'mock/echo' }, { target: 'mock/long', unseen: true }]);
  });

  test('the very plan that the call then has', async () => {
    const plan = await explained({ body: hello, key: 'test' });
    const response = await gateway.post('/v1/chat/completions', hello);
    expect(response.status).toBe(200);
    await response.text();
    const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(rows.map(({ target, why }) => [target, why])).toEqual(
      plan.targets.map(({ target, way }) => [target, way]),
    );
  });
});

test('asking about another moment leaves the limits where they are', async () => {
  const used = async () => (await explained({ body: hello, key: 'test' })).limits[0]!.used;
  await (await gateway.post('/v1/chat/completions', { ...hello, model: 'plain' })).text();
  const before = await used();
  expect(Number(before)).toBeGreaterThan(0);
  for (const at of ['2020-01-01T00:00:00Z', '2090-01-01T00:00:00Z']) {
    await explained({ body: hello, key: 'test', at });
    expect(await used()).toBe(before);
  }
});

describe('in the record of a call', () => {
  interface Record {
    call: string;
    plan: RecordedPlan | null;
    attempts: { target: string; why: string }[];
  }

  async function made(body: object, headers?: { [name: string]: string }): Promise<string> {
    const response = await gateway.post('/v1/chat/completions', body, headers);
    await response.text();
    expect(response.status).toBe(200);
    await gateway.app.flushed();
    return response.headers.get('x-request-id')!;
  }

  async function recordOf(call: string): Promise<Record> {
    const out = await showRecordedCall(call, { data: gateway.dataDir }, true);
    expect(JSON.parse(out).call).toBe(call);
    return JSON.parse(out) as Record;
  }

  /** Strategies and targets line by line, each with its score. */
  function planned(route: PlannedRoute, depth = 0): string[] {
    if (typeof route === 'string') return [`${depth} ${route}`];
    const line = `${depth} ${'by' in route ? route.by : route.to} ${route.score ?? ''}`.trim();
    return 'by' in route ? [line, ...route.of.flatMap((child) => planned(child, depth + 1))] : [line];
  }

  function drawn({ unused, target, type, score, children = [] }: ExplainedRoute, depth = 0): string[] {
    if (unused) return [];
    const line = `${depth} ${target ?? type} ${score ?? ''}`.trim();
    return [line, ...children.flatMap((child) => drawn(child, depth + 1))];
  }

  test.each([
    ['smart', 'free'],
    ['thrift', 'free'],
    ['best', 'pro'],
  ])('%s: what was said beforehand', async (model, name) => {
    const body = { ...hello, model };
    const before = await explained({ body, key: 'test', tags: { plan: name } });
    const { plan, attempts } = await recordOf(await made(body, { 'x-sluice-tags': `plan=${name}` }));
    expect(planned(plan!.route)).toEqual(drawn(before.route!));
    expect(formatUsd(plan!.expected_nano_usd!)).toBe(before.targets[0]!.expected_cost_usd!);
    expect(formatUsd(plan!.reserved_nano_usd)).toBe(before.limits[0]!.needed);
    // One call of one at once.
    expect(plan!.limit).toEqual({
      owner: 'key',
      name: 'test',
      unit: 'concurrency',
      per: null,
      percent: 100,
    });
    const tried = before.targets.slice(0, attempts.length);
    expect(attempts.map(({ target, why }) => [target, why])).toEqual(
      tried.map(({ target, way }) => [target, way]),
    );
  });

  test('who had answered the conversation before', async () => {
    const session = { 'x-sluice-session': 'long' };
    const body = { ...hello, model: 'thrift' };
    expect((await recordOf(await made(body, session))).plan?.route.of[0]).not.toHaveProperty('kept');
    expect((await recordOf(await made(body, session))).plan?.route.of[0]).toMatchObject({
      to: 'mock/echo',
      kept: 1,
    });
  });

  test('nothing of the prompt, and nothing where there is nothing to choose', async () => {
    const call = await made({ model: 'smart', messages: [{ role: 'user', content: 'Tell nobody' }] });
    const { plan } = await recordOf(call);
    expect(plan).not.toBeNull();
    expect(JSON.stringify(plan)).not.toMatch(/nobody|sk-/);
    const direct = await recordOf(await made({ ...hello, model: 'plain' }));
    expect(direct).toMatchObject({ plan: null, attempts: [{ target: 'mock/echo', why: '' }] });
  });
});

describe('the admin API', () => {
  test('wants the admin token', async () => {
    expect((await ask({ model: 'smart' }, 'sk-test-key')).status).toBe(401);
    expect((await fetch(`${gateway.url}/admin/v1/explain`, { method: 'POST' })).status).toBe(401);
  });

  test.each([
    [{}, 400, 'must name a model'],
    [{ model: 'smart', tokns: 3 }, 400, 'tokns'],
    [{ model: 'smart', at: 'soon' }, 400, 'at: must be a moment'],
    [{ model: 'smart', tokens: -1 }, 400, 'tokens'],
    ['{', 400, 'JSON'],
    [{ body: { model: 'smart', messages: 'x' } }, 400, 'messages'],
    [{ model: 'nobody' }, 404, 'not known here'],
    [{ model: 'smart', key: 'nobody' }, 404, 'no key named "nobody"'],
  ])('%j: %d', async (query, status, message) => {
    const response = await ask(query);
    expect(response.status).toBe(status);
    expect(((await response.json()) as { error: { message: string } }).error.message).toContain(message);
  });

  test('tells how keys and targets are', async () => {
    for (let i = 0; i < 6; i++) await (await gateway.post('/v1/chat/completions', hello)).text();
    const response = await fetch(`${gateway.url}/admin/v1/health`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await response.json()).toMatchObject({
      providers: [
        { name: 'mock' },
        { name: 'down', keys: [{ id: 'down#1', state: 'live' }] },
        { name: 'away' },
        { name: 'talk' },
      ],
      targets: [{ target: 'down/m', state: 'open', last_error: 'upstream_network' }],
    });
  });

  test('takes JSON that does not say so, and says what a page takes', async () => {
    const url = `${gateway.url}/admin/v1/explain`;
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(url, { method: 'POST', headers, body: '{"model":"smart"}' })).status).toBe(200);
    expect((await fetch(url, { method: 'POST', headers, body: '{' })).status).toBe(400);
    const wrong = await fetch(url, { headers });
    expect(wrong.status).toBe(405);
    expect(await wrong.text()).toContain('takes POST, not GET');
    const large = new Uint8Array(33 * 1024 * 1024).fill(32);
    expect((await fetch(url, { method: 'POST', headers, body: large })).status).toBe(413);
  });

  test('describes itself', async () => {
    const response = await fetch(`${gateway.url}/admin/v1/openapi.json`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { openapi, paths } = (await response.json()) as { openapi: string; paths: object };
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths)).toContain('/admin/v1/explain');
  });
});

describe('sluice explain', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-explain-'));
  const config = join(folder, 'sluice.yaml');
  const request = join(folder, 'request.json');
  writeFileSync(config, yaml);
  writeFileSync(request, JSON.stringify(hello));
  afterAll(() => rmSync(folder, { recursive: true }));

  function run(...args: string[]): { code: number; out: string; err: string } {
    const { exitCode, stdout, stderr } = Bun.spawnSync([
      process.execPath,
      'src/main.ts',
      'explain',
      '-c',
      config,
      ...args,
    ]);
    return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
  }

  test('says the same from the configuration alone', async () => {
    const { code, out } = run(request, '--json');
    expect(code).toBe(0);
    expect(targets(JSON.parse(out))).toEqual(['down/m', 'mock/echo']);
  });

  test('reads well', () => {
    const { out } = run('-m', 'best', '--key', 'test', '--tag', 'plan=pro', '--down', 'down/m');
    expect(out).toContain('1  mock/echo  when 1 > fallback 2 > split 1');
    expect(out).toContain('not well');
    expect(out).toContain('key test');
  });

  test('tells of a call that was made', async () => {
    const response = await gateway.post('/v1/chat/completions', { ...hello, model: 'other' });
    await response.text();
    await gateway.app.flushed();
    const { out } = run('--call', response.headers.get('x-request-id')!, '--data', gateway.dataDir);
    expect(out).toContain('other for test');
    expect(out).toContain('\nfallback\n  away/m\n  split\n    mock/echo  (1 weight)\n\n');
    expect(out).toMatch(/\nexpected: 0\.0\d+ usd; held: 0\.0\d+ usd\n/);
    expect(out).toContain('\nfullest limit: concurrency of key test, 100 % used or held\n\n');
    expect(out).toMatch(/1 +away\/m +fallback 1 +upstream_network/);
    expect(out).toMatch(/2 +mock\/echo +fallback 2 > split 1 +ok +200/);
  });

  test.each([
    [[], 'Name a request file, or a model'],
    [['-m', 'nobody'], 'not known here'],
    [['/nowhere.json'], 'cannot be read'],
    [['-m', 'smart', '--tag', 'x'], '--tag takes name=value'],
  ])('%j is answered in a line', (args, message) => {
    const { code, err } = run(...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});
