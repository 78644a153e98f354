/** Whole answers of OpenAI Responses: read, written from any dialect, understood by its official client. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { uncarry } from '../../src/core/carry.ts';
import type { Block, ChatResponse, StopReason } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';

const folder = join(import.meta.dir, '../../fixtures/openai-responses');
const load = (name: string, file = 'response.json'): JsonObject =>
  JSON.parse(readFileSync(join(folder, name, file), 'utf8'));
const fixtures = readdirSync(folder).filter(
  (name) => name !== 'failed' && existsSync(join(folder, name, 'response.json')),
);
const wire = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value));

const readFixture = (name: string): ChatResponse => openaiResponses.readResponse(load(name), {});
const readItems = (...output: Json[]): Block[] =>
  openaiResponses.readResponse({ status: 'completed', output }, {}).choices[0]!.blocks;

/** An answer of another dialect's, in this one. */
function write(blocks: Block[], stop: StopReason = 'stop', more: Partial<ChatResponse> = {}): JsonObject {
  const answer: ChatResponse = {
    dialect: 'anthropic-messages',
    id: 'msg_1',
    model: 'claude',
    created: 1764000000,
    choices: [{ index: 0, blocks, stop }],
    usage: { ...emptyUsage(), input: 10, cacheRead: 4, cacheWrite1h: 2, output: 5, reasoning: 3 },
    ...more,
  };
  return wire(openaiResponses.writeResponse(answer));
}
const itemsOf = (response: JsonObject): JsonObject[] => response.output as JsonObject[];
const text = (said: string): Block => ({ type: 'text', text: said });
const call = (id: string, input = '{"a":1}'): Block => ({ type: 'tool-call', id, name: 'f', input });

function kindOf(act: () => unknown): string {
  try {
    act();
    return 'read';
  } catch (error) {
    return error instanceof GatewayError ? error.kind : String(error);
  }
}

describe('an answer', () => {
  test.each<[string, StopReason, Block['type'][]]>([
    ['text', 'stop', ['text']],
    ['phases', 'stop', ['text', 'text', 'text']],
    ['tools-parallel', 'tool_calls', ['text', 'tool-call', 'tool-call']],
    ['tools-custom', 'tool_calls', ['tool-call']],
    ['hosted-tools', 'stop', ['opaque', 'text']],
    ['reasoning-summary', 'stop', ['reasoning', 'text']],
    ['refusal', 'stop', ['refusal']],
    ['max-tokens', 'length', ['text']],
    ['length-in-tool-call', 'length', ['tool-call']],
    ['content-filter', 'content_filter', ['text']],
  ])('has its items as blocks, and a reason to end: %s', (name, stop, types) => {
    const { choices } = readFixture(name);
    expect(choices).toHaveLength(1);
    expect({ stop: choices[0]!.stop, types: choices[0]!.blocks.map(({ type }) => type) }).toEqual({
      stop,
      types,
    });
  });

  test('items keep what only this dialect knows of them', () => {
    expect(readFixture('phases').choices[0]!.blocks).toEqual([
      {
        type: 'text',
        text: 'One file is there.',
        extra: { item: { id: 'msg_ph03', status: 'completed', phase: 'commentary' } },
      },
      {
        type: 'text',
        text: 'Nothing to tidy up.',
        extra: { item: { id: 'msg_ph04', status: 'completed', phase: 'final_answer' } },
      },
      { type: 'text', text: ' Done.' },
    ]);
    expect(readFixture('tools-parallel').choices[0]!.blocks[1]).toEqual({
      type: 'tool-call',
      id: 'call_tp01',
      name: 'get_weather',
      input: '{"city":"Paris"}',
      extra: { item: { id: 'fc_tp01', status: 'completed' } },
    });
  });

  test('reasoning is a summary of parts, or what was thought in full', () => {
    expect(readFixture('reasoning-summary').choices[0]!.blocks[0]).toMatchObject({
      text: '**Listing primes**\n\nTwo, three, five…\n\n**Counting**\n\nThere are eight.',
      id: 'rs_rs01',
      vendor: 'openai-responses',
      redacted: expect.any(String),
    });
    expect(readFixture('reasoning-text').choices[0]!.blocks[0]).toMatchObject({
      text: 'Seven has no divisors but one and itself.',
      id: 'rs_rt01',
    });
    const content = [{ type: 'reasoning_text', text: 'All of it.' }];
    const summary = [{ type: 'summary_text', text: 'Some.' }];
    const both = { type: 'reasoning', id: 'rs_1', summary, content };
    expect(readItems(both)).toMatchObject([{ text: 'All of it.', extra: { item: { summary, content } } }]);
  });

  test('sources are citations', () => {
    expect(readFixture('hosted-tools').choices[0]!.blocks[1]).toMatchObject({
      citations: [
        { url: 'https://www.ruby-lang.org/en/downloads/', title: 'Ruby downloads', start: 15, end: 35 },
      ],
    });
  });

  test('log-probabilities are the choice’s', () => {
    const [choice] = readFixture('logprobs').choices;
    expect(choice?.logprobs).toMatchObject({ content: [{ token: 'Hi' }, { token: ' there' }] });
    expect(choice?.blocks[0]).toMatchObject({ extra: { item: { id: 'msg_lp01' } } });
    expect(choice?.blocks[0]).not.toHaveProperty('extra.logprobs');
  });

  test('usage: what was cached is part of the input, reasoning of the output', () => {
    expect(readFixture('cached-tokens').usage).toEqual({
      ...emptyUsage(),
      input: 2048,
      cacheRead: 1792,
      cacheWrite5m: 128,
      output: 4,
    });
    expect(readFixture('reasoning-summary').usage).toMatchObject({ output: 90, reasoning: 64 });
    const outside = {
      input_tokens: 5,
      output_tokens: 2,
      total_tokens: 17,
      output_tokens_details: { reasoning_tokens: 10 },
    };
    expect(openaiResponses.readUsage({ output: [], usage: outside }, {})).toMatchObject({
      output: 12,
      reasoning: 10,
    });
  });

  test.each<[string, JsonObject, string]>([
    [
      'an error in its place',
      { error: { message: 'No.', code: 'rate_limit_exceeded' } },
      'upstream_rate_limited',
    ],
    ['a failure', load('failed'), 'upstream_unavailable'],
    ['a failure without a reason', { status: 'failed', output: [], error: null }, 'upstream_unavailable'],
    ['what was cancelled', { status: 'cancelled', output: [] }, 'upstream_unavailable'],
    ['anything else', { object: 'chat.completion', choices: [] }, 'upstream_invalid'],
  ])('is not %s', (_, body, kind) => {
    expect(kindOf(() => openaiResponses.readResponse(body, {}))).toBe(kind);
  });

  test('is not one that failed, also where its bytes are relayed', () => {
    expect(kindOf(() => openaiResponses.readUsage(load('failed'), {}))).toBe('upstream_unavailable');
  });

  test('goes on in the background', () => {
    const body = { id: 'resp_1', object: 'response', status: 'queued', model: 'm', output: [], usage: null };
    const answer = openaiResponses.readResponse(body, {});
    expect(answer.choices[0]).toMatchObject({ stop: 'pause', blocks: [] });
    expect(wire(openaiResponses.writeResponse(answer))).toMatchObject({ status: 'queued', usage: null });
  });

  test.each(fixtures)('comes back as it was: %s', (name) => {
    const body = load(name);
    expect(wire(openaiResponses.writeResponse(readFixture(name)))).toEqual(body);
  });
});

describe('an answer of another dialect', () => {
  test('is a complete response', () => {
    const response = write([text('Hi')]);
    expect(response).toMatchObject({
      id: 'resp_msg_1',
      object: 'response',
      created_at: 1764000000,
      status: 'completed',
      error: null,
      incomplete_details: null,
      instructions: null,
      model: 'claude',
      parallel_tool_calls: true,
      previous_response_id: null,
      temperature: 1,
      tool_choice: 'auto',
      tools: [],
      top_p: 1,
      truncation: 'disabled',
      text: { format: { type: 'text' } },
      reasoning: { effort: null, summary: null },
      metadata: {},
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 },
        output_tokens: 5,
        output_tokens_details: { reasoning_tokens: 3 },
        total_tokens: 15,
      },
    });
    expect(response.completed_at).toBeNumber();
  });

  test('repeats what the client asked for', () => {
    const request = openaiResponses.readRequest({
      model: 'm',
      instructions: 'Be brief.',
      input: 'Hi',
      tools: [{ type: 'function', name: 'f' }, { type: 'web_search' }],
      tool_choice: { type: 'function', name: 'f' },
      parallel_tool_calls: false,
      temperature: 0.2,
      max_output_tokens: 50,
      reasoning: { effort: 'low' },
      text: { verbosity: 'low', format: { type: 'json_object' } },
      metadata: { a: 'b' },
      truncation: 'auto',
      store: false,
      user: 'u',
    });
    const answer: ChatResponse = { dialect: 'gemini', id: '', model: 'm', choices: [] };
    const response = wire(
      openaiResponses.writeResponse(answer, { streamUsage: true, request: () => request }),
    );
    expect(response).toMatchObject({
      instructions: 'Be brief.',
      tools: [
        { type: 'function', name: 'f', description: null, parameters: null, strict: null },
        { type: 'web_search' },
      ],
      tool_choice: { type: 'function', name: 'f' },
      parallel_tool_calls: false,
      temperature: 0.2,
      top_p: 1,
      max_output_tokens: 50,
      reasoning: { effort: 'low', summary: null },
      text: { verbosity: 'low', format: { type: 'json_object' } },
      metadata: { a: 'b' },
      truncation: 'auto',
      store: false,
      user: 'u',
    });
    expect(response.id).toMatch(/^resp_[0-9a-f]{24}$/);
  });

  test('has items with ids of their own, the same whenever it is written', () => {
    const blocks = [text('Hi'), call('call_1'), call('call_2')];
    const ids = itemsOf(write(blocks)).map(({ id }) => String(id));
    expect(ids.map((id) => id.split('_')[0])).toEqual(['msg', 'fc', 'fc']);
    expect(new Set([...ids, 'call_1', 'call_2']).size).toBe(5);
    expect(itemsOf(write(blocks)).map(({ id }) => String(id))).toEqual(ids);
    expect(itemsOf(write(blocks, 'stop', { id: 'msg_2' }))[0]?.id).not.toBe(ids[0]!);
  });

  test('says texts in a row as one, and counts the places of their sources from its beginning', () => {
    const value = { type: 'x' };
    const source = (url: string, start?: number): Block => ({
      type: 'text',
      text: `See ${url}.`,
      citations: [
        { url, value, dialect: 'anthropic-messages', ...(start !== undefined && { start, end: start + 1 }) },
      ],
    });
    const [item] = itemsOf(write([text('Well. '), source('http://a'), source('http://b', 4)]));
    expect(item?.content).toEqual([
      {
        type: 'output_text',
        text: 'Well. See http://a.See http://b.',
        annotations: [
          { type: 'url_citation', url: 'http://a', title: 'http://a', start_index: 6, end_index: 19 },
          { type: 'url_citation', url: 'http://b', title: 'http://b', start_index: 23, end_index: 24 },
        ],
        logprobs: [],
      },
    ]);
  });

  test('keeps the order of thoughts, words and calls', () => {
    const thought: Block = { type: 'reasoning', text: 'Hm.' };
    const items = itemsOf(write([thought, text('a'), call('c1'), text('b')], 'tool_calls'));
    expect(items.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call', 'message']);
    expect(items[0]).toMatchObject({ summary: [{ type: 'summary_text', text: 'Hm.' }] });
    expect(items[0]).not.toContainKey('encrypted_content');
  });

  test('carries what its vendor wants back', () => {
    const items = itemsOf(
      write(
        [
          { type: 'reasoning', text: 'Hm.', signature: 'SIG', vendor: 'anthropic-messages' },
          { type: 'reasoning', text: '', redacted: 'RED', vendor: 'anthropic-messages' },
          { ...(text('a') as Extract<Block, { type: 'text' }>), state: { vendor: 'gemini', value: 'T' } },
          { type: 'tool-call', id: 'c1', name: 'f', input: '{}', state: { vendor: 'gemini', value: 'C' } },
        ],
        'tool_calls',
      ),
    );
    expect(items.map(({ type }) => type)).toEqual([
      'reasoning', 'reasoning', 'message', 'reasoning', 'reasoning', 'function_call',
    ]); // biome-ignore format: one list
    const carried = items
      .filter(({ type }) => type === 'reasoning')
      .map(({ encrypted_content: value }) => uncarry(String(value)));
    expect(carried).toEqual([
      { type: 'reasoning', vendor: 'anthropic-messages', signature: 'SIG' },
      { type: 'reasoning', vendor: 'anthropic-messages', redacted: 'RED' },
      { type: 'state', vendor: 'gemini', value: 'T' },
      { type: 'state', vendor: 'gemini', value: 'C', call: 'c1' },
    ]);
  });

  test('shows nothing where there is nothing to show', () => {
    const empty: Block = { type: 'reasoning', text: '', vendor: 'anthropic-messages' };
    const foreign: Block = { type: 'opaque', dialect: 'anthropic-messages', value: { type: 'x' } };
    expect(itemsOf(write([empty, text(''), foreign]))).toEqual([]);
  });

  test('free-form calls are text; a call without arguments has an empty object', () => {
    const items = itemsOf(
      write([{ ...(call('c1', 'SELECT 1') as object), custom: true } as Block, call('c2', '')]),
    );
    expect(items).toMatchObject([
      { type: 'custom_tool_call', call_id: 'c1', name: 'f', input: 'SELECT 1', status: 'completed' },
      { type: 'function_call', call_id: 'c2', arguments: '{}', status: 'completed' },
    ]);
  });

  test('a picture is the result of a tool that makes pictures', () => {
    const picture: Block = {
      type: 'media',
      media: 'image',
      source: { type: 'base64', mimeType: 'image/png', data: 'iVBO' },
    };
    expect(itemsOf(write([picture]))).toMatchObject([
      { type: 'image_generation_call', status: 'completed', result: 'iVBO' },
    ]);
  });

  test.each<[StopReason, string, string | undefined]>([
    ['stop', 'completed', undefined],
    ['stop_sequence', 'completed', undefined],
    ['tool_calls', 'completed', undefined],
    ['pause', 'completed', undefined],
    ['length', 'incomplete', 'max_output_tokens'],
    ['context_length', 'incomplete', 'max_output_tokens'],
    ['content_filter', 'incomplete', 'content_filter'],
    ['refusal', 'incomplete', 'content_filter'],
  ])('that ends with %s is %s', (stop, status, reason) => {
    const response = write([text('Hi')], stop);
    expect({ status: response.status, details: response.incomplete_details }).toEqual({
      status,
      details: reason === undefined ? null : { reason },
    });
    expect(itemsOf(response)[0]?.status).toBe(status);
  });

  test('that refuses in words is complete, and has a part for them', () => {
    const response = write([text('Well. '), { type: 'refusal', text: 'No.' }], 'refusal');
    expect(response).toMatchObject({
      status: 'completed',
      output: [{ content: [{ type: 'output_text' }, { type: 'refusal', refusal: 'No.' }] }],
    });
  });

  test('that was cut in the middle of a call says so of the call', () => {
    const [item] = itemsOf(write([call('c1', '{"a":')], 'length'));
    expect(item).toMatchObject({ status: 'incomplete', arguments: '{"a":' });
  });

  test('without usage counts nothing, which clients can read', () => {
    const { usage: _, ...rest } = openaiResponses.readResponse(load('text'), {});
    const answer = {
      ...rest,
      dialect: 'ollama' as const,
      choices: [{ index: 0, blocks: [], stop: 'stop' as const }],
    };
    expect(wire(openaiResponses.writeResponse(answer)).usage).toMatchObject({
      input_tokens: 0,
      total_tokens: 0,
    });
  });

  test('is read by the official client', async () => {
    const response = write(
      [{ type: 'reasoning', text: 'Hm.' }, text('Hi '), text('there'), call('c1')],
      'tool_calls',
    );
    const client = new OpenAI({
      apiKey: 'none',
      maxRetries: 0,
      fetch: async () =>
        new Response(JSON.stringify(response), { headers: { 'content-type': 'application/json' } }),
    });
    const answer = await client.responses.create({ model: 'm', input: 'Hi' });
    expect(answer.output_text).toBe('Hi there');
    expect(answer.output.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call']);
    expect(answer.usage?.input_tokens_details.cached_tokens).toBe(4);
  });
});

describe('errors', () => {
  const kinds: Record<string, string> = {
    'error-context-length': 'context_length',
    'error-not-found': 'upstream_not_found',
    'error-previous': 'upstream_bad_request',
    'error-rate-limit': 'upstream_rate_limited',
    'error-text': 'upstream_auth',
  };

  test.each(readdirSync(folder).filter((name) => existsSync(join(folder, name, 'error.json'))))(
    '%s',
    (name) => {
      const { status, headers, body } = load(name, 'error.json');
      const bytes = new TextEncoder().encode(JSON.stringify(body));
      const error = openaiResponses.readError(
        Number(status),
        new Headers(headers as Record<string, string>),
        bytes,
      );
      expect(error.kind).toBe(kinds[name] as typeof error.kind);
    },
  );

  test('are as in OpenAI Chat', () => {
    const error = new GatewayError('bad_request', 'No.', { param: 'input[0]' });
    expect(openaiResponses.writeError(error, 'r1')).toEqual({
      status: 400,
      body: { error: { message: 'No.', type: 'invalid_request_error', param: 'input[0]', code: null } },
    });
  });
});
