/** What each model name makes the mock do, asked in process on both wires. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import type { JsonObject } from '../../src/core/json.ts';
import { leadWords, optionNames, parseBehaviour } from '../../src/mock/behaviour.ts';
import { errorKinds } from '../../src/mock/errors.ts';
import { createMock, type Mock } from '../../src/mock/mock.ts';

const mock = createMock();
const user = (content: unknown): JsonObject[] => [{ role: 'user', content: content as string }];

function post(path: string, body: unknown, to: Mock = mock): Promise<Response> {
  const headers = { 'anthropic-version': '2023-06-01' };
  return to.transport(`http://mock/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}
const openai = (model: string, more: object = {}, to = mock): Promise<Response> =>
  post('/chat/completions', { model, messages: user('hello world'), ...more }, to);
const anthropic = (model: string, more: object = {}, to = mock): Promise<Response> =>
  post('/messages', { model, max_tokens: 1000, messages: user('hello world'), ...more }, to);

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely
const json = async (response: Promise<Response>): Promise<any> => (await response).json();
const text = async (response: Promise<Response>): Promise<string> => (await response).text();

/** The data of a stream's events, unparsed. */
async function events(response: Promise<Response>): Promise<string[]> {
  const found = (await text(response)).split('\n').filter((line) => line.startsWith('data: '));
  return found.map((line) => line.slice(6));
}

describe('the grammar', () => {
  test('a bare value sets what the lead word is about; options follow', () => {
    expect(parseBehaviour('status:429,retry_after=7')).toMatchObject({ status: 429, retryAfterS: 7 });
    expect(parseBehaviour('delay:2s')).toMatchObject({ say: 'echo', beforeMs: 2000 });
    expect(parseBehaviour('echo?delay=1.5s&chunks=50')).toMatchObject({ delayMs: 1500, chunks: 50 });
    expect(parseBehaviour('tool:fault=cut,after=5')).toMatchObject({ say: 'tool', fault: 'cut', after: 5 });
    expect(parseBehaviour('claude~status:429')).toEqual(parseBehaviour('status:429'));
  });

  test('what it does not know is said, with what it knows', () => {
    for (const [model, why] of [
      ['constructor', 'begin with one of'],
      ['echo:paws=4', 'known: as, after'],
      ['echo:toString=4', 'no option'],
      ['echo:delay=soon', 'no value for delay'],
      ['big:bytes=9999999999', 'at most'],
      ['replay', 'needs a file'],
    ] as const) {
      expect(parseBehaviour(model)).toContain(why);
    }
  });

  test('the documentation names every word', () => {
    const page = readFileSync(new URL('../../docs/mock.md', import.meta.url), 'utf8');
    for (const word of [...leadWords, ...optionNames, ...errorKinds]) expect(page).toContain(`\`${word}`);
  });
});

describe('answers', () => {
  test('echo names the parts it saw, in the same words on both wires', async () => {
    const data = Buffer.from('12345').toString('base64');
    const seen = 'what is this?\n[image image/png 5 bytes]\n[image https://example.com/a.png]';
    const ask = { type: 'text', text: 'what is this?' };
    const toOpenai = user([
      ask,
      { type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
    ]);
    const toAnthropic = user([
      ask,
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data } },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ]);
    expect((await json(openai('echo', { messages: toOpenai }))).choices[0].message.content).toBe(seen);
    expect((await json(anthropic('echo', { messages: toAnthropic }))).content[0].text).toBe(seen);
  });

  test('a text is as long, and comes in as many pieces, as asked', async () => {
    expect((await json(openai('echo:tokens=25'))).usage.completion_tokens).toBe(25);
    expect((await json(openai('big:bytes=5000'))).choices[0].message.content).toHaveLength(5000);
    const chunks = await events(openai('echo:chunks=50,chunk_size=4', { stream: true }));
    // Role, fifty pieces, finish and the terminator.
    expect(chunks).toHaveLength(53);
    expect(chunks.at(-1)).toBe('[DONE]');
  });

  test('the token limit and stop sequences are kept', async () => {
    const cut = await json(openai('echo', { max_tokens: 2 }));
    expect([cut.choices[0].message.content, cut.choices[0].finish_reason]).toEqual(['hello wo', 'length']);
    expect((await json(anthropic('length', { max_tokens: 8 }))).usage.output_tokens).toBe(8);
    const stopped = await json(anthropic('echo', { stop_sequences: ['wor'] }));
    expect(stopped).toMatchObject({
      stop_reason: 'stop_sequence',
      stop_sequence: 'wor',
      content: [{ text: 'hello ' }],
    });
  });

  test('json satisfies the schema it is given', async () => {
    const schema = {
      type: 'object',
      required: ['kind', 'next'],
      properties: {
        kind: { enum: ['a', 'b'] },
        when: { type: 'string', format: 'date' },
        score: { type: 'number', exclusiveMinimum: 0, maximum: 0.5 },
        list: { type: 'array', minItems: 2, items: { type: ['null', 'integer'], minimum: 7 } },
        next: { anyOf: [{ $ref: '#' }, { type: 'null' }] },
      },
    };
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } };
    const value = JSON.parse((await json(openai('json', { response_format }))).choices[0].message.content);
    expect(value).toMatchObject({
      kind: 'a',
      when: '2025-01-01',
      score: 0.25,
      list: [7, 7],
      next: { kind: 'a' },
    });
    const format = { type: 'json_schema', schema };
    const same = await json(anthropic('json', { output_config: { format } }));
    expect(JSON.parse(same.content[0].text)).toEqual(value);
  });

  test('schemas that grow without end come to one', async () => {
    const node = { type: 'object', properties: { a: { $ref: '#' }, b: { $ref: '#' } }, required: ['a', 'b'] };
    const bounded = await text(
      anthropic('json', { output_config: { format: { type: 'json_schema', schema: node } } }),
    );
    expect(bounded.length).toBeLessThan(200_000);
    const looping = { allOf: [{ $ref: '#' }] };
    const looped = await anthropic('json', {
      output_config: { format: { type: 'json_schema', schema: looping } },
    });
    expect(looped.status).toBe(200);
  });

  test('tool calls the forced tool, once where calls may not be parallel, and never against its will', async () => {
    const tool = (name: string): object => ({ type: 'function', function: { name, parameters: {} } });
    const tools = [tool('first'), tool('second')];
    const forced = { tools, tool_choice: { type: 'function', function: { name: 'second' } } };
    const choice = (await json(openai('tool', forced))).choices[0];
    expect([choice.message.tool_calls[0].function.name, choice.finish_reason]).toEqual(['second', 'stop']);
    const single = (await json(openai('tool:2', { tools, parallel_tool_calls: false }))).choices[0];
    expect([single.message.tool_calls.length, single.finish_reason]).toEqual([1, 'tool_calls']);
    const none = (await json(openai('tool', { tools, tool_choice: 'none' }))).choices[0];
    expect(none.message).toMatchObject({ content: 'hello world' });
  });

  test('reasoning, refusals and empty answers have their own members', async () => {
    const thought = (await json(openai('reason'))).choices[0].message;
    expect([thought.reasoning_content.length > 10, thought.content]).toEqual([true, 'hello world']);
    expect((await json(openai('reason:member=reasoning'))).choices[0].message.reasoning).toBe(
      thought.reasoning_content,
    );
    expect((await json(anthropic('reason:redacted=true'))).content[0].type).toBe('redacted_thinking');
    expect((await json(openai('refuse'))).choices[0].message).toMatchObject({
      content: null,
      refusal: expect.stringContaining('cannot'),
    });
    expect(await json(anthropic('refuse'))).toMatchObject({ content: [], stop_details: { type: 'refusal' } });
    expect((await json(openai('empty'))).choices[0].message.content).toBe('');
  });

  test('usage says the same in both conventions, or nothing', async () => {
    const model = 'usage:input=100,cached=60,written=10,output=9,reasoning=3';
    expect((await json(openai(model))).usage).toMatchObject({
      prompt_tokens: 100,
      prompt_tokens_details: { cached_tokens: 60 },
      completion_tokens: 9,
      completion_tokens_details: { reasoning_tokens: 3 },
    });
    expect((await json(anthropic(model))).usage).toMatchObject({
      input_tokens: 30,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 10,
      output_tokens: 9,
    });
    const silent = { stream: true, stream_options: { include_usage: true } };
    expect(await text(openai('no-usage', silent))).not.toContain('_tokens');
    expect(await text(anthropic('no-usage', silent))).not.toContain('_tokens');
  });
});

describe('failures', () => {
  test('a status is given in the shape of the wire, with retry-after', async () => {
    const limited = await openai('status:429,retry_after=7');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    expect(await limited.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    expect(await json(anthropic('status:503'))).toMatchObject({
      type: 'error',
      error: { type: 'overloaded_error' },
    });
    expect((await openai('error:context_length')).status).toBe(400);
    expect((await openai('error:imaginary')).status).toBe(404);
    const page = await openai('html:502');
    expect([page.status, page.headers.get('content-type')]).toEqual([502, 'text/html']);
  });

  test('flaky fails its share of calls, the same ones for the same seed', async () => {
    const run = async (): Promise<number[]> => {
      const flaky = createMock({ seed: 7 });
      const answers = await Promise.all(Array.from({ length: 200 }, () => openai('flaky:0.2', {}, flaky)));
      return answers.map((answer) => answer.status);
    };
    const first = await run();
    const failed = first.filter((status) => status === 503).length;
    expect(failed).toBeGreaterThan(20);
    expect(failed).toBeLessThan(60);
    expect(await run()).toEqual(first);
  });

  test('a stream is cut, broken, or reports an error after so many events', async () => {
    const stream = { stream: true };
    const whole = await events(openai('echo', stream));
    expect(await events(openai('cut:after=2', stream))).toHaveLength(2);
    const broken = await events(openai('malformed:after=2', stream));
    expect(broken).toHaveLength(whole.length + 1);
    expect(() => JSON.parse(broken[2] ?? '{}')).toThrow();
    const failed = await events(openai('error-event:after=1', stream));
    expect(JSON.parse(failed.at(-1) ?? '')).toMatchObject({ error: { type: 'server_error' } });
    const last = (await text(anthropic('error-event', stream))).trim().split('\n\n').at(-1);
    expect(last).toStartWith('event: error\ndata: {"type":"error","error":{"type":"overloaded_error"');
    await expect(text(anthropic('reset:after=2', stream))).rejects.toThrow('closed unexpectedly');
    await expect(openai('reset:after=0', stream)).rejects.toThrow('closed unexpectedly');
  });

  test('a whole answer breaks in its middle', async () => {
    await expect(json(openai('malformed'))).rejects.toThrow();
    await expect(text(openai('cut'))).rejects.toThrow('closed unexpectedly');
    expect((await openai('error-event')).status).toBe(500);
  });
});

describe('requests are refused as the real providers do', () => {
  test.each([
    ['/chat/completions', { messages: user('x') }, 'model parameter'],
    ['/chat/completions', { model: 'echo' }, "'messages'"],
    ['/chat/completions', { model: 'echo', messages: [] }, 'empty array'],
    ['/chat/completions', { model: 'echo', messages: [{ role: 'robot', content: '' }] }, "'robot'"],
    ['/chat/completions', { model: 'echo', messages: user([{ type: 'tool_use' }]) }, "'tool_use'"],
    ['/chat/completions', { model: 'echo', messages: user('x'), tool_choice: 'auto' }, 'only allowed'],
    [
      '/chat/completions',
      { model: 'echo', messages: [{ role: 'tool', tool_call_id: 'a', content: '' }] },
      'response to',
    ],
    [
      '/chat/completions',
      { model: 'echo', messages: [{ role: 'assistant', tool_calls: [{ id: 'a' }] }, ...user('x')] },
      'must be followed',
    ],
    ['/messages', { model: 'echo', messages: user('x') }, 'max_tokens: Field required'],
    ['/messages', { model: 'echo', max_tokens: 1, messages: [] }, 'at least one message'],
    [
      '/messages',
      { model: 'echo', max_tokens: 1, messages: [{ role: 'tool', content: 'x' }] },
      'messages.0.role',
    ],
    ['/messages', { model: 'echo', max_tokens: 1, messages: user([{ type: 'image_url' }]) }, "'image_url'"],
    [
      '/messages',
      { model: 'echo', max_tokens: 1, messages: user([{ type: 'text', text: '' }]) },
      'non-empty',
    ],
    [
      '/messages',
      { model: 'echo', max_tokens: 1, messages: user([{ type: 'tool_result', tool_use_id: 'a' }]) },
      'unexpected `tool_use_id`',
    ],
    [
      '/messages',
      { model: 'echo', max_tokens: 1, messages: user('x'), tools: [{ name: 'a' }] },
      'input_schema.type',
    ],
  ])('%s %j', async (path, body, why) => {
    const answer = await post(path, body);
    const { error } = (await answer.json()) as { error: { message: string; type: string } };
    expect([answer.status, error.type]).toEqual([400, 'invalid_request_error']);
    expect(error.message).toContain(why);
  });

  test('no JSON, no version, another path, another method', async () => {
    const send = (path: string, init: RequestInit): Promise<Response> =>
      mock.transport(`http://mock${path}`, init);
    expect((await send('/v1/chat/completions', { method: 'POST', body: '{' })).status).toBe(400);
    expect((await send('/v1/messages', { method: 'POST', body: '{}' })).status).toBe(400);
    expect((await send('/v1/chat/completions', {})).status).toBe(405);
    expect((await send('/v1/nothing', {})).status).toBe(404);
  });
});
