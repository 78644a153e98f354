/** OpenAI Chat and Anthropic Messages spoken to a model that speaks Responses, and the other way round. */
import { describe, expect, test } from 'bun:test';
import { carry } from '../../src/core/carry.ts';
import type { ChatRequest } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';

interface Translated {
  body: JsonObject;
  lost: string[];
}

function translate(
  from: ClientDialect,
  to: ClientDialect,
  asked: JsonObject,
  quirks: Quirks = {},
): Translated {
  const request = from.readRequest(asked);
  const lost = [...requireMeaning(foreign(request, to.name, to.can, from.can), to.name)];
  return { body: JSON.parse(JSON.stringify(to.writeRequest(request, quirks, lost))), lost };
}

const hello: Json[] = [{ role: 'user', content: 'Hi' }];
const fromChat = (body: JsonObject, quirks?: Quirks): Translated =>
  translate(openaiChat, openaiResponses, { model: 'm', messages: hello, ...body }, quirks);
const fromAnthropic = (body: JsonObject): Translated =>
  translate(anthropicMessages, openaiResponses, { model: 'm', max_tokens: 100, messages: hello, ...body });
const inputOf = (...messages: Json[]): Json => fromChat({ messages }).body.input!;
const toChat = (body: JsonObject): Translated =>
  translate(openaiResponses, openaiChat, { model: 'm', ...body });

function kindOf(act: () => unknown): string {
  try {
    act();
    return 'accepted';
  } catch (error) {
    return error instanceof GatewayError ? error.kind : String(error);
  }
}

describe('a call to a model that speaks Responses', () => {
  test('asks it to keep nothing and to give what it thought back encrypted', () => {
    expect(fromChat({}).body).toEqual({
      model: 'm',
      input: [{ role: 'user', content: 'Hi' }],
      store: false,
      include: ['reasoning.encrypted_content'],
    });
  });

  test('instructions at the beginning stand apart, later ones keep their place', () => {
    const { body } = fromChat({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
        { role: 'user', content: 'Hi' },
        { role: 'system', content: 'Be loud.' },
        { role: 'developer', content: 'Now.' },
        { role: 'user', content: 'Well?' },
      ],
    });
    expect(body.instructions).toBe('Be brief.\n\nBe kind.');
    expect(body.input).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'system', content: 'Be loud.' },
      { role: 'developer', content: 'Now.' },
      { role: 'user', content: 'Well?' },
    ]);
  });

  test('nothing but instructions is no conversation, and still a call', () => {
    expect(fromChat({ messages: [{ role: 'system', content: 'Say hi.' }] }).body).toMatchObject({
      instructions: 'Say hi.',
      input: [],
    });
  });

  test('content parts, with the detail of images where the client names it', () => {
    const image = (detail?: string): JsonObject => ({
      type: 'image_url',
      image_url: { url: 'data:image/png;base64,AAAA', ...(detail !== undefined && { detail }) },
    });
    const file = { file_data: 'data:application/pdf;base64,JVBE', filename: 'a.pdf' };
    const { body, lost } = fromChat({
      messages: [
        {
          role: 'user',
          content: [{ type: 'text', text: 'Look' }, image('high'), image(), { type: 'file', file }],
        },
      ],
    });
    expect(body.input).toEqual([
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'Look' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'high' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
          { type: 'input_file', file_data: 'data:application/pdf;base64,JVBE', filename: 'a.pdf' },
        ],
      },
    ]);
    expect(lost).toEqual([]);
  });

  test('documents without a name get one; texts are said as such', () => {
    const document = (source: JsonObject, title?: string): JsonObject => ({
      type: 'document',
      source,
      ...(title !== undefined && { title }),
    });
    const content = [
      document({ type: 'base64', media_type: 'application/pdf', data: 'JVBE' }),
      document({ type: 'url', url: 'https://example.com/a.pdf' }),
      document({ type: 'text', media_type: 'text/plain', data: 'Words.' }, 'Notes'),
    ];
    expect(fromAnthropic({ messages: [{ role: 'user', content }] }).body.input).toEqual([
      {
        role: 'user',
        content: [
          { type: 'input_file', file_data: 'data:application/pdf;base64,JVBE', filename: 'document.pdf' },
          { type: 'input_file', file_url: 'https://example.com/a.pdf' },
          { type: 'input_text', text: 'Notes\n\nWords.' },
        ],
      },
    ]);
  });

  test('a turn of the assistant becomes items in its own order; only the id of the call is sent', () => {
    const items = inputOf(
      { role: 'user', content: 'Hi' },
      {
        role: 'assistant',
        content: 'I will look.',
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'ok' },
    );
    expect(items).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'I will look.' },
      { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'ok' },
    ]);
  });

  test('free-form calls and their outputs are of one kind', () => {
    const custom = { id: 'call_1', type: 'custom', custom: { name: 'sql', input: 'SELECT 1' } };
    expect(
      inputOf(
        { role: 'assistant', content: null, tool_calls: [custom] },
        { role: 'tool', tool_call_id: 'call_1', content: '1' },
      ),
    ).toEqual([
      { type: 'custom_tool_call', call_id: 'call_1', name: 'sql', input: 'SELECT 1' },
      { type: 'custom_tool_call_output', call_id: 'call_1', output: '1' },
    ]);
  });

  test('images stay in the output of their tool; a failure is said in words', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
    const use = (id: string): JsonObject => ({ type: 'tool_use', id, name: 'f', input: {} });
    const { body } = fromAnthropic({
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: [use('a'), use('b'), use('c')] },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'Here' }, image] },
            { type: 'tool_result', tool_use_id: 'b', content: 'no such file', is_error: true },
            { type: 'tool_result', tool_use_id: 'c', is_error: true },
            { type: 'text', text: 'Go on.' },
          ],
        },
      ],
    });
    expect((body.input as Json[]).slice(4)).toEqual([
      {
        type: 'function_call_output',
        call_id: 'a',
        output: [
          { type: 'input_text', text: 'Here' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
        ],
      },
      { type: 'function_call_output', call_id: 'b', output: 'Error: no such file' },
      { type: 'function_call_output', call_id: 'c', output: 'Error' },
      { role: 'user', content: 'Go on.' },
    ]);
  });

  test('a call without a result gets one, a result without a call becomes words', () => {
    expect(
      inputOf(
        { role: 'tool', tool_call_id: 'gone', content: '42' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'user', content: 'Well?' },
      ),
    ).toEqual([
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'The result of an earlier tool call:' },
          { type: 'input_text', text: '42' },
        ],
      },
      { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' },
      {
        type: 'function_call_output',
        call_id: 'call_1',
        output: 'There is no result: the tool call was not carried out.',
      },
      { role: 'user', content: 'Well?' },
    ]);
  });

  test('reasoning of its own goes back before the call it led to, that of others does not', () => {
    const signature = carry({ type: 'reasoning', vendor: 'openai-responses', redacted: 'gAAA', id: 'rs_1' });
    const { body, lost } = fromAnthropic({
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature },
            { type: 'tool_use', id: 'a', name: 'f', input: {} },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'ok' }] },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'Oh.', signature: 'its own' }] },
        { role: 'user', content: 'Bye' },
      ],
    });
    expect(body.input).toEqual([
      { role: 'user', content: 'Hi' },
      {
        type: 'reasoning',
        id: 'rs_1',
        summary: [{ type: 'summary_text', text: 'Hm.' }],
        encrypted_content: 'gAAA',
      },
      { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: 'ok' },
      { role: 'user', content: 'Bye' },
    ]);
    expect(lost).toContain('messages[3].content[0].signature');
  });

  test('tools are not strict unless the client says so', () => {
    const spec = (more: JsonObject): JsonObject => ({ type: 'function', function: { name: 'f', ...more } });
    expect(fromChat({ tools: [spec({}), spec({ strict: true, description: 'D' })] }).body.tools).toEqual([
      { type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: false },
      {
        type: 'function',
        name: 'f',
        description: 'D',
        parameters: { type: 'object', properties: {} },
        strict: true,
      },
    ]);
  });

  test.each<[Json, Json]>([
    ['required', 'required'],
    [
      { type: 'function', function: { name: 'f' } },
      { type: 'function', name: 'f' },
    ],
    [
      {
        type: 'allowed_tools',
        allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'f' } }] },
      },
      { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'f' }] },
    ],
  ])('a choice among tools: %j', (asked, told) => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    expect(fromChat({ tools, tool_choice: asked }).body.tool_choice).toEqual(told);
    // Without tools there is nothing to choose from, and the word is refused.
    expect(fromChat({ tool_choice: asked }).body).not.toContainKey('tool_choice');
  });

  test('the form of the answer and how much is thought and said', () => {
    const schema = { type: 'object', properties: {} };
    const { body, lost } = fromChat({
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } },
      reasoning_effort: 'high',
      verbosity: 'low',
      max_completion_tokens: 50,
      prompt_cache_key: 'k',
      logprobs: true,
      top_logprobs: 2,
    });
    expect(body).toMatchObject({
      text: { verbosity: 'low', format: { type: 'json_schema', name: 'n', schema, strict: true } },
      reasoning: { effort: 'high' },
      max_output_tokens: 50,
      prompt_cache_key: 'k',
      top_logprobs: 2,
      include: ['reasoning.encrypted_content', 'message.output_text.logprobs'],
    });
    expect(lost).toEqual([]);
  });

  test('a summary is asked for only where the client wants to see what was thought', () => {
    const thinking = { type: 'adaptive', display: 'summarized' };
    expect(fromAnthropic({ thinking, output_config: { effort: 'high' } }).body.reasoning).toEqual({
      effort: 'high',
      summary: 'auto',
    });
    expect(fromAnthropic({ thinking: { type: 'enabled', budget_tokens: 4000 } }).body.reasoning).toEqual({
      effort: 'medium',
    });
  });

  test('a limit below what it takes is raised, and named', () => {
    expect(fromAnthropic({ max_tokens: 1 })).toMatchObject({
      body: { max_output_tokens: 16 },
      lost: ['maxTokens'],
    });
    expect(fromAnthropic({ max_tokens: 16 })).toMatchObject({ body: { max_output_tokens: 16 }, lost: [] });
  });

  test('names of end users are no longer than it takes, and stay the same', () => {
    const user = `user_${'x'.repeat(100)}`;
    const { body, lost } = fromChat({ user });
    expect(body.user).toMatch(/^[0-9a-f]{64}$/);
    expect(fromChat({ user }).body.user).toBe(body.user!);
    expect(lost).toEqual(['user']);
  });

  test.each<[string, JsonObject]>([
    ['stop sequences', { stop: ['END'] }],
    ['several answers', { n: 2 }],
    [
      'audio',
      {
        messages: [
          { role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AA', format: 'wav' } }] },
        ],
      },
    ],
    [
      'files it has not stored',
      { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'f' } }] }] },
    ],
  ])('has no way to say %s', (_, body) => {
    expect(kindOf(() => fromChat(body))).toBe('unsupported');
  });

  test('seeds, penalties and the like are named as lost', () => {
    expect(
      fromChat({ seed: 1, presence_penalty: 1, frequency_penalty: 1, logit_bias: { 1: 1 } }).lost,
    ).toEqual(['seed', 'presence_penalty', 'frequency_penalty', 'logit_bias']);
  });
});

describe('a client of Responses', () => {
  test('has its items put together to turns', () => {
    const { body, lost } = toChat({
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' },
        {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'I look.', annotations: [] }],
        },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
        { type: 'function_call', call_id: 'c2', name: 'g', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'one' },
        { type: 'function_call_output', call_id: 'c2', output: 'two' },
      ],
    });
    expect(body.messages).toMatchObject([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'I look.', tool_calls: [{ id: 'c1' }, { id: 'c2' }] },
      { role: 'tool', tool_call_id: 'c1', content: 'one' },
      { role: 'tool', tool_call_id: 'c2', content: 'two' },
    ]);
    expect(lost).toEqual(['messages[1].id', 'messages[1].content[0].signature']);
  });

  test('has the nesting of its tools and their choice undone', () => {
    const tools = [
      { type: 'function', name: 'f', parameters: null },
      { type: 'function', name: 'g' },
    ];
    const tool_choice = { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] };
    expect(toChat({ input: 'Hi', tools, tool_choice }).body).toMatchObject({
      tools: [{ function: { name: 'f' } }, { function: { name: 'g' } }],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] },
      },
    });
  });

  test.each<[string, JsonObject]>([
    ['tools of the provider', { tools: [{ type: 'web_search' }] }],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }],
    ['a conversation the provider keeps', { conversation: 'conv_1' }],
    ['an answer the provider keeps', { previous_response_id: 'resp_1' }],
    ['work in the background', { background: true }],
    ['items nobody else knows', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
  ])('hears that no other dialect knows %s', (_, body) => {
    expect(kindOf(() => toChat({ input: 'Hi', ...body }))).toBe('unsupported');
  });

  test('goes back and forth without loss', () => {
    const asked: JsonObject = {
      model: 'm',
      instructions: 'Be brief.',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_text', text: 'b' },
          ],
        },
        { role: 'assistant', content: 'c' },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'd' },
      ],
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: false }],
      tool_choice: 'required',
      max_output_tokens: 20,
      temperature: 0.5,
    };
    const chat = translate(openaiResponses, openaiChat, asked).body;
    const { store: _, include: __, ...back } = translate(openaiChat, openaiResponses, chat).body;
    expect(back).toEqual(asked);
  });
});

describe('ids and names', () => {
  test('of tools and calls fit what the dialect takes', () => {
    const { toolNames, toolIds } = openaiResponses.can;
    expect(['get_weather-2', 'a.b', 'x'.repeat(65)].map((name) => toolNames!.test(name))).toEqual([
      true,
      false,
      false,
    ]);
    expect(['functions.f:0', 'x'.repeat(64), 'x'.repeat(65)].map((id) => toolIds!.test(id))).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('that a client gives its own items stay with it', () => {
    const request: ChatRequest = openaiResponses.readRequest({
      model: 'm',
      input: [{ type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{}' }],
    });
    expect(request.messages[0]?.blocks[0]).toMatchObject({ id: 'c1', extra: { id: 'fc_1' } });
  });
});
