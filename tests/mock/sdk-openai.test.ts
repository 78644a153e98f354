/** OpenAI's clients understand the mock over a real socket: Responses, legacy Completions, Azure. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI, { AzureOpenAI } from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { called, failureOf, said, schema, thought, tokens } from './said.ts';

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider({ key: 'sk-mock' });
});
afterAll(() => fake.stop());

const usageModel = 'usage:input=100,cached=60,output=9,reasoning=3';

describe('OpenAI Responses', () => {
  const client = (): OpenAI => new OpenAI({ apiKey: 'sk-mock', baseURL: fake.base, maxRetries: 0 });
  const tools = [{ type: 'function' as const, name: 'weather', parameters: schema, strict: false }];
  type Ask = Partial<OpenAI.Responses.ResponseCreateParamsNonStreaming>;
  const whole = (model: string, ask: Ask = {}) => client().responses.create({ model, input: said, ...ask });
  const streamed = (model: string, ask: Ask = {}) =>
    client()
      .responses.stream({ model, input: said, ...ask } as Parameters<OpenAI.Responses['stream']>[0])
      .finalResponse();

  test('a stream folds to the whole answer', async () => {
    const reasoning = { summary: 'auto' as const };
    const include = ['reasoning.encrypted_content' as const];
    for (const model of [
      'echo',
      'reason',
      'tool:calls=2',
      'tool:think=true',
      'empty',
      'refuse',
      'length',
      usageModel,
    ]) {
      const ask = { tools, reasoning, include };
      const made = new Set([
        'id',
        'call_id',
        'item_id',
        '_request_id',
        'parsed',
        'parsed_arguments',
        'output_parsed',
      ]);
      const plain = (answer: object): object =>
        JSON.parse(JSON.stringify(answer, (name, value) => (made.has(name) ? undefined : value)));
      expect(plain(await streamed(model, ask))).toEqual(plain(await whole(model, ask)));
    }
  });

  test('text, usage and the reason why it ended', async () => {
    const answer = await whole(usageModel);
    expect([answer.output_text, answer.status]).toEqual([said, 'completed']);
    expect(answer.usage).toMatchObject({
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 60 },
      output_tokens: 9,
      output_tokens_details: { reasoning_tokens: 3 },
    });
    const cut = await streamed('length', { max_output_tokens: 20 });
    expect([cut.status, cut.incomplete_details?.reason]).toEqual(['incomplete', 'max_output_tokens']);
  });

  test('reasoning is summed up, and encrypted, only where that was asked for', async () => {
    const [silent] = (await whole('reason')).output;
    expect(silent).toMatchObject({ type: 'reasoning', summary: [] });
    expect(silent).not.toHaveProperty('encrypted_content');
    const ask = {
      reasoning: { summary: 'auto' as const },
      include: ['reasoning.encrypted_content' as const],
    };
    const [told] = (await streamed('reason', ask)).output;
    expect(told).toMatchObject({
      summary: [{ type: 'summary_text', text: thought }],
      encrypted_content: expect.any(String),
    });
  });

  test('calls tools and hears their results', async () => {
    const { output } = await streamed('tool:calls=2', { tools });
    const calls = output.filter((item) => item.type === 'function_call');
    expect(calls.map((call) => JSON.parse(call.arguments))).toEqual([called, called]);
    const results = calls.map(({ call_id }, i) => ({
      type: 'function_call_output' as const,
      call_id,
      output: `sun ${i}`,
    }));
    const input = [{ role: 'user' as const, content: said }, ...calls, ...results];
    expect((await whole('tool', { tools, input })).output_text).toBe('sun 0\nsun 1');
    expect((await failureOf(whole('echo', { input: results }))).message).toInclude('No tool call found');
    expect((await failureOf(whole('echo', { input: calls }))).message).toInclude('No tool output found');
  });

  test('goes on from an answer that was kept', async () => {
    const { id, output } = await whole('tool', { tools });
    const call_id = output.map((item) => (item.type === 'function_call' ? item.call_id : '')).join('');
    const input = [{ type: 'function_call_output' as const, call_id, output: 'sunny' }];
    expect((await whole('tool', { tools, input, previous_response_id: id })).output_text).toBe('sunny');
    const forgotten = await whole('echo', { store: false });
    const lost = await failureOf(whole('echo', { previous_response_id: forgotten.id }));
    expect(lost.code).toBe('previous_response_not_found');
  });

  test('refuses what OpenAI refuses', async () => {
    const ask = { stop: ['x'] } as Ask;
    expect(await failureOf(whole('echo', ask))).toMatchObject({
      status: 400,
      code: 'unknown_parameter',
      param: 'stop',
    });
    expect(await failureOf(whole('echo', { max_output_tokens: 8 }))).toMatchObject({
      code: 'integer_below_min_value',
    });
    expect(await failureOf(whole('status:429,retry_after=7'))).toBeInstanceOf(OpenAI.RateLimitError);
    expect((await failureOf(streamed('error-event'))).message).toInclude('had an error');
  });
});

describe('OpenAI Completions', () => {
  const client = (): OpenAI => new OpenAI({ apiKey: 'sk-mock', baseURL: fake.base, maxRetries: 0 });

  test('text in, text out, whole and streamed', async () => {
    const ask = { model: 'echo', prompt: said, max_tokens: 100, stop: ['wie'] };
    const answer = await client().completions.create({ ...ask, n: 2, echo: true });
    expect(answer.choices.map(({ text }) => text)).toEqual(Array(2).fill(said + said.split('wie')[0]));
    const stream = await client().completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe(said.split('wie')[0]!);
    expect(chunks.at(-1)?.usage?.prompt_tokens).toBe(tokens);
  });
});

describe('Azure', () => {
  const client = (): AzureOpenAI =>
    new AzureOpenAI({ apiKey: 'sk-mock', endpoint: fake.url, apiVersion: '2024-10-21', maxRetries: 0 });

  test('the deployment is the model', async () => {
    const messages = [{ role: 'user' as const, content: said }];
    const answer = await client().chat.completions.create({ model: 'echo:tokens=3', messages });
    expect(answer.usage?.completion_tokens).toBe(3);
    expect(fake.requests.at(-1)?.path).toBe(
      '/openai/deployments/echo:tokens=3/chat/completions?api-version=2024-10-21',
    );
    expect(fake.callsOf('echo:tokens=3')).toBe(1);
    const failed = await failureOf(
      client().chat.completions.create({ model: 'status:429,retry_after=2', messages }),
    );
    expect(failed.code).toBe('RateLimitReached');
    expect(failed.headers.get('retry-after-ms')).toBe('2000');
  });
});
