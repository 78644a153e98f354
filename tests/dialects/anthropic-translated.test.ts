/** OpenAI Chat spoken to a model that speaks Anthropic Messages, and the other way round: what has to be made to fit. */
import { describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import type { ChatEvent } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { sseEvents } from '../recordings.ts';

const hello: JsonObject[] = [{ role: 'user', content: 'Hi' }];

/** An OpenAI request as Anthropic's; `lost` gets what could not be said. */
function translate(body: JsonObject, quirks: Quirks = {}, lost: string[] = []): JsonObject {
  const request = openaiChat.readRequest({ model: 'm', messages: hello, ...body });
  const { name, can } = anthropicMessages;
  lost.push(...requireMeaning(foreign(request, name, can, openaiChat.can), name));
  return anthropicMessages.writeRequest(request, quirks, lost);
}

function messages(...sent: JsonObject[]): JsonObject[] {
  return translate({ messages: sent }).messages as JsonObject[];
}

function kindOf(body: JsonObject, quirks: Quirks = {}): string {
  try {
    translate(body, quirks);
    return 'accepted';
  } catch (error) {
    return error instanceof GatewayError ? error.kind : String(error);
  }
}

const user = (content: string | JsonObject[]): JsonObject => ({ role: 'user', content });
const calls = (...ids: string[]): JsonObject => ({
  role: 'assistant',
  content: null,
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'f', arguments: '{"a":1}' } })),
});
const result = (id: string, content: string | JsonObject[] = 'ok'): JsonObject => ({
  role: 'tool',
  tool_call_id: id,
  content,
});
const use = (id: string): JsonObject => ({ type: 'tool_use', id, name: 'f', input: { a: 1 } });
const answered = (id: string, content = 'ok'): JsonObject => ({
  type: 'tool_result',
  tool_use_id: id,
  content,
});
const tool = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { a: { type: 'number' } } }, ...more },
});

describe('messages', () => {
  test('instructions at the start become the system text, later ones keep their place', () => {
    const sent = [
      { role: 'system', content: 'A' },
      { role: 'developer', content: 'B' },
      user('1'),
      { role: 'assistant', content: '2' },
      { role: 'system', content: 'C' },
      { role: 'system', content: 'D' },
      user('3'),
    ];
    const folded = translate({ messages: sent });
    expect(folded.system).toEqual([
      { type: 'text', text: 'A' },
      { type: 'text', text: 'B' },
    ]);
    expect((folded.messages as JsonObject[])[2]).toEqual({
      role: 'user',
      content: ['<system>\nC\n</system>', '<system>\nD\n</system>', '3'].map((text) => ({
        type: 'text',
        text,
      })),
    });
    const kept = translate({ messages: sent }, { systemInMessages: true }).messages as JsonObject[];
    expect(kept.map(({ role }) => role)).toEqual(['user', 'assistant', 'system', 'user']);
  });

  test('all tool results stand in one user turn, before what the user says', () => {
    expect(messages(user('q'), calls('a', 'b'), result('a'), result('b'), user('and?'))).toEqual([
      user('q'),
      { role: 'assistant', content: [use('a'), use('b')] },
      user([answered('a'), answered('b'), { type: 'text', text: 'and?' }]),
    ]);
  });

  test('an instruction between a call and its result comes after the result', () => {
    const system = { role: 'system', content: 'S' };
    const sent = [user('q'), calls('a'), system, result('a')];
    expect(messages(...sent)[2]).toEqual(
      user([answered('a'), { type: 'text', text: '<system>\nS\n</system>' }]),
    );
    const kept = translate({ messages: sent }, { systemInMessages: true }).messages as JsonObject[];
    expect(kept.slice(2)).toEqual([user([answered('a')]), { role: 'system', content: 'S' }]);
  });

  test('text stands before the tool calls of its turn', () => {
    const sent = messages(user('q'), calls('a'), { role: 'assistant', content: 'Looking.' }, result('a'));
    expect(sent[1]).toEqual({ role: 'assistant', content: [{ type: 'text', text: 'Looking.' }, use('a')] });
  });

  test('a call without a result is answered with an error; a result without a call becomes text', () => {
    const sent = messages(
      result('gone', 'old'),
      user('q'),
      calls('a', 'b'),
      result('b'),
      { role: 'assistant', content: 'x' },
      user('y'),
    );
    expect(sent[0]).toEqual(
      user(['The result of an earlier tool call:', 'old', 'q'].map((text) => ({ type: 'text', text }))),
    );
    expect(sent[2]).toMatchObject({
      content: [{ type: 'tool_result', tool_use_id: 'a', is_error: true }, answered('b')],
    });
    expect(messages(user('q'), calls('a')).at(-1)).toMatchObject({
      content: [{ tool_use_id: 'a', is_error: true }],
    });
  });

  test('an id that comes twice is told apart', () => {
    const sent = messages(user('q'), calls('a'), result('a', '1'), calls('a'), result('a', '2'));
    expect(sent[3]).toEqual({ role: 'assistant', content: [use('a_2')] });
    expect(sent[4]).toEqual(user([answered('a_2', '2')]));
  });

  test('blank text is left out and turns go on alternating', () => {
    expect(
      messages(user('a'), { role: 'assistant', content: '  ' }, user('b'), {
        role: 'assistant',
        content: 'c ',
      }),
    ).toEqual([
      user([
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ]),
      { role: 'assistant', content: 'c' },
    ]);
  });

  test('a conversation that does not begin with the user gets a beginning', () => {
    expect(messages({ role: 'assistant', content: 'Hello!' }, user('Hi'))[0]).toEqual(user('Begin.'));
    expect(messages({ role: 'system', content: 'Tell a joke.' })).toEqual([user('Begin.')]);
  });

  test('an empty tool result stays a result', () => {
    expect(messages(user('q'), calls('a'), result('a', ''))[2]).toEqual(
      user([{ type: 'tool_result', tool_use_id: 'a' }]),
    );
  });

  test('arguments become an object: none is an empty one, broken ones are refused by their place', () => {
    const call = (args: string): JsonObject => ({
      messages: [
        user('q'),
        {
          ...calls('a'),
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: args } }],
        },
      ],
    });
    expect((translate(call('')).messages as JsonObject[])[1]).toMatchObject({ content: [{ input: {} }] });
    expect(kindOf(call('{"a":'))).toBe('bad_request');
    expect(() => translate(call('{"a":'))).toThrow('messages[1].content[0]');
  });

  test('images and documents go as base64 or address, by what their bytes are', () => {
    const part = (url: string): JsonObject => ({ type: 'image_url', image_url: { url, detail: 'low' } });
    const pdf = 'data:application/pdf;base64,JVBERi0xLjE=';
    const sent = messages(
      user([
        part('data:image/png;base64,/9j/4AAQ'),
        part('https://example.com/a.png'),
        { type: 'file', file: { filename: 'r.pdf', file_data: pdf } },
      ]),
    );
    expect(sent[0]?.content).toEqual([
      { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: '/9j/4AAQ' } },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
      {
        type: 'document',
        title: 'r.pdf',
        source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0xLjE=' },
      },
    ]);
    expect(kindOf({ messages: [user([part('data:image/bmp;base64,Qk0=')])] })).toBe('unsupported');
    expect(kindOf({ messages: [user([{ type: 'file', file: { file_id: 'file-1' } }])] })).toBe('unsupported');
    expect(
      kindOf({ messages: [user([{ type: 'input_audio', input_audio: { data: 'x', format: 'wav' } }])] }),
    ).toBe('unsupported');
  });

  test('reasoning that Anthropic has not signed is never sent to it', () => {
    const lost: string[] = [];
    const sent = [user('q'), { role: 'assistant', content: 'a', reasoning_content: 'hm' }, user('r')];
    const body = translate({ messages: sent }, {}, lost);
    expect((body.messages as JsonObject[])[1]).toEqual({ role: 'assistant', content: 'a' });
    expect(lost).toEqual(['messages[1].content[0]']);
  });
});

describe('parameters', () => {
  test('an output limit is always sent', () => {
    expect(translate({}).max_tokens).toBe(4096);
    expect(translate({}, { defaultMaxTokens: 64_000 }).max_tokens).toBe(64_000);
    expect(translate({ max_completion_tokens: 7 }, { defaultMaxTokens: 64_000 }).max_tokens).toBe(7);
  });

  test('sampling is fitted, and what does not fit is named', () => {
    const lost: string[] = [];
    const body = translate(
      { temperature: 1.5, top_p: 0.5, seed: 3, user: 'u', stop: ['END', '\n'] },
      {},
      lost,
    );
    expect(body).toMatchObject({ temperature: 1, metadata: { user_id: 'u' }, stop_sequences: ['END'] });
    expect(body.top_p).toBeUndefined();
    expect(lost.toSorted()).toEqual(['seed', 'stop', 'temperature', 'topP']);
    expect(translate({ temperature: 0.3, top_p: 1 }, {})).toMatchObject({ temperature: 0.3 });
  });

  test('several answers and log-probabilities cannot be had', () => {
    expect(kindOf({ n: 2 })).toBe('unsupported');
    expect(kindOf({ logprobs: true })).toBe('unsupported');
    expect(kindOf({ n: 1 })).toBe('accepted');
  });

  test.each<[JsonObject, JsonObject | undefined]>([
    [{ tool_choice: 'auto' }, { type: 'auto' }],
    [{ tool_choice: 'required' }, { type: 'any' }],
    [{ tool_choice: 'none' }, { type: 'none' }],
    [{ tool_choice: 'none', parallel_tool_calls: false }, { type: 'none' }],
    [{ parallel_tool_calls: false }, { type: 'auto', disable_parallel_tool_use: true }],
    [{ parallel_tool_calls: true }, undefined],
    [
      { tool_choice: { type: 'function', function: { name: 'f' } }, parallel_tool_calls: false },
      { type: 'tool', name: 'f', disable_parallel_tool_use: true },
    ],
  ])('%j chooses %j', (sent, choice) => {
    expect(translate({ tools: [tool('f')], ...sent }).tool_choice).toEqual(choice);
  });

  test('a choice among some tools sends only those', () => {
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] };
    const body = translate({
      tools: [tool('f'), tool('g')],
      tool_choice: { type: 'allowed_tools', allowed_tools: allowed },
    });
    expect((body.tools as JsonObject[]).map(({ name }) => name)).toEqual(['g']);
    expect(body.tool_choice).toEqual({ type: 'any' });
  });

  test('a tool always has a schema that is an object', () => {
    const bare = { type: 'function', function: { name: 'bare' } };
    const body = translate({
      tools: [
        bare,
        tool('null', { parameters: null }),
        tool('untyped', { parameters: { properties: { const: {} } } }),
      ],
    });
    expect((body.tools as JsonObject[]).map((each) => each.input_schema)).toEqual([
      { type: 'object', properties: {} },
      { type: 'object', properties: {} },
      { type: 'object', properties: { const: {} } },
    ]);
  });
});

describe('reasoning', () => {
  test.each<[JsonObject, Quirks, JsonObject]>([
    [
      { reasoning_effort: 'low' },
      {},
      { thinking: { type: 'enabled', budget_tokens: 2048 }, max_tokens: 6144 },
    ],
    [
      { reasoning_effort: 'high', max_tokens: 5000 },
      {},
      { thinking: { type: 'enabled', budget_tokens: 4000 }, max_tokens: 5000 },
    ],
    [
      { reasoning_effort: 'minimal' },
      { defaultMaxTokens: 8192 },
      { thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 8192 },
    ],
    [
      { reasoning_effort: 'minimal' },
      { thinking: 'adaptive' },
      { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'low' } },
    ],
    [
      { reasoning_effort: 'xhigh' },
      { thinking: 'adaptive' },
      { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'xhigh' } },
    ],
    [{ reasoning_effort: 'none' }, { thinking: 'adaptive' }, { thinking: { type: 'disabled' } }],
  ])('%j for %j is %j', (sent, quirks, expected) => {
    expect(translate(sent, quirks)).toMatchObject(expected);
  });

  test.each<[string, JsonObject]>([
    ['the limit leaves no room', { max_tokens: 1000 }],
    ['a tool is forced', { tools: [tool('f')], tool_choice: 'required' }],
    [
      'the running turn has lost its thinking',
      { messages: [user('q'), calls('a'), result('a'), user('and?')] },
    ],
    ['the answer is begun already', { messages: [user('q'), { role: 'assistant', content: 'It' }] }],
  ])('with a budget is left out when %s, and named', (_why, sent) => {
    const lost: string[] = [];
    expect(translate({ reasoning_effort: 'low', ...sent }, {}, lost).thinking).toBeUndefined();
    expect(lost).toEqual(['reasoning']);
  });

  test('goes together with a forced tool where it is adaptive', () => {
    const body = translate(
      { reasoning_effort: 'low', tools: [tool('f')], tool_choice: 'required' },
      { thinking: 'adaptive' },
    );
    expect(body).toMatchObject({ thinking: { type: 'adaptive' }, tool_choice: { type: 'any' } });
  });

  test('takes the place of temperature', () => {
    const lost: string[] = [];
    expect(translate({ reasoning_effort: 'low', temperature: 0.2 }, {}, lost).temperature).toBeUndefined();
    expect(lost).toEqual(['temperature']);
  });
});

describe('structured output', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: {
      default: { type: 'integer', minimum: 1 },
      list: { type: 'array', items: { type: 'object' } },
    },
  };
  const format = {
    response_format: { type: 'json_schema', json_schema: { name: 'x', description: 'A list.', schema } },
  };

  test('by a schema is closed and loses bounds to words', () => {
    expect(translate(format).output_config).toEqual({
      format: {
        type: 'json_schema',
        schema: {
          description: 'A list.',
          type: 'object',
          properties: {
            default: { type: 'integer', description: '{minimum: 1}' },
            list: { type: 'array', items: { type: 'object', additionalProperties: false } },
          },
          additionalProperties: false,
        },
      },
    });
  });

  test('by a schema that leaves names to the model cannot be had', () => {
    const map = { type: 'object', additionalProperties: { type: 'string' } };
    expect(
      kindOf({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: map } } }),
    ).toBe('unsupported');
  });

  test('by a tool for models without it: forced, or among the others', () => {
    const alone = translate(format, { schemaByTool: true });
    expect(alone.output_config).toBeUndefined();
    expect(alone.tools).toMatchObject([{ input_schema: schema }]);
    expect(alone.tool_choice).toMatchObject({ type: 'tool' });
    const beside = translate({ ...format, tools: [tool('f')] }, { schemaByTool: true });
    expect(beside.tools).toHaveLength(2);
    expect(beside.tool_choice).toEqual({ type: 'any' });
  });
});

// Answers

function relay(from: typeof openaiChat, to: typeof openaiChat, sse: string, quirks: Quirks = {}): string {
  let out = '';
  const writer = to.writeStream(
    (text) => {
      out += text;
    },
    { streamUsage: true },
  );
  const reader = from.readStream((event: ChatEvent) => writer.push(event), quirks);
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return out;
}

const chunk = (delta: JsonObject, more: JsonObject = {}): string =>
  `data: ${JSON.stringify({ id: 'c1', model: 'gpt', choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`;
const callChunk = (index: number, call: JsonObject): string => chunk({ tool_calls: [{ index, ...call }] });
const usageChunk = `data: ${JSON.stringify({ id: 'c1', choices: [], usage: { prompt_tokens: 50, completion_tokens: 9, prompt_tokens_details: { cached_tokens: 40 } } })}\n\ndata: [DONE]\n\n`;

/** What the official client makes of a stream. */
async function official(sse: string): Promise<Anthropic.Message> {
  const fetch = async (): Promise<Response> =>
    new Response(sse, { headers: { 'content-type': 'text/event-stream' } });
  const client = new Anthropic({ apiKey: 'x', baseURL: 'http://upstream.test', fetch, maxRetries: 0 });
  return client.messages
    .stream({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] })
    .finalMessage();
}

describe('an OpenAI stream for an Anthropic client', () => {
  test('with reasoning, text and interleaved parallel calls is a message to the official client', async () => {
    const sse =
      chunk({ role: 'assistant', content: '' }) +
      chunk({ reasoning_content: 'hm' }) +
      chunk({ content: 'Hel' }) +
      chunk({ content: 'lo 🌍' }) +
      callChunk(0, { id: 'call_a', type: 'function', function: { name: 'f', arguments: '' } }) +
      callChunk(1, { id: 'call_b', type: 'function', function: { name: 'g', arguments: '{"y"' } }) +
      callChunk(0, { function: { arguments: '{"x":1}' } }) +
      callChunk(1, { function: { arguments: ':2}' } }) +
      callChunk(2, { id: 'call_c', type: 'function', function: { name: 'h', arguments: '' } }) +
      chunk({}, { finish_reason: 'stop' }) +
      usageChunk;
    const message = await official(relay(openaiChat, anthropicMessages, sse));
    expect(message.content as unknown).toMatchObject([
      { type: 'thinking', thinking: 'hm', signature: '' },
      { type: 'text', text: 'Hello 🌍' },
      { type: 'tool_use', id: 'call_a', name: 'f', input: { x: 1 } },
      { type: 'tool_use', id: 'call_b', name: 'g', input: { y: 2 } },
      { type: 'tool_use', id: 'call_c', name: 'h', input: {} },
    ]);
    expect(message.stop_reason).toBe('tool_use');
    expect(message.usage).toMatchObject({ input_tokens: 10, cache_read_input_tokens: 40, output_tokens: 9 });
  });

  test('that begins with a call begins with message_start all the same', () => {
    const sse =
      callChunk(0, { id: 'call_a', type: 'function', function: { name: 'f', arguments: '{}' } }) +
      chunk({}, { finish_reason: 'tool_calls' }) +
      usageChunk;
    const types = sseEvents(relay(openaiChat, anthropicMessages, sse)).map(({ event }) => event);
    expect(types.slice(0, 2)).toEqual(['message_start', 'content_block_start']);
  });

  test('with a call of a free-form tool has its text as the only argument', async () => {
    const piece = (input: string, more: JsonObject = {}): string =>
      chunk({
        tool_calls: [
          { index: 0, type: 'custom', custom: { input, ...more }, ...(more.name ? { id: 'c' } : {}) },
        ],
      });
    const sse =
      piece('a "b', { name: 'f' }) + piece('"\n🌍') + chunk({}, { finish_reason: 'tool_calls' }) + usageChunk;
    const message = await official(relay(openaiChat, anthropicMessages, sse));
    expect(message.content as unknown).toMatchObject([{ type: 'tool_use', input: { input: 'a "b"\n🌍' } }]);
  });

  test('that refuses stops by refusal; one that was cut has no end', () => {
    const refused = relay(
      openaiChat,
      anthropicMessages,
      chunk({ refusal: 'No.' }) + chunk({}, { finish_reason: 'stop' }) + usageChunk,
    );
    expect(refused).toContain('"stop_reason":"refusal"');
    expect(refused).toContain('"text":"No."');
    const cut = relay(openaiChat, anthropicMessages, chunk({ content: 'Hal' }));
    expect(cut).not.toContain('message_delta');
  });
});

describe('an OpenAI answer for an Anthropic client', () => {
  const answer = (message: JsonObject, finish_reason: string): JsonObject =>
    anthropicMessages.writeResponse(
      openaiChat.readResponse(
        {
          id: 'c1',
          model: 'gpt',
          choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }],
          usage: { prompt_tokens: 50, completion_tokens: 9, prompt_tokens_details: { cached_tokens: 40 } },
        },
        {},
      ),
    );

  test('has the same text, calls, stop reason and usage', () => {
    const tool_calls = [{ id: 'call_a', type: 'function', function: { name: 'f', arguments: '' } }];
    expect(answer({ content: 'Hm.', tool_calls }, 'stop')).toMatchObject({
      id: 'msg_c1',
      type: 'message',
      role: 'assistant',
      content: [
        { type: 'text', text: 'Hm.' },
        { type: 'tool_use', id: 'call_a', name: 'f', input: {} },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: { input_tokens: 10, cache_read_input_tokens: 40, output_tokens: 9 },
    });
  });

  test('keeps arguments that were cut as the text they are', () => {
    const tool_calls = [{ id: 'call_a', type: 'function', function: { name: 'f', arguments: '{"a":"b' } }];
    expect(answer({ content: null, tool_calls }, 'length')).toMatchObject({
      content: [{ type: 'tool_use', input: '{"a":"b' }],
      stop_reason: 'max_tokens',
    });
  });

  test('says a refusal as text', () => {
    expect(answer({ content: null, refusal: 'No.' }, 'stop')).toMatchObject({
      content: [{ type: 'text', text: 'No.' }],
      stop_reason: 'refusal',
    });
    expect(answer({ content: null }, 'content_filter')).toMatchObject({
      content: [],
      stop_reason: 'refusal',
    });
  });
});

describe('an Anthropic answer for an OpenAI client', () => {
  const answer = (content: JsonObject[], more: JsonObject): JsonObject => {
    const usage = {
      input_tokens: 3,
      cache_creation_input_tokens: 12304,
      cache_read_input_tokens: 0,
      output_tokens: 5,
    };
    const body = { id: 'msg_1', type: 'message', role: 'assistant', model: 'c', content, usage, ...more };
    return openaiChat.writeResponse(anthropicMessages.readResponse(body, {}));
  };

  test('counts what was written to the cache, and keeps server tools to itself', () => {
    const server = { type: 'server_tool_use', id: 's', name: 'web_search', input: {} };
    const text = { type: 'text', text: 'x' };
    const { choices, usage } = answer([server, text], { stop_reason: 'end_turn' });
    expect(usage).toMatchObject({ prompt_tokens: 12307, completion_tokens: 5 });
    expect(choices).toMatchObject([{ message: { content: 'x' }, finish_reason: 'stop' }]);
    expect((choices as JsonObject[])[0]?.message).not.toHaveProperty('tool_calls');
  });

  test('that refuses is filtered content with the reason as refusal', () => {
    const stop_details = { type: 'refusal', category: null, explanation: 'I will not.' };
    expect(answer([], { stop_reason: 'refusal', stop_details }).choices).toMatchObject([
      { message: { refusal: 'I will not.' }, finish_reason: 'content_filter' },
    ]);
    expect(answer([], { stop_reason: 'refusal', stop_details: null }).choices).toMatchObject([
      { finish_reason: 'content_filter' },
    ]);
  });
});
