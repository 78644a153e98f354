/** What a Gemini client finds at the gateway beside calls: streams as one array, lists at its own paths, its headers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { GoogleGenAI } from '@google/genai';
import type { JsonObject } from '../../src/core/json.ts';
import { key, startGateway, type TestGateway } from './gateway.ts';

const chunk = (text: string, finishReason?: string): string =>
  `data: ${JSON.stringify({
    candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0, finishReason }],
    usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 1, totalTokenCount: 4 },
    modelVersion: 'gemini-x',
    responseId: 'r1',
  })}\r\n\r\n`;

/** A provider that breaks off when the model's name says so. */
const upstream = Bun.serve({
  port: 0,
  fetch: ({ url }) => {
    const whole = chunk('Hel') + (url.includes('cut') ? '' : chunk('lo', 'STOP'));
    return new Response(whole, { headers: { 'content-type': 'text/event-stream' } });
  },
});

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway(`
providers:
  g: { speaks: gemini, url: "http://127.0.0.1:${upstream.port}/v1beta", key: up, auth: x-goog-api-key }
models: { whole: g/gemini-x, cut: g/gemini-cut }
keys:
  - { name: all, key: ${key} }
  - { name: some, key: sk-some, models: [whole] }
`);
});
afterAll(async () => {
  await gateway.stop();
  await upstream.stop(true);
});

const ask = { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] };
const textOf = (chunks: JsonObject[]): string =>
  chunks
    .flatMap(({ candidates }) => (candidates ?? []) as { content: { parts: { text: string }[] } }[])
    .map(({ content }) => content.parts.map(({ text }) => text).join(''))
    .join('');

describe('a stream without alt=sse', () => {
  test('is one array', async () => {
    const response = await gateway.post('/v1beta/models/whole:streamGenerateContent', ask);
    expect(response.headers.get('content-type')).toBe('application/json');
    const chunks = (await response.json()) as JsonObject[];
    expect(textOf(chunks)).toBe('Hello');
    expect(chunks.at(-1)).toMatchObject({
      candidates: [{ finishReason: 'STOP' }],
      usageMetadata: { totalTokenCount: 4 },
    });
  });

  test('is one also when the provider breaks off, and says so', async () => {
    const response = await gateway.post('/v1beta/models/cut:streamGenerateContent', ask);
    const chunks = (await response.json()) as JsonObject[];
    expect(textOf(chunks)).toBe('Hel');
    expect(chunks.at(-1)).toMatchObject({ error: { code: 502, status: 'INTERNAL' } });
    // Counting what the provider did not count loads a tokenizer.
  }, 20_000);
});

describe('a stream of events', () => {
  test('ends in an error when the provider breaks off', async () => {
    const response = await gateway.post('/v1beta/models/cut:streamGenerateContent?alt=sse', ask);
    const events = (await response.text()).trim().split(/\r?\n\r?\n/);
    expect(JSON.parse(events.at(-1)!.slice('data: '.length))).toMatchObject({ error: { code: 502 } });
  });
});

describe('a list of models', () => {
  const get = async (path: string, headers: Record<string, string> = {}): Promise<JsonObject> =>
    (await (await fetch(gateway.url + path, { headers })).json()) as JsonObject;
  const names = ({ models }: JsonObject): unknown[] => (models as JsonObject[]).map(({ name }) => name);

  test.each(['/v1beta/models', '/v1alpha/models', '/v1beta1/publishers/google/models'])(
    'stands at %s, in one page, with the key in the query',
    async (path) => {
      expect(names(await get(`${path}?key=${key}&pageSize=1`))).toEqual(['models/whole', 'models/cut']);
      expect(names(await get(`${path}?key=sk-some`))).toEqual(['models/whole']);
      expect((await get(`${path}/whole?key=${key}`)).name).toBe('models/whole');
    },
  );

  test('at the path that dialects share has the form of whoever asks', async () => {
    expect(names(await get('/v1/models', { 'x-goog-api-key': key }))).toContain('models/whole');
    expect(await get('/v1/models', { authorization: `Bearer ${key}` })).toHaveProperty('data');
  });

  test('refuses in the words of the dialect', async () => {
    expect(await get('/v1beta/models')).toMatchObject({ error: { code: 401, status: 'UNAUTHENTICATED' } });
    expect(await get(`/v1beta/models/nobody?key=${key}`)).toMatchObject({
      error: { code: 404, status: 'NOT_FOUND' },
    });
  });

  test('is read by Google’s client', async () => {
    const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: gateway.url } });
    const found: (string | undefined)[] = [];
    for await (const { name } of await client.models.list()) found.push(name);
    expect(found).toEqual(['models/whole', 'models/cut']);
  });
});
