/** What routes learn from calls over real sockets: who answered a conversation, what that saved, what runs and how fast. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Target } from '../../src/config/snapshot.ts';
import { targetsOf } from '../../src/config/targets.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway, until } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

const usage = 'usage:input=2000,cached=1000,output=70';

beforeAll(async () => {
  provider = await startFakeProvider();
  for (const model of ['one', 'two', 'three', 'four']) provider.script(model, usage);
  provider.script('slow', 'echo-slow:chunk_size=4');
  const models = ['one', 'two', 'three', 'four'].map((model) => `oa/${model}`);
  const prices = models.map((model) => `  ${model}: { input: 3, output: 15, cached: 0.3 }`);
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
models:
  busy: { least_busy: [${models}] }
  moved: { sticky: [${models}], by: user }
  plain: oa/slow
prices:
${prices.join('\n')}
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

/** One turn, to its end. @returns the target that answered. */
async function turn(model: string, content: string, rest: { stream?: true; user?: string } = {}) {
  const body = { model, messages: [{ role: 'user', content }], ...(rest.stream && { stream: true }) };
  const headers: Record<string, string> = rest.user === undefined ? {} : { 'x-sluice-end-user': rest.user };
  const response = await gateway.post('/v1/chat/completions', body, headers);
  await response.text();
  return {
    target: response.headers.get('x-sluice-target'),
    id: response.headers.get('x-request-id'),
    status: response.status,
  };
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return found === undefined ? 0 : Number(found.slice(line.length + 1));
}

const targetOf = (model: string): Target => targetsOf(gateway.app.snapshot().resolve(model)!)[0]!;

describe('a conversation', () => {
  test.each(['whole', 'streamed'])(
    'stays with the target that answered it, and what that saved is counted (%s)',
    async (way) => {
      const rest = way === 'streamed' ? { stream: true as const } : {};
      const before = await metric('sluice_sticky_total{result="kept"}');
      const first = await turn('busy', `First question, ${way}`, rest);
      const saved = `sluice_cache_saved_usd_total{target="${first.target}"}`;
      const savedBefore = await metric(saved);
      for (let i = 0; i < 5; i++) {
        const next = await turn('busy', `First question, ${way}`, rest);
        expect(next.target).toBe(first.target);
        const [row] = await gateway.attemptsOf(next.id);
        expect(row?.why).toBe('least_busy 1 kept');
      }
      expect((await gateway.attemptsOf(first.id))[0]?.why).toBe('least_busy 1');
      expect(await metric('sluice_sticky_total{result="kept"}')).toBe(before + 5);
      // 1000 tokens at 0.3 instead of 3 USD a million, five times.
      expect((await metric(saved)) - savedBefore).toBeCloseTo(0.0135, 9);
    },
  );

  test('stays where it had to move to', async () => {
    const home = (await turn('moved', 'a', { user: 'u1' })).target!;
    expect((await turn('moved', 'b', { user: 'u1' })).target).toBe(home);
    const before = await metric('sluice_sticky_total{result="moved"}');
    provider.script(home.slice(3), 'status:500', usage);
    const second = (await turn('moved', 'c', { user: 'u1' })).target;
    expect(second).not.toBe(home);
    expect(await metric('sluice_sticky_total{result="moved"}')).toBe(before + 1);
    for (const content of ['d', 'e'])
      expect((await turn('moved', content, { user: 'u1' })).target).toBe(second);
  });
});

describe('what is measured', () => {
  test('is how many run, how soon they begin, how fast they go on and how long they are', async () => {
    const { measures } = gateway.app.gateway;
    const target = targetOf('plain');
    expect(measures.firstTokenMs(target, Date.now())).toBeUndefined();
    const turns = [1, 2, 3].map((n) => turn('plain', `Some words to say again, ${n}`, { stream: true }));
    await until(() => measures.inFlight(target) === 3);
    await Promise.all(turns);
    await until(() => measures.inFlight(target) === 0);
    expect(measures.firstTokenMs(target, Date.now())).toBeGreaterThan(0);
    expect(measures.tokensPerSecond(target, Date.now())).toBeGreaterThan(0);
    const [caller] = [...gateway.app.snapshot().keys.values()];
    expect(measures.outputTokens(target, caller!)).toBeGreaterThan(3);
  }, 20_000);

  test('leaves nobody running who went away or failed', async () => {
    const { measures } = gateway.app.gateway;
    const target = targetOf('plain');
    const leaving = new AbortController();
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'plain',
        stream: true,
        messages: [{ role: 'user', content: 'x'.repeat(4000) }],
      }),
      signal: leaving.signal,
    });
    await until(() => measures.inFlight(target) === 1);
    leaving.abort();
    await response.text().catch(() => '');
    await until(() => measures.inFlight(target) === 0);
    expect(measures.failureShare(target, Date.now())).toBe(0);
    const failing = targetOf('oa/status:500');
    expect((await turn('oa/status:500', 'x')).status).toBeGreaterThanOrEqual(500);
    expect(measures.inFlight(failing)).toBe(0);
    expect(measures.failureShare(failing, Date.now())).toBeGreaterThan(0);
  }, 20_000);
});
