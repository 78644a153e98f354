/** Tools with names like MCP's, and ids of other vendors' calls, work with every target, there and back. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Content, GoogleGenAI } from '@google/genai';
import type { JsonObject } from '../../src/core/json.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { forced, key, relayOnly, startGateway, type TestGateway, twoProviders } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  const others = `
  mistral: { url: "${provider.base}", key: up }
  re: { speaks: openai-responses, url: "${provider.base}", key: up }
  ge: { speaks: gemini, url: "${provider.url}/v1beta", key: up, auth: x-goog-api-key }
  be: { speaks: bedrock-converse, url: "${provider.url}", key: up }
  co: { speaks: cohere-v2, url: "${provider.url}/v2", key: up }
  ol: { speaks: ollama, url: "${provider.url}", key: up }
`;
  gateway = await startGateway(`${twoProviders(provider.base)}${others}`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const own = 'mcp.files:v1/read';
const parameters = { type: 'object' as const, properties: { path: { type: 'string' } }, required: ['path'] };
const hello = [{ role: 'user' as const, content: 'notes.txt' }];

/** The names by which the provider was told of tools, last. */
function toldNames(): string[] {
  const tools = (provider.requests.at(-1)?.body?.tools ?? []) as JsonObject[];
  return tools.map((tool) => String((tool.function as JsonObject | undefined)?.name ?? tool.name));
}

const lastText = (): string => provider.requests.at(-1)?.text ?? '';

describe('an OpenAI client and an Anthropic provider', () => {
  const tools = [{ type: 'function' as const, function: { name: own, parameters } }];
  const whole = (more: object = {}) =>
    gateway.openai.chat.completions.create({ model: 'an/tool', messages: hello, tools, ...more });
  const streamed = (more: object = {}) =>
    gateway.openai.chat.completions
      .stream({ model: 'an/tool', messages: hello, tools, ...more })
      .finalChatCompletion();

  test.each([
    ['whole', whole],
    ['streamed', streamed],
  ] as const)('%s: the model is told another name, the client hears its own', async (_, ask) => {
    const answer = await ask();
    expect(answer.choices[0]?.message.tool_calls).toMatchObject([{ function: { name: own } }]);
    expect(toldNames()).toEqual([expect.stringMatching(/^mcp_files_v1_read_[a-z0-9]+$/)]);
    expect(lastText()).not.toContain(own);
  });

  test('a tool that must be called is forced under the name it goes by, turn after turn', async () => {
    const first = await whole({ tool_choice: { type: 'function', function: { name: own } } });
    const [name] = toldNames();
    expect(provider.requests.at(-1)?.body?.tool_choice).toMatchObject({ type: 'tool', name });
    const [call] = first.choices[0]!.message.tool_calls!;
    const result = { role: 'tool' as const, tool_call_id: call!.id, content: 'some text' };
    await whole({ messages: [...hello, first.choices[0]!.message, result] });
    expect(toldNames()).toEqual([name!]);
    expect(lastText()).not.toContain(own);
    expect(lastText().split(`"${name}"`)).toHaveLength(3);
  });
});

describe('an Anthropic client and an OpenAI provider', () => {
  const tools = [{ name: `${own}_${'x'.repeat(60)}`, input_schema: parameters }];
  const long = tools[0]!.name;
  const ask = { model: 'oa/tool', max_tokens: 100, messages: hello, tools };

  test('a name that is too long is made to fit, whole and streamed', async () => {
    const whole = await gateway.anthropic.messages.create(ask);
    const streamed = await gateway.anthropic.messages.stream(ask).finalMessage();
    for (const { content } of [whole, streamed]) {
      expect(content).toMatchObject([{ type: 'tool_use', name: long, input: { path: 'notes.txt' } }]);
      const [name] = toldNames();
      expect(name).toMatch(/^[a-zA-Z0-9_-]{64}$/);
    }
  });
});

describe.each(['oa', 'an', 'mistral', 're', 'ge', 'be', 'co', 'ol'])(
  'a Gemini client and provider %s',
  (up) => {
    const ai = (): GoogleGenAI =>
      new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: gateway.url, apiVersion: 'v1beta' } });
    // With all that Gemini allows; a slash it does not.
    const name = 'mcp.files:v1.read-all';
    const declared = { name, parametersJsonSchema: parameters };
    const user: Content = { role: 'user', parts: [{ text: 'notes.txt' }] };
    const ask = (contents: Content[]) => ({
      model: `${up}/tool`,
      contents,
      config: { tools: [{ functionDeclarations: [declared] }] },
    });

    test('a call by the name the client gave, its result, and the next turn', async () => {
      const whole = await ai().models.generateContent(ask([user]));
      const chunks = await Array.fromAsync(await ai().models.generateContentStream(ask([user])));
      for (const calls of [whole.functionCalls, chunks.flatMap((chunk) => chunk.functionCalls ?? [])]) {
        expect(calls).toMatchObject([{ name, args: { path: 'notes.txt' } }]);
      }
      const answered: Content = {
        role: 'user',
        parts: [{ functionResponse: { name, response: { output: 'some text' } } }],
      };
      const then = await ai().models.generateContent(ask([user, whole.candidates![0]!.content!, answered]));
      expect(then.text).toContain('some text');
    });
  },
);

describe('ids of calls', () => {
  const call = (id: string) => ({
    role: 'assistant' as const,
    content: null,
    tool_calls: [{ id, type: 'function' as const, function: { name: 'f', arguments: '{}' } }],
  });
  const result = (id: string) => ({ role: 'tool' as const, tool_call_id: id, content: 'done' });
  const conversation = (id: string) => [...hello, call(id), result(id)];
  const idsSent = (): string[] =>
    [...lastText().matchAll(/"(?:id|tool_call_id|tool_use_id)":"([^"]+)"/g)].map(([, id]) => id!);

  test.each([
    ['an', /^[a-zA-Z0-9_-]+$/],
    ['mistral', /^[A-Za-z0-9]{9}$/],
  ])('are what %s takes, one for a call and its result', async (up, form) => {
    await gateway.openai.chat.completions.create({
      model: `${up}/echo`,
      messages: conversation('functions.f:0'),
      tools: [{ type: 'function', function: { name: 'f', parameters } }],
    });
    const [id, same, ...others] = idsSent();
    expect(others).toEqual([]);
    expect(id).toMatch(form);
    expect(same).toBe(id!);
  });

  relayOnly('and names stay as they are where bytes are relayed', async () => {
    await gateway.openai.chat.completions.create({
      model: 'oa/echo',
      messages: conversation('functions.f:0'),
      tools: [{ type: 'function', function: { name: own, parameters } }],
    });
    expect(idsSent()).toEqual(['functions.f:0', 'functions.f:0']);
    expect(toldNames()).toEqual([own]);
  });

  test('of another vendor are such as the client may send to its own', async () => {
    const sse = [
      {
        delta: {
          role: 'assistant',
          tool_calls: [{ index: 0, id: 'functions.f:0', function: { name: 'f', arguments: '{}' } }],
        },
      },
      { delta: {}, finish_reason: 'tool_calls' },
    ].map((choice) => ({
      id: 'c',
      object: 'chat.completion.chunk',
      model: 'm',
      choices: [{ index: 0, ...choice }],
    }));
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'functions.f:0', type: 'function', function: { name: 'f', arguments: '{}' } }],
    };
    const host = Bun.serve({
      port: 0,
      fetch: async (request) => {
        const { stream } = (await request.json()) as { stream?: boolean };
        if (!stream)
          return Response.json({
            id: 'c',
            object: 'chat.completion',
            model: 'm',
            choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
          });
        const text = [...sse.map((chunk) => JSON.stringify(chunk)), '[DONE]']
          .map((data) => `data: ${data}\n\n`)
          .join('');
        return new Response(text, { headers: { 'content-type': 'text/event-stream' } });
      },
    });
    const other = await startGateway(
      `providers: { odd: { speaks: openai-chat, url: "http://127.0.0.1:${host.port}/v1", key: up } }`,
    );
    try {
      const ask = {
        model: 'odd/m',
        max_tokens: 10,
        messages: hello,
        tools: [{ name: 'f', input_schema: parameters }],
      };
      const whole = await other.anthropic.messages.create(ask);
      const streamed = await other.anthropic.messages.stream(ask).finalMessage();
      const ids = [whole, streamed].flatMap(({ content }) =>
        content.flatMap((block) => (block.type === 'tool_use' ? [block.id] : [])),
      );
      expect(ids).toHaveLength(2);
      expect(ids[0]).toMatch(/^functions_f_0_[a-z0-9]+$/);
      expect(ids[1]).toBe(ids[0]!);
    } finally {
      await other.stop();
      await host.stop(true);
    }
  });
});

test.skipIf(!forced)('a name comes back also where a dialect is written in itself', async () => {
  const answer = await gateway.openai.chat.completions.create({
    model: 'oa/tool',
    messages: hello,
    tools: [{ type: 'function', function: { name: own, parameters } }],
  });
  expect(answer.choices[0]?.message.tool_calls).toMatchObject([{ function: { name: own } }]);
});
