/** Shadows: asked the same as a call, heard by nobody, paid for by the operator, and in nobody's way. */
import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Shadows } from '../../src/gateway/mirror.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { type AttemptRow, startGateway, type TestGateway, until } from './gateway.ts';

let provider: FakeProvider;
let shadow: FakeProvider;
let gateway: TestGateway;

const paths = { openai: '/v1/chat/completions', anthropic: '/v1/messages' } as const;
const clients = ['openai', 'anthropic'] as const;
const messages = [{ role: 'user' as const, content: 'Hello, world: this is a text of several pieces.' }];
const said = messages[0]!.content;
const never = 'delay:1m';

const providers = () => `
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
  shadow_oa: { speaks: openai-chat, url: "${shadow.base}", key: up }
  shadow_an: { speaks: anthropic-messages, url: "${shadow.base}", key: up }
  nowhere: { speaks: openai-chat, url: "http://127.0.0.1:1", key: up }
`;
const mirror = (name: string, to: string, rest = '') => `  ${name}: { mirror: oa/echo, to: ${to}${rest} }\n`;

beforeAll(async () => {
  provider = await startFakeProvider();
  shadow = await startFakeProvider();
  for (const model of ['counted', 'spent', 'reached', 'sampled']) shadow.script(model, 'echo');
  gateway = await startGateway(`${providers()}
models:
${clients.flatMap((up) => clients.map((of) => `  to_${up}_${of}: { mirror: ${up.slice(0, 1)}${up === 'openai' ? 'a' : 'n'}/echo, to: shadow_${of === 'openai' ? 'oa' : 'an'}/echo }`)).join('\n')}
${mirror('hangs', `"shadow_oa/${never}"`)}
${mirror('hangs_later', '"shadow_oa/stall:2,delay=1ms"')}
${mirror('fails', 'shadow_oa/status:500')}
${mirror('refused', 'nowhere/echo')}
${mirror('breaks', '"shadow_oa/cut:4,delay=5ms"')}
${mirror('falls_back', '{ fallback: [shadow_oa/status:503, shadow_an/echo] }')}
${mirror('counted', 'shadow_oa/counted', ', budget: { requests: 3, per: day }')}
${mirror('dear', 'shadow_oa/dear', ', budget: { usd: 2.5, per: day }')}
${mirror('unpriced', 'shadow_oa/unpriced', ', budget: { usd: 2.5, per: day }')}
${mirror('own_money', 'shadow_oa/dear')}
${mirror('sampled', 'shadow_oa/sampled', ', share: 0.25')}
${mirror('crowd', `"shadow_oa/${never},as=crowd"`)}
${mirror('seen', 'shadow_oa/seen')}
${mirror('kept', 'shadow_oa/reason')}
  alias: seen
  elsewhere: { fallback: [oa/echo, { mirror: an/echo, to: shadow_oa/elsewhere }] }
  reached: { fallback: [oa/status:500, { mirror: an/echo, to: shadow_oa/reached }] }
  all_down: { mirror: oa/status:503, to: shadow_oa/all-down }
  nested: { mirror: oa/echo, to: { mirror: shadow_oa/echo, to: shadow_oa/nested } }
prices:
  oa/echo: { input: 1, output: 1 }
  shadow_oa/dear: { input: 0, output: 10000 }
  shadow_oa/seen: { input: 3, output: 15 }
keys:
  - { name: test, key: sk-test-key }
  - { name: poor, key: sk-poor, limits: [{ usd: 0.01, per: day }] }
  - { name: single, key: sk-single, limits: [{ concurrency: 1 }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([provider.stop(), shadow.stop()]);
});

async function ask(model: string, rest: object = {}, token = 'sk-test-key') {
  const body = { model, messages, max_tokens: 100, ...rest };
  const response = await gateway.post(paths.openai, body, { authorization: `Bearer ${token}` });
  return { id: response.headers.get('x-request-id')!, status: response.status, text: await response.text() };
}

/** Attempts of the shadow of a call, once all of them are written down. */
async function shadowOf(id: string | null, of = gateway): Promise<AttemptRow[]> {
  const find = async () => (await of.attempts()).filter(({ session }) => session === id);
  await until(async () => (await find()).some(({ final }) => final === 1));
  return (await find()).filter(({ outcome }) => outcome !== 'upstream_stale');
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

const dropped = (reason: string) => metric(`sluice_shadows_dropped_total{reason="${reason}"}`);

const pairs = clients.flatMap((client) =>
  [false, true].flatMap((stream) =>
    clients.flatMap((up) => clients.map((of) => [client, stream, up, of] as const)),
  ),
);

describe('the shadow of an answered call', () => {
  test.each(pairs)('%s client (stream: %p), %s answers, %s is asked too', async (client, stream, up, of) => {
    const [calls, asked] = [provider.requests.length, shadow.requests.length];
    const answer = await gateway.post(paths[client], {
      model: `to_${up}_${of}`,
      messages,
      max_tokens: 100,
      stream,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-sluice-attempts')).toBe('1');
    await answer.text();
    const id = answer.headers.get('x-request-id');
    const [row, ...others] = await shadowOf(id);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      outcome: 'ok',
      operation: 'mirror',
      model: `to_${up}_${of}`,
      key: '',
      team: '',
      organisation: '',
      estimated: 0,
      stream: stream ? 1 : 0,
    });
    expect(row?.call).not.toBe(id);
    expect(row?.output).toBeGreaterThan(0);
    expect(provider.requests.length).toBe(calls + 1);
    expect(shadow.requests.length).toBe(asked + 1);
    expect(JSON.stringify(shadow.requests.at(-1)?.body?.messages)).toContain(said);
    const own = await gateway.attemptsOf(id);
    expect(own.map(({ operation, key }) => [operation, key])).toEqual([['chat', 'test']]);
  });

  test('can be told apart in every sum', async () => {
    shadow.script('seen', 'usage:input=1000,output=100');
    const { id } = await ask('alias');
    expect((await shadowOf(id))[0]).toMatchObject({ model: 'seen', nano_usd: 4_500_000 });
    const byOperation = await gateway.usage('operation');
    const mirrored = byOperation.find(({ operation }) => operation === 'mirror');
    expect(mirrored?.calls).toBeGreaterThan(0);
    expect(Number(mirrored?.usd)).toBeGreaterThanOrEqual(0.0045);
    const rows = await gateway.attempts();
    const byKey = (await gateway.usage('key')).find(({ key }) => key === 'test');
    expect(byKey?.attempts).toBe(rows.filter(({ operation }) => operation === 'chat').length);
  });

  test('leaves what is kept of the answer alone', async () => {
    const { answers } = gateway.app.gateway;
    const keep = spyOn(answers, 'keep');
    try {
      const answer = await gateway.post('/v1/responses', { model: 'kept', input: said });
      const { id } = (await answer.json()) as { id: string };
      expect((await shadowOf(answer.headers.get('x-request-id')))[0]?.outcome).toBe('ok');
      expect(keep.mock.calls.map(([kept]) => kept.id)).toEqual([id]);
    } finally {
      keep.mockRestore();
    }
  });

  test('is asked only where the way to the answer leads by it', async () => {
    await ask('elsewhere');
    await ask('nested');
    const { id, status } = await ask('reached');
    expect(status).toBe(200);
    expect((await shadowOf(id))[0]?.target).toBe('shadow_oa/reached');
    for (const model of ['elsewhere', 'nested']) expect(shadow.callsOf(model)).toBe(0);
  });

  test('is not asked where there is no answer', async () => {
    expect((await ask('all_down')).status).toBe(503);
    const { id } = await ask('to_openai_openai');
    await shadowOf(id);
    expect(shadow.callsOf('all-down')).toBe(0);
  });

  test('is asked by its share', async () => {
    const { random } = gateway.app.gateway;
    const points = [0.1, 0.3, 0.24, 0.9, 0.25];
    const ids: string[] = [];
    try {
      for (const point of points) {
        gateway.app.gateway.random = () => point;
        ids.push((await ask('sampled')).id);
      }
    } finally {
      gateway.app.gateway.random = random;
    }
    await Promise.all([ids[0]!, ids[2]!].map((id) => shadowOf(id)));
    expect(shadow.callsOf('sampled')).toBe(2);
  });
});

describe('a shadow that does badly', () => {
  test.each([
    ['hangs', false],
    ['hangs', true],
    ['hangs_later', true],
  ] as const)(
    '%s (stream: %p): the caller has its answer, and its limits are free',
    async (model, stream) => {
      const asked = shadow.requests.length;
      for (let i = 0; i < 2; i++) {
        const { status, text } = await ask(model, { stream }, 'sk-single');
        expect(status).toBe(200);
        if (stream) expect(text).toContain('[DONE]');
        else expect(text).toContain(said);
        await until(() => shadow.requests.length === asked + i + 1);
      }
      expect(gateway.app.gateway.inflight.count).toBe(0);
    },
  );

  const bad = [
    ['fails', 'upstream_unavailable'],
    ['refused', 'upstream_network'],
    ['breaks', 'upstream_invalid'],
  ] as const;
  test.each(bad)('%s: only its own health suffers', async (model, outcome) => {
    const { health } = gateway.app.gateway;
    const reports: string[] = [];
    const report = health.report;
    health.report = (target, key, how, ...times) => {
      reports.push(`${target.provider.name} ${how === 'ok' ? how : how.kind}`);
      report.call(health, target, key, how, ...times);
    };
    try {
      const { id, status } = await ask(model, { stream: true });
      expect(status).toBe(200);
      const rows = await shadowOf(id);
      expect(rows.at(-1)?.outcome).toBe(outcome);
      const name = model === 'refused' ? 'nowhere' : 'shadow_oa';
      expect(reports).toContain(`${name} ${outcome}`);
      expect(reports.filter((each) => each.startsWith('oa '))).toEqual(['oa ok']);
      const target = rows.at(-1)!.target.replaceAll('"', '');
      expect(await metric(`sluice_shadows_total{target="${target}",outcome="${outcome}"}`)).toBe(1);
    } finally {
      health.report = report;
    }
  });

  test('fails over by its own route', async () => {
    const { id } = await ask('falls_back');
    expect((await shadowOf(id)).map(({ target, outcome }) => [target, outcome])).toEqual([
      ['shadow_oa/status:503', 'upstream_overloaded'],
      ['shadow_an/echo', 'ok'],
    ]);
  });

  test('is dropped where too many run', async () => {
    const { shadows } = gateway.app.gateway;
    const few = new Shadows(2);
    gateway.app.gateway.shadows = few;
    try {
      const before = await dropped('busy');
      for (let i = 0; i < 5; i++) expect((await ask('crowd')).status).toBe(200);
      expect(await dropped('busy')).toBe(before + 3);
    } finally {
      gateway.app.gateway.shadows = shadows;
      await few.stop();
    }
  });
});

describe('the budget of shadows', () => {
  test('is theirs alone, and what it does not bear is not asked', async () => {
    const before = await dropped('rate_limited');
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await ask('counted')).id);
    await until(async () => (await dropped('rate_limited')) === before + 2);
    for (const id of ids.slice(0, 3)) expect((await shadowOf(id))[0]?.outcome).toBe('ok');
    expect(shadow.callsOf('counted')).toBe(3);
  });

  test('holds in USD: what is reserved, and what was spent', async () => {
    // 100 tokens may cost 1 USD, and do.
    shadow.script('dear', 'usage:input=10,output=100');
    const before = await dropped('budget_exceeded');
    for (let i = 0; i < 4; i++) {
      const { id } = await ask('dear');
      if (i < 2) expect((await shadowOf(id))[0]?.nano_usd).toBe(1_000_000_000);
    }
    await until(async () => (await dropped('budget_exceeded')) === before + 2);
    expect(shadow.callsOf('dear')).toBe(2);
  });

  test('in USD bears nobody without a price', async () => {
    const before = await dropped('unsupported');
    await ask('unpriced');
    await until(async () => (await dropped('unsupported')) === before + 1);
    expect(shadow.callsOf('unpriced')).toBe(0);
  });

  test('is nothing to the key: what a shadow costs is not its money', async () => {
    for (let i = 0; i < 3; i++) {
      const { id, status } = await ask('own_money', {}, 'sk-poor');
      expect(status).toBe(200);
      expect((await shadowOf(id))[0]?.nano_usd).toBe(1_000_000_000);
    }
  });
});

describe('a gateway that stops', () => {
  const yaml = () => `${providers()}
models:
${mirror('hangs', `"shadow_oa/${never},as=stopped"`)}
${mirror('spent', 'shadow_oa/spent', ', budget: { requests: 2, per: month }')}
`;

  test('does not wait for shadows, and writes down what they came to; their budget is what it was', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    try {
      const first = await startGateway(yaml(), { dataDir });
      const spend = (of: TestGateway) => of.post(paths.openai, { model: 'spent', messages });
      const spent = await spend(first);
      await shadowOf(spent.headers.get('x-request-id'), first);
      const answer = await first.post(paths.openai, { model: 'hangs', messages });
      const id = answer.headers.get('x-request-id');
      await until(() => shadow.callsOf(`${never},as=stopped`) === 1);
      await first.stop();

      const second = await startGateway(yaml(), { dataDir });
      try {
        expect(await shadowOf(id, second)).toMatchObject([{ outcome: 'cancelled', operation: 'mirror' }]);
        await spend(second);
        await until(() => shadow.callsOf('spent') === 2);
        await spend(second);
        const shadows = second.app.gateway.shadows;
        await until(async () => {
          const text = await (await fetch(`${second.url}/metrics`)).text();
          return text.includes('sluice_shadows_dropped_total{reason="rate_limited"} 1');
        });
        expect(shadow.callsOf('spent')).toBe(2);
        // What comes while it stops is not begun any more.
        await shadows.stop();
        await second.post(paths.openai, { model: 'hangs', messages });
        expect(shadow.callsOf(`${never},as=stopped`)).toBe(1);
      } finally {
        await second.stop();
      }
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});
