/** Cohere's client understands the mock over a real socket. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { CohereClientV2, CohereError } from 'cohere-ai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { called, failureOf, said, schema, thought } from './said.ts';

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider({ key: 'sk-mock' });
});
afterAll(() => fake.stop());

describe('Cohere', () => {
  const client = (): CohereClientV2 =>
    new CohereClientV2({ token: 'sk-mock', environment: fake.url, maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: said }];
  const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: schema } }];

  test('text, thoughts and usage, whole and streamed', async () => {
    const answer = await client().chat({
      model: 'reason:input=100,cached=60,output=9,reasoning=3',
      messages,
    });
    expect(answer.message.content).toEqual([
      { type: 'thinking', thinking: thought },
      { type: 'text', text: said },
    ]);
    const usage = { tokens: { inputTokens: 100, outputTokens: 9 }, cachedTokens: 60 };
    expect([answer.finishReason as string, answer.usage as object]).toEqual([
      'COMPLETE',
      expect.objectContaining({ cachedTokens: 60 }),
    ]);
    let text = '';
    let thinking = '';
    for await (const event of await client().chatStream({
      model: 'reason:input=100,cached=60,output=9',
      messages,
    })) {
      if (event.type === 'content-delta') {
        text += event.delta?.message?.content?.text ?? '';
        thinking += event.delta?.message?.content?.thinking ?? '';
      }
      if (event.type === 'message-end') expect(event.delta?.usage).toMatchObject(usage);
    }
    expect([text, thinking]).toEqual([said, thought]);
  });

  test('calls tools and hears their results', async () => {
    const answer = await client().chat({ model: 'tool:calls=2', messages, tools });
    expect(answer.finishReason).toBe('TOOL_CALL');
    const calls = answer.message.toolCalls ?? [];
    expect(calls.map((call) => JSON.parse(call.function?.arguments ?? ''))).toEqual([called, called]);
    const pieces = ['', ''];
    for await (const event of await client().chatStream({ model: 'tool:calls=2', messages, tools })) {
      if (event.type === 'tool-call-delta') {
        pieces[event.index ?? 0] += event.delta?.message?.toolCalls?.function?.arguments ?? '';
      }
    }
    expect(pieces.map((piece) => JSON.parse(piece))).toEqual([called, called]);
    const results = calls.map(({ id }) => ({ role: 'tool' as const, toolCallId: id, content: 'sunny' }));
    const turns = [...messages, { role: 'assistant' as const, toolCalls: calls }, ...results];
    expect((await client().chat({ model: 'tool', messages: turns, tools })).message.content).toEqual([
      { type: 'text', text: 'sunny\nsunny' },
    ]);
    const short = await failureOf(client().chat({ model: 'tool', messages: turns.slice(0, -1), tools }));
    expect(short.message).toInclude('all tool calls must be followed');
  });

  test('fails before and within a stream', async () => {
    const limited = await failureOf(client().chat({ model: 'status:429', messages }));
    expect(limited).toBeInstanceOf(CohereError);
    expect([limited.statusCode, limited.body.message]).toEqual([429, expect.stringContaining('rate limit')]);
    const events = await Array.fromAsync(await client().chatStream({ model: 'error-event', messages }));
    expect(events.at(-1)).toMatchObject({
      type: 'message-end',
      delta: { finishReason: 'ERROR', error: 'internal server error' },
    });
  });
});
