/** Requests of OpenAI Responses: read into the hub, refused, written again and relayed. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { carry } from '../../src/core/carry.ts';
import type { Block, ChatRequest, Message } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { scanMembers, splice } from '../../src/wire/splice.ts';

const folder = join(import.meta.dir, '../../fixtures/openai-responses');
const load = (name: string, file = 'request.json'): JsonObject =>
  JSON.parse(readFileSync(join(folder, name, file), 'utf8'));

const read = (body: JsonObject): ChatRequest => openaiResponses.readRequest({ model: 'gpt-5', ...body });
const readInput = (...input: Json[]): Message[] => read({ input }).messages;
const rewrite = (body: JsonObject, quirks: Quirks = {}, lost: string[] = []): JsonObject =>
  JSON.parse(JSON.stringify(openaiResponses.writeRequest(read(body), quirks, lost)));
const fixture = (name: string): ChatRequest => openaiResponses.readRequest(load(name));
const blocksOf = (messages: Message[]): Block[] => messages.flatMap(({ blocks }) => blocks);

describe('the conversation', () => {
  test('a text is one turn of the user', () => {
    expect(read({ input: 'Hello' }).messages).toEqual([
      { role: 'user', blocks: [{ type: 'text', text: 'Hello' }] },
    ]);
  });

  test('may be missing, where the provider keeps it', () => {
    expect(read({ previous_response_id: 'resp_1' })).toMatchObject({
      messages: [],
      previousResponseId: 'resp_1',
    });
  });

  test('instructions come first and stay apart from those among the items', () => {
    const { messages } = fixture('instructions');
    expect(messages.map(({ role, apart, extra }) => ({ role, apart, extra }))).toEqual([
      { role: 'system', apart: true, extra: undefined },
      { role: 'system', apart: undefined, extra: { role: 'developer' } },
      { role: 'system', apart: undefined, extra: undefined },
      { role: 'user', apart: undefined, extra: undefined },
    ]);
    const { instructions, input } = rewrite(load('instructions'));
    expect(instructions).toBe('Answer in one short sentence.');
    expect(input).toEqual([
      { role: 'developer', content: 'Today is Monday.' },
      { role: 'system', content: 'Use metric units.' },
      { role: 'user', content: 'What day is it?' },
    ]);
  });

  test('consecutive items of the assistant are one message; what its message item says is the message’s', () => {
    const { messages } = fixture('phases');
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(messages[1]).toEqual({
      role: 'assistant',
      blocks: [
        { type: 'text', text: 'I will look first.' },
        { type: 'tool-call', id: 'call_ph01', name: 'list_files', input: '{}' },
        {
          type: 'text',
          text: 'Then I will sort.',
          extra: { item: { id: 'msg_ph02', phase: 'commentary' } },
        },
      ],
      extra: { id: 'msg_ph01', phase: 'commentary' },
    });
    const input = rewrite(load('phases')).input as JsonObject[];
    expect(input.map(({ id, type, role }) => id ?? type ?? role)).toEqual([
      'user',
      'msg_ph01',
      'function_call',
      'msg_ph02',
      'function_call_output',
    ]);
    // An answer as it came has a status and a list of parts; one without an id is just words.
    expect(input[1]).toEqual({
      type: 'message',
      id: 'msg_ph01',
      status: 'completed',
      role: 'assistant',
      phase: 'commentary',
      content: [{ type: 'output_text', text: 'I will look first.', annotations: [] }],
    });
  });

  test('reads images and files wherever they come from', () => {
    expect(blocksOf(fixture('images').messages)).toMatchObject([
      { type: 'text' },
      {
        media: 'image',
        source: { type: 'url', url: 'https://example.com/cat.png' },
        extra: { detail: 'high' },
      },
      { media: 'image', source: { type: 'base64', mimeType: 'image/png', data: 'iVBORw0KGgo=' } },
    ]);
    expect(blocksOf(fixture('files').messages)).toMatchObject([
      { media: 'document', name: 'invoice.pdf', source: { type: 'base64', mimeType: 'application/pdf' } },
      { media: 'document', source: { type: 'url', url: 'https://example.com/terms.pdf' } },
      { type: 'text' },
    ]);
    expect(blocksOf(fixture('file-ids').messages)).toMatchObject([
      { media: 'document', source: { type: 'file', id: 'file-abc' } },
      { media: 'image', source: { type: 'file', id: 'file-def' } },
      { type: 'text' },
    ]);
  });

  test('outputs of tools are texts, images, files or nothing', () => {
    const results = blocksOf(fixture('tools-results').messages).filter(({ type }) => type === 'tool-result');
    expect(results).toMatchObject([
      { callId: 'call_tr01', blocks: [{ type: 'text' }, { media: 'image' }] },
      { callId: 'call_tr02', blocks: [{ media: 'document', name: 'report.pdf' }] },
      { callId: 'call_tr03', blocks: [] },
    ]);
  });

  test('free-form tools have calls and outputs of their own kind', () => {
    const call = { type: 'custom_tool_call', call_id: 'c1', name: 'sql', input: 'SELECT 1' };
    const output = { type: 'custom_tool_call_output', call_id: 'c1', output: '1' };
    expect(blocksOf(readInput(call, output))).toEqual([
      { type: 'tool-call', id: 'c1', name: 'sql', input: 'SELECT 1', custom: true },
      { type: 'tool-result', callId: 'c1', blocks: [{ type: 'text', text: '1' }] },
    ]);
    expect(rewrite({ input: [call, output] }).input).toEqual([call, output]);
    // Without the call, which the provider keeps, only the item itself tells.
    expect(rewrite({ input: [output] }).input).toEqual([output]);
  });

  test('what nobody else knows is carried whole, as items or as parts', () => {
    const { messages } = fixture('unknown-items');
    expect(
      blocksOf(messages).map((block) => (block.type === 'opaque' ? block.value.type : block.type)),
    ).toEqual(['text', 'item_reference', 'mcp_list_tools', 'computer_call_output', 'input_hologram']);
  });

  test('an answer with parts of an unknown kind keeps their order', () => {
    const content: JsonObject[] = [
      { type: 'output_text', text: 'See:' },
      { type: 'output_picture', picture: 'p' },
      { type: 'output_text', text: 'Nice.' },
    ];
    const [message] = readInput({ role: 'assistant', content });
    expect(message?.blocks.map(({ type }) => type)).toEqual(['text', 'opaque', 'text']);
    expect(rewrite({ input: [{ role: 'assistant', content }] }).input).toEqual([
      { role: 'assistant', content: 'See:' },
      { type: 'message', role: 'assistant', content: [content[1]!] },
      { role: 'assistant', content: 'Nice.' },
    ]);
  });

  test('log-probabilities and citations of earlier answers go back as they came', () => {
    const part = {
      type: 'output_text',
      text: 'Hi',
      annotations: [{ type: 'file_citation', file_id: 'f1', filename: 'a.txt', index: 1 }],
      logprobs: [{ token: 'Hi', logprob: -0.1, bytes: [72, 105], top_logprobs: [] }],
    };
    const item = { type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content: [part] };
    expect(rewrite({ input: [item] }).input).toEqual([item]);
  });
});

describe('reasoning of earlier turns', () => {
  test('is its vendor’s: id, summary and what is encrypted', () => {
    expect(blocksOf(fixture('reasoning-replay').messages).filter(({ type }) => type === 'reasoning')).toEqual(
      [
        {
          type: 'reasoning',
          text: '',
          vendor: 'openai-responses',
          id: 'rs_rr01',
          redacted: expect.any(String),
        },
        { type: 'reasoning', text: 'Rain it is.', vendor: 'openai-responses', redacted: expect.any(String) },
      ],
    );
  });

  test('parts of a summary are joined by a blank line, and told apart again', () => {
    const summary = ['One.\n\nTwo.', 'Three.'].map((text) => ({ type: 'summary_text', text }));
    const item = { type: 'reasoning', id: 'rs_1', summary, encrypted_content: 'gAAA' };
    expect(blocksOf(readInput(item))).toMatchObject([{ text: 'One.\n\nTwo.\n\nThree.', extra: { summary } }]);
    expect(rewrite({ input: [item] }).input).toEqual([item]);
  });

  const carried = (value: Parameters<typeof carry>[0], summary: JsonObject[] = []): JsonObject => ({
    type: 'reasoning',
    id: 'rs_sluice_abc_0',
    summary,
    encrypted_content: carry(value),
  });
  const call = { type: 'function_call', id: 'fc_sluice_abc_1', call_id: 'c1', name: 'f', arguments: '{}' };
  const thought = carried({ type: 'reasoning', vendor: 'anthropic-messages', signature: 'SIG' }, [
    { type: 'summary_text', text: 'Hm.' },
  ]);

  test('of another vendor is given back to it, with the state of its texts and calls', () => {
    const blocks = blocksOf(
      readInput(
        thought,
        { role: 'assistant', content: 'Well.' },
        carried({ type: 'state', vendor: 'gemini', value: 'TEXT' }),
        carried({ type: 'state', vendor: 'gemini', value: 'CALL', call: 'c1' }),
        call,
      ),
    );
    expect(blocks).toEqual([
      { type: 'reasoning', text: 'Hm.', vendor: 'anthropic-messages', signature: 'SIG' },
      { type: 'text', text: 'Well.', state: { vendor: 'gemini', value: 'TEXT' } },
      { type: 'tool-call', id: 'c1', name: 'f', input: '{}', state: { vendor: 'gemini', value: 'CALL' } },
    ]);
  });

  test('of another vendor, and ids the gateway made up, never reach a provider of this dialect', () => {
    const lost: string[] = [];
    const state = carried({ type: 'state', vendor: 'gemini', value: 'CALL', call: 'c1' });
    const shown = {
      type: 'reasoning',
      id: 'rs_sluice_abc_2',
      summary: [{ type: 'summary_text', text: 'Shown.' }],
    };
    expect(rewrite({ input: [thought, state, call, shown] }, {}, lost).input).toEqual([
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
    ]);
    expect(lost).toEqual([
      'messages[0].content[0]',
      'messages[0].content[1].signature',
      'messages[0].content[2]',
    ]);
  });

  test.each([
    ['state it carries', { input: [thought] }],
    ['an id it made up', { input: [call] }],
  ])('is no bytes to be relayed as they are where the gateway finds %s', (_, body) => {
    expect(plan(body)).toBeUndefined();
  });
});

describe('members', () => {
  test('the hub has a word for most', () => {
    expect(fixture('options')).toMatchObject({
      stream: true,
      streamUsage: true,
      temperature: 0.2,
      topP: 0.9,
      maxTokens: 200,
      serviceTier: 'flex',
      user: 'user-17',
      reasoning: { effort: 'low' },
      extra: {
        truncation: 'auto',
        max_tool_calls: 3,
        safety_identifier: 'a1b2',
        prompt_cache_key: 'k',
        prompt_cache_retention: '24h',
        stream_options: { include_obfuscation: false },
        reasoning: { context: 'all_turns' },
        text: { verbosity: 'high' },
      },
    });
    expect(fixture('previous-response')).toMatchObject({
      previousResponseId: 'resp_before',
      store: true,
      metadata: { topic: 'maples' },
    });
  });

  test('not to reason is an effort, too', () => {
    expect(read({ reasoning: { effort: 'none' } }).reasoning).toEqual({ enabled: false, effort: 'none' });
    expect(read({ reasoning: { effort: 'galactic', summary: 'auto' } })).toMatchObject({
      reasoning: { display: 'auto' },
      extra: { reasoning: { effort: 'galactic' } },
    });
  });

  test('the form of the answer', () => {
    expect(fixture('structured-output')).toMatchObject({
      format: { type: 'schema', name: 'city', description: 'A city.', strict: true },
      extra: { text: { verbosity: 'low' } },
    });
    expect(fixture('json-object').format).toEqual({ type: 'json' });
    expect(read({ text: { format: { type: 'text' } } })).not.toContainAnyKeys(['format', 'extra']);
  });

  test('log-probabilities are asked for by what is included', () => {
    expect(fixture('logprobs')).toMatchObject({ logprobs: 1 });
    expect(fixture('logprobs').extra).toBeUndefined();
    expect(read({ include: ['reasoning.encrypted_content'] })).toMatchObject({ replayable: true });
    expect(read({ include: ['message.output_text.logprobs', 'file_search_call.results'] })).toMatchObject({
      logprobs: 0,
      extra: { include: ['file_search_call.results'] },
    });
    expect(read({ top_logprobs: 2 })).toMatchObject({ extra: { top_logprobs: 2 } });
  });

  test('tools are flat', () => {
    expect(fixture('tools-parallel').tools).toMatchObject([
      { name: 'get_weather', description: 'Tells the weather in a city.', strict: true },
      { name: 'get_time', strict: false },
    ]);
    expect(read({ tools: [{ type: 'function', name: 'f', defer_loading: true }] }).tools).toEqual([
      { name: 'f', extra: { defer_loading: true } },
    ]);
    expect(fixture('hosted-tools').tools).toEqual([
      { name: 'web_search', opaque: { type: 'web_search', search_context_size: 'medium' } },
    ]);
    expect(fixture('tools-custom').tools).toMatchObject([{ name: 'run_sql', opaque: { type: 'custom' } }]);
  });

  test.each<[string, ChatRequest['toolChoice']]>([
    ['tools-parallel', { type: 'auto' }],
    ['tools-none', { type: 'none' }],
    ['tools-required', { type: 'required' }],
    ['tools-forced', { type: 'tool', name: 'get_weather' }],
    ['tools-allowed', { type: 'allowed', mode: 'required', names: ['get_weather'] }],
    ['tools-custom', { type: 'opaque', value: { type: 'custom', name: 'run_sql' } }],
  ])('choices among tools: %s', (name, choice) => {
    expect(fixture(name).toolChoice).toEqual(choice!);
  });

  test('work in the background, conversations and stored prompts are meaning no other dialect has', () => {
    for (const name of ['background', 'stored-prompt']) {
      const { extra } = fixture(name);
      for (const each in extra) expect(openaiResponses.can.meaning.has(each, extra[each])).toBeTrue();
    }
    const { extra } = read({ text: { format: { type: 'grammar' }, verbosity: 'low' } });
    expect(openaiResponses.can.meaning.has('text', extra?.text)).toBeTrue();
    expect(openaiResponses.can.meaning.has('text', { verbosity: 'low' })).toBeFalse();
    expect(read({ background: false }).extra).toBeUndefined();
  });
});

describe('a wrong request is refused by the name of what is wrong', () => {
  test.each<[string, JsonObject]>([
    ['model', { model: '' }],
    ['input', { input: 7 }],
    ['input[0]', { input: ['Hello'] }],
    ['input[0].type', { input: [{ content: 'Hello' }] }],
    ['input[0].role', { input: [{ role: 'robot', content: 'Hello' }] }],
    ['input[0].content', { input: [{ role: 'user', content: 7 }] }],
    ['input[0].content', { input: [{ role: 'assistant' }] }],
    ['input[0].content[0].type', { input: [{ role: 'user', content: ['Hello'] }] }],
    ['input[0].content[0].text', { input: [{ role: 'user', content: [{ type: 'input_text' }] }] }],
    ['input[0].content[0].image_url', { input: [{ role: 'user', content: [{ type: 'input_image' }] }] }],
    [
      'input[1].call_id',
      {
        input: [
          { role: 'user', content: '' },
          { type: 'function_call_output', output: '' },
        ],
      },
    ],
    ['input[0].call_id', { input: [{ type: 'function_call', name: 'f', arguments: '{}' }] }],
    ['input[0].name', { input: [{ type: 'function_call', call_id: 'c', arguments: '{}' }] }],
    ['input[0].output', { input: [{ type: 'function_call_output', call_id: 'c', output: 7 }] }],
    ['instructions', { instructions: ['Be brief.'] }],
    ['tools', { tools: {} }],
    ['tools[0]', { tools: ['f'] }],
    ['tools[0].name', { tools: [{ type: 'function', function: { name: 'f' } }] }],
    ['tool_choice', { tool_choice: 1 }],
    ['text.format', { text: { format: 'json' } }],
    ['include', { include: 'everything' }],
    ['max_output_tokens', { max_output_tokens: 0 }],
    ['stream', { stream: 'yes' }],
  ])('%s', (param, body) => {
    try {
      read(body);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(GatewayError);
      expect(error).toMatchObject({ kind: 'bad_request', detail: { param } });
    }
  });
});

/** What must change in a request whose bytes are relayed; undefined when it has to be rewritten. */
function plan(body: JsonObject, quirks: Quirks = {}): { body: JsonObject; lost: string[] } | undefined {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const members = scanMembers(bytes);
  const planned = openaiResponses.planRelay(bytes, members, false, quirks);
  if (planned === undefined) return undefined;
  const edited = new TextDecoder().decode(splice(bytes, members, planned.edits));
  return { body: JSON.parse(edited), lost: planned.lost };
}

describe('a relayed request', () => {
  const body = { model: 'm', input: [{ role: 'developer', content: 'Hi' }], temperature: 0.2, user: 'u' };

  test('goes as it is to a provider without quirks', () => {
    expect(plan(body)).toEqual({ body, lost: [] });
  });

  test('loses and renames what its host refuses', () => {
    expect(plan(body, { noSampling: true, rename: { user: 'user_id' } })).toEqual({
      body: { model: 'm', input: body.input, user_id: 'u' },
      lost: ['temperature'],
    });
  });

  test.each<[string, JsonObject, Quirks]>([
    ['the role developer', { input: body.input }, { noDeveloperRole: true }],
    [
      'parts',
      { input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }] },
      { textOnly: true },
    ],
    ['ids of calls', { input: [{ type: 'function_call', call_id: 'call_1' }] }, { toolIds: /^[a-z0-9]{9}$/ }],
    ['schemas', { text: { format: { type: 'json_schema', name: 'x', schema: {} } } }, { noJsonSchema: true }],
    ['an effort', { reasoning: { effort: 'xhigh' } }, { efforts: ['low', 'high'] }],
  ])('is rewritten for a host that does not know %s', (_, asked, quirks) => {
    expect(plan(asked)).toBeDefined();
    expect(plan(asked, quirks)).toBeUndefined();
  });

  test('is rewritten in words the host knows', () => {
    const lost: string[] = [];
    const quirks: Quirks = { noDeveloperRole: true, textOnly: true, efforts: ['low', 'high'] };
    const content = [
      { type: 'input_text', text: 'Be' },
      { type: 'input_text', text: 'brief.' },
    ];
    const said = [
      { type: 'output_text', text: 'I' },
      { type: 'output_text', text: 'am.' },
    ];
    const input = [
      { role: 'developer', content },
      { role: 'assistant', content: said },
    ];
    expect(rewrite({ input, reasoning: { effort: 'xhigh' } }, quirks, lost)).toMatchObject({
      input: [
        { role: 'system', content: 'Be\nbrief.' },
        { role: 'assistant', content: 'I\nam.' },
      ],
      reasoning: { effort: 'high' },
    });
    expect(lost).toEqual(['reasoning.effort']);
  });
});
