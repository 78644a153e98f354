/** Limits are bounds of what a call costs in all, whoever is asked after whom: dearer targets, resumption, shadows. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { parseUsd } from '../../src/core/money.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway, until } from './gateway.ts';
import { type Storyteller, startStoryteller } from './storyteller.ts';

/** 0.102 USD a call at 100 USD per million tokens; a little more is held beforehand. */
const dear = 'usage:input=20,output=1000';
const price = (usd: number) => ({ input: usd, output: usd });
const prices = {
  'low/status:500': price(0.001),
  'low/status:503': price(0.001),
  'low/status:500,as=shadow': price(0.001),
  'low/echo': price(0.001),
  [`high/${dear}`]: price(100),
  [`high/${dear},as=unable`]: price(100),
  [`high/${dear},as=unasked`]: price(100),
  [`high/${dear},as=down`]: price(100),
  [`high/${dear},as=shadow`]: price(100),
  [`deepseek/${dear}`]: price(100),
  'ch/money~cut:40': price(1000),
  'ch/money~tell': price(1000),
};
const schema = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] };

let provider: FakeProvider;
let teller: Storyteller;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  teller = await startStoryteller();
  gateway = await startGateway(`
providers:
  low: { speaks: openai-chat, url: "${provider.base}", key: up }
  high: { speaks: openai-chat, url: "${provider.base}", key: up }
  short: { speaks: openai-chat, url: "${provider.base}", key: up }
  deepseek: { url: "${provider.base}", key: up }
  ch: { speaks: openai-chat, url: "${teller.url}/v1", key: up }
models:
  money: { fallback: ["low/status:500", "high/${dear}"] }
  unable: { fallback: [short/unpriced, "high/${dear},as=unable"] }
  down: { fallback: ["low/status:503", "high/${dear},as=down"] }
  then_low: { fallback: [short/unpriced, "high/${dear},as=unasked", low/echo] }
  story: { fallback: ["ch/money~cut:40", "ch/money~tell"], resume: continue }
  tale: { fallback: ["ch/tokens~cut:40", "ch/tokens~tell"], resume: continue }
  shadowed: { mirror: low/echo, to: { fallback: ["low/status:500,as=shadow", "high/${dear},as=shadow"] }, budget: { usd: 0.25, per: month } }
prices: ${JSON.stringify(prices)}
keys:
  - { name: test, key: ${key} }
  - { name: poor, key: sk-poor, limits: [{ usd: 1, per: month }] }
  - { name: few, key: sk-few, limits: [{ tokens: 5000, per: month }] }
  - { name: poorest, key: sk-poorest, limits: [{ usd: 0.05, per: month, when_exhausted: refuse }] }
  - { name: listener, key: sk-listener, limits: [{ usd: 3, per: month }] }
  - { name: corrected, key: sk-corrected, limits: [{ usd: 0.15, per: month }] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([provider.stop(), teller.stop()]);
});

const ask = (secret: string, model: string, rest: object = {}): Promise<Response> =>
  gateway.post(
    '/v1/chat/completions',
    { model, messages: [{ role: 'user', content: 'Tell me the story.' }], max_tokens: 1000, ...rest },
    { authorization: `Bearer ${secret}` },
  );

/** What the first limit of a key has booked and still holds, in nano-dollars or tokens. */
function look(name: string): { used: number; reserved: number } {
  const { keyring, limiter } = gateway.app.gateway;
  const bearer = keyring.authenticate(`sk-${name}`, Date.now());
  return limiter.look(limiter.limitsOf(gateway.app.snapshot(), bearer)[0]!, Date.now());
}

/** What the attempts of a key have cost, as it is written down. */
async function spent(name: string): Promise<number> {
  const rows = (await gateway.attempts()).filter((row) => row.key === name);
  return rows.reduce((sum, { nano_usd }) => sum + Number(nano_usd), 0);
}

const many = Array.from({ length: 24 });

describe('a budget', () => {
  test('bears no more of a dear target because a cheap one was asked before', async () => {
    const answers = await Promise.all(many.map(() => ask('sk-poor', 'money')));
    const answered = answers.filter(({ status }) => status === 200).length;
    expect(answered).toBeWithin(1, 10);
    expect(provider.callsOf(dear)).toBe(answered);
    // The others hear what the cheap one said, or of the budget where that one is known to be down.
    expect(answers.every(({ status }) => [200, 429, 500, 502].includes(status))).toBe(true);
    await until(() => look('poor').reserved === 0);
    expect(look('poor').used).toBe(answered * parseUsd(0.102));
    expect(await spent('poor')).toBeLessThanOrEqual(parseUsd(1));
  });

  test('bears no more of an answer because it broke off and was gone on with', async () => {
    const texts = await Promise.all(
      many.map(async () => (await ask('sk-listener', 'story', { stream: true, max_tokens: 200 })).text()),
    );
    expect(texts.some((text) => text.includes(': sluice-resumed target=ch/'))).toBe(true);
    await until(() => look('listener').reserved === 0);
    expect(look('listener').used).toBeWithin(1, parseUsd(3) + 1);
    expect(await spent('listener')).toBe(look('listener').used);
  });

  test('that does not bear the only target that can be asked is what its client hears of', async () => {
    const answer = await ask('sk-poorest', 'unable');
    expect(answer.status).toBe(429);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe('insufficient_quota');
    expect(error.message).toStartWith('The key "poorest" is limited to 0.05 USD per month: 0 used, 0 held');
    expect(error.message).toInclude('this call needs 0.1');
    expect(provider.callsOf(`${dear},as=unable`)).toBe(0);
  });

  test('passes over what it does not bear, and nobody is blamed', async () => {
    const answer = await ask('sk-poorest', 'then_low');
    expect(answer.headers.get('x-sluice-target')).toBe('low/echo');
    expect(answer.headers.get('x-sluice-attempts')).toBe('1');
    expect(provider.callsOf(`${dear},as=unasked`)).toBe(0);
  });

  test('that does not bear the next target leaves the client with what the last one said', async () => {
    const answer = await ask('sk-poorest', 'down');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('x-sluice-attempts')).toBe('1');
    expect(provider.callsOf(`${dear},as=down`)).toBe(0);
  });

  test('has to bear the correction of an answer as well as the answer', async () => {
    const answer = await ask('sk-corrected', `deepseek/${dear}`, {
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
    });
    expect(answer.status).toBe(502);
    expect(answer.headers.get('x-sluice-attempts')).toBe('1');
    expect(look('corrected')).toEqual({ used: parseUsd(0.102), reserved: 0 });
  });

  test('of shadows is a bound as well', async () => {
    let over = 0;
    const { observer } = gateway.app.gateway;
    const { shadowEnded, shadowDropped } = observer;
    observer.shadowEnded = (end) => {
      over++;
      shadowEnded(end);
    };
    observer.shadowDropped = (why) => {
      over++;
      shadowDropped(why);
    };
    const answers = await Promise.all(many.map(() => ask(key, 'shadowed')));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    await until(() => over === many.length);
    expect(provider.callsOf(`${dear},as=shadow`)).toBeWithin(1, 3);
  });
});

test('tokens that were used by one attempt are not there for the next', async () => {
  const texts = await Promise.all(
    many.map(async () => (await ask('sk-few', 'tale', { stream: true, max_tokens: 200 })).text()),
  );
  expect(texts.some((text) => text.includes(': sluice-resumed target=ch/'))).toBe(true);
  await until(() => look('few').reserved === 0);
  expect(look('few').used).toBeWithin(1, 5001);
});
