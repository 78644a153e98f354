/** What is particular to requests of OpenAI Chat Completions, translated and relayed. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Block, ChatRequest, Message } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { scanMembers } from '../../src/wire/splice.ts';

const folder = join(import.meta.dir, '../../fixtures/openai-chat');
const cases = (file: string): string[] =>
  readdirSync(folder).filter((name) => readdirSync(join(folder, name)).includes(file));
const load = (name: string, file: string): JsonObject =>
  JSON.parse(readFileSync(join(folder, name, file), 'utf8'));

const wire = (value: unknown): Json => JSON.parse(JSON.stringify(value));
const hello: JsonObject = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };

function write(request: ChatRequest, quirks: Quirks = {}): { body: JsonObject; lost: string[] } {
  const lost: string[] = [];
  return { body: wire(openaiChat.writeRequest(request, quirks, lost)) as JsonObject, lost };
}

/** A request as another dialect reads it. */
function foreign(messages: Message[], more: Partial<ChatRequest> = {}): ChatRequest {
  return { dialect: 'anthropic-messages', model: 'm', messages, stream: false, ...more };
}

function refusal(body: JsonObject): GatewayError {
  try {
    openaiChat.readRequest(body);
  } catch (error) {
    if (error instanceof GatewayError) return error;
  }
  throw new Error('It was accepted.');
}

describe('a request', () => {
  test.each(cases('request.json'))('survives being read and written: %s', (name) => {
    const body = load(name, 'request.json');
    const { body: written, lost } = write(openaiChat.readRequest(body));
    expect(written).toEqual(body as never);
    expect(lost).toEqual([]);
  });

  test('with null for "not set" means the same as without', () => {
    const nulls = {
      ...hello,
      max_tokens: null,
      stop: null,
      tools: null,
      tool_choice: null,
      n: null,
      min_p: null,
    };
    expect(openaiChat.readRequest(nulls)).toEqual(openaiChat.readRequest(hello));
  });

  test('takes the newer output limit where both are given', () => {
    expect(openaiChat.readRequest({ ...hello, max_tokens: 5, max_completion_tokens: 9 }).maxTokens).toBe(9);
  });

  test('has one stop string or several, none of them empty', () => {
    expect(openaiChat.readRequest({ ...hello, stop: 'END' }).stop).toEqual(['END']);
    expect(openaiChat.readRequest({ ...hello, stop: ['', 'END'] }).stop).toEqual(['END']);
    expect(openaiChat.readRequest({ ...hello, stop: '' }).stop).toBeUndefined();
  });

  test('takes an image URL as a plain string too', () => {
    const part = { type: 'image_url', image_url: 'https://example.com/a.png' };
    const request = openaiChat.readRequest({ ...hello, messages: [{ role: 'user', content: [part] }] });
    expect(request.messages[0]?.blocks).toEqual([
      { type: 'media', media: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ]);
  });

  test('orders an assistant turn: reasoning, text, refusal, tool calls', () => {
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '' } };
    const turn = { role: 'assistant', tool_calls: [call], refusal: 'no', content: 'yes', reasoning: 'hm' };
    expect(openaiChat.readRequest({ ...hello, messages: [turn] }).messages[0]?.blocks).toEqual([
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'yes' },
      { type: 'refusal', text: 'no' },
      { type: 'tool-call', id: 'a', name: 'f', input: '{}' },
    ]);
  });

  test('without content beside tool calls has no text at all', () => {
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
    for (const content of [null, '']) {
      const request = openaiChat.readRequest({
        ...hello,
        messages: [{ role: 'assistant', content, tool_calls: [call] }],
      });
      expect(request.messages[0]?.blocks.map((block) => block.type)).toEqual(['tool-call']);
    }
  });

  test.each<[string, JsonObject, string]>([
    ['no model', { messages: hello.messages }, 'model'],
    ['no messages', { model: 'm' }, 'messages'],
    ['an empty list of messages', { model: 'm', messages: [] }, 'messages'],
    ['an unknown role', { model: 'm', messages: [{ role: 'bot', content: '' }] }, 'messages[0].role'],
    [
      'content that is a number',
      { model: 'm', messages: [{ role: 'user', content: 7 }] },
      'messages[0].content',
    ],
    [
      'a part without type',
      { model: 'm', messages: [{ role: 'user', content: [{}] }] },
      'messages[0].content[0].type',
    ],
    [
      'an image without URL',
      { model: 'm', messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'messages[0].content[0].image_url.url',
    ],
    [
      'a tool result without id',
      { model: 'm', messages: [{ role: 'tool', content: 'x' }] },
      'messages[0].tool_call_id',
    ],
    [
      'a tool without name',
      { ...hello, tools: [{ type: 'function', function: {} }] },
      'tools[0].function.name',
    ],
    ['a temperature in words', { ...hello, temperature: 'hot' }, 'temperature'],
    ['a limit of zero', { ...hello, max_tokens: 0 }, 'max_tokens'],
    ['a stream that is neither true nor false', { ...hello, stream: 'yes' }, 'stream'],
    [
      'a schema without its object',
      { ...hello, response_format: { type: 'json_schema' } },
      'response_format',
    ],
  ])('with %s is refused by name', (_, body, param) => {
    const error = refusal(body);
    expect(error.kind).toBe('bad_request');
    expect(error.detail.param).toBe(param);
    expect(error.message).toContain(param.replace(/\.\w+$/, ''));
  });
});

describe('a request of another dialect', () => {
  const call = (id: string): Block => ({ type: 'tool-call', id, name: 'f', input: '{}' });
  const result = (callId: string, ...blocks: Block[]): Block => ({ type: 'tool-result', callId, blocks });
  const text = (words: string): Block => ({ type: 'text', text: words });
  const image: Block = {
    type: 'media',
    media: 'image',
    source: { type: 'base64', mimeType: 'image/png', data: 'AAAA' },
  };

  test('has its tool results before the rest of the user turn', () => {
    const { body } = write(
      foreign([
        { role: 'assistant', blocks: [call('a'), call('b')] },
        { role: 'user', blocks: [text('So?'), result('a', text('1')), result('b', text('2'))] },
      ]),
    );
    expect(body.messages).toMatchObject([
      { role: 'assistant', content: null },
      { role: 'tool', tool_call_id: 'a', content: '1' },
      { role: 'tool', tool_call_id: 'b', content: '2' },
      { role: 'user', content: 'So?' },
    ]);
  });

  test('shows images of tool results in a user message after the last of them', () => {
    const { body } = write(
      foreign([
        { role: 'user', blocks: [result('a', image)] },
        { role: 'user', blocks: [result('b', text('2'))] },
        { role: 'assistant', blocks: [text('ok')] },
      ]),
    );
    const roles = (body.messages as JsonObject[]).map((message) => message.role);
    expect(roles).toEqual(['tool', 'tool', 'user', 'assistant']);
    expect(body.messages).toMatchObject([
      { content: 'The result is in the next user message.' },
      {},
      { content: [{ text: 'Result of tool call a:' }, { image_url: { url: 'data:image/png;base64,AAAA' } }] },
      {},
    ]);
  });

  test('says in words that a tool failed, and keeps an empty result', () => {
    const failed: Block = { type: 'tool-result', callId: 'a', blocks: [text('no such city')], isError: true };
    const { body } = write(foreign([{ role: 'user', blocks: [failed, result('b')] }]));
    expect(body.messages).toMatchObject([{ content: 'Error: no such city' }, { content: '' }]);
  });

  test('keeps reasoning to itself unless the host wants it back', () => {
    const messages: Message[] = [
      { role: 'assistant', blocks: [{ type: 'reasoning', text: 'hm' }, text('yes')] },
      { role: 'assistant', blocks: [text('no')] },
    ];
    expect(write(foreign(messages)).body.messages).toEqual([
      { role: 'assistant', content: 'yes' },
      { role: 'assistant', content: 'no' },
    ]);
    // DeepSeek wants the member on every turn, empty where it is unknown.
    expect(write(foreign(messages), { replayReasoning: 'reasoning_content' }).body.messages).toEqual([
      { role: 'assistant', content: 'yes', reasoning_content: 'hm' },
      { role: 'assistant', content: 'no', reasoning_content: '' },
    ]);
  });

  test.each<[NonNullable<ChatRequest['reasoning']>, string | undefined]>([
    [{ budgetTokens: 1024 }, 'low'],
    [{ budgetTokens: 10_000 }, 'medium'],
    [{ budgetTokens: 32_000 }, 'high'],
    [{ effort: 'max' }, 'high'],
    [{ effort: 'minimal' }, 'low'],
    [{ enabled: false }, undefined],
    [{ enabled: true, adaptive: true }, undefined],
  ])('turns the wish %j into the effort %p', (reasoning, effort) => {
    expect(write(foreign([], { reasoning })).body.reasoning_effort).toBe(effort as never);
  });

  test('reaches the words a host says it knows', () => {
    const efforts = ['none', 'low', 'high', 'max'] as const;
    expect(write(foreign([], { reasoning: { enabled: false } }), { efforts }).body.reasoning_effort).toBe(
      'none',
    );
    expect(write(foreign([], { reasoning: { effort: 'xhigh' } }), { efforts })).toMatchObject({
      body: { reasoning_effort: 'high' },
      lost: ['reasoning.effort'],
    });
  });

  test('keeps four stop strings and says so', () => {
    const { body, lost } = write(foreign([], { stop: ['a', 'b', 'c', 'd', 'e'] }));
    expect(body.stop).toEqual(['a', 'b', 'c', 'd']);
    expect(lost).toEqual(['stop']);
  });

  test('carries no service tier, no metadata and no extras of its own dialect', () => {
    const { body } = write(
      foreign([], { serviceTier: 'auto', metadata: { a: 'b' }, topK: 4, extra: { container: 'x' } }),
    );
    expect(Object.keys(body)).toEqual(['model', 'messages']);
  });

  test('names the block that cannot be said', () => {
    const opaque: Block = {
      type: 'opaque',
      dialect: 'anthropic-messages',
      value: { type: 'server_tool_use' },
    };
    expect(() => write(foreign([{ role: 'assistant', blocks: [opaque] }]))).toThrow(/messages\[0\]/);
  });
});

describe('quirks of a host', () => {
  const request = (more: JsonObject = {}): ChatRequest => openaiChat.readRequest({ ...hello, ...more });

  test.each<[string, Quirks, JsonObject, JsonObject]>([
    ['limitMember', { limitMember: 'max_tokens' }, { max_completion_tokens: 5 }, { max_tokens: 5 }],
    ['rename', { rename: { seed: 'random_seed' } }, { seed: 5 }, { random_seed: 5 }],
    ['requiredWord', { requiredWord: 'any' }, { tool_choice: 'required' }, { tool_choice: 'any' }],
    [
      'noStreamOptions',
      { noStreamOptions: true },
      { stream: true, stream_options: { include_usage: true } },
      { stream: true },
    ],
  ])('%s', (_, quirks, more, written) => {
    const { model, messages, ...rest } = write(request(more), quirks).body;
    expect(model).toBe('m');
    expect(messages).toBeArray();
    expect(rest).toEqual(written as never);
  });

  test('drop and noSampling name what they leave out', () => {
    const { body, lost } = write(request({ user: 'u', temperature: 1, top_p: 1 }), {
      drop: ['user'],
      noSampling: true,
    });
    expect(body).toEqual(hello as never);
    expect(lost).toEqual(['temperature', 'top_p', 'user']);
  });

  test('noDeveloperRole makes system messages of them', () => {
    const messages = [{ role: 'developer', content: 'x' }];
    expect(write(request({ messages }), { noDeveloperRole: true }).body.messages).toEqual([
      { role: 'system', content: 'x' },
    ]);
  });

  test('textOnly joins text and refuses images', () => {
    const text = { type: 'text', text: 'a' };
    const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
    const asked = (...content: JsonObject[]): ChatRequest =>
      request({ messages: [{ role: 'user', content }] });
    expect(write(asked(text, text), { textOnly: true }).body.messages).toEqual([
      { role: 'user', content: 'a\na' },
    ]);
    expect(() => write(asked(text, image), { textOnly: true })).toThrow(/text only/);
  });
});

describe('a relayed request', () => {
  function plan(body: JsonObject | string, stream: boolean, quirks: Quirks = {}) {
    const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
    return openaiChat.planRelay(bytes, scanMembers(bytes), stream, quirks);
  }

  test('needs no edit when it is whole, or asks for usage itself', () => {
    const nothing = { edits: {}, hideUsage: false, lost: [] };
    expect(plan(hello, false)).toEqual(nothing);
    expect(plan({ ...hello, stream_options: { include_usage: true } }, true)).toEqual(nothing);
  });

  test('asks for usage in the name of the gateway and keeps the other stream options', () => {
    expect(plan(hello, true)).toMatchObject({
      edits: { stream_options: '{"include_usage":true}' },
      hideUsage: true,
    });
    const asked = { ...hello, stream_options: { include_obfuscation: false, include_usage: false } };
    expect(plan(asked, true)).toMatchObject({
      edits: { stream_options: '{"include_obfuscation":false,"include_usage":true}' },
      hideUsage: true,
    });
    expect(plan({ ...hello, stream_options: null }, true)?.edits).toEqual({
      stream_options: '{"include_usage":true}',
    });
    expect(plan(asked, true, { noStreamOptions: true })?.edits).toEqual({ stream_options: undefined });
  });

  test('renames and drops members with their exact digits', () => {
    const body = '{"model":"m","messages":[],"seed":9033012299842426001,"max_tokens":5,"temperature":1.0}';
    const quirks: Quirks = {
      rename: { seed: 'random_seed' },
      limitMember: 'max_completion_tokens',
      noSampling: true,
    };
    expect(plan(body, false, quirks)).toEqual({
      edits: {
        seed: undefined,
        random_seed: '9033012299842426001',
        max_tokens: undefined,
        max_completion_tokens: '5',
        temperature: undefined,
      },
      hideUsage: false,
      lost: ['temperature'],
    });
  });

  test('keeps the right limit where the client gave both', () => {
    const body = { ...hello, max_tokens: 5, max_completion_tokens: 9 };
    expect(plan(body, false, { limitMember: 'max_completion_tokens' })?.edits).toEqual({
      max_tokens: undefined,
    });
  });

  test.each<[string, Quirks, JsonObject]>([
    ['a developer', { noDeveloperRole: true }, { messages: [{ role: 'developer', content: 'x' }] }],
    ['parts', { textOnly: true }, { messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] }],
    ['a schema', { noJsonSchema: true }, { response_format: { type: 'json_schema', json_schema: {} } }],
    ['a forced tool', { requiredWord: 'any' }, { tool_choice: 'required' }],
    ['an unknown effort', { efforts: ['low'] }, { reasoning_effort: 'max' }],
    [
      'long tool ids',
      { toolIds: /^[A-Za-z0-9]{9}$/ },
      { messages: [{ role: 'tool', tool_call_id: 'call_1', content: '' }] },
    ],
  ])('has to be rewritten for %s', (_, quirks, more) => {
    expect(plan({ ...hello, ...more }, false, quirks)).toBeUndefined();
    expect(plan({ ...hello, ...more }, false)).toBeDefined();
  });

  test('is not rewritten for words that only stand in its text', () => {
    const content = 'Say {"role":"developer"} and {"type":"text"}.';
    const quirks: Quirks = { noDeveloperRole: true, textOnly: true };
    expect(plan({ ...hello, messages: [{ role: 'user', content }] }, false, quirks)).toBeDefined();
  });
});

describe('a model that thinks unless told otherwise', () => {
  const deepseek = { thinkingSwitch: true, noForcedThinking: true, efforts: ['low', 'high', 'max'] } as const;
  const write = (more: object, lost: string[] = []) =>
    openaiChat.writeRequest(
      openaiChat.readRequest({ model: 'any', messages: [{ role: 'user', content: 'Hello' }], ...more }),
      deepseek,
      lost,
    );
  const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];

  test('is told by its switch', () => {
    expect(write({}).thinking).toBeUndefined();
    expect(write({ reasoning_effort: 'none' })).toMatchObject({ thinking: { type: 'disabled' } });
    expect(write({ reasoning_effort: 'none' }).reasoning_effort).toBeUndefined();
    expect(write({ reasoning_effort: 'high' })).toMatchObject({ reasoning_effort: 'high' });
    expect(write({ reasoning_effort: 'high' }).thinking).toBeUndefined();
  });

  test('is left to the client that uses the switch itself', () => {
    const thinking = { type: 'disabled' };
    expect(write({ thinking, reasoning_effort: 'high' })).toMatchObject({
      thinking,
      reasoning_effort: 'high',
    });
  });

  test('does not think where it has to call a tool, and says so to those who wished it', () => {
    const lost: string[] = [];
    expect(write({ tools, tool_choice: 'required' }, lost)).toMatchObject({ thinking: { type: 'disabled' } });
    expect(lost).toEqual([]);
    write({ tools, tool_choice: 'required', reasoning_effort: 'high' }, lost);
    expect(lost).toEqual(['reasoning']);
    expect(write({ tools, tool_choice: 'auto' }).thinking).toBeUndefined();
  });

  test('is asked by relayed calls likewise', () => {
    const plan = (body: object) => {
      const bytes = new TextEncoder().encode(JSON.stringify(body));
      return openaiChat.planRelay(bytes, scanMembers(bytes), false, deepseek);
    };
    expect(plan({ messages: [], tool_choice: 'required' })).toBeUndefined();
    expect(plan({ messages: [], reasoning_effort: 'none' })).toBeUndefined();
    expect(plan({ messages: [], tool_choice: 'auto' })).toBeDefined();
  });
});
