/** Explaining: the same plan as a live call's, beforehand by the admin API and the command line, afterwards in its record. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Explanation } from '../../src/core/explain.ts';
import { startGateway, type TestGateway } from './gateway.ts';

const yaml = `
providers:
  mock: {}
  down: { speaks: openai-chat, url: "http://127.0.0.1:9/v1" }
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
prices:
  mock/echo: { input: 1, output: 2 }
  mock/long: { input: 1, output: 2 }
  mock/dear: { input: 9, output: 9 }
  mock/fair: { input: 1, output: 1 }
  down/m: { input: 1, output: 1 }
keys:
  - { name: test, key: sk-test-key, team: web, models: [smart, best, cheap, words], limits: [{ usd: 0.5, per: day }, { concurrency: 1 }] }
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
        { name: 'talk' },
      ],
      targets: [{ target: 'down/m', state: 'open', last_error: 'upstream_network' }],
    });
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
    const response = await gateway.post('/v1/chat/completions', hello);
    await response.text();
    await gateway.app.flushed();
    const { out } = run('--call', response.headers.get('x-request-id')!, '--data', gateway.dataDir);
    expect(out).toContain('smart for test');
    expect(out).toMatch(/1 +down\/m +fallback 1 +upstream_network/);
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
