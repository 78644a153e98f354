/** What is particular to requests and whole answers of Cohere. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Block, ChatRequest, Message } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { charge, type Rates } from '../../src/core/money.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { cohereV2 } from '../../src/dialects/cohere-v2.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';

const folder = join(import.meta.dir, '../../fixtures/cohere-v2');
const load = (name: string, file: string): JsonObject =>
  JSON.parse(readFileSync(join(folder, name, file), 'utf8'));

const user = (content: unknown): JsonObject => ({ role: 'user', content }) as JsonObject;
const hello = [user('Hello')];
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const clock = { type: 'function', function: { name: 'clock' } };

/** A Chat Completions request in Cohere's words. */
function translate(body: JsonObject, quirks: Quirks = {}): { body: JsonObject; lost: string[] } {
  const lost: string[] = [];
  const request = openaiChat.readRequest({ model: 'command-a', messages: hello, ...body });
  return { body: JSON.parse(JSON.stringify(cohereV2.writeRequest(request, quirks, lost))), lost };
}

function messagesOf(...messages: JsonObject[]): JsonObject[] {
  return translate({ messages }).body.messages as JsonObject[];
}

function refusal(act: () => unknown): GatewayError {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown;
  }
  throw new Error('was not refused');
}

describe('sampling', () => {
  test('has names of its own', () => {
    const { body, lost } = translate({
      max_completion_tokens: 50,
      temperature: 0.4,
      top_p: 0.9,
      top_k: 20,
      seed: 7,
      stop: 'END',
      frequency_penalty: 0.5,
    });
    expect(body).toEqual({
      model: 'command-a',
      messages: hello,
      max_tokens: 50,
      temperature: 0.4,
      p: 0.9,
      k: 20,
      seed: 7,
      stop_sequences: ['END'],
      frequency_penalty: 0.5,
    });
    expect(lost).toEqual([]);
  });

  test('is brought within the bounds of the API, and it is told', () => {
    const { body, lost } = translate({ temperature: 1.7, top_p: 0, frequency_penalty: -1 });
    expect(body).toMatchObject({ temperature: 1, p: 0.01, frequency_penalty: 0 });
    expect(lost).toEqual(['temperature', 'topP', 'frequencyPenalty']);
  });

  test('from all tokens is from nearly all', () => {
    const { body, lost } = translate({ top_p: 1 });
    expect(body.p).toBe(0.99);
    expect(lost).toEqual([]);
  });

  test('takes one penalty only', () => {
    const { body, lost } = translate({ frequency_penalty: 0.5, presence_penalty: 0.2 });
    expect(body).toMatchObject({ frequency_penalty: 0.5 });
    expect(body).not.toHaveProperty('presence_penalty');
    expect(lost).toEqual(['presencePenalty']);
  });

  test('stops at five sequences at most', () => {
    const { body, lost } = translate({ stop: ['a', 'b', 'c', 'd', 'e', 'f'] });
    expect(body.stop_sequences).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(lost).toEqual(['stop']);
  });

  test('tells log-probabilities of the chosen tokens, not of others', () => {
    expect(translate({ logprobs: true }).body.logprobs).toBe(true);
    expect(refusal(() => translate({ logprobs: true, top_logprobs: 3 }))).toMatchObject({
      kind: 'unsupported',
      detail: { param: 'logprobs' },
    });
  });

  test('streams only when asked', () => {
    expect(translate({ stream: true }).body.stream).toBe(true);
    expect(translate({}).body).not.toHaveProperty('stream');
  });
});

describe('thinking', () => {
  const thinking = (body: JsonObject, quirks?: Quirks) => translate(body, quirks).body.thinking;

  test.each([
    ['none', { type: 'disabled' }],
    ['minimal', { type: 'enabled', token_budget: 1024 }],
    ['low', { type: 'enabled', token_budget: 2048 }],
    ['high', { type: 'enabled', token_budget: 16_384 }],
    ['xhigh', { type: 'enabled' }],
    ['max', { type: 'enabled' }],
  ])('with effort %s', (effort, written) => {
    expect(thinking({ reasoning_effort: effort })).toEqual(written);
  });

  test('leaves a fifth of the output limit for the answer', () => {
    expect(thinking({ reasoning_effort: 'high', max_tokens: 1000 })).toEqual({
      type: 'enabled',
      token_budget: 800,
    });
  });

  test('takes a budget as it is', () => {
    const request = anthropicMessages.readRequest({
      model: 'm',
      max_tokens: 4000,
      messages: hello,
      thinking: { type: 'enabled', budget_tokens: 3000 },
    });
    expect(cohereV2.writeRequest(request, {}, []).thinking).toEqual({ type: 'enabled', token_budget: 3000 });
  });

  test('is not spoken of to models without it', () => {
    expect(translate({ reasoning_effort: 'high' }, { thinking: 'none' })).toMatchObject({
      lost: ['reasoning'],
    });
    expect(thinking({ reasoning_effort: 'high' }, { thinking: 'none' })).toBeUndefined();
    expect(translate({ reasoning_effort: 'none' }, { thinking: 'none' }).lost).toEqual([]);
    expect(thinking({ reasoning_effort: 'none' }, { thinking: 'none' })).toBeUndefined();
  });
});

describe('structured output', () => {
  const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };

  test('is a JSON object, with a schema or without', () => {
    expect(translate({ response_format: { type: 'json_object' } }).body.response_format).toEqual({
      type: 'json_object',
    });
    const described = {
      type: 'json_schema',
      json_schema: { name: 'person', schema, description: 'A person.' },
    };
    expect(translate({ response_format: described }).body.response_format).toEqual({
      type: 'json_object',
      json_schema: { ...schema, description: 'A person.' },
    });
  });

  test('does not go together with tools', () => {
    const act = () => translate({ response_format: { type: 'json_object' }, tools: [weather] });
    expect(refusal(act)).toMatchObject({ kind: 'unsupported', detail: { param: 'format' } });
  });
});

describe('tools', () => {
  const choose = (choice: unknown) =>
    translate({ tools: [weather, clock], tool_choice: choice } as JsonObject);
  const namesIn = ({ tools }: JsonObject) =>
    (tools as { function: { name: string } }[]).map((tool) => tool.function.name);

  test('always have parameters', () => {
    expect(translate({ tools: [clock] }).body.tools).toEqual([
      { type: 'function', function: { name: 'clock', parameters: { type: 'object', properties: {} } } },
    ]);
  });

  test('may be called, must be called, or must not', () => {
    expect(choose('auto').body).not.toHaveProperty('tool_choice');
    expect(choose('required').body.tool_choice).toBe('REQUIRED');
    expect(choose('none').body.tool_choice).toBe('NONE');
  });

  test('are reduced to the one that must be called', () => {
    const { body, lost } = choose({ type: 'function', function: { name: 'clock' } });
    expect(body.tool_choice).toBe('REQUIRED');
    expect(namesIn(body)).toEqual(['clock']);
    expect(lost).toEqual(['tools[0]']);
  });

  test.each([
    ['auto', undefined],
    ['required', 'REQUIRED'],
  ])('are reduced to those allowed: %s', (mode, word) => {
    const tools = [{ type: 'function', function: { name: 'weather' } }];
    const { body } = choose({ type: 'allowed_tools', allowed_tools: { mode, tools } });
    expect(body.tool_choice).toBe(word as string);
    expect(namesIn(body)).toEqual(['weather']);
  });

  test('that are chosen must exist', () => {
    const act = () => choose({ type: 'function', function: { name: 'oven' } });
    expect(refusal(act)).toMatchObject({ kind: 'bad_request', detail: { param: 'tool_choice' } });
  });

  test('are strict all together, and only where each requires something', () => {
    const strict = { ...weather, function: { ...weather.function, strict: true } };
    expect(translate({ tools: [strict] })).toMatchObject({ body: { strict_tools: true }, lost: [] });
    const { body, lost } = translate({ tools: [clock, strict] });
    expect(body).not.toHaveProperty('strict_tools');
    expect(JSON.stringify(body)).not.toContain('strict');
    expect(lost).toEqual(['tools[1].strict']);
  });
});

describe('a conversation', () => {
  const call = (id: string, name: string, args: string): JsonObject => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  });
  const result = (id: string, content: unknown): JsonObject =>
    ({ role: 'tool', tool_call_id: id, content }) as JsonObject;

  test('begins with one message of instructions; later ones are words of the user', () => {
    expect(
      messagesOf(
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: 'Be kind.' },
        user('Hello'),
        { role: 'assistant', content: 'Hello!' },
        { role: 'system', content: 'Be sad.' },
        user('How are you?'),
      ),
    ).toEqual([
      { role: 'system', content: 'Be brief.\n\nBe kind.' },
      user('Hello'),
      { role: 'assistant', content: 'Hello!' },
      user([
        { type: 'text', text: '<system>\nBe sad.\n</system>' },
        { type: 'text', text: 'How are you?' },
      ]),
    ]);
  });

  test('has a message for each tool result', () => {
    expect(
      messagesOf(
        user('Weather and time?'),
        {
          role: 'assistant',
          content: null,
          tool_calls: [call('a', 'weather', '{"city":"Rome"}'), call('b', 'clock', '{}')],
        },
        result('a', 'sunny'),
        result('b', [{ type: 'text', text: 'noon' }]),
        user('Thanks'),
      ),
    ).toEqual([
      user('Weather and time?'),
      { role: 'assistant', tool_calls: [call('a', 'weather', '{"city":"Rome"}'), call('b', 'clock', '{}')] },
      result('a', 'sunny'),
      result('b', 'noon'),
      user('Thanks'),
    ]);
  });

  test('is whole: calls without a result get one, results without a call are told', () => {
    const written = messagesOf(
      user('Time?'),
      { role: 'assistant', content: '', tool_calls: [call('a', 'clock', '{}')] },
      result('z', 'noon'),
    );
    expect(written).toEqual([
      user('Time?'),
      { role: 'assistant', tool_calls: [call('a', 'clock', '{}')] },
      result('a', 'Error: There is no result: the tool call was not carried out.'),
      user([
        { type: 'text', text: 'The result of an earlier tool call:' },
        { type: 'text', text: 'noon' },
      ]),
    ]);
  });

  test('has no empty messages', () => {
    const written = messagesOf(
      user('Ring.'),
      { role: 'assistant', content: '', tool_calls: [call('a', 'ring', '')] },
      result('a', ''),
      { role: 'assistant', content: '  ' },
      user('Thanks'),
    );
    expect(written.slice(1)).toEqual([
      { role: 'assistant', tool_calls: [call('a', 'ring', '{}')] },
      result('a', 'The tool returned nothing.'),
      user('Thanks'),
    ]);
  });

  test('shows images by address and by content', () => {
    const url = (address: string) => ({ type: 'image_url', image_url: { url: address } });
    const parts = [
      { type: 'text', text: 'Compare.' },
      url('https://example.com/a.png'),
      url('data:image/png;base64,iVBORw0KGgo='),
    ];
    expect(messagesOf(user(parts))).toEqual([user(parts)]);
  });

  const fromHub = (...blocks: Block[]): { messages: JsonObject[]; lost: string[] } => {
    const messages: Message[] = [{ role: 'user', blocks: [{ type: 'text', text: 'Go.' }] }];
    messages.push({ role: 'assistant', blocks }, { role: 'user', blocks: [{ type: 'text', text: 'On.' }] });
    const request: ChatRequest = { dialect: 'anthropic-messages', model: 'm', messages, stream: false };
    const lost: string[] = [];
    return { messages: cohereV2.writeRequest(request, {}, lost).messages as JsonObject[], lost };
  };

  test('keeps thoughts that led to tool calls as their plan, no others', () => {
    const thought: Block = { type: 'reasoning', text: 'I will look.' };
    const called: Block = { type: 'tool-call', id: 'a', name: 'look', input: '{}' };
    expect(fromHub(thought, called).messages[1]).toEqual({
      role: 'assistant',
      tool_plan: 'I will look.',
      tool_calls: [call('a', 'look', '{}')],
    });
    const { messages, lost } = fromHub(thought, { type: 'text', text: 'Done.' });
    expect(messages[1]).toEqual({ role: 'assistant', content: 'Done.' });
    expect(lost).toEqual(['messages[1].content[0]']);
  });

  test('never holds state of another vendor', () => {
    const { messages } = fromHub(
      {
        type: 'reasoning',
        text: 'Hm.',
        signature: 'c2lnbmVk',
        redacted: 'aGlkZGVu',
        vendor: 'anthropic-messages',
      },
      {
        type: 'tool-call',
        id: 'a',
        name: 'look',
        input: '{}',
        state: { vendor: 'gemini', value: 'c3RhdGU=' },
      },
    );
    const text = JSON.stringify(messages);
    for (const state of ['c2lnbmVk', 'aGlkZGVu', 'c3RhdGU=']) expect(text).not.toContain(state);
  });

  test('gives documents in results as documents, images after them, and says what failed', () => {
    const request: ChatRequest = {
      dialect: 'anthropic-messages',
      model: 'm',
      stream: false,
      messages: [
        { role: 'user', blocks: [{ type: 'text', text: 'Look.' }] },
        { role: 'assistant', blocks: [{ type: 'tool-call', id: 'a', name: 'look', input: '{}' }] },
        {
          role: 'user',
          blocks: [
            {
              type: 'tool-result',
              callId: 'a',
              isError: true,
              blocks: [
                { type: 'text', text: 'too dark' },
                {
                  type: 'media',
                  media: 'document',
                  name: 'Manual',
                  source: { type: 'text', mimeType: 'text/plain', text: 'Use a lamp.' },
                },
                {
                  type: 'media',
                  media: 'image',
                  source: { type: 'base64', mimeType: 'image/png', data: 'iVBORw0KGgo=' },
                },
              ],
            },
          ],
        },
      ],
    };
    expect((cohereV2.writeRequest(request, {}, []).messages as JsonObject[]).slice(2)).toEqual([
      {
        role: 'tool',
        tool_call_id: 'a',
        content: [
          { type: 'text', text: 'Error: too dark' },
          { type: 'document', document: { data: { title: 'Manual', text: 'Use a lamp.' } } },
        ],
      },
      user([
        { type: 'text', text: 'Result of tool call a:' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      ]),
    ]);
  });
});

describe('a request of its own', () => {
  test('tells plans from thoughts', () => {
    const { messages } = cohereV2.readRequest(load('tools-results', 'request.json'));
    expect(messages[1]?.blocks[0]).toEqual({
      type: 'reasoning',
      text: 'I will look up both.',
      extra: { tool_plan: true },
    });
    const thinking = cohereV2.readRequest(load('thinking-history', 'request.json'));
    expect(thinking.messages[1]?.blocks[0]).toEqual({ type: 'reasoning', text: '91 is 7 times 13.' });
  });

  test.each([
    [{ messages: hello }, 'model'],
    [{ model: 'm' }, 'messages'],
    [{ model: 'm', messages: [] }, 'messages'],
    [{ model: 'm', messages: [{ role: 'chatbot', content: '' }] }, 'messages[0].role'],
    [{ model: 'm', messages: [user(7)] }, 'messages[0].content'],
    [{ model: 'm', messages: [user([{ type: 'text' }])] }, 'messages[0].content[0]'],
    [{ model: 'm', messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
    [{ model: 'm', messages: hello, tools: {} }, 'tools'],
    [{ model: 'm', messages: hello, stop_sequences: 'a' }, 'stop_sequences'],
    [{ model: 'm', messages: hello, max_tokens: 0.5 }, 'max_tokens'],
  ])('that is wrong is refused: %j', (body, param) => {
    const error = refusal(() => cohereV2.readRequest(body as JsonObject));
    expect(error).toMatchObject({ kind: 'bad_request', detail: { param } });
  });
});

describe('a whole answer', () => {
  const read = (name: string) => cohereV2.readResponse(load(name, 'response.json'), {});
  const only = (name: string) => read(name).choices[0]!;

  test('says its plan before its calls', () => {
    expect(only('tools-parallel')).toMatchObject({
      stop: 'tool_calls',
      blocks: [
        { type: 'reasoning', text: 'I will look up the weather in both cities.', extra: { tool_plan: true } },
        { type: 'tool-call', name: 'weather', input: '{"city":"Madrid"}' },
        { type: 'tool-call', name: 'weather', input: '{"city":"Brasília"}' },
      ],
    });
  });

  test('counts the places of citations in UTF-16 units, and tells each of their sources', () => {
    const [text] = only('citations').blocks;
    if (text?.type !== 'text') throw new Error('no text');
    const cited = text.citations?.map(({ start, end, title, url }) => [
      text.text.slice(start, end),
      title,
      url,
    ]);
    expect(cited).toEqual([
      ['The Earth', 'Orbits', 'https://example.com/orbits'],
      ['365 days', 'Orbits', 'https://example.com/orbits'],
      ['365 days', 'Almanac', undefined],
    ]);
  });

  test('keeps citations of thoughts beside the blocks', () => {
    const { blocks, extra } = only('citations-of-thoughts');
    expect(extra?.citations).toMatchObject([{ type: 'THINKING_CONTENT' }]);
    expect(blocks).toMatchObject([
      { type: 'reasoning' },
      { type: 'text', citations: [{ start: 0, end: 8 }] },
    ]);
  });

  test('keeps arguments that were cut short as they are', () => {
    expect(only('length-in-tool-call')).toMatchObject({
      stop: 'length',
      blocks: [{}, { type: 'tool-call', input: '{"text":"Dear Si' }],
    });
  });

  test('tells log-probabilities in the common form', () => {
    expect(only('logprobs').logprobs).toEqual({
      content: [
        { token: 'Hel', logprob: -0.25, bytes: [72, 101, 108], top_logprobs: [] },
        { token: 'lo!', logprob: -0.625, bytes: [108, 111, 33], top_logprobs: [] },
      ],
      refusal: null,
    });
  });

  test.each([
    [{ message: { role: 'assistant', content: [] }, finish_reason: 'ERROR' }, 'upstream_unavailable'],
    [{ message: { role: 'assistant', content: [] }, finish_reason: 'TIMEOUT' }, 'upstream_timeout'],
    [{ id: 'x', message: 'too many tokens: shorten it' }, 'context_length'],
    [{ id: 'x' }, 'upstream_invalid'],
  ])('that is none is an error: %j', (body, kind) => {
    expect(refusal(() => cohereV2.readResponse(body as JsonObject, {})).kind).toBe(kind as 'internal');
  });
});

describe('usage', () => {
  const usageOf = (usage: JsonObject) =>
    cohereV2.readResponse({ message: { role: 'assistant' }, usage }, {}).usage;
  const rates: Rates = {
    input: 2_500_000,
    cacheRead: 2_500_000,
    cacheWrite5m: 0,
    cacheWrite1h: 0,
    output: 10_000_000,
    audioInput: 0,
    audioOutput: 0,
  };
  const price = { rates, tiers: [], perCall: 0, source: 'test', version: '' };

  test('is what went through the model; what is billed is charged', () => {
    const usage = cohereV2.readResponse(load('stop-sequence', 'response.json'), {}).usage!;
    expect(usage).toMatchObject({ input: 505, output: 9, cacheRead: 448, billed: { input: 10, output: 1 } });
    expect(charge(usage, price)).toBe(10 * 2500 + 1 * 10_000);
  });

  test('includes images, which are counted beside the rest', () => {
    const usage = cohereV2.readResponse(load('image-base64', 'response.json'), {}).usage!;
    expect(usage).toMatchObject({ input: 34 + 259, billed: { input: 267, output: 6 } });
  });

  test('is charged as counted where nothing is said of bills', () => {
    const usage = usageOf({ tokens: { input_tokens: 100, output_tokens: 10, reasoning_tokens: 4 } })!;
    expect(usage).toMatchObject({ input: 100, output: 10, reasoning: 4 });
    expect(usage).not.toHaveProperty('billed');
    expect(charge(usage, price)).toBe(100 * 2500 + 10 * 10_000);
  });

  test('is what is billed where nothing else is told, and nothing where nothing is', () => {
    expect(usageOf({ billed_units: { input_tokens: 3, output_tokens: 2 } })).toMatchObject({
      input: 3,
      output: 2,
    });
    expect(usageOf({})).toBeUndefined();
  });
});

describe('a refusal', () => {
  const kinds: Record<string, string> = {
    'error-auth': 'upstream_auth',
    'error-billing': 'upstream_quota',
    'error-invalid-token': 'upstream_auth',
    'error-not-found': 'upstream_not_found',
    'error-rate-limit': 'upstream_rate_limited',
    'error-too-many-tokens': 'context_length',
    'error-unknown-field': 'upstream_bad_request',
  };
  const errors = readdirSync(folder).filter((name) => readdirSync(join(folder, name)).includes('error.json'));

  test('of every kind is tried', () => {
    expect(errors.sort()).toEqual(Object.keys(kinds));
  });

  test.each(errors)('is understood: %s', (name) => {
    const { status, headers, body } = load(name, 'error.json') as {
      status: number;
      headers: JsonObject;
      body: JsonObject;
    };
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const error = cohereV2.readError(status, new Headers(headers as Record<string, string>), bytes);
    expect(error.kind as string).toBe(kinds[name]!);
    expect(error.message).toContain(String(body.message));
  });
});
