/** What organisations are charged beside what their calls cost, and what is held where no price is known. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

const thousand = 'oa/usage:input=1000,output=0';
const unknown = 'oa/usage:input=1000,output=10';

beforeAll(async () => {
  provider = await startFakeProvider();
  gateway = await startGateway(`
providers: { oa: { speaks: openai-chat, url: "${provider.base}", key: up } }
prices: { "${thousand}": { input: 1, output: 1 } }
unpriced: { input: 5, output: 25 }
keys:
  - { name: plain, key: plain }
  - { name: dear, key: dear, team: dear, limits: [{ usd: 1, per: month }] }
  - { name: cheap, key: cheap, team: cheap }
  - { name: poor, key: poor, limits: [{ usd: 0.013, per: month }] }
teams: { dear: { organisation: dear }, cheap: { organisation: cheap } }
organisations:
  dear: { pricing: { markup: 12.5% } }
  cheap: { pricing: { discount: 10% } }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const ask = (apiKey: string, model: string) =>
  new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 }).chat.completions
    .create({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 10 })
    .withResponse();

async function made(apiKey: string, model: string) {
  const { response } = await ask(apiKey, model);
  const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
  return { row: row!, told: response.headers.get('x-sluice-cost-usd') };
}

test('an organisation without a price of its own is charged the cost; its rows say it once', async () => {
  const { row, told } = await made('plain', thousand);
  expect(row).toMatchObject({ nano_usd: 1_000_000, sell_nano_usd: null, price_source: 'config' });
  expect(row.price_version).toMatch(/^[0-9a-f]{12}$/);
  expect(told).toBe('0.001');
});

test('a markup is charged beside the cost, and told to the client', async () => {
  const { row, told } = await made('dear', thousand);
  expect(row).toMatchObject({ nano_usd: 1_000_000, sell_nano_usd: 1_125_000 });
  expect(told).toBe('0.001125');
});

test('so is a discount', async () => {
  const { row, told } = await made('cheap', thousand);
  expect(row).toMatchObject({ nano_usd: 1_000_000, sell_nano_usd: 900_000 });
  expect(told).toBe('0.0009');
});

test('sums have both', async () => {
  const rows = await gateway.usage('organisation');
  expect(rows.find(({ organisation }) => organisation === 'dear')).toMatchObject({
    usd: '0.001',
    sell_usd: '0.001125',
  });
  expect(rows.find(({ organisation }) => organisation === 'cheap')).toMatchObject({
    usd: '0.001',
    sell_usd: '0.0009',
  });
});

test('what has no price stays unpriced, and is charged to limits at the fallback price', async () => {
  const { row, told } = await made('poor', unknown);
  // 1000 × 5 + 10 × 25 USD a million.
  expect(row).toMatchObject({ nano_usd: null, sell_nano_usd: 5_250_000, price_source: '' });
  expect(told).toBeNull();
  await made('poor', unknown);
  const heard = await ask('poor', unknown).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(heard).toBeInstanceOf(OpenAI.RateLimitError);
  expect((heard as Error).message).toContain('0.0105 used');
  const rows = await gateway.usage('key');
  expect(rows.find(({ key }) => key === 'poor')).toMatchObject({ unpriced: 2, usd: '0', sell_usd: '0.0105' });
});

test('it is marked up as well', async () => {
  const { row } = await made('dear', unknown);
  expect(row).toMatchObject({ nano_usd: null, sell_nano_usd: 5_906_250 });
});
