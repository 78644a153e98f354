/** What is explained is what happens: also where most targets cannot be asked, and where a request is large. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Explanation } from '../../src/core/explain.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

const unpriced = Array.from({ length: 9 }, (_, i) => `away/m${i}`);
const priced = ['oa/status:401', 'other/status:500', 'other/echo'];
const cost = (usd: number) => ({ input: usd, output: usd });
const prices = {
  ...Object.fromEntries(priced.map((id) => [id, cost(1)])),
  'other/status:503': cost(1),
  'other/dear': cost(10_000),
};

beforeAll(async () => {
  provider = await startFakeProvider();
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  other: { speaks: openai-chat, url: "${provider.base}", key: up }
  away: { speaks: openai-chat, url: "http://127.0.0.1:9/v1" }
  openai: { url: "${provider.base}", key: up }
models:
  twelve: ${JSON.stringify({ fallback: [...unpriced, ...priced] })}
  text: { fallback: [openai/gpt-4.1, "other/usage:input=1,output=1"] }
  picture: { fallback: [openai/gpt-4o, "other/usage:input=1,output=1"] }
  dear_second: { fallback: ["other/status:503", other/dear, other/echo] }
  dear_only: { fallback: [away/m0, other/dear] }
prices: ${JSON.stringify(prices)}
keys:
  - { name: test, key: ${key} }
  - { name: poor, key: sk-poor, limits: [{ usd: 1, per: month, when_exhausted: refuse }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const hello = (model: string) => ({ model, max_tokens: 100, messages: [{ role: 'user', content: 'Hello' }] });

async function explain(body: object, name?: string): Promise<Explanation> {
  const response = await fetch(`${gateway.url}/admin/v1/explain`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${gateway.app.firstSecrets!.adminToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ body, key: name }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Explanation;
}

/** The targets that a call asked, in their order. */
async function asked(body: object, secret = 'sk-poor'): Promise<{ targets: string[]; status: number }> {
  const response = await gateway.post('/v1/chat/completions', body, { authorization: `Bearer ${secret}` });
  await response.arrayBuffer();
  const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
  return { targets: rows.map(({ target }) => target), status: response.status };
}

const askable = ({ targets }: Explanation): string[] =>
  targets.filter(({ passed_over }) => passed_over === undefined).map(({ target }) => target);

test('nine targets that cannot be asked are no attempts: the twelfth is reached', async () => {
  const before = await explain(hello('twelve'), 'poor');
  expect(before.targets).toHaveLength(12);
  expect(askable(before)).toEqual(priced);
  expect(await asked(hello('twelve'))).toEqual({ targets: priced, status: 200 });
  // Its key was refused: it is asked last now, as is explained.
  const after = await explain(hello('twelve'), 'poor');
  expect(askable(after)).toEqual(['other/status:500', 'other/echo', 'oa/status:401']);
  expect((await asked(hello('twelve'))).targets).toEqual(askable(after).slice(0, 2));
});

test('a target that limits do not bear is passed over', async () => {
  const plan = await explain(hello('dear_second'), 'poor');
  expect(plan.refused).toBeUndefined();
  expect(plan.targets[1]?.passed_over).toInclude('The key "poor" has');
  expect(askable(plan)).toEqual(['other/status:503', 'other/echo']);
  expect((await asked(hello('dear_second'))).targets).toEqual(askable(plan));
});

test('limits that bear nobody who can be asked refuse the call', async () => {
  const plan = await explain(hello('dear_only'), 'poor');
  expect(plan.refused?.kind).toBe('budget_exceeded');
  expect(await asked(hello('dear_only'))).toEqual({ targets: [], status: 429 });
});

test('a text is as long as it is, a picture is no text', async () => {
  const text = {
    ...hello('text'),
    messages: [{ role: 'user', content: 'six words of no great weight. '.repeat(200_000) }],
  };
  const long = await explain(text);
  expect(long.tokens).toBeWithin(1_500_000, 1_500_100);
  expect(long.targets.map(({ target, fits }) => [target, fits])).toEqual([
    ['other/usage:input=1,output=1', true],
    ['openai/gpt-4.1', false],
  ]);
  expect((await asked(text, key)).targets).toEqual(['other/usage:input=1,output=1']);
  const noise = Buffer.from(Array.from({ length: 450_000 }, (_, i) => Math.imul(i, 2654435761) >>> 13));
  const url = `data:image/png;base64,${noise.toString('base64')}`;
  const picture = {
    ...hello('picture'),
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
  };
  const small = await explain(picture);
  expect(small.tokens).toBeLessThan(60);
  expect(small.targets[0]).toMatchObject({ target: 'openai/gpt-4o', fits: true });
  expect((await asked(picture, key)).targets[0]).toBe('openai/gpt-4o');
});
