/** OpenAI Chat and Anthropic Messages spoken to models behind Bedrock Converse: what has to be made to fit. */
import { describe, expect, test } from 'bun:test';
import type { ChatRequest } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { foreign, namePaths, requireMeaning } from '../../src/core/loss.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { bedrockConverse } from '../../src/dialects/bedrock-converse.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';

const claude = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const nova = 'us.amazon.nova-lite-v1:0';
const llama = 'us.meta.llama4-maverick-17b-instruct-v1:0';

/** A client's request as Bedrock gets it; `lost` gets what could not be said, in the client's words. */
function translate(
  from: ClientDialect,
  body: JsonObject,
  lost: string[] = [],
  quirks: Quirks = {},
): JsonObject {
  const request: ChatRequest = from.readRequest(body);
  const { name, can } = bedrockConverse;
  const unsaid: string[] = [];
  lost.push(...requireMeaning(foreign(request, name, can, from.can), name));
  const written = bedrockConverse.writeRequest(request, quirks, unsaid);
  lost.push(...namePaths(unsaid, request, from.can));
  return written;
}

const user = (content: string | JsonObject[]): JsonObject => ({ role: 'user', content });
const hello: JsonObject[] = [user('Hi')];
const openai = (body: JsonObject, lost: string[] = [], quirks: Quirks = {}): JsonObject =>
  translate(openaiChat, { model: claude, messages: hello, ...body }, lost, quirks);
const anthropic = (body: JsonObject, lost: string[] = [], quirks: Quirks = {}): JsonObject =>
  translate(anthropicMessages, { model: claude, max_tokens: 9000, messages: hello, ...body }, lost, quirks);

function messages(...sent: JsonObject[]): JsonObject[] {
  return openai({ messages: sent }).messages as JsonObject[];
}

function kindOf(act: () => unknown): string {
  try {
    act();
    return 'accepted';
  } catch (error) {
    return error instanceof GatewayError ? error.kind : String(error);
  }
}

const calls = (...ids: string[]): JsonObject => ({
  role: 'assistant',
  content: null,
  tool_calls: ids.map((id) => ({
    id,
    type: 'function',
    function: { name: `f_${id}`, arguments: '{"a":1}' },
  })),
});
const result = (id: string, content: string | JsonObject[] = 'ok'): JsonObject => ({
  role: 'tool',
  tool_call_id: id,
  content,
});
const use = (id: string): JsonObject => ({ toolUse: { toolUseId: id, name: `f_${id}`, input: { a: 1 } } });
const answered = (id: string, text = 'ok'): JsonObject => ({
  toolResult: { toolUseId: id, content: [{ text }] },
});
const tool = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { a: { type: 'number' } } }, ...more },
});

describe('messages', () => {
  test('instructions at the start stand apart, later ones are words of the user', () => {
    const body = openai({
      messages: [
        { role: 'system', content: 'A' },
        { role: 'developer', content: 'B' },
        user('1'),
        { role: 'assistant', content: '2' },
        { role: 'system', content: 'C' },
        user('3'),
      ],
    });
    expect(body).toEqual({
      system: [{ text: 'A' }, { text: 'B' }],
      messages: [
        { role: 'user', content: [{ text: '1' }] },
        { role: 'assistant', content: [{ text: '2' }] },
        { role: 'user', content: [{ text: '<system>\nC\n</system>' }, { text: '3' }] },
      ],
    });
  });

  test('turns of one role are joined, blank text is left out, and the user begins', () => {
    expect(
      messages(
        { role: 'assistant', content: 'Hello!' },
        user('a'),
        { role: 'assistant', content: ' \n' },
        user('b'),
      ),
    ).toEqual([
      { role: 'user', content: [{ text: 'Begin.' }] },
      { role: 'assistant', content: [{ text: 'Hello!' }] },
      { role: 'user', content: [{ text: 'a' }, { text: 'b' }] },
    ]);
  });

  test('all tool results stand in one user turn right after the calls, before what the user says', () => {
    const sent = messages(user('q'), calls('a', 'b'), result('b', ''), result('a'), user('and?'));
    expect(sent.slice(1)).toEqual([
      { role: 'assistant', content: [use('a'), use('b')] },
      // A blank text is allowed in a result, and more widely understood than an empty list.
      { role: 'user', content: [answered('a'), answered('b', ''), { text: 'and?' }] },
    ]);
  });

  test('a call without a result is answered with an error; a result without a call becomes text', () => {
    const sent = messages(result('gone', 'old'), user('q'), calls('a'));
    expect(sent[0]?.content).toEqual([
      { text: 'The result of an earlier tool call:' },
      { text: 'old' },
      { text: 'q' },
    ]);
    expect(sent[2]?.content).toMatchObject([{ toolResult: { toolUseId: 'a', status: 'error' } }]);
  });

  test('arguments become an object: none is an empty one, broken ones are refused by their place', () => {
    const call = (args: string): JsonObject[] => [
      user('q'),
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: args } }],
      },
    ];
    expect(messages(...call(''))[1]).toMatchObject({ content: [{ toolUse: { input: {} } }] });
    expect(() => messages(...call('{"a":'))).toThrow('messages[1].content[0]');
    expect(kindOf(() => messages(...call('{"a":')))).toBe('bad_request');
  });

  test('a failed tool is marked for models that know the mark, and said to others', () => {
    const failed = {
      messages: [
        user('q'),
        { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
        user([{ type: 'tool_result', tool_use_id: 'a', content: 'no', is_error: true }]),
      ],
    };
    for (const [model, status, text] of [
      [claude, 'error', 'no'],
      [nova, 'error', 'no'],
      [llama, undefined, 'Error: no'],
    ] as const) {
      const named: string[] = [];
      const [, , told] = anthropic({ ...failed, model }, named).messages as JsonObject[];
      const toolResult: JsonObject = { toolUseId: 'a', content: [{ text }] };
      if (status !== undefined) toolResult.status = status;
      expect(told).toEqual({ role: 'user', content: [{ toolResult }] });
      expect(named).toEqual([]);
    }
  });

  test('reasoning goes back only to who has signed it', () => {
    const reply = (signature: string): JsonObject[] => [
      user('q'),
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature },
          { type: 'text', text: 'a' },
        ],
      },
      user('r'),
    ];
    // Bedrock's own comes back through the client as it was given.
    const given = anthropicMessages.writeResponse(
      bedrockConverse.readResponse(
        {
          output: {
            message: { content: [{ reasoningContent: { reasoningText: { text: 'hm', signature: 's1' } } }] },
          },
          stopReason: 'end_turn',
        },
        {},
      ),
    ).content as JsonObject[];
    const own = anthropic({ messages: reply(String(given[0]?.signature)) }).messages as JsonObject[];
    expect(own[1]?.content).toEqual([
      { reasoningContent: { reasoningText: { text: 'hm', signature: 's1' } } },
      { text: 'a' },
    ]);
    const lost: string[] = [];
    const others = anthropic({ messages: reply('c2lnbmVkIGVsc2V3aGVyZQ==') }, lost).messages as JsonObject[];
    expect(others[1]?.content).toEqual([{ text: 'a' }]);
    expect(lost).toContain('messages[1].content[0]');
  });
});

describe('files', () => {
  const png = 'iVBORw0KGgoAAAA=';
  const image = (url: string): JsonObject => ({ type: 'image_url', image_url: { url } });
  const file = (filename: string, url: string): JsonObject => ({
    type: 'file',
    file: { filename, file_data: url },
  });
  const blocks = (...content: JsonObject[]): JsonObject[] =>
    messages(user([{ type: 'text', text: 'Look.' }, ...content]))[0]?.content as JsonObject[];

  test('go as bytes in the format they have, not the one they are said to have', () => {
    expect(
      blocks(
        image(`data:image/jpeg;base64,${png}`),
        image('data:image/jpg;base64,Zm9v'),
        file('scan.pdf', `data:application/pdf;base64,${png}`),
        file('a.md', 'data:text/markdown;base64,IyBI'),
        file('b.json', 'data:application/json;base64,e30='),
        { type: 'input_audio', input_audio: { data: 'SUQz', format: 'mp3' } },
      ).slice(1),
    ).toEqual([
      { image: { format: 'png', source: { bytes: png } } },
      { image: { format: 'jpeg', source: { bytes: 'Zm9v' } } },
      { image: { format: 'png', source: { bytes: png } } },
      { document: { format: 'md', name: 'a', source: { bytes: 'IyBI' } } },
      { document: { format: 'txt', name: 'b', source: { bytes: 'e30=' } } },
      { audio: { format: 'mp3', source: { bytes: 'SUQz' } } },
    ]);
  });

  test('a RIFF that is a sound is no picture', () => {
    const wave = Buffer.from('RIFF\x01\x02\x03\x04WAVEfmt ').toString('base64');
    const webp = Buffer.from('RIFF\x01\x02\x03\x04WEBPVP8 ').toString('base64');
    expect(blocks(image(`data:image/png;base64,${webp}`))[1]).toMatchObject({ image: { format: 'webp' } });
    expect(blocks(image(`data:image/png;base64,${wave}`))[1]).toMatchObject({ image: { format: 'png' } });
  });

  test('documents have names of the allowed characters, each its own', () => {
    const pdf = 'data:application/pdf;base64,JVBERi0xLjE=';
    const names = [
      'Q3_report (v2).pdf',
      'Q3 report (v2)',
      'Ада.pdf',
      '分析.pdf',
      `${'x'.repeat(300)}.pdf`,
    ].map((name) => file(name, pdf));
    const written = blocks(...names)
      .slice(1)
      .map(({ document }) => (document as JsonObject).name as string);
    expect(written.slice(0, 4)).toEqual(['Q3 report (v2)', 'Q3 report (v2) (2)', 'document', 'document (2)']);
    for (const name of written) expect(name).toMatch(/^(?!.*\s\s)[a-zA-Z0-9\s\-()[\]]{1,200}$/);
  });

  test('a document never stands without a text', () => {
    const pdf = file('a.pdf', 'data:application/pdf;base64,JVBERi0xLjE=');
    expect(messages(user([pdf]))[0]?.content).toEqual([
      { document: { format: 'pdf', name: 'a', source: { bytes: 'JVBERi0xLjE=' } } },
      { text: 'The document is attached.' },
    ]);
  });

  test('text documents are bytes, too: only some models take text', () => {
    const source = { type: 'text', media_type: 'text/plain', data: 'Notes.' };
    const document = { type: 'document', title: 'notes', source };
    const body = anthropic({ messages: [user([document, { type: 'text', text: 'x' }])] });
    expect((body.messages as JsonObject[])[0]?.content).toMatchObject([
      {
        document: {
          format: 'txt',
          name: 'notes',
          source: { bytes: Buffer.from('Notes.').toString('base64') },
        },
      },
      { text: 'x' },
    ]);
  });

  test('that nobody reads, or that are elsewhere, are refused by their place', () => {
    expect(kindOf(() => blocks(image('https://example.com/a.png')))).toBe('unsupported');
    expect(() => blocks(image('data:image/bmp;base64,Qk0='))).toThrow('messages[0].content[1]');
    expect(kindOf(() => blocks(image('data:image/bmp;base64,Qk0=')))).toBe('unsupported');
  });

  test('inside a tool result stay there', () => {
    const part = image(`data:image/png;base64,${png}`);
    const sent = messages(user('q'), calls('a'), result('a', [{ type: 'text', text: 'here' }, part]));
    expect(sent[2]?.content).toEqual([
      {
        toolResult: {
          toolUseId: 'a',
          content: [{ text: 'here' }, { image: { format: 'png', source: { bytes: png } } }],
        },
      },
    ]);
  });
});

describe('tools', () => {
  const config = (body: JsonObject, lost: string[] = []): JsonObject =>
    (openai(body, lost).toolConfig ?? {}) as JsonObject;
  const named = (...names: string[]): JsonObject[] => names.map((name) => ({ toolSpec: { name } }));

  test.each<[JsonObject['tool_choice'], JsonObject | undefined]>([
    [undefined, undefined],
    ['auto', { auto: {} }],
    ['required', { any: {} }],
    [{ type: 'function', function: { name: 'f' } }, { tool: { name: 'f' } }],
  ])('are chosen %j: %j', (tool_choice, choice) => {
    const sent: JsonObject = { tools: [tool('f')] };
    if (tool_choice !== undefined) sent.tool_choice = tool_choice;
    expect(config(sent)).toEqual({
      tools: [
        {
          toolSpec: {
            name: 'f',
            inputSchema: { json: { type: 'object', properties: { a: { type: 'number' } } } },
          },
        },
      ],
      ...(choice !== undefined && { toolChoice: choice }),
    });
  });

  test('that must not be called are not there, unless the conversation has calls', () => {
    const none = { tools: [tool('f')], tool_choice: 'none' };
    const lost: string[] = [];
    expect(openai(none, lost).toolConfig).toBeUndefined();
    expect(lost).toEqual(['tools']);
    const history = [user('q'), calls('a'), result('a'), user('and?')];
    const named: string[] = [];
    expect(config({ ...none, messages: history }, named)).toMatchObject({
      tools: [{ toolSpec: { name: 'f' } }],
    });
    expect(config({ ...none, messages: history }).toolChoice).toBeUndefined();
    expect(named).toEqual(['tool_choice']);
  });

  test('of which only the calls are left are made up again', () => {
    const lost: string[] = [];
    const history = [
      user('q'),
      calls('a', 'b'),
      result('a'),
      result('b'),
      user('r'),
      calls('a'),
      result('a'),
    ];
    expect(config({ messages: history }, lost).tools).toMatchObject(named('f_a', 'f_b'));
    expect(config({ messages: history }).tools as JsonObject[]).toHaveLength(2);
    expect(lost).toEqual([]);
  });

  test('among which only some are allowed are those', () => {
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] };
    expect(
      config({
        tools: [tool('f'), tool('g')],
        tool_choice: { type: 'allowed_tools', allowed_tools: allowed },
      }),
    ).toMatchObject({ tools: named('g'), toolChoice: { any: {} } });
  });

  test('always have a schema that is an object', () => {
    const { tools } = config({
      tools: [{ type: 'function', function: { name: 'bare' } }, tool('null', { parameters: null })],
    });
    for (const { toolSpec } of tools as { toolSpec: JsonObject }[]) {
      expect(toolSpec.inputSchema).toEqual({ json: { type: 'object', properties: {} } });
    }
  });

  test('that are strict are closed, where the model knows the word', () => {
    const strict = { tools: [tool('f', { strict: true })] };
    expect(openai(strict).toolConfig).toMatchObject({
      tools: [{ toolSpec: { strict: true, inputSchema: { json: { additionalProperties: false } } } }],
    });
    const lost: string[] = [];
    const { toolConfig } = openai(strict, lost, { schemaByTool: true });
    expect(JSON.stringify(toolConfig)).not.toContain('strict');
    expect(lost).toEqual(['tools[0].strict']);
  });

  test('are called one at a time by Claude alone, and unless they are forced', () => {
    const one = { tools: [tool('f')], parallel_tool_calls: false };
    expect(openai({ ...one, tool_choice: 'auto' })).toMatchObject({
      additionalModelRequestFields: { tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
    });
    expect(openai({ ...one, tool_choice: 'auto' }).toolConfig).not.toHaveProperty('toolChoice');
    for (const body of [
      { ...one, model: nova },
      { ...one, tool_choice: 'required' },
    ]) {
      const lost: string[] = [];
      expect(openai(body, lost).additionalModelRequestFields).toBeUndefined();
      expect(lost).toEqual(['parallel_tools']);
    }
  });
});

describe('cache marks', () => {
  const mark = (ttl?: string): JsonObject => ({
    cache_control: { type: 'ephemeral', ...(ttl !== undefined && { ttl }) },
  });
  const text = (value: string, more: JsonObject = {}): JsonObject => ({ type: 'text', text: value, ...more });
  const point = (ttl?: string): JsonObject => ({
    cachePoint: { type: 'default', ...(ttl !== undefined && { ttl }) },
  });
  const full = {
    tools: [{ name: 'f', input_schema: { type: 'object' }, ...mark('1h') }],
    system: [text('Rules.', mark('1h'))],
    messages: [user([text('Long.', mark()), text('Short.')])],
  };

  test('become points behind what they mark, with their lifetime', () => {
    const lost: string[] = [];
    const body = anthropic(full, lost);
    expect((body.toolConfig as JsonObject).tools).toMatchObject([{ toolSpec: { name: 'f' } }, point('1h')]);
    expect(body.system).toEqual([{ text: 'Rules.' }, point('1h')]);
    expect((body.messages as JsonObject[])[0]?.content).toEqual([
      { text: 'Long.' },
      point(),
      { text: 'Short.' },
    ]);
    expect(lost).toEqual([]);
  });

  test('of tools and of hours mean nothing to Nova, and none mean anything to others', () => {
    const nameds: string[] = [];
    const body = anthropic({ ...full, model: nova }, nameds);
    expect((body.toolConfig as JsonObject).tools).toHaveLength(1);
    expect(body.system).toEqual([{ text: 'Rules.' }, point()]);
    expect(nameds.toSorted()).toEqual(['system.content[0].cache_control.ttl', 'tools[0].cache_control']);
    const lost: string[] = [];
    expect(JSON.stringify(anthropic({ ...full, model: llama }, lost))).not.toContain('cachePoint');
    expect(lost.toSorted()).toEqual([
      'messages[0].content[0].cache_control',
      'system.content[0].cache_control',
      'tools[0].cache_control',
    ]);
  });

  test('on a tool result, or in it, stand behind the whole result', () => {
    const history = (inner: JsonObject, outer: JsonObject): JsonObject[] => [
      user('q'),
      { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
      user([{ type: 'tool_result', tool_use_id: 'a', content: [text('ok', inner)], ...outer }]),
    ];
    for (const sent of [history(mark('1h'), {}), history({}, mark('1h'))]) {
      const lost: string[] = [];
      const body = anthropic({ messages: sent }, lost);
      expect((body.messages as JsonObject[])[2]?.content).toEqual([answered('a'), point('1h')]);
      expect(lost).toEqual([]);
    }
  });

  test('of an hour behind one of five minutes become such a one', () => {
    const lost: string[] = [];
    const body = anthropic({ messages: [user([text('a', mark()), text('b', mark('1h'))])] }, lost);
    expect((body.messages as JsonObject[])[0]?.content).toEqual([
      { text: 'a' },
      point(),
      { text: 'b' },
      point('5m'),
    ]);
    expect(lost).toEqual(['messages[0].content[1].cache_control.ttl']);
  });

  test('beyond four are given up, the oldest of the messages first', () => {
    const lost: string[] = [];
    const body = anthropic(
      { ...full, messages: [user(['a', 'b', 'c', 'd'].map((each) => text(each, mark())))] },
      lost,
    );
    expect(body.system).toHaveLength(2);
    expect((body.messages as JsonObject[])[0]?.content).toEqual([
      { text: 'a' },
      { text: 'b' },
      { text: 'c' },
      point(),
      { text: 'd' },
      point(),
    ]);
    expect(lost).toEqual(['messages[0].content[0].cache_control', 'messages[0].content[1].cache_control']);
  });

  test('stand before documents that are no PDF, and nowhere where nothing is before them', () => {
    const notes = {
      type: 'document',
      source: { type: 'text', media_type: 'text/plain', data: 'x' },
      ...mark(),
    };
    const pdf = {
      type: 'document',
      source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0xLjE=' },
      ...mark(),
    };
    const kinds = (content: JsonObject[], lost: string[] = []): string[] =>
      (anthropic({ messages: [user(content)] }, lost).messages as { content: JsonObject[] }[]).flatMap(
        (message) => message.content.flatMap((block) => Object.keys(block)),
      );
    expect(kinds([text('a'), notes])).toEqual(['text', 'cachePoint', 'document']);
    expect(kinds([text('a'), pdf])).toEqual(['text', 'document', 'cachePoint']);
    const lost: string[] = [];
    expect(kinds([notes, text('a')], lost)).toEqual(['document', 'text']);
    expect(lost).toEqual(['messages[0].content[0].cache_control']);
  });

  test('of a whole message or request stand at its end, and those of what is not sent are lost', () => {
    const marked = openai({
      messages: [{ ...user('a'), ...mark() }, { role: 'assistant', content: 'b' }, user('c')],
    });
    expect((marked.messages as JsonObject[])[0]?.content).toEqual([{ text: 'a' }, point()]);
    const whole = anthropic({ ...mark('1h') });
    expect((whole.messages as JsonObject[])[0]?.content).toEqual([{ text: 'Hi' }, point('1h')]);
    const lost: string[] = [];
    anthropic({ messages: [user([text('a'), text('  ', mark())])] }, lost);
    expect(lost).toEqual(['messages[0].content[1].cache_control']);
  });
});

describe('parameters', () => {
  test('sampling is fitted to the model, and what does not fit is named', () => {
    const sent = { temperature: 1.5, top_p: 0.5, seed: 3, stop: ['END', '\n'], max_tokens: 7 };
    const lost: string[] = [];
    expect(openai({ ...sent, model: nova }, lost).inferenceConfig).toEqual({
      temperature: 1,
      topP: 0.5,
      stopSequences: ['END'],
      maxTokens: 7,
    });
    expect(lost.toSorted()).toEqual(['seed', 'stop', 'temperature']);
    // Of Claude only one of the two is taken.
    expect(openai(sent).inferenceConfig).toEqual({ temperature: 1, stopSequences: ['END'], maxTokens: 7 });
    const refused: string[] = [];
    expect(openai({ temperature: 0.5 }, refused, { noSampling: true }).inferenceConfig).toBeUndefined();
    expect(refused).toEqual(['temperature']);
  });

  test('top_k is said in the model’s own words, or named', () => {
    expect(anthropic({ top_k: 5 }).additionalModelRequestFields).toEqual({ top_k: 5 });
    expect(anthropic({ top_k: 5, model: nova }).additionalModelRequestFields).toEqual({
      inferenceConfig: { topK: 5 },
    });
    const lost: string[] = [];
    expect(anthropic({ top_k: 5, model: llama }, lost).additionalModelRequestFields).toBeUndefined();
    expect(lost).toEqual(['top_k']);
  });

  test('Claude is asked which stop sequence it hit', () => {
    expect(openai({ stop: 'END' }).additionalModelResponseFieldPaths).toEqual(['/stop_sequence']);
    expect(openai({ stop: 'END', stream: true }).additionalModelResponseFieldPaths).toEqual([
      '/delta/stop_sequence',
    ]);
    expect(openai({ stop: 'END', model: nova }).additionalModelResponseFieldPaths).toBeUndefined();
  });

  test('metadata goes along as far as its characters are allowed', () => {
    const lost: string[] = [];
    const metadata = { project: 'x/1', note: 'naïve', count: 3 };
    expect(openai({ metadata }, lost).requestMetadata).toEqual({ project: 'x/1' });
    expect(lost.toSorted()).toEqual(['metadata.count', 'metadata.note']);
  });

  test('several answers and log-probabilities cannot be had', () => {
    expect(kindOf(() => openai({ n: 2 }))).toBe('unsupported');
    expect(kindOf(() => openai({ logprobs: true }))).toBe('unsupported');
  });
});

describe('reasoning', () => {
  const fields = (body: JsonObject): JsonObject => (body.additionalModelRequestFields ?? {}) as JsonObject;

  test('is asked of Claude by a budget below the limit, or as adaptive thinking with an effort', () => {
    const budget = openai({ reasoning_effort: 'low' }, [], { thinking: 'budget' });
    expect(fields(budget).thinking).toEqual({ type: 'enabled', budget_tokens: 2048 });
    expect(budget.inferenceConfig).toEqual({ maxTokens: 6144 });
    const capped = openai({ reasoning_effort: 'high', max_tokens: 5000 });
    expect(fields(capped).thinking).toEqual({ type: 'enabled', budget_tokens: 4000 });
    const adaptive = openai({ reasoning_effort: 'xhigh' }, [], { thinking: 'adaptive' });
    expect(fields(adaptive).thinking).toEqual({ type: 'adaptive', display: 'summarized' });
    expect(adaptive.outputConfig).toEqual({ effort: 'xhigh' });
    // Without a limit of the client's the model's own holds.
    expect(adaptive.inferenceConfig).toBeUndefined();
  });

  test('in Claude’s own words is taken as it is', () => {
    const thinking = { type: 'enabled', budget_tokens: 2000, display: 'omitted' };
    const body = anthropic({ thinking, output_config: { effort: 'low' } });
    expect(fields(body)).toEqual({ thinking });
    expect(body.outputConfig).toEqual({ effort: 'low' });
  });

  test('by a budget is left out where the turn to go on from has lost its own, or a tool is forced', () => {
    const thinking = { type: 'enabled', budget_tokens: 2000 };
    const history = [
      user('q'),
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 'c2lnbmVkIGVsc2V3aGVyZQ==' },
          { type: 'tool_use', id: 'a', name: 'f', input: {} },
        ],
      },
      user([{ type: 'tool_result', tool_use_id: 'a', content: 'ok' }]),
    ];
    const lost: string[] = [];
    expect(fields(anthropic({ thinking, messages: history }, lost)).thinking).toBeUndefined();
    expect(lost).toContain('reasoning');
    const forced = { reasoning_effort: 'low', tools: [tool('f')], tool_choice: 'required' };
    expect(fields(openai(forced)).thinking).toBeUndefined();
  });

  test('cannot be asked of other models', () => {
    const lost: string[] = [];
    expect(fields(openai({ reasoning_effort: 'low', model: nova }, lost))).toEqual({});
    expect(lost).toEqual(['reasoning']);
    const none: string[] = [];
    openai({ reasoning_effort: 'none', model: nova }, none);
    expect(none).toEqual([]);
  });
});

describe('structured output', () => {
  const schema: JsonObject = { type: 'object', properties: { a: { type: 'integer', minimum: 1 } } };
  const response_format = {
    type: 'json_schema',
    json_schema: { name: 'thing', description: 'A thing.', schema },
  };

  test('by a schema is a text of JSON, closed', () => {
    const { textFormat } = openai({ response_format }).outputConfig as { textFormat: JsonObject };
    expect(textFormat).toMatchObject({
      type: 'json_schema',
      structure: { jsonSchema: { name: 'thing', description: 'A thing.' } },
    });
    const { jsonSchema } = textFormat.structure as { jsonSchema: { schema: string } };
    expect(JSON.parse(jsonSchema.schema)).toEqual({
      type: 'object',
      properties: { a: { type: 'integer', description: '{minimum: 1}' } },
      additionalProperties: false,
    });
  });

  test('goes together with an effort', () => {
    const body = openai({ response_format, reasoning_effort: 'low' }, [], { thinking: 'adaptive' });
    expect(body.outputConfig).toMatchObject({ effort: 'low', textFormat: { type: 'json_schema' } });
  });

  test('is asked of other models by a tool they have to call', () => {
    const body = openai({ response_format, model: nova }, [], { schemaByTool: true });
    expect(body.outputConfig).toBeUndefined();
    expect(body.toolConfig).toMatchObject({
      tools: [{ toolSpec: { name: 'structured_json_output', inputSchema: { json: schema } } }],
      toolChoice: { tool: { name: 'structured_json_output' } },
    });
    const beside = openai({ response_format, tools: [tool('f')] }, [], { schemaByTool: true });
    expect(beside.toolConfig).toMatchObject({ toolChoice: { any: {} } });
  });
});
