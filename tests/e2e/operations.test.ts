/** What operators and model pickers ask for: lists of models, health, metrics; and no secret or prompt anywhere. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up-secret }
  mock: {}
models: { fast: oa/echo, smart: { fallback: [oa/status:500, fast] } }
keys:
  - { name: test, key: sk-test-key }
  - { name: narrow, key: sk-narrow, models: [fast] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const messages = [{ role: 'user' as const, content: 'a very private prompt' }];

describe('GET /v1/models', () => {
  test('lists what the key may use, to both SDKs', async () => {
    const openai = (await Array.fromAsync(gateway.openai.models.list())).map(({ id }) => id);
    const anthropic = (await Array.fromAsync(gateway.anthropic.models.list())).map(({ id }) => id);
    expect(openai).toEqual(expect.arrayContaining(['fast', 'smart', 'mock/echo']));
    expect(anthropic).toEqual(openai);
  });

  test('leaves out what the key may not use', async () => {
    const narrow = new OpenAI({ apiKey: 'sk-narrow', baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    expect((await narrow.models.list()).data.map(({ id }) => id)).toEqual(['fast']);
    const anthropic = new Anthropic({ apiKey: 'sk-narrow', baseURL: gateway.url, maxRetries: 0 });
    expect((await anthropic.models.list()).data.map(({ id }) => id)).toEqual(['fast']);
    expect(await narrow.models.retrieve('smart').catch((error: unknown) => error)).toBeInstanceOf(
      OpenAI.PermissionDeniedError,
    );
  });

  test('tells one model', async () => {
    expect(await gateway.openai.models.retrieve('fast')).toMatchObject({ id: 'fast', object: 'model' });
    expect(await gateway.anthropic.models.retrieve('fast')).toMatchObject({ id: 'fast', type: 'model' });
    expect(await gateway.openai.models.retrieve('mock/echo')).toMatchObject({ id: 'mock/echo' });
    expect(await gateway.openai.models.retrieve('nope').catch((error: unknown) => error)).toBeInstanceOf(
      OpenAI.NotFoundError,
    );
    expect(await gateway.anthropic.models.retrieve('nope').catch((error: unknown) => error)).toBeInstanceOf(
      Anthropic.NotFoundError,
    );
  });

  test('asks for a key', async () => {
    expect((await fetch(`${gateway.url}/v1/models`)).status).toBe(401);
  });

  test('a name that is no proper escape is no failure of the gateway', async () => {
    const response = await fetch(`${gateway.url}/v1/models/%E0%A4%A`, {
      headers: { authorization: 'Bearer sk-test-key' },
    });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
  });
});

test('the mock needs no network', async () => {
  const { choices } = await gateway.openai.chat.completions.create({ model: 'mock/echo', messages });
  expect(choices[0]?.message.content).toBe('a very private prompt');
  const stream = gateway.anthropic.messages.stream({ model: 'mock/tool', messages, max_tokens: 50 });
  expect((await stream.finalMessage()).role).toBe('assistant');
});

test('/healthz and /readyz answer without a key', async () => {
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
});

test('/metrics counts calls, attempts, tokens, cost and what is in flight', async () => {
  await gateway.openai.chat.completions.create({ model: 'smart', messages });
  const held = await gateway.openai.chat.completions.create({ model: 'oa/stall:3', messages, stream: true });
  await held[Symbol.asyncIterator]().next();
  const response = await fetch(`${gateway.url}/metrics`);
  held.controller.abort();
  expect(response.headers.get('content-type')).toStartWith('text/plain');
  const text = await response.text();
  for (const line of text.split('\n')) expect(line).toMatch(/^(#.*|[a-z_]+(\{.*\})? [-+.e\dInfNa]+|)$/);
  const total = (name: RegExp) =>
    text
      .split('\n')
      .filter((line) => name.test(line))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  expect(total(/^sluice_calls_total\{/)).toBeGreaterThanOrEqual(3);
  expect(total(/^sluice_attempts_total\{/)).toBeGreaterThan(total(/^sluice_calls_total\{/) - 1);
  expect(total(/^sluice_tokens_total\{/)).toBeGreaterThan(0);
  expect(total(/^sluice_[a-z_]*in_?flight[a-z_]*/)).toBe(1);
  expect(text).not.toInclude('private');
});

test('neither prompts nor secrets are on disk', async () => {
  await gateway.attempts();
  const files = readdirSync(gateway.dataDir, { recursive: true }).map((name) =>
    join(gateway.dataDir, String(name)),
  );
  const all = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, 'latin1'));
  expect(all.length).toBeGreaterThan(0);
  for (const text of all)
    for (const secret of ['private', 'sk-test-key', 'up-secret', 'sk-narrow'])
      expect(text).not.toInclude(secret);
});
