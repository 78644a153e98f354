/** What is particular to requests and whole answers of Ollama. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { foreign } from '../../src/core/loss.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { ollama } from '../../src/dialects/ollama.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';

const folder = join(import.meta.dir, '../../fixtures/ollama');
const load = (name: string, file: string): JsonObject =>
  JSON.parse(readFileSync(join(folder, name, file), 'utf8'));

const png = 'iVBORw0KGgo=';
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

/** A Chat Completions request in Ollama's words. */
function translate(body: JsonObject, quirks: Quirks = {}): { body: JsonObject; lost: string[] } {
  const lost: string[] = [];
  const request = openaiChat.readRequest({ model: 'qwen3', messages: hello, ...body });
  return { body: JSON.parse(JSON.stringify(ollama.writeRequest(request, quirks, lost))), lost };
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

describe('a request', () => {
  test('always says whether it wants a stream', () => {
    expect(translate({}).body.stream).toBe(false);
    expect(translate({ stream: true }).body.stream).toBe(true);
    expect(ollama.readRequest({ model: 'm', messages: hello }).stream).toBe(true);
  });

  test('has its parameters among the options', () => {
    const { body, lost } = translate({
      max_tokens: 50,
      temperature: 1.4,
      top_p: 0.9,
      top_k: 20,
      seed: 7,
      stop: ['END', 'STOP'],
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
    });
    expect(body).toEqual({
      model: 'qwen3',
      messages: hello,
      stream: false,
      options: {
        num_predict: 50,
        temperature: 1.4,
        top_p: 0.9,
        top_k: 20,
        stop: ['END', 'STOP'],
        seed: 7,
        presence_penalty: 0.1,
        frequency_penalty: 0.2,
      },
    });
    expect(lost).toEqual([]);
    expect(translate({}).body).not.toHaveProperty('options');
  });

  test('asks for log-probabilities', () => {
    expect(translate({ logprobs: true, top_logprobs: 3 }).body).toMatchObject({
      logprobs: true,
      top_logprobs: 3,
    });
    expect(translate({ logprobs: true }).body).not.toHaveProperty('top_logprobs');
  });

  test('asks for JSON, or for a schema as it is', () => {
    const schema = { type: 'object', properties: {} };
    expect(translate({ response_format: { type: 'json_object' } }).body.format).toBe('json');
    const described = { type: 'json_schema', json_schema: { name: 'it', schema, description: 'Anything.' } };
    expect(translate({ response_format: described }).body.format).toEqual({
      ...schema,
      description: 'Anything.',
    });
  });

  test.each([
    ['none', false, []],
    ['minimal', 'low', ['reasoning.effort']],
    ['low', 'low', []],
    ['medium', 'medium', []],
    ['high', 'high', []],
    ['xhigh', 'max', ['reasoning.effort']],
    ['max', 'max', []],
  ])('with effort %s thinks: %s', (effort, think, lost) => {
    const translated = translate({ reasoning_effort: effort });
    expect(translated.body.think as unknown).toBe(think);
    expect(translated.lost).toEqual(lost as string[]);
  });

  test.each([
    [{ type: 'enabled', budget_tokens: 2000 }, 'low'],
    [{ type: 'enabled', budget_tokens: 30_000 }, 'high'],
    [{ type: 'adaptive' }, true],
    [{ type: 'disabled' }, false],
  ])('thinks by a level, or at all: %j', (thinking, think) => {
    const request = anthropicMessages.readRequest({
      model: 'm',
      max_tokens: 40_000,
      messages: hello,
      thinking,
    });
    expect(ollama.writeRequest(request, {}, []).think as unknown).toBe(think);
  });

  test('keeps options that only its server knows', () => {
    const { extra, maxTokens, stop } = ollama.readRequest(load('length', 'request.json'));
    expect({ extra, maxTokens, stop }).toEqual({
      extra: { options: { num_ctx: 8192, min_p: 0.05, repeat_penalty: 1.1 } },
      maxTokens: 4,
      stop: ['THE END'],
    });
    expect(ollama.readRequest({ model: 'm', options: { num_predict: -1 } })).toMatchObject({
      extra: { options: { num_predict: -1 } },
    });
  });

  test.each([
    [{ messages: hello }, 'model'],
    [{ model: 'm', messages: 'Hello' }, 'messages'],
    [{ model: 'm', messages: [{ role: 'bot', content: '' }] }, 'messages[0].role'],
    [{ model: 'm', messages: [user([])] }, 'messages[0].content'],
    [{ model: 'm', messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages[0].tool_calls[0]'],
    [{ model: 'm', options: { stop: 'a' } }, 'options.stop'],
    [{ model: 'm', options: [] }, 'options'],
    [{ model: 'm', tools: 'all' }, 'tools'],
  ])('that is wrong is refused: %j', (body, param) => {
    expect(refusal(() => ollama.readRequest(body as JsonObject))).toMatchObject({
      kind: 'bad_request',
      detail: { param },
    });
  });
});

describe('tools', () => {
  const choose = (choice: unknown) =>
    translate({ tools: [weather, clock], tool_choice: choice } as JsonObject);

  test('may be called or are not there', () => {
    expect(choose('auto').body.tools).toHaveLength(2);
    const { body, lost } = choose('none');
    expect(body).not.toHaveProperty('tools');
    expect(lost).toEqual(['tools']);
  });

  test('are those allowed', () => {
    const allowed = { mode: 'auto', tools: [{ type: 'function', function: { name: 'clock' } }] };
    expect(choose({ type: 'allowed_tools', allowed_tools: allowed }).body.tools).toEqual([
      { type: 'function', function: { name: 'clock', parameters: { type: 'object', properties: {} } } },
    ]);
  });

  test.each([
    'required',
    { type: 'function', function: { name: 'clock' } },
    {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'clock' } }] },
    },
  ])('cannot be forced: %j', (choice) => {
    const error = refusal(() => choose(choice));
    expect(error).toMatchObject({ kind: 'unsupported', detail: { param: 'tool_choice' } });
  });

  test('have properties that are objects, in a form its server can read', () => {
    const parameters = {
      properties: {
        any: true,
        either: { anyOf: [true, { properties: { inner: true } }] },
        city: { type: 'string' },
      },
    };
    const { body, lost } = translate({
      tools: [{ type: 'function', function: { name: 'f', parameters, strict: true } }],
    });
    expect(body.tools).toMatchObject([
      {
        function: {
          name: 'f',
          parameters: {
            type: 'object',
            properties: {
              any: {},
              either: { anyOf: [{}, { properties: { inner: {} } }] },
              city: { type: 'string' },
            },
          },
        },
      },
    ]);
    expect(JSON.stringify(body)).not.toContain('strict');
    expect(lost).toEqual(['tools[0].strict']);
  });
});

describe('a conversation', () => {
  const call = (id: string, name: string, args: string): JsonObject => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  });

  test('has arguments as objects, and results by the name of their tool', () => {
    expect(
      messagesOf(
        user('Weather?'),
        {
          role: 'assistant',
          content: null,
          tool_calls: [call('a', 'weather', '{"city":"Rome"}'), call('b', 'clock', '')],
        },
        { role: 'tool', tool_call_id: 'b', content: 'noon' },
        { role: 'tool', tool_call_id: 'a', content: '' },
      ),
    ).toEqual([
      user('Weather?'),
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'a', function: { name: 'weather', arguments: { city: 'Rome' } } },
          { id: 'b', function: { name: 'clock', arguments: {} } },
        ],
      },
      { role: 'tool', content: 'noon', tool_name: 'clock', tool_call_id: 'b' },
      { role: 'tool', content: '', tool_name: 'weather', tool_call_id: 'a' },
    ]);
  });

  test.each(['{"text":"Dear Si', '[1,2]', 'plain words'])(
    'wraps arguments that are no object: %s',
    (input) => {
      const [, turn] = messagesOf(user('Go.'), {
        role: 'assistant',
        tool_calls: [call('a', 'write', input)],
      });
      expect(turn?.tool_calls).toEqual([{ id: 'a', function: { name: 'write', arguments: { input } } }]);
    },
  );

  test('has text as one string, and files without their addresses beside it', () => {
    const parts = [
      { type: 'text', text: 'What is' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
      { type: 'text', text: 'this?' },
      { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
    ];
    expect(messagesOf(user(parts))).toEqual([
      { role: 'user', content: 'What is\nthis?', images: [png, 'UklGRg=='] },
    ]);
  });

  test('cannot show what has to be fetched', () => {
    const parts = [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }];
    const request = openaiChat.readRequest({ model: 'm', messages: [user(parts)] });
    expect(foreign(request, 'ollama', ollama.can, openaiChat.can).meaning).toEqual([
      'messages[0].content[0]',
    ]);
    expect(refusal(() => ollama.writeRequest(request, {}, [])).kind).toBe('unsupported');
  });

  test('gives thoughts back as words, without their signatures', () => {
    const request = anthropicMessages.readRequest({
      model: 'm',
      max_tokens: 10,
      messages: [
        user('Time?'),
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'I will look.', signature: 'c2lnbmVk' },
            { type: 'redacted_thinking', data: 'aGlkZGVu' },
            { type: 'tool_use', id: 'a', name: 'clock', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: 'the clock has stopped', is_error: true },
            { type: 'text', text: 'Oh.' },
          ],
        },
      ],
    });
    expect(ollama.writeRequest(request, {}, []).messages).toEqual([
      user('Time?'),
      {
        role: 'assistant',
        content: '',
        thinking: 'I will look.',
        tool_calls: [{ id: 'a', function: { name: 'clock', arguments: {} } }],
      },
      { role: 'tool', content: 'Error: the clock has stopped', tool_name: 'clock', tool_call_id: 'a' },
      user('Oh.'),
    ]);
  });

  test('shows images of a result with it', () => {
    const request = anthropicMessages.readRequest({
      model: 'm',
      max_tokens: 10,
      messages: [
        user('Look.'),
        { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'look', input: {} }] },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'a',
              content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }],
            },
          ],
        },
      ],
    });
    expect((ollama.writeRequest(request, {}, []).messages as JsonObject[])[2]).toEqual({
      role: 'tool',
      content: '',
      images: [png],
      tool_name: 'look',
      tool_call_id: 'a',
    });
  });
});

describe('a whole answer', () => {
  const read = (name: string) => ollama.readResponse(load(name, 'response.json'), {});

  test('says when it was made, and how long it took beside what it says', () => {
    const { created, model, choices } = read('text');
    expect({ created, model }).toEqual({ created: 1_786_082_891, model: 'qwen3:4b' });
    expect(choices[0]?.extra).toEqual({
      total_duration: 671_921_584,
      load_duration: 140_923_875,
      prompt_eval_duration: 155_740_000,
      eval_duration: 61_034_000,
    });
  });

  test('that calls tools says so, though its server says that it is done', () => {
    expect(read('tools-parallel').choices[0]).toMatchObject({
      stop: 'tool_calls',
      blocks: [
        { type: 'tool-call', id: 'call_2k7ryu9k', name: 'weather', input: '{"city":"Madrid"}' },
        { type: 'tool-call', id: 'call_8trmzqne', name: 'weather', input: '{"city":"Brasília","days":2}' },
      ],
    });
  });

  test('gives calls without an id one of their own, the same every time', () => {
    const ids = read('tool-id-missing').choices[0]!.blocks.map((block) =>
      block.type === 'tool-call' ? block.id : '',
    );
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^call_[0-9a-z]+$/);
    expect(read('tool-id-missing')).toEqual(read('tool-id-missing'));
    const later = { ...load('tool-id-missing', 'response.json'), created_at: '2026-08-07T07:00:00Z' };
    expect(ollama.readResponse(later, {}).choices[0]?.blocks).not.toEqual(
      read('tool-id-missing').choices[0]!.blocks,
    );
  });

  test.each([
    ['length', 'length'],
    ['load', 'stop'],
  ])('%s ends with %s', (name, stop) => {
    expect(read(name).choices[0]?.stop as string).toBe(stop);
  });

  test('counts its tokens; a count left out is zero, and none at all are not known', () => {
    expect(read('text').usage).toMatchObject({ input: 26, output: 9 });
    expect(read('cached-prompt').usage).toMatchObject({ input: 0, output: 4 });
    expect(read('load').usage).toBeUndefined();
  });

  test('tells log-probabilities in the common form', () => {
    expect(read('logprobs').choices[0]?.logprobs).toMatchObject({
      content: [{ token: 'Hel' }, { token: 'lo!' }],
    });
  });

  test.each([
    [{ error: 'model runner has unexpectedly stopped' }, 'upstream_unavailable'],
    [{ models: [] }, 'upstream_invalid'],
    [{ message: { role: 'assistant', content: 'Hel' }, done: false }, 'upstream_invalid'],
  ])('that is none is an error: %j', (body, kind) => {
    expect(refusal(() => ollama.readResponse(body as JsonObject, {})).kind as string).toBe(kind);
  });
});

describe('a refusal', () => {
  const kinds: Record<string, string> = {
    'error-bad-request': 'upstream_bad_request',
    'error-cloud-auth': 'upstream_auth',
    'error-cloud-down': 'upstream_unavailable',
    'error-context-length': 'context_length',
    'error-no-thinking': 'upstream_bad_request',
    'error-not-found': 'upstream_not_found',
  };
  const errors = readdirSync(folder).filter((name) => readdirSync(join(folder, name)).includes('error.json'));

  test('of every kind is tried', () => {
    expect(errors.sort()).toEqual(Object.keys(kinds));
  });

  test.each(errors)('is understood: %s', (name) => {
    const { status, body } = load(name, 'error.json') as { status: number; body: JsonObject };
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const error = ollama.readError(status, new Headers(), bytes);
    expect(error.kind as string).toBe(kinds[name]!);
    expect(error.message).toContain(String(body.error));
  });
});
