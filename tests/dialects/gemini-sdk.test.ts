/** What the dialect writes, Google's own client reads; what that client sends, the dialect reads. Over real sockets. */
import { afterAll, describe, expect, test } from 'bun:test';
import { ApiError, type Content, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';
import type { Block, ChatEvent, ChatRequest, ChatResponse, StopReason } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import type { Asked } from '../../src/dialects/dialect.ts';
import { gemini as dialect } from '../../src/dialects/gemini.ts';
import { cardOf } from './model-card.ts';

interface Heard {
  asked: Asked;
  key: string | null;
  request: ChatRequest;
}

/** What the server is to answer, and what it has heard. */
let blocks: Block[] = [];
let stop: StopReason = 'stop';
let failure: GatewayError | undefined;
const heard: Heard[] = [];

const usage = { ...emptyUsage(), input: 12, output: 9, reasoning: 4, cacheRead: 2 };
const answerOf = (): ChatResponse => ({
  dialect: 'anthropic-messages',
  id: 'msg_1',
  model: 'claude-x',
  choices: [{ index: 0, blocks, stop }],
  usage,
});

function* eventsOf({ id, model, choices }: ChatResponse): Generator<ChatEvent> {
  yield { type: 'start', id, model };
  for (const [block, value] of choices[0]!.blocks.entries()) {
    const at = { choice: 0, block };
    if (value.type === 'text' || value.type === 'reasoning') {
      const { text } = value;
      yield { type: 'block', ...at, value: { ...value, text: '' } };
      for (const piece of [text.slice(0, 3), text.slice(3)]) yield { type: 'delta', ...at, text: piece };
    } else yield { type: 'block', ...at, value };
    yield { type: 'close', ...at };
  }
  yield { type: 'finish', choice: 0, stop };
  yield { type: 'usage', usage };
  yield { type: 'end' };
}

function streamOf(array: boolean): Response {
  let out = '';
  const writer = dialect.writeStream((text) => (out += text), { streamUsage: true, array });
  for (const event of eventsOf(answerOf())) {
    if (event.type === 'finish' && failure !== undefined) {
      return new Response(out + dialect.writeStreamError(failure, 'call1'));
    }
    writer.push(event);
  }
  return new Response(out, { headers: { 'content-type': 'text/event-stream' } });
}

const server = Bun.serve({
  port: 0,
  async fetch(incoming) {
    const { pathname, search } = new URL(incoming.url);
    const entries = ['fast', 'openai/gpt-4o'].map((id) => dialect.writeModel(cardOf(id)));
    if (pathname === '/v1/models') return Response.json(dialect.writeModels(entries));
    if (pathname === '/v1/models/fast') return Response.json(entries[0]);
    const asked = dialect.match(pathname, search.slice(1));
    if (asked === undefined) return new Response('not found', { status: 404 });
    const body = (await incoming.json()) as JsonObject;
    if (asked.operation === 'count_tokens') return Response.json(dialect.counting?.write(31));
    heard.push({ asked, key: incoming.headers.get('x-goog-api-key'), request: dialect.readRequest(body) });
    if (asked.stream) return streamOf(asked.array === true);
    if (failure === undefined) return Response.json(dialect.writeResponse(answerOf()));
    const written = dialect.writeError(failure, 'call1');
    return Response.json(written.body, { status: written.status });
  },
});
afterAll(() => server.stop(true));

const client = new GoogleGenAI({
  apiKey: 'sk-test',
  httpOptions: { baseUrl: `http://127.0.0.1:${server.port}` },
});

function answer(said: Block[], ended: StopReason = 'stop', failed?: GatewayError): void {
  blocks = said;
  stop = ended;
  failure = failed;
  heard.length = 0;
}

const said: Block[] = [
  { type: 'reasoning', text: 'Let me see.', signature: 'EqMC', vendor: 'anthropic-messages' },
  { type: 'text', text: 'Grüße ✓' },
];
const made: Block[] = [
  { type: 'text', text: 'I look.' },
  { type: 'tool-call', id: 'toolu_1', name: 'get_weather', input: '{"place":"Oslo"}' },
  { type: 'tool-call', id: 'toolu_2', name: 'get_weather', input: '{"place":"Rome"}' },
];

describe('the client', () => {
  test('understands a whole answer', async () => {
    answer(said);
    const config = { systemInstruction: 'Be brief.', maxOutputTokens: 9, temperature: 0.5 };
    const got = await client.models.generateContent({ model: 'openai/gpt-4o', contents: 'Hi', config });
    expect(got.text).toBe('Grüße ✓');
    expect(got.candidates?.[0]?.content?.parts?.[0]).toMatchObject({ text: 'Let me see.', thought: true });
    expect(got.usageMetadata).toMatchObject({
      promptTokenCount: 12,
      candidatesTokenCount: 5,
      thoughtsTokenCount: 4,
      cachedContentTokenCount: 2,
      totalTokenCount: 21,
    });
    expect([got.modelVersion, got.responseId]).toEqual(['claude-x', 'msg_1']);
    expect(heard).toMatchObject([
      {
        asked: { model: 'openai/gpt-4o', stream: false },
        key: 'sk-test',
        request: {
          messages: [
            { role: 'system', blocks: [{ text: 'Be brief.' }] },
            { role: 'user', blocks: [{ text: 'Hi' }] },
          ],
          maxTokens: 9,
          temperature: 0.5,
        },
      },
    ]);
  });

  test('understands a stream', async () => {
    answer([...said, ...made], 'tool_calls');
    const stream = await client.models.generateContentStream({ model: 'fast', contents: 'Hi' });
    let text = '';
    const calls = [];
    let last: string | undefined;
    let total: number | undefined;
    for await (const chunk of stream) {
      text += chunk.text ?? '';
      calls.push(...(chunk.functionCalls ?? []));
      last = chunk.candidates?.[0]?.finishReason ?? last;
      total = chunk.usageMetadata?.totalTokenCount ?? total;
    }
    expect(text).toBe('Grüße ✓I look.');
    expect(calls).toEqual([
      { id: 'toolu_1', name: 'get_weather', args: { place: 'Oslo' } },
      { id: 'toolu_2', name: 'get_weather', args: { place: 'Rome' } },
    ]);
    expect([last, total]).toEqual(['STOP', 21]);
    expect(heard[0]?.asked).toMatchObject({ model: 'fast', stream: true, array: false });
  });

  test('hands back in a chat what it was given: calls, thoughts and their signature', async () => {
    for (const streamed of [false, true]) {
      answer([said[0]!, ...made], 'tool_calls');
      const chat = client.chats.create({ model: 'fast' });
      const results = ['rain', 'sun'].map((output, i) => ({
        functionResponse: { id: `toolu_${i + 1}`, name: 'get_weather', response: { output } },
      }));
      for (const message of ['Weather?', results]) {
        if (streamed) for await (const _ of await chat.sendMessageStream({ message }));
        else await chat.sendMessage({ message });
      }
      const messages = heard[1]?.request.messages ?? [];
      const turn = messages.filter(({ role }) => role === 'assistant').flatMap((message) => message.blocks);
      const words = turn.map((block) => (block.type === 'text' ? block.text : '')).join('');
      expect(words).toBe('I look.');
      expect(turn[0]).toEqual(said[0]!);
      expect(turn.filter(({ type }) => type === 'tool-call')).toEqual(made.slice(1));
      expect(messages.at(-1)?.blocks).toMatchObject([
        { type: 'tool-result', callId: 'toolu_1', blocks: [{ text: 'rain' }] },
        { type: 'tool-result', callId: 'toolu_2', blocks: [{ text: 'sun' }] },
      ]);
    }
  });

  test('says tools, forms and thinking in words that are understood', async () => {
    answer(said);
    const schema = { type: 'object', properties: { place: { type: 'string' } } };
    await client.models.generateContent({
      model: 'fast',
      contents: [
        { role: 'user', parts: [{ text: 'Hi' }, { inlineData: { mimeType: 'image/png', data: 'iVBOR' } }] },
      ] satisfies Content[],
      config: {
        tools: [
          { functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: schema }] },
          { googleSearch: {} },
        ],
        toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
        responseMimeType: 'application/json',
        responseJsonSchema: schema,
        thinkingConfig: { thinkingBudget: 512, includeThoughts: true },
      },
    });
    expect(heard[0]?.request).toMatchObject({
      messages: [{ blocks: [{ type: 'text' }, { type: 'media', media: 'image' }] }],
      tools: [
        { name: 'get_weather', schema },
        { name: 'googleSearch', opaque: { googleSearch: {} } },
      ],
      toolChoice: { type: 'required' },
      format: { type: 'schema', schema },
      reasoning: { enabled: true, budgetTokens: 512, display: 'summarized' },
    });
  });

  test('throws an error with the status and the words', async () => {
    answer(said, 'stop', new GatewayError('rate_limited', 'Slow down.', { retryAfterS: 3 }));
    const thrown = await client.models
      .generateContent({ model: 'fast', contents: 'Hi' })
      .catch((error) => error);
    expect(thrown).toBeInstanceOf(ApiError);
    expect(thrown.status).toBe(429);
    expect(JSON.parse(thrown.message)).toMatchObject({
      error: { message: 'Slow down.', status: 'RESOURCE_EXHAUSTED' },
    });
  });

  test('throws an error that comes in the middle of a stream', async () => {
    answer(said, 'stop', new GatewayError('upstream_overloaded', 'Too many.'));
    const stream = await client.models.generateContentStream({ model: 'fast', contents: 'Hi' });
    const read = async (): Promise<string> => {
      let text = '';
      for await (const chunk of stream) text += chunk.text ?? '';
      return text;
    };
    const thrown = await read().catch((error) => error);
    expect(thrown).toBeInstanceOf(ApiError);
    expect(thrown.status).toBe(503);
  });

  test('lists models and counts tokens', async () => {
    const names: (string | undefined)[] = [];
    for await (const { name } of await client.models.list({ config: { pageSize: 1 } })) names.push(name);
    expect(names).toEqual(['models/fast', 'models/openai/gpt-4o']);
    expect((await client.models.get({ model: 'fast' })).name).toBe('models/fast');
    expect((await client.models.countTokens({ model: 'fast', contents: 'Hi' })).totalTokens).toBe(31);
  });
});
