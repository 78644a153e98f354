/** Hundreds of calls at once on nested limits, over sockets: no limit is exceeded, whatever becomes of the calls. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway, until } from './gateway.ts';

const callers = 320;
const most = {
  keyUsd: 0.03,
  teamTokens: 60_000,
  organisationRequests: 200,
  endUserRequests: 60,
  running: 12,
  /** Hundreds of times what a call may need. */
  farUsd: 0.4,
  keyRunning: 8,
};
/** What each stream that is cut off may have had beyond what was held: the piece that was under way. */
const slackTokens = 60;

let provider: FakeProvider;
let gateway: TestGateway;

const models = [
  'echo:tokens=40',
  'echo:tokens=900,delay=1',
  'echo:tokens=4000,delay=1',
  'echo:tokens=200,fault=cut,after=20',
  'status:503',
  'no-usage:tokens=150',
  'echo:tokens=100,before=30ms',
  'echo:tokens=1000',
];
const shortModels = [20, 150, 300, 400].map((tokens) => `echo:tokens=${tokens}`);

beforeAll(async () => {
  provider = await startFakeProvider({ seed: 5 });
  const prices = Object.fromEntries(
    ['oa', 'an'].flatMap((to) =>
      [...models, ...shortModels].map((model) => [`${to}/${model}`, { input: 1, output: 1 }]),
    ),
  );
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
prices: ${JSON.stringify(prices)}
keys:
  - name: one
    key: one
    team: both
    limits: [{ usd: ${most.keyUsd}, per: month }, { concurrency: ${most.keyRunning} }, { requests: 1000000, per: second }]
    end_users: { limits: [{ requests: ${most.endUserRequests}, per: lifetime }] }
  - name: two
    key: two
    team: both
    limits: [{ usd: ${most.keyUsd}, per: month, sliding: true }, { tokens: 1000000, per: minute, sliding: true }]
    end_users: { limits: [{ requests: ${most.endUserRequests}, per: lifetime }] }
  - { name: counted, key: counted, limits: [{ requests: 37, per: lifetime }] }
  - { name: far, key: far, limits: [{ usd: ${most.farUsd}, per: month }] }
  - { name: ample, key: ample, team: ample, limits: [{ usd: 100, per: hour }, { requests: 400, per: lifetime }] }
teams:
  both: { organisation: all, limits: [{ tokens: ${most.teamTokens}, per: month }] }
  ample: { limits: [{ tokens: 9000000, per: day }, { concurrency: 400 }] }
organisations:
  all: { limits: [{ requests: ${most.organisationRequests}, per: lifetime }, { concurrency: ${most.running} }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

/** The same each time. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5;
    return (state >>> 8) % below;
  };
}

interface Asked {
  secret: string;
  model: string;
  stream: boolean;
  client: number;
  endUser?: string;
  /** Hangs up after so many ms. */
  leavesMs?: number;
  prompt?: string;
  longest?: number;
}

/** @returns the status; 0 of a client that left. */
async function ask({
  secret,
  model,
  stream,
  client,
  endUser,
  leavesMs,
  prompt = 'Hi',
  longest,
}: Asked): Promise<number> {
  const messages = [{ role: 'user', content: prompt }];
  const leave = new AbortController();
  const timer = leavesMs === undefined ? undefined : setTimeout(() => leave.abort(), leavesMs);
  const [path, body] = [
    ['/v1/chat/completions', { model, stream, messages, max_tokens: longest }],
    ['/v1/messages', { model, stream, messages, max_tokens: 3000 }],
    ['/v1/responses', { model, stream, input: prompt }],
    [
      `/v1beta/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
      { contents: [{ parts: [{ text: prompt }] }] },
    ],
  ][client] as [string, object];
  try {
    const response = await fetch(gateway.url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${secret}`,
        'content-type': 'application/json',
        ...(endUser !== undefined && { 'x-sluice-end-user': endUser }),
      },
      body: JSON.stringify(body),
      signal: leave.signal,
    });
    await response.text();
    return response.status;
  } catch {
    return 0;
  } finally {
    clearTimeout(timer);
  }
}

function held(name: string, endUser?: string): { reserved: number; used: number }[] {
  const { keyring, limiter } = gateway.app.gateway;
  const limits = limiter.limitsOf(gateway.app.snapshot(), keyring.named(name)!, endUser);
  return limits.map((limit) => limiter.look(limit, Date.now()));
}

function boundsOf(...names: string[]): number[] {
  const { keyring, limiter } = gateway.app.gateway;
  return names.flatMap((name) =>
    limiter.limitsOf(gateway.app.snapshot(), keyring.named(name)!).map(({ limit }) => limit.max),
  );
}

/** The most that the provider sees at once, until it is stopped. */
function watchProvider(): () => number {
  let highest = 0;
  const timer = setInterval(() => {
    highest = Math.max(highest, provider.mock.counters.open);
  }, 1);
  return () => {
    clearInterval(timer);
    return highest;
  };
}

async function rowsOf(...names: string[]) {
  return (await gateway.attempts()).filter((row) => names.includes(String(row.key)));
}

const sum = (amounts: unknown[]): number => amounts.reduce((total: number, each) => total + Number(each), 0);

test('nested limits in all units hold', async () => {
  const draw = seeded(11);
  const users = ['ann', 'bob', 'cyd', 'dee'];
  const stopWatching = watchProvider();
  const statuses = await Promise.all(
    Array.from({ length: callers }, async () => {
      const asked: Asked = {
        secret: ['one', 'two'][draw(2)]!,
        model: `${['oa', 'an'][draw(2)]}/${models[draw(models.length)]}`,
        stream: draw(3) > 0,
        client: draw(4),
        endUser: users[draw(users.length)]!,
        prompt: ['Hi', '请告诉我一个故事。'.repeat(40), 'Tell me. '.repeat(100)][draw(3)]!,
        ...(draw(8) === 0 && { leavesMs: draw(60) }),
      };
      await Bun.sleep(draw(1000));
      let status = await ask(asked);
      // As clients do; the limits are used up by that, however quick or slow this machine is.
      for (let i = 0; i < 4 && status === 429; i++) {
        await Bun.sleep(40 + draw(80));
        status = await ask(asked);
      }
      return status;
    }),
  );
  await until(() => [...held('one'), ...held('two')].every(({ reserved }) => reserved === 0));
  expect(stopWatching()).toBeLessThanOrEqual(most.running);

  const rows = await rowsOf('one', 'two');
  const cut = rows.filter((row) => row.stream && row.estimated).length;
  for (const name of ['one', 'two']) {
    const spent = sum(rows.filter((row) => row.key === name).map((row) => row.sell_nano_usd ?? row.nano_usd));
    expect(spent).toBeLessThanOrEqual(most.keyUsd * 1e9 + cut * slackTokens * 1000);
    // What counts is what the store has.
    expect(held(name)[0]!.used).toBe(spent);
  }
  expect(sum(rows.map((row) => Number(row.input) + Number(row.output)))).toBeLessThanOrEqual(
    most.teamTokens + cut * slackTokens,
  );
  expect(new Set(rows.map((row) => row.call)).size).toBeLessThanOrEqual(most.organisationRequests);
  for (const name of users) {
    const calls = new Set(rows.filter((row) => row.end_user === name).map((row) => row.call));
    expect(calls.size).toBeLessThanOrEqual(2 * most.endUserRequests);
  }
  // It was no empty exercise.
  expect(statuses).toContain(429);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(10);
});

test('what the crowd has left can be used, to the end', async () => {
  let status = 200;
  for (let i = 0; i < 100 && status === 200; i++)
    status = await ask({
      secret: 'two',
      model: 'oa/echo:tokens=1000',
      stream: false,
      client: 0,
      longest: 1000,
    });
  expect(status).toBe(429);
  const full = held('two').map(({ used }, i) => used / boundsOf('two')[i]!);
  expect(Math.max(...full)).toBeWithin(0.9, 1.01);
});

test('of a crowd exactly as many requests are let through as the limit has', async () => {
  const statuses = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      ask({ secret: 'counted', model: 'oa/echo:tokens=40', stream: i % 2 === 0, client: i % 4 }),
    ),
  );
  expect(statuses.filter((status) => status === 200)).toHaveLength(37);
  expect(statuses.filter((status) => status === 429)).toHaveLength(263);
  expect(await rowsOf('counted')).toHaveLength(37);
});

test('a limit that is far away at first holds as well when it comes near, to the end', async () => {
  const draw = seeded(3);
  const longest = 400;
  const statuses: number[] = [];
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      // Those that are refused while others hold what is left try again; the last one finds nobody there.
      for (let refused = 0; refused < 4 && statuses.length < 5000; ) {
        const model = `oa/${shortModels[draw(4)]}`;
        const stream = draw(2) === 0;
        const status = await ask({
          secret: 'far',
          model,
          stream,
          client: 0,
          longest,
          prompt: 'Tell me. '.repeat(30),
        });
        statuses.push(status);
        if (status !== 429) continue;
        refused++;
        await Bun.sleep(20);
      }
    }),
  );
  await until(() => held('far').every(({ reserved }) => reserved === 0));
  const rows = await rowsOf('far');
  const cut = rows.filter((row) => row.stream && row.estimated).length;
  const spent = sum(rows.map((row) => row.nano_usd));
  expect(spent).toBeLessThanOrEqual(most.farUsd * 1e9 + cut * slackTokens * 1000);
  expect(spent).toBeGreaterThan(most.farUsd * 1e9 * 0.97);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
});

test('nobody is refused where there is room for all', async () => {
  const statuses = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      ask({ secret: 'ample', model: `oa/${models[[0, 1, 6][i % 3]!]}`, stream: i % 2 === 0, client: i % 4 }),
    ),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  await until(() => held('ample').every(({ reserved }) => reserved === 0));
});
