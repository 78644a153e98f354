/** What is particular to whole answers of OpenAI Chat Completions, and to how tokens are counted in them. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatResponse } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';

const folder = join(import.meta.dir, '../../fixtures/openai-chat');
const cases = (file: string): string[] =>
  readdirSync(folder).filter((name) => readdirSync(join(folder, name)).includes(file));
const load = (name: string, file: string): JsonObject =>
  JSON.parse(readFileSync(join(folder, name, file), 'utf8'));

const wire = (value: unknown): Json => JSON.parse(JSON.stringify(value));

describe('a whole answer', () => {
  test.each(cases('response.json'))('survives being read and written: %s', (name) => {
    const answer = openaiChat.readResponse(load(name, 'response.json'), {});
    const written = wire(openaiChat.writeResponse(answer)) as JsonObject;
    expect(openaiChat.readResponse(written, {})).toEqual(answer);
  });

  test('holds reasoning once, whatever it is called', () => {
    for (const name of ['reasoning-content', 'reasoning-twice', 'reasoning-content-list']) {
      expect(openaiChat.readResponse(load(name, 'response.json'), {}).choices[0]?.blocks).toEqual([
        { type: 'reasoning', text: 'Two and two.' },
        { type: 'text', text: '4' },
      ]);
    }
  });

  test.each<[string, string]>([
    ['tools-forced', 'tool_calls'],
    ['length-in-tool-call', 'length'],
    ['content-filter', 'content_filter'],
    ['refusal', 'stop'],
    ['functions', 'tool_calls'],
  ])('of %s ended for %s', (name, stop) => {
    expect(openaiChat.readResponse(load(name, 'response.json'), {}).choices[0]?.stop as string).toBe(stop);
  });

  test('does not repair arguments that were cut', () => {
    const [choice] = openaiChat.readResponse(load('length-in-tool-call', 'response.json'), {}).choices;
    expect(choice?.blocks[0]).toMatchObject({ input: '{"city":"Os' });
  });

  test.each([
    ['eos', 'stop'],
    ['model_length', 'context_length'],
    [null, 'stop'],
  ])('with the finish reason %p ended for %s', (finish_reason, stop) => {
    const body = { choices: [{ message: { content: 'x' }, finish_reason }] };
    expect(openaiChat.readResponse(body, {}).choices[0]?.stop as string).toBe(stop);
  });

  test('gives calls without ids some', () => {
    const call = { id: '', function: { name: 'f', arguments: 'null' } };
    const body = { choices: [{ message: { tool_calls: [call, call] }, finish_reason: 'stop' }] };
    const blocks = openaiChat.readResponse(body, {}).choices[0]?.blocks as { id: string; input: string }[];
    expect(blocks.map((block) => block.input)).toEqual(['{}', '{}']);
    expect(new Set(blocks.map((block) => block.id)).size).toBe(2);
  });

  test('that is an error is one', () => {
    expect(() => openaiChat.readResponse({ error: { message: 'No credits', code: 402 } }, {})).toThrow(
      'No credits',
    );
    expect(() =>
      openaiChat.readResponse({ choices: [{ error: { message: 'Broken', code: 502 } }] }, {}),
    ).toThrow('Broken');
    expect(() => openaiChat.readResponse({ hello: 'world' }, {})).toThrow(GatewayError);
  });

  test('of another dialect is written as OpenAI would', () => {
    const answer: ChatResponse = {
      dialect: 'anthropic-messages',
      id: 'msg_1',
      model: 'claude',
      choices: [
        {
          index: 0,
          stop: 'tool_calls',
          blocks: [
            { type: 'reasoning', text: 'hm', signature: 's', vendor: 'anthropic-messages', extra: { a: 1 } },
            { type: 'opaque', dialect: 'anthropic-messages', value: { type: 'server_tool_use' } },
            { type: 'tool-call', id: 'toolu_1', name: 'f', input: '{}', extra: { caller: 'x' } },
          ],
          extra: { container: 'x' },
        },
      ],
      usage: {
        ...openaiChat.readUsage({ usage: { prompt_tokens: 12_307, completion_tokens: 5 } }, {})!,
        cacheWrite5m: 12_304,
      },
      extra: { type: 'message' },
    };
    const { created, ...body } = wire(openaiChat.writeResponse(answer)) as JsonObject;
    expect(created).toBeNumber();
    expect(body).toEqual({
      id: 'chatcmpl-msg_1',
      object: 'chat.completion',
      model: 'claude',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: null,
            refusal: null,
            reasoning_content: 'hm',
            tool_calls: [{ id: 'toolu_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
          },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
      ],
      usage: {
        prompt_tokens: 12_307,
        completion_tokens: 5,
        total_tokens: 12_312,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0, cache_write_tokens: 12_304 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
      },
    });
  });

  test('joins texts and moves their citations with them', () => {
    const cite = {
      url: 'https://example.com',
      title: 'E',
      value: {},
      dialect: 'anthropic-messages' as const,
    };
    const answer: ChatResponse = {
      dialect: 'anthropic-messages',
      id: 'msg_1',
      model: 'claude',
      choices: [
        {
          index: 0,
          stop: 'refusal',
          blocks: [
            { type: 'text', text: 'Hello ' },
            { type: 'text', text: 'world', citations: [cite, { value: {}, dialect: 'anthropic-messages' }] },
          ],
        },
      ],
    };
    expect(openaiChat.writeResponse(answer)).toMatchObject({
      choices: [
        {
          message: {
            content: 'Hello world',
            annotations: [
              {
                type: 'url_citation',
                url_citation: { url: 'https://example.com', title: 'E', start_index: 6, end_index: 11 },
              },
            ],
          },
          finish_reason: 'content_filter',
        },
      ],
    });
  });
});

describe('usage', () => {
  const read = (usage: JsonObject, quirks: Quirks = {}) => openaiChat.readUsage({ usage }, quirks);

  test.each<[string, JsonObject, object]>([
    [
      'OpenAI: parts are inside their totals',
      {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 40 },
        completion_tokens_details: { reasoning_tokens: 30 },
      },
      { input: 100, cacheRead: 40, output: 50, reasoning: 30 },
    ],
    [
      'xAI: reasoning beside the completion',
      {
        prompt_tokens: 12,
        completion_tokens: 1,
        total_tokens: 241,
        completion_tokens_details: { reasoning_tokens: 228 },
      },
      { input: 12, output: 229, reasoning: 228 },
    ],
    [
      'Gemini: thinking only in the total',
      { prompt_tokens: 10, completion_tokens: 5, total_tokens: 35 },
      { input: 10, output: 25, reasoning: 20 },
    ],
    [
      'Azure Grok: cached beside the prompt',
      {
        prompt_tokens: 347,
        completion_tokens: 18,
        total_tokens: 365,
        prompt_tokens_details: { cached_tokens: 403 },
      },
      { input: 750, cacheRead: 403, output: 18 },
    ],
    [
      'Mistral: audio beside the prompt',
      {
        prompt_tokens: 11,
        completion_tokens: 15,
        total_tokens: 401,
        prompt_tokens_details: { audio_tokens: 375 },
      },
      { input: 386, audioInput: 375, output: 15, reasoning: 0 },
    ],
    [
      'DeepSeek: its own word for cached',
      { prompt_tokens: 20, completion_tokens: 1, total_tokens: 21, prompt_cache_hit_tokens: 16 },
      { input: 20, cacheRead: 16, output: 1 },
    ],
    [
      'Moonshot: cached at the top',
      { prompt_tokens: 20, completion_tokens: 1, total_tokens: 21, cached_tokens: 10 },
      { cacheRead: 10 },
    ],
    [
      'more reasoning than output is cut to it',
      {
        prompt_tokens: 1,
        completion_tokens: 5,
        total_tokens: 6,
        completion_tokens_details: { reasoning_tokens: 9 },
      },
      { output: 5, reasoning: 5 },
    ],
  ])('%s', (_, usage, expected) => {
    expect(read(usage)).toMatchObject(expected);
  });

  test('without a total follows the quirk', () => {
    const usage = {
      prompt_tokens: 1,
      completion_tokens: 5,
      completion_tokens_details: { reasoning_tokens: 9 },
    };
    expect(read(usage, { outputExcludesReasoning: true })?.output).toBe(14);
  });

  test('that is none is none', () => {
    expect(openaiChat.readUsage({ usage: null }, {})).toBeUndefined();
    expect(openaiChat.readUsage({ usage: {} }, {})).toBeUndefined();
    expect(openaiChat.readUsage({}, {})).toBeUndefined();
  });
});
