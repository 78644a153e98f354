/** Completions before chat, with the official client: answered by chat models, and relayed to hosts that serve them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import type { JsonObject } from '../../src/core/json.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, relayOnly, startGateway, type TestGateway, twoProviders } from './gateway.ts';

/** A host that serves completions, and says what it was asked. */
interface Host {
  url: string;
  requests: { path: string; text: string; body: JsonObject }[];
  stop(): Promise<void>;
}

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };

function startHost(): Host {
  const requests: Host['requests'] = [];
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      const text = await request.text();
      const body: JsonObject = JSON.parse(text);
      requests.push({ path: new URL(request.url).pathname, text, body });
      const prompts = Array.isArray(body.prompt) ? body.prompt : [body.prompt];
      const head = { id: 'cmpl-1', object: 'text_completion', created: 1, model: 'up' };
      const choices = prompts.map((prompt, index) => ({
        text: ` after ${prompt}`,
        index,
        logprobs: null,
        finish_reason: 'stop',
      }));
      if (body.stream !== true) return Response.json({ ...head, choices, usage });
      const chunks: object[] = choices.map((choice) => ({ ...head, choices: [choice] }));
      if (isAsked(body)) chunks.push({ ...head, choices: [], usage });
      const lines = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'];
      return new Response(lines.map((line) => `data: ${line}\n\n`).join(''), {
        headers: { 'content-type': 'text/event-stream' },
      });
    },
  });
  return { url: `http://127.0.0.1:${server.port}/v1`, requests, stop: () => server.stop(true) };
}

function isAsked({ stream_options }: JsonObject): boolean {
  return JSON.stringify(stream_options ?? {}).includes('true');
}

let provider: FakeProvider;
let host: Host;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  host = startHost();
  const hosts = `  old: { speaks: [openai-chat, openai-completions], url: "${host.url}", key: up }\n`;
  const models = 'models: { either: { fallback: [an/echo, old/gpt] } }\n';
  const prices = 'prices: { old/gpt: { input: 1, output: 2 } }\n';
  gateway = await startGateway(`${twoProviders(provider.base)}${hosts}${models}${prices}`);
});

afterAll(async () => {
  await gateway.stop();
  await host.stop();
  await provider.stop();
});

describe.each(['oa', 'an'] as const)('provider %s', (up) => {
  test('answers a whole completion', async () => {
    const answer = await gateway.openai.completions.create({
      model: `${up}/echo`,
      prompt: 'Hello, wörld 🦊',
      max_tokens: 50,
    });
    expect(answer.object).toBe('text_completion');
    expect(answer.choices).toMatchObject([{ text: 'Hello, wörld 🦊', index: 0, finish_reason: 'stop' }]);
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
  });

  test('answers in a stream, with usage at its end for those who want it', async () => {
    for (const wish of [{}, { stream_options: { include_usage: true } }]) {
      const stream = await gateway.openai.completions.create({
        model: `${up}/echo:chunks=5`,
        prompt: ['Hello, wörld 🦊'],
        stream: true,
        ...wish,
      });
      const chunks = await Array.fromAsync(stream);
      const choices = chunks.flatMap((chunk) => chunk.choices);
      expect(choices.map(({ text }) => text).join('')).toBe('Hello, wörld 🦊');
      expect(choices.at(-1)?.finish_reason).toBe('stop');
      expect(chunks.at(-1)?.usage?.total_tokens !== undefined).toBe('stream_options' in wish);
    }
  });

  test('says in the old words why it stopped', async () => {
    const answer = await gateway.openai.completions.create({
      model: `${up}/length`,
      prompt: 'x',
      max_tokens: 8,
    });
    expect(answer.choices[0]?.finish_reason).toBe('length');
  });
});

test('several prompts a chat model does not take, with words that say what to do', async () => {
  const failure = await gateway.openai.completions
    .create({ model: 'oa/echo', prompt: ['One', 'Two'] })
    .catch((error) => error);
  expect(failure).toBeInstanceOf(OpenAI.BadRequestError);
  expect(failure).toMatchObject({ code: 'unsupported', param: 'prompt' });
  expect(failure.message).toContain('a call for each of several prompts');
});

test('a request that is wrong is refused in the dialect', async () => {
  const response = await gateway.post('/v1/completions', { model: 'oa/echo', prompt: 7 });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', param: 'prompt' } });
});

describe('a host that serves completions', () => {
  relayOnly('is sent the bytes as they came', async () => {
    const text = '{"model":"old/gpt","prompt":["One","Two"],"best_of":2,"seed":9007199254740993}';
    const response = await gateway.post('/v1/completions', text);
    expect(response.status).toBe(200);
    expect(host.requests.at(-1)?.path).toBe('/v1/completions');
    expect(host.requests.at(-1)?.text).toBe(text.replace('old/gpt', 'gpt'));
    const answer = (await response.json()) as OpenAI.Completion;
    expect(answer.choices.map((choice) => choice.text)).toEqual([' after One', ' after Two']);
    const [attempt] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(attempt).toMatchObject({ input: 3, output: 2, nano_usd: 7000 });
  });

  test('streams, with its usage counted and shown only to those who asked', async () => {
    const { data: stream, response } = await gateway.openai.completions
      .create({ model: 'old/gpt', prompt: 'One', stream: true })
      .withResponse();
    const chunks = await Array.fromAsync(stream);
    expect(chunks.flatMap(({ choices }) => choices.map((choice) => choice.text)).join('')).toBe(' after One');
    expect(chunks.some((chunk) => chunk.choices.length === 0)).toBe(false);
    const [attempt] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(attempt).toMatchObject({ input: 3, output: 2, estimated: 0 });
  });

  test('is asked where a chat model before it cannot say what was asked', async () => {
    const answer = await fetch(`${gateway.url}/v1/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: 'either', prompt: 'One', suffix: ' three' }),
    });
    expect(answer.headers.get('x-sluice-target')).toBe('old/gpt');
    expect(host.requests.at(-1)?.body).toMatchObject({ prompt: 'One', suffix: ' three' });
  });

  test('holds as much of a limit as several prompts and answers may cost', async () => {
    const yaml = `
providers: { old: { speaks: openai-completions, url: "${host.url}", key: up } }
prices: { old/gpt: { input: 1, output: 1 } }
keys: [{ name: small, key: ${key}, limits: [{ tokens: 1000, per: day, when_exhausted: refuse }] }]
`;
    const limited = await startGateway(yaml);
    try {
      const ask = { model: 'old/gpt', prompt: ['One', 'Two'], max_tokens: 100 };
      const post = (more: object) => limited.post('/v1/completions', { ...ask, ...more });
      expect((await post({ best_of: 3 })).status).toBe(200);
      expect((await post({ best_of: 6 })).status).toBe(429);
      expect((await post({ n: 6 })).status).toBe(429);
    } finally {
      await limited.stop();
    }
  });
});
