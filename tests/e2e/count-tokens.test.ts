/** Tokens are counted before they are sent: by the provider where it can, by the gateway where it cannot. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import type { JsonObject } from '../../src/core/json.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
/** A host of the dialect that does what the test wants with a question for tokens. */
let host: {
  answer(request: Request): Response | Promise<Response>;
  asked: string[];
  url: string;
  stop(): void;
};

beforeAll(async () => {
  provider = await startFakeProvider();
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      asked.push(new URL(request.url).pathname);
      return host.answer(request);
    },
  });
  host = {
    answer: () => Response.json({ input_tokens: 1 }),
    asked,
    url: `http://127.0.0.1:${server.port}/v1`,
    stop: () => void server.stop(true),
  };
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
  odd: { speaks: anthropic-messages, url: "${host.url}", key: up, timeout: { first_byte: 900ms } }
  few: { speaks: anthropic-messages, url: "${host.url}", key: up }
models: { smart: { fallback: [an/echo, oa/echo] } }
keys:
  - { name: test, key: ${key} }
  - { name: narrow, key: sk-narrow, models: [smart] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  host.stop();
});

const messages = [{ role: 'user' as const, content: 'The quick brown fox jumps over the lazy dog.' }];
const count = (model: string, more: object = {}) =>
  gateway.anthropic.messages.countTokens({ model, messages, ...more });
const post = (body: unknown, headers = {}) => gateway.post('/v1/messages/count_tokens', body, headers);

describe('a provider of the dialect', () => {
  test('is asked, under its own name for the model, and answers itself', async () => {
    const response = await post({ model: 'smart', messages }, { 'anthropic-beta': 'some-beta' });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-sluice-target')).toBe('an/echo');
    expect(response.headers.get('request-id')).toBe(response.headers.get('x-request-id'));
    const asked = provider.requests.at(-1)!;
    expect(asked.path).toEndWith('/messages/count_tokens');
    expect(asked.body).toEqual({ model: 'echo', messages });
    expect(asked.headers).toMatchObject({ 'x-api-key': 'up', 'anthropic-beta': 'some-beta' });
    expect((await count('an/echo')).input_tokens).toBeGreaterThan(0);
  });

  test('is charged for nothing, and no attempt is written down', async () => {
    const response = await post({ model: 'an/echo', messages });
    expect(await gateway.attemptsOf(response.headers.get('x-request-id'))).toEqual([]);
  });

  test.each<[string, () => Response | Promise<Response>]>([
    ['fails', () => new Response('{"type":"error"}', { status: 500 })],
    ['refuses the key', () => new Response('{}', { status: 401 })],
    ['answers nonsense', () => new Response('<html>')],
    ['answers a list', () => Response.json([1])],
    ['is silent', () => Bun.sleep(2000).then(() => new Response('{}'))],
  ])('that %s is not needed: the gateway counts', async (_, answer) => {
    host.answer = answer;
    const response = await post({ model: 'odd/m', messages });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-sluice-target')).toBeNull();
    const { input_tokens } = (await response.json()) as JsonObject;
    expect(input_tokens).toBeGreaterThanOrEqual(10);
    expect(input_tokens).toBeLessThan(30);
  });

  test('that does not count is not asked again', async () => {
    host.answer = () => new Response('not found', { status: 404 });
    const before = host.asked.length;
    for (let i = 0; i < 3; i++) expect((await count('few/m')).input_tokens).toBeGreaterThan(0);
    expect(host.asked).toHaveLength(before + 1);
  });
});

describe('for others the gateway counts', () => {
  test('words, tools, and images by a flat guess', async () => {
    const bare = (await count('oa/echo')).input_tokens;
    const tools: Anthropic.Tool[] = [
      { name: 'get_weather', description: 'Weather of a city', input_schema: { type: 'object' } },
    ];
    const image = {
      type: 'image' as const,
      source: { type: 'base64' as const, media_type: 'image/png' as const, data: 'A'.repeat(400_000) },
    };
    expect(bare).toBeGreaterThanOrEqual(10);
    expect(bare).toBeLessThan(30);
    const tooled = (await count('oa/echo', { tools })).input_tokens;
    expect(tooled).toBeGreaterThan(bare + 10);
    const instructed = (await count('oa/echo', { system: 'Be terse. '.repeat(50) })).input_tokens;
    expect(instructed).toBeGreaterThan(bare + 100);
    const shown = await count('oa/echo', {
      messages: [{ role: 'user', content: [image, { type: 'text', text: 'What is this?' }] }],
    });
    expect(shown.input_tokens).toBeGreaterThan(500);
    expect(shown.input_tokens).toBeLessThan(3000);
  });

  test('the whole of a long conversation, not its beginning', async () => {
    const words = (n: number) => [{ role: 'user' as const, content: 'one two three four '.repeat(n) }];
    const one = (await count('oa/echo', { messages: words(50_000) })).input_tokens;
    const four = (await count('oa/echo', { messages: words(200_000) })).input_tokens;
    expect(four / one).toBeGreaterThan(3.8);
    expect(four / one).toBeLessThan(4.2);
  });
});

describe('in the words of every dialect that asks', () => {
  test('of Gemini: contents alone, or a whole request', async () => {
    const ai = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: gateway.url } });
    const contents = [{ role: 'user', parts: [{ text: messages[0]!.content }] }];
    const counted = await ai.models.countTokens({ model: 'oa/echo', contents });
    expect(counted.totalTokens).toBeGreaterThanOrEqual(10);
    const response = await gateway.post('/v1beta/models/oa/echo:countTokens', {
      generateContentRequest: { model: 'models/oa/echo', contents, systemInstruction: contents[0] },
    });
    const { totalTokens } = (await response.json()) as { totalTokens: number };
    expect(totalTokens).toBeGreaterThan(counted.totalTokens! * 1.5);
  });

  test('of Responses', async () => {
    const openai = gateway.openai.responses.inputTokens;
    const counted = await openai.count({ model: 'an/echo', input: messages[0]!.content });
    expect(counted.object).toBe('response.input_tokens');
    expect(counted.input_tokens).toBeGreaterThanOrEqual(10);
  });
});

describe('a question for tokens is refused', () => {
  const failureOf = (act: Promise<unknown>): Promise<unknown> => act.catch((error) => error);

  test('without a key, or with one that may not use the model', async () => {
    const stranger = new Anthropic({ apiKey: 'sk-unknown', baseURL: gateway.url, maxRetries: 0 });
    const narrow = new Anthropic({ apiKey: 'sk-narrow', baseURL: gateway.url, maxRetries: 0 });
    const ask = { model: 'an/echo', messages };
    expect(await failureOf(stranger.messages.countTokens(ask))).toBeInstanceOf(Anthropic.AuthenticationError);
    expect(await failureOf(narrow.messages.countTokens(ask))).toBeInstanceOf(Anthropic.PermissionDeniedError);
    expect((await narrow.messages.countTokens({ ...ask, model: 'smart' })).input_tokens).toBeGreaterThan(0);
  });

  test.each<[string, unknown, number, RegExp]>([
    ['of an unknown model', { model: 'nobody', messages }, 404, /not known here/],
    ['without a model', { messages }, 400, /"model"/],
    ['without messages', { model: 'an/echo' }, 400, /messages/],
    ['that is a list', [], 400, /JSON object/],
    ['that is null', null, 400, /JSON object/],
    ['that is no JSON', '{"model":', 400, /not valid JSON/],
  ])('%s', async (_, body, status, words) => {
    const response = await post(body);
    const { type, error } = (await response.json()) as { type: string; error: { message: string } };
    expect({ status: response.status, type }).toEqual({ status, type: 'error' });
    expect(error.message).toMatch(words);
  });

  test('by another method than POST', async () => {
    const response = await fetch(`${gateway.url}/v1/messages/count_tokens`);
    expect(response.status).toBe(405);
  });
});
