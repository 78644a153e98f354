/** The official clients understand the mock over a real socket: whole, streamed, tools, thinking, errors. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';

let fake: FakeProvider;
let openai: OpenAI;
let anthropic: Anthropic;

beforeAll(async () => {
  fake = await startFakeProvider({ key: 'sk-mock' });
  openai = new OpenAI({ apiKey: 'sk-mock', baseURL: fake.base, maxRetries: 0 });
  anthropic = new Anthropic({ apiKey: 'sk-mock', baseURL: fake.url, maxRetries: 0 });
});
afterAll(() => fake.stop());

const schema = {
  type: 'object' as const,
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 3 } },
  required: ['city'],
};
const hello = [{ role: 'user' as const, content: 'Grüße aus Köln 🎉, wie geht es dir heute?' }];
const said = hello[0]?.content as string;

describe('the openai client', () => {
  const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: schema } }];

  test('reads a whole answer with usage', async () => {
    const answer = await openai.chat.completions.create({ model: 'echo', messages: hello });
    expect(answer.choices[0]?.message.content).toBe(said);
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    const tokens = Math.ceil(said.length / 4);
    expect(answer.usage).toMatchObject({
      prompt_tokens: tokens,
      completion_tokens: tokens,
      total_tokens: 2 * tokens,
    });
  });

  test('reads a stream, with usage only when it asks', async () => {
    for (const include_usage of [true, false]) {
      const stream = await openai.chat.completions.create({
        model: 'echo',
        messages: hello,
        stream: true,
        stream_options: { include_usage },
      });
      let text = '';
      let usages = 0;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (chunk.usage) usages++;
      }
      expect([text, usages]).toEqual([said, include_usage ? 1 : 0]);
    }
  });

  test('runs two parallel tools whose arguments come in pieces, then hears the results', async () => {
    const stream = openai.chat.completions.stream({ model: 'tool:calls=2', messages: hello, tools });
    const message = (await stream.finalChatCompletion()).choices[0]?.message;
    const calls = message?.tool_calls ?? [];
    expect(calls.map((call) => call.type === 'function' && JSON.parse(call.function.arguments).days)).toEqual(
      [3, 3],
    );
    expect(new Set(calls.map((call) => call.id)).size).toBe(2);
    const answer = await openai.chat.completions.create({
      model: 'tool',
      tools,
      messages: [
        ...hello,
        { role: 'assistant', tool_calls: calls },
        ...calls.map((call) => ({ role: 'tool' as const, tool_call_id: call.id, content: 'sunny' })),
      ],
    });
    expect(answer.choices[0]?.message.content).toBe('sunny\nsunny');
  });

  test('lists models, and learns why a model is unknown', async () => {
    const models = (await openai.models.list()).data.map((model) => model.id);
    expect(models).toContain('echo');
    const failed = await openai.chat.completions
      .create({ model: 'gpt-9', messages: hello })
      .catch((error) => error);
    expect(failed).toBeInstanceOf(OpenAI.NotFoundError);
    expect(failed.code).toBe('model_not_found');
  });

  test('is refused without the right key', async () => {
    const failed = openai
      .withOptions({ apiKey: 'wrong' })
      .chat.completions.create({ model: 'echo', messages: hello });
    expect(await failed.catch((error) => error)).toBeInstanceOf(OpenAI.AuthenticationError);
  });
});

describe('the anthropic client', () => {
  const tools = [{ name: 'weather', input_schema: schema }];

  test('reads a whole answer with usage', async () => {
    const answer = await anthropic.messages.create({ model: 'echo', max_tokens: 100, messages: hello });
    expect(answer.content).toEqual([{ type: 'text', text: said } as Anthropic.TextBlock]);
    expect(answer.stop_reason).toBe('end_turn');
    expect(answer.usage.output_tokens).toBe(Math.ceil(said.length / 4));
  });

  test('folds a stream to the same answer', async () => {
    for (const model of ['echo', 'reason', 'tool', 'empty', 'refuse', 'usage:input=10,cached=4,output=7']) {
      const wish = { model, max_tokens: 100, messages: hello, tools };
      const whole = await anthropic.messages.create(wish);
      const streamed = await anthropic.messages.stream(wish).finalMessage();
      const plain = (message: Anthropic.Message): unknown => {
        const content = message.content.map((block) => ({ ...block, id: '' }));
        return { ...message, id: '', content, _request_id: '', parsed_output: null };
      };
      expect(plain(streamed)).toEqual(plain(whole));
    }
  });

  test('thinks with a signature before it speaks', async () => {
    const stream = anthropic.messages.stream({ model: 'reason', max_tokens: 2000, messages: hello });
    const [thinking, text] = (await stream.finalMessage()).content;
    expect(thinking).toMatchObject({ type: 'thinking', signature: expect.stringMatching(/^\S+$/) });
    expect(text).toMatchObject({ type: 'text', text: said });
  });

  test('runs two parallel tools whose arguments come in pieces, then hears the results', async () => {
    const pieces: string[] = [];
    const stream = anthropic.messages.stream({
      model: 'tool:calls=2',
      max_tokens: 100,
      messages: hello,
      tools,
    });
    stream.on('inputJson', (piece) => void pieces.push(piece));
    const message = await stream.finalMessage();
    expect(message.stop_reason).toBe('tool_use');
    expect(pieces.length).toBeGreaterThan(4);
    const calls = message.content.filter((block) => block.type === 'tool_use');
    expect(calls.map((call) => (call.input as { days: number }).days)).toEqual([3, 3]);
    const results = calls.map(({ id }) => ({
      type: 'tool_result' as const,
      tool_use_id: id,
      content: 'sunny',
    }));
    const answer = await anthropic.messages.create({
      model: 'tool',
      max_tokens: 100,
      tools,
      messages: [...hello, { role: 'assistant', content: calls }, { role: 'user', content: results }],
    });
    expect(answer.content[0]).toMatchObject({ type: 'text', text: 'sunny\nsunny' });
  });

  test('lists models, counts tokens, and learns why a model is unknown', async () => {
    const models = (await anthropic.models.list()).data.map((model) => model.id);
    expect(models).toContain('echo');
    const counted = await anthropic.messages.countTokens({ model: 'echo', messages: hello });
    expect(counted.input_tokens).toBe(Math.ceil(said.length / 4));
    const wish = { model: 'claude-9', max_tokens: 1, messages: hello };
    const failed = await anthropic.messages.create(wish).catch((error) => error);
    expect(failed).toBeInstanceOf(Anthropic.NotFoundError);
    expect(failed.error.error.type).toBe('not_found_error');
  });

  test('hears of an overload before and within a stream', async () => {
    const wish = { max_tokens: 100, messages: hello };
    const before = await anthropic.messages
      .create({ ...wish, model: 'error:overloaded' })
      .catch((error) => error);
    expect([before.status, before.error.error.type]).toEqual([529, 'overloaded_error']);
    const stream = anthropic.messages.stream({ ...wish, model: 'error-event:after=3' });
    await expect(stream.finalMessage()).rejects.toThrow('Overloaded');
  });
});
