/** Other dialects spoken to a model that speaks Gemini, and Gemini spoken to others: what has to be made to fit. */
import { describe, expect, test } from 'bun:test';
import { carry } from '../../src/core/carry.ts';
import type { Block, ChatRequest, Message } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { gemini } from '../../src/dialects/gemini.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { catalogued, quirksOf } from '../../src/providers/catalog.ts';

/** An OpenAI request as Gemini's; `lost` gets what could not be said. */
function translate(body: JsonObject, quirks: Quirks = {}, lost: string[] = []): JsonObject {
  const request = openaiChat.readRequest({
    model: 'm',
    messages: [{ role: 'user', content: 'Hi' }],
    ...body,
  });
  lost.push(...requireMeaning(foreign(request, gemini.name, gemini.can, openaiChat.can), gemini.name));
  return gemini.writeRequest(request, quirks, lost);
}

/** The same from the hub's own words. */
function write(messages: Message[], quirks: Quirks = {}, lost: string[] = []): JsonObject[] {
  const request: ChatRequest = { dialect: 'anthropic-messages', model: 'm', messages, stream: false };
  return gemini.writeRequest(request, quirks, lost).contents as JsonObject[];
}

const contents = (...messages: JsonObject[]): JsonObject[] =>
  translate({ messages }).contents as JsonObject[];
const config = (body: JsonObject, quirks: Quirks = {}, lost: string[] = []): JsonObject =>
  translate(body, quirks, lost).generationConfig as JsonObject;

const said = (role: string, content: string | JsonObject[]): JsonObject => ({ role, content });
const calls = (...made: [id: string, name: string][]): JsonObject => ({
  role: 'assistant',
  content: null,
  tool_calls: made.map(([id, name]) => ({ id, type: 'function', function: { name, arguments: '{"a":1}' } })),
});
const result = (id: string, content = 'ok'): JsonObject => ({ role: 'tool', tool_call_id: id, content });
const tool = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { a: { type: 'number' } } }, ...more },
});
const user = (...parts: (string | JsonObject)[]): JsonObject => ({
  role: 'user',
  parts: parts.map((part) => (typeof part === 'string' ? { text: part } : part)),
});
const model = (...parts: (string | JsonObject)[]): JsonObject => ({ ...user(...parts), role: 'model' });
const call = (id: string, name: string): JsonObject => ({ functionCall: { id, name, args: { a: 1 } } });
const response = (id: string, name: string, given: JsonObject): JsonObject => ({
  functionResponse: { id, name, response: given },
});

describe('messages', () => {
  test('instructions at the start stand apart, later ones keep their place', () => {
    const written = translate({
      messages: [
        said('system', 'A'),
        said('developer', 'B'),
        said('user', '1'),
        said('assistant', '2'),
        said('system', 'C'),
        said('user', '3'),
      ],
    });
    expect(written.systemInstruction).toEqual({ parts: [{ text: 'A' }, { text: 'B' }] });
    expect(written.contents).toEqual([user('1'), model('2'), user('<system>\nC\n</system>', '3')]);
  });

  test('results stand in one content, in the order of the calls, with the name of the function', () => {
    expect(
      contents(
        said('user', 'q'),
        calls(['a', 'f'], ['b', 'g'], ['c', 'f']),
        result('c', 'three'),
        result('a', 'one'),
        result('b', 'two'),
        said('user', 'and?'),
      ),
    ).toEqual([
      user('q'),
      model(call('a', 'f'), call('b', 'g'), call('c', 'f')),
      user(
        response('a', 'f', { output: 'one' }),
        response('b', 'g', { output: 'two' }),
        response('c', 'f', { output: 'three' }),
      ),
      user('and?'),
    ]);
  });

  test('a call without a result gets one that says so, a result without a call becomes text', () => {
    const written = contents(said('user', 'q'), calls(['a', 'f']), said('user', 'r'), result('z', 'old'));
    expect(written[2]).toMatchObject(
      user({ functionResponse: { id: 'a', response: { error: expect.any(String) } } }),
    );
    expect(written[3]).toEqual(user('r', 'The result of an earlier tool call:', 'old'));
  });

  test('a result that is a JSON object is the response, anything else its output; failures are errors', () => {
    const given = (content: string, isError = false): unknown => {
      const block: Block = {
        type: 'tool-result',
        callId: 'a',
        blocks: [{ type: 'text', text: content }],
        isError,
      };
      const made: Block = { type: 'tool-call', id: 'a', name: 'f', input: '{}' };
      const [, , answer] = write([
        { role: 'user', blocks: [{ type: 'text', text: 'q' }] },
        { role: 'assistant', blocks: [made] },
        { role: 'user', blocks: [block] },
      ]);
      const [part] = (answer?.parts ?? []) as JsonObject[];
      return (part!.functionResponse as JsonObject).response;
    };
    expect(given('{"wind":3}')).toEqual({ wind: 3 });
    expect(given('[1,2]')).toEqual({ output: '[1,2]' });
    expect(given('plain')).toEqual({ output: 'plain' });
    expect(given('')).toEqual({ output: '' });
    expect(given('{"$ref":"#/x"}')).toEqual({ output: '{"$ref":"#/x"}' });
    expect(given('broken', true)).toEqual({ error: 'broken' });
    expect(given('{"code":5}', true)).toEqual({ error: '{"code":5}' });
  });

  test('a conversation begins with the user, and without empty text', () => {
    expect(contents(said('assistant', 'Hello'), said('user', 'Hi'))).toEqual([
      user('Begin.'),
      model('Hello'),
      user('Hi'),
    ]);
    expect(contents(said('user', ''), said('user', 'Hi'))).toEqual([user('Hi')]);
    expect(translate({ messages: [said('system', 'A')] }).contents).toEqual([user('Begin.')]);
  });

  test('arguments of a free-form tool are an object, those that were cut short are refused', () => {
    const made = (input: string, custom?: boolean): Message[] => [
      {
        role: 'assistant',
        blocks: [{ type: 'tool-call', id: 'a', name: 'f', input, ...(custom && { custom }) }],
      },
    ];
    expect(write(made('x = 1', true))[1]).toEqual(
      model({ functionCall: { id: 'a', name: 'f', args: { input: 'x = 1' } } }),
    );
    expect(write(made(''))[1]).toEqual(model({ functionCall: { id: 'a', name: 'f', args: {} } }));
    expect(() => write(made('{"a":'))).toThrow(GatewayError);
  });

  test('ids of calls stay away from hosts that do not know them', () => {
    const messages = [said('user', 'q'), calls(['a', 'f']), result('a')];
    const written = translate({ messages }, { noCallIds: true });
    expect(JSON.stringify(written)).not.toContain('"id"');
  });
});

describe('media', () => {
  const part = (content: JsonObject, lost: string[] = []): unknown => {
    const { contents: [turn] = [] } = translate({ messages: [said('user', [content])] }, {}, lost) as {
      contents?: JsonObject[];
    };
    return (turn!.parts as JsonObject[])[0];
  };
  const image = (url: string): JsonObject => ({ type: 'image_url', image_url: { url } });

  test('of a data: URL stands inside, as what it is rather than what it is said to be', () => {
    expect(part(image('data:image/jpeg;base64,iVBORw0KGgo='))).toEqual({
      inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' },
    });
  });

  test('elsewhere is named with a type', () => {
    expect(part(image('https://example.com/a/cat.webp?w=1'))).toEqual({
      fileData: { fileUri: 'https://example.com/a/cat.webp?w=1', mimeType: 'image/webp' },
    });
    expect(part(image('https://example.com/cat'))).toEqual({
      fileData: { fileUri: 'https://example.com/cat', mimeType: 'image/jpeg' },
    });
  });

  test('loses its name, which is told', () => {
    const lost: string[] = [];
    const file = { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0xLjQ=' };
    expect(part({ type: 'file', file }, lost)).toEqual({
      inlineData: { mimeType: 'application/pdf', data: 'JVBERi0xLjQ=' },
    });
    expect(lost).toEqual(['messages[0].content[0].name']);
  });

  test('that another provider keeps cannot be shown', () => {
    expect(() => part({ type: 'file', file: { file_id: 'file-1' } })).toThrow('messages[0]');
    const block: Block = {
      type: 'media',
      media: 'document',
      source: { type: 'file', id: 'gs://bucket/a.pdf' },
    };
    expect(write([{ role: 'user', blocks: [block] }])).toEqual([
      user({ fileData: { fileUri: 'gs://bucket/a.pdf' } }),
    ]);
  });

  const shot: Block = {
    type: 'media',
    media: 'image',
    source: { type: 'base64', mimeType: 'image/png', data: 'iVBORw0KGgo=' },
  };
  const history: Message[] = [
    { role: 'user', blocks: [{ type: 'text', text: 'q' }] },
    { role: 'assistant', blocks: [{ type: 'tool-call', id: 'a', name: 'look', input: '{}' }] },
    {
      role: 'user',
      blocks: [
        { type: 'tool-result', callId: 'a', blocks: [shot] },
        { type: 'text', text: 'So?' },
      ],
    },
  ];
  const inline = { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } };

  test('in a result stands in it, where the model can read it there', () => {
    expect(write(history, { thinking: 'level' }).slice(2)).toEqual([
      user({ functionResponse: { id: 'a', name: 'look', response: { output: '' }, parts: [inline] } }),
      user('So?'),
    ]);
  });

  test('in a result is shown after all results elsewhere', () => {
    expect(write(history).slice(2)).toEqual([
      user(response('a', 'look', { output: 'What it shows is in the next message.' })),
      user('Result of look:', inline, 'So?'),
    ]);
  });
});

describe('tools', () => {
  test('have JSON Schema, whatever is in it', () => {
    const parameters = {
      $defs: { N: { const: 1 } },
      type: 'object',
      properties: { a: { $ref: '#/$defs/N' } },
    };
    const { tools } = translate({ tools: [tool('f', { parameters }), tool('g', { description: 'G' })] });
    expect(tools).toEqual([
      {
        functionDeclarations: [
          { name: 'f', parametersJsonSchema: parameters },
          {
            name: 'g',
            description: 'G',
            parametersJsonSchema: { type: 'object', properties: { a: { type: 'number' } } },
          },
        ],
      },
    ]);
  });

  test.each([
    [{ type: 'string' }, { type: 'object', properties: {} }],
    [{ properties: { a: {} } }, { type: 'object', properties: { a: {} } }],
  ])('whose arguments are said to be %j take an object', (parameters, schema) => {
    const [{ functionDeclarations } = {}] = translate({ tools: [tool('f', { parameters })] })
      .tools as JsonObject[];
    expect(functionDeclarations).toEqual([{ name: 'f', parametersJsonSchema: schema }]);
  });

  test.each([
    ['auto', { mode: 'AUTO' }],
    ['none', { mode: 'NONE' }],
    ['required', { mode: 'ANY' }],
    [
      { type: 'function', function: { name: 'f' } },
      { mode: 'ANY', allowedFunctionNames: ['f'] },
    ],
  ])('are chosen: %j', (tool_choice, chosen) => {
    const { toolConfig } = translate({ tools: [tool('f')], tool_choice });
    expect(toolConfig).toEqual({ functionCallingConfig: chosen });
  });

  test('of which some are allowed are named when one must be called, and alone on offer when not', () => {
    const allow = (mode: string): JsonObject =>
      translate({
        tools: [tool('f'), tool('g'), tool('h')],
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: {
            mode,
            tools: ['f', 'g'].map((name) => ({ type: 'function', function: { name } })),
          },
        },
      });
    const offered = ({ tools }: JsonObject): unknown =>
      ((tools as JsonObject[])[0]!.functionDeclarations as JsonObject[]).map(({ name }) => name);
    const must = allow('required');
    expect(must.toolConfig).toEqual({
      functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f', 'g'] },
    });
    expect(offered(must)).toEqual(['f', 'g', 'h']);
    const may = allow('auto');
    expect(may.toolConfig).toEqual({ functionCallingConfig: { mode: 'AUTO' } });
    expect(offered(may)).toEqual(['f', 'g']);
  });
});

describe('numbers', () => {
  test('go under their names here', () => {
    const numbers = {
      max_tokens: 5,
      temperature: 0.5,
      top_p: 0.9,
      n: 2,
      seed: 3,
      stop: 'X',
      logprobs: true,
      top_logprobs: 2,
    };
    expect(config(numbers)).toEqual({
      maxOutputTokens: 5,
      temperature: 0.5,
      topP: 0.9,
      candidateCount: 2,
      seed: 3,
      stopSequences: ['X'],
      responseLogprobs: true,
      logprobs: 2,
    });
  });

  test('that do not fit are left out and named', () => {
    const lost: string[] = [];
    expect(
      translate({ seed: 2 ** 40, presence_penalty: 1, frequency_penalty: 0 }, { noPenalties: true }, lost),
    ).not.toHaveProperty('generationConfig');
    expect(lost.sort()).toEqual(['presencePenalty', 'seed']);
    const request = anthropicMessages.readRequest({
      model: 'm',
      max_tokens: 1,
      messages: [{ role: 'user', content: 'Hi' }],
      stop_sequences: ['1', '2', '3', '4', '5', '6'],
    });
    const unsaid: string[] = [];
    expect(gemini.writeRequest(request, {}, unsaid).generationConfig).toMatchObject({
      stopSequences: ['1', '2', '3', '4', '5'],
    });
    expect(unsaid).toEqual(['stop']);
  });
});

describe('the form of the answer', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } } };
  const response_format = { type: 'json_schema', json_schema: { name: 'x', description: 'An x.', schema } };

  test('is JSON Schema', () => {
    expect(config({ response_format })).toEqual({
      responseMimeType: 'application/json',
      responseJsonSchema: { description: 'An x.', ...schema },
    });
    expect(config({ response_format: { type: 'json_object' } })).toEqual({
      responseMimeType: 'application/json',
    });
  });

  test('is asked for in words, where it excludes functions and there are some', () => {
    const old: Quirks = { noSchemaWithTools: true };
    const written = translate({ response_format, tools: [tool('f')] }, old);
    expect(written).not.toHaveProperty('generationConfig');
    expect(JSON.stringify(written.systemInstruction)).toContain(
      JSON.stringify(JSON.stringify(schema)).slice(1, -1),
    );
    expect(config({ response_format }, old)).toHaveProperty('responseJsonSchema');
    expect(config({ response_format, tools: [tool('f')] })).toHaveProperty('responseJsonSchema');
  });
});

describe('thinking', () => {
  const host = (name: string): Quirks => quirksOf(catalogued('gemini'), name);
  const thinking = (name: string, wish: ChatRequest['reasoning'], lost: string[] = []): unknown => {
    const messages: Message[] = [{ role: 'user', blocks: [{ type: 'text', text: 'q' }] }];
    const request: ChatRequest = {
      dialect: 'openai-chat',
      model: name,
      messages,
      stream: false,
      reasoning: wish,
    };
    const written = gemini.writeRequest(request, host(name), lost).generationConfig as JsonObject | undefined;
    return written?.thinkingConfig;
  };
  const shown = { includeThoughts: true };

  test.each([
    ['gemini-2.5-flash', { effort: 'low' }, { ...shown, thinkingBudget: 2048 }],
    ['gemini-2.5-flash', { effort: 'max' }, { ...shown, thinkingBudget: 24_576 }],
    ['gemini-2.5-pro', { effort: 'max' }, { ...shown, thinkingBudget: 32_768 }],
    ['gemini-2.5-flash-lite', { effort: 'minimal' }, { ...shown, thinkingBudget: 512 }],
    ['gemini-2.5-flash', { enabled: true, adaptive: true }, { ...shown, thinkingBudget: -1 }],
    ['gemini-2.5-flash', { enabled: false }, { thinkingBudget: 0 }],
    [
      'gemini-2.5-flash',
      { budgetTokens: 4000, display: 'omitted' },
      { includeThoughts: false, thinkingBudget: 4000 },
    ],
    ['gemini-3-flash-preview', { effort: 'minimal' }, { ...shown, thinkingLevel: 'MINIMAL' }],
    ['gemini-3-flash-preview', { budgetTokens: 9000 }, { ...shown, thinkingLevel: 'MEDIUM' }],
    ['gemini-3-flash-preview', { enabled: true }, shown],
    ['gemini-3.1-pro-preview', { effort: 'high' }, { ...shown, thinkingLevel: 'HIGH' }],
  ] as const)('of %s as %j is %j', (name, wish, written) => {
    const lost: string[] = [];
    expect(thinking(name, wish, lost)).toEqual(written as never);
    expect(lost).toEqual([]);
  });

  test.each([
    ['gemini-2.5-pro', { enabled: false }, { thinkingBudget: 128 }, 'reasoning'],
    [
      'gemini-2.5-flash',
      { budgetTokens: 60_000 },
      { ...shown, thinkingBudget: 24_576 },
      'reasoning.budgetTokens',
    ],
    ['gemini-3.1-pro-preview', { effort: 'minimal' }, { ...shown, thinkingLevel: 'LOW' }, 'reasoning.effort'],
    ['gemini-3-flash-preview', { effort: 'none' }, { thinkingLevel: 'MINIMAL' }, 'reasoning.effort'],
    ['gemini-3-flash-preview', { effort: 'xhigh' }, { ...shown, thinkingLevel: 'HIGH' }, 'reasoning.effort'],
    ['gemini-2.0-flash', { effort: 'high' }, undefined, 'reasoning'],
  ] as const)('of %s as %j is what comes nearest, and says so', (name, wish, written, named) => {
    const lost: string[] = [];
    expect(thinking(name, wish, lost)).toEqual(written as never);
    expect(lost).toEqual([named]);
  });

  test('of its own clients is turned into what the model takes', () => {
    const own = (name: string, thinkingConfig: JsonObject): unknown => {
      const request = gemini.readRequest({ contents: [user('q')], generationConfig: { thinkingConfig } });
      const { generationConfig } = gemini.writeRequest(request, host(name), []) as {
        generationConfig?: JsonObject;
      };
      return generationConfig?.thinkingConfig;
    };
    expect(own('gemini-2.5-flash', { thinkingLevel: 'LOW' })).toEqual({ thinkingBudget: 2048 });
    expect(own('gemini-2.0-flash', { thinkingBudget: 0 })).toBeUndefined();
    expect(own('gemini-3-flash-preview', { thinkingBudget: 0 })).toEqual({ thinkingBudget: 0 });
  });

  test('unknown, newer models are like the newest known', () => {
    expect(host('gemini-9-ultra')).toMatchObject({ thinking: 'level', noPenalties: true });
    expect(host('gemini-2.5-flash')).toMatchObject({ thinking: 'budget', noSchemaWithTools: true });
    expect(quirksOf(catalogued('vertex'), 'gemini-2.5-pro')).toMatchObject({
      thinking: 'budget',
      noCallIds: true,
    });
  });
});

describe('state', () => {
  const turn = (...blocks: Block[]): Message[] => [
    { role: 'user', blocks: [{ type: 'text', text: 'q' }] },
    { role: 'assistant', blocks },
    { role: 'user', blocks: [{ type: 'tool-result', callId: 'a', blocks: [] }] },
  ];
  const made: Block = { type: 'tool-call', id: 'a', name: 'f', input: '{}' };

  test('of Gemini goes back to it, native', () => {
    const [, written] = write(
      turn(
        { type: 'reasoning', text: 'hm', signature: 'dGhvdWdodA==', vendor: 'gemini' },
        { type: 'text', text: 'So', state: { vendor: 'gemini', value: 'dGV4dA==' } },
        { ...made, state: { vendor: 'gemini', value: 'Y2FsbA==' } },
      ),
      { thinking: 'level' },
    );
    expect(written).toEqual(
      model(
        { text: 'hm', thought: true, thoughtSignature: 'dGhvdWdodA==' },
        { text: 'So', thoughtSignature: 'dGV4dA==' },
        { functionCall: { id: 'a', name: 'f', args: {} }, thoughtSignature: 'Y2FsbA==' },
      ),
    );
  });

  test('of others, and thoughts that nobody signed, stay away; calls get what stands in for a signature', () => {
    const lost: string[] = [];
    const [, written] = write(
      turn(
        { type: 'reasoning', text: 'hm', signature: 'EqMC', vendor: 'anthropic-messages' },
        { type: 'reasoning', text: 'unsigned' },
        { ...made, state: { vendor: 'openai-responses', value: 'x' } },
      ),
      { thinking: 'level' },
      lost,
    );
    expect(written).toEqual(
      model({
        functionCall: { id: 'a', name: 'f', args: {} },
        thoughtSignature: 'skip_thought_signature_validator',
      }),
    );
    expect(lost).toEqual(['messages[1].content[0]', 'messages[1].content[1]']);
  });
});

describe('a Gemini request for others', () => {
  test('says the same to OpenAI', () => {
    const request = gemini.readRequest({
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      contents: [
        user('Weather?'),
        model({ functionCall: { name: 'f', args: { a: 1 } } }),
        user({ functionResponse: { name: 'f', response: { output: 'rain' } } }),
      ],
      tools: [
        {
          functionDeclarations: [
            { name: 'f', parameters: { type: 'OBJECT', properties: { a: { type: 'NUMBER' } } } },
          ],
        },
      ],
      toolConfig: { functionCallingConfig: { mode: 'ANY' } },
      generationConfig: { maxOutputTokens: 9, stopSequences: ['X'] },
    });
    expect(foreign(request, openaiChat.name, openaiChat.can, gemini.can)).toMatchObject({
      hints: [],
      meaning: [],
    });
    const written = openaiChat.writeRequest({ ...request, model: 'gpt-4o' }, {}, []);
    const [, , { tool_calls: [made] = [] } = {}] = written.messages as { tool_calls?: JsonObject[] }[];
    expect(written).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{"a":1}' } }] },
        { role: 'tool', tool_call_id: made?.id as string, content: 'rain' },
      ],
      tools: [
        { function: { name: 'f', parameters: { type: 'object', properties: { a: { type: 'number' } } } } },
      ],
      tool_choice: 'required',
      max_completion_tokens: 9,
      stop: ['X'],
    });
  });

  test('hands back to Anthropic what its model signed', () => {
    const signature = carry({ type: 'reasoning', vendor: 'anthropic-messages', signature: 'EqMC' });
    const request = gemini.readRequest({
      contents: [
        user('q'),
        model({ text: 'hm', thought: true, thoughtSignature: signature }, 'so'),
        user('r'),
      ],
    });
    const { messages } = anthropicMessages.writeRequest(
      { ...request, model: 'claude', maxTokens: 9 },
      {},
      [],
    );
    expect((messages as JsonObject[])[1]).toEqual({
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'hm', signature: 'EqMC' },
        { type: 'text', text: 'so' },
      ],
    });
  });

  test('keeps what lies in Google’s stores from those who cannot read it', () => {
    const meaningOf = (fileUri: string): string[] => {
      const request = gemini.readRequest({
        contents: [user({ fileData: { fileUri, mimeType: 'image/png' } })],
      });
      return foreign(request, anthropicMessages.name, anthropicMessages.can, gemini.can).meaning;
    };
    expect(meaningOf('gs://bucket/a.png')).toEqual(['messages[0].content[0]']);
    expect(meaningOf('https://generativelanguage.googleapis.com/v1beta/files/x')).toEqual([
      'messages[0].content[0]',
    ]);
    expect(meaningOf('https://example.com/a.png')).toEqual([]);
  });
});
