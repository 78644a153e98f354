/** What is particular to Gemini: its paths, its requests, how they are passed on, its errors and its lists. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { carry } from '../../src/core/carry.ts';
import type { Block, ChatRequest } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { foreign } from '../../src/core/loss.ts';
import { gemini as dialect } from '../../src/dialects/gemini.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { scanMembers, splice } from '../../src/wire/splice.ts';
import { cardOf } from './model-card.ts';

const fixtures = join(import.meta.dir, '../../fixtures/gemini');
const casesWith = (file: string): string[] =>
  readdirSync(fixtures).filter((name) => readdirSync(join(fixtures, name)).includes(file));
const json = (name: string, file: string): JsonObject =>
  JSON.parse(readFileSync(join(fixtures, name, file), 'utf8'));

const hello = { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] };
const read = (body: JsonObject): ChatRequest => dialect.readRequest({ ...hello, ...body });
const rewrite = (body: JsonObject, quirks: Quirks = {}, lost: string[] = []): JsonObject =>
  JSON.parse(JSON.stringify(dialect.writeRequest(read(body), quirks, lost)));
const config = (generationConfig: JsonObject): ChatRequest => read({ generationConfig });
const user = (...parts: JsonObject[]): JsonObject => ({ role: 'user', parts });
const model = (...parts: JsonObject[]): JsonObject => ({ role: 'model', parts });
const call = (name: string, more: JsonObject = {}): JsonObject => ({
  functionCall: { name, args: {}, ...more },
});
const result = (name: string, response: JsonObject, id?: string): JsonObject => ({
  functionResponse: { ...(id !== undefined && { id }), name, response },
});
const blocksOf = (...contents: JsonObject[]): Block[][] =>
  dialect.readRequest({ contents }).messages.map(({ blocks }) => blocks);

function paramOf(body: JsonObject): string | undefined {
  try {
    dialect.readRequest(body);
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).kind).toBe('bad_request');
    return (error as GatewayError).detail.param;
  }
}

describe('a path', () => {
  test.each([
    ['/v1beta/models/gemini-2.5-pro:generateContent', 'gemini-2.5-pro'],
    ['/v1/models/gemini-2.5-pro:generateContent', 'gemini-2.5-pro'],
    ['/v1alpha/models/fast:generateContent', 'fast'],
    ['/v1beta/models/openai/gpt-4o:generateContent', 'openai/gpt-4o'],
    ['/v1beta/models/openai%2Fgpt-4o:generateContent', 'openai/gpt-4o'],
    ['/v1beta/models/ollama/llama3:8b:generateContent', 'ollama/llama3:8b'],
    ['/v1beta/models/fast%3AgenerateContent', 'fast'],
    [
      '/v1beta1/projects/p/locations/eu/publishers/google/models/gemini-3-pro:generateContent',
      'gemini-3-pro',
    ],
    ['/v1/projects/p/locations/global/publishers/openai/models/gpt-4o:generateContent', 'openai/gpt-4o'],
    ['/v1beta1/publishers/google/models/gemini-3-pro:generateContent', 'gemini-3-pro'],
  ])('%s asks for %s', (path, name) => {
    expect(dialect.match(path, '')).toEqual({ operation: 'chat', model: name, stream: false, array: false });
  });

  test('says whether a stream is wanted, and whether as events or as one array', () => {
    const path = '/v1beta/models/fast:streamGenerateContent';
    const events = { operation: 'chat', model: 'fast', stream: true, array: false };
    expect(dialect.match(path, 'alt=sse')).toEqual(events as never);
    expect(dialect.match(path, 'key=1&%24alt=sse')).toEqual(events as never);
    expect(dialect.match(path, '')?.array).toBe(true);
    expect(dialect.match(path, 'alt=json')?.array).toBe(true);
  });

  test('asks for a count of tokens', () => {
    expect(dialect.match('/v1beta/models/fast:countTokens', '')).toEqual({
      operation: 'count_tokens',
      model: 'fast',
    });
  });

  test.each([
    '/v1beta/models',
    '/v1beta/models/gemini-2.5-pro',
    '/v1beta/models/gemini-embedding-001:embedContent',
    '/v1/chat/completions',
    '/v2/models/x:generateContent',
    '/evil/v1beta/models/x:generateContent',
  ])('%s is none of a chat call', (path) => {
    expect(dialect.match(path, 'alt=sse')).toBeUndefined();
  });

  test('of a provider names the model as one segment, whatever is in it', () => {
    expect(dialect.path('gemini-2.5-pro', false)).toBe('/models/gemini-2.5-pro:generateContent');
    expect(dialect.path('gemini-2.5-pro', true)).toBe('/models/gemini-2.5-pro:streamGenerateContent?alt=sse');
    expect(dialect.path('models/gemini-2.5-pro', false)).toBe('/models/gemini-2.5-pro:generateContent');
    expect(dialect.path('tunedModels/mine-1', false)).toBe('/tunedModels/mine-1:generateContent');
    expect(dialect.path('../../files/x?y=', false)).toBe(
      '/models/..%2F..%2Ffiles%2Fx%3Fy%3D:generateContent',
    );
    expect(dialect.counting?.path('fast')).toBe('/models/fast:countTokens');
  });
});

describe('a request', () => {
  test.each(casesWith('request.json').filter((name) => name !== 'snake-case'))(
    '%s is written as it was read',
    (name) => {
      const body = json(name, 'request.json');
      const lost: string[] = [];
      const written = dialect.writeRequest(dialect.readRequest(body), {}, lost);
      expect(JSON.parse(JSON.stringify(written))).toEqual(body);
      expect(lost).toEqual([]);
    },
  );

  test('may be spelled in snake_case; what the application named stays as it is', () => {
    const written = dialect.writeRequest(dialect.readRequest(json('snake-case', 'request.json')), {}, []);
    expect(JSON.parse(JSON.stringify(written))).toMatchObject({
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      contents: [
        {},
        { parts: [{ functionCall: { args: { some_place: 'Oslo' } }, thoughtSignature: expect.any(String) }] },
        {
          parts: [
            { functionResponse: { response: { wind_speed: 3 } } },
            { inlineData: { mimeType: 'image/png' } },
          ],
        },
      ],
      tools: [
        {
          functionDeclarations: [
            { parametersJsonSchema: { properties: { some_place: { type: 'string' } } } },
          ],
        },
        { googleSearch: {} },
      ],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['get_weather'] } },
      generationConfig: { maxOutputTokens: 64, thinkingConfig: { thinkingBudget: 512 } },
      safetySettings: [{ threshold: 'OFF' }],
    });
  });

  test('names neither model nor stream: the path does', () => {
    const request = read({ model: 'models/other' });
    expect([request.model, request.stream, request.streamUsage]).toEqual(['', false, true]);
    expect(rewrite({ model: 'models/other' })).toEqual(hello);
  });

  test('that is none is refused with the member that is wrong', () => {
    expect(paramOf({})).toBe('contents');
    expect(paramOf({ contents: { role: 'user', parts: [{ text: 'Hi' }] } })).toBe('contents');
    expect(paramOf({ contents: [] })).toBe('contents');
    expect(paramOf({ contents: [{ role: 'system', parts: [] }] })).toBe('contents[0].role');
    expect(paramOf({ contents: [{ role: 'assistant', parts: [] }] })).toBe('contents[0].role');
    expect(paramOf({ contents: [user({ text: 3 })] })).toBe('contents[0].parts[0].text');
    expect(paramOf({ contents: [user({})] })).toBe('contents[0].parts[0]');
    expect(paramOf({ contents: [user({ functionCall: { args: {} } })] })).toBe(
      'contents[0].parts[0].functionCall.name',
    );
    expect(paramOf({ contents: [user({ functionResponse: { name: 'f', response: 'ok' } })] })).toBe(
      'contents[0].parts[0].functionResponse.response',
    );
    expect(paramOf({ ...hello, systemInstruction: 'Be brief.' })).toBe('systemInstruction');
    expect(paramOf({ ...hello, generationConfig: { temperature: 'hot' } })).toBe(
      'generationConfig.temperature',
    );
    expect(paramOf({ ...hello, generationConfig: { maxOutputTokens: 1.5 } })).toBe(
      'generationConfig.maxOutputTokens',
    );
    expect(paramOf({ ...hello, generationConfig: { stopSequences: 'x' } })).toBe(
      'generationConfig.stopSequences',
    );
    expect(paramOf({ ...hello, tools: {} })).toBe('tools');
    expect(paramOf({ ...hello, tools: [{ functionDeclarations: [{ name: '' }] }] })).toBe(
      'tools[0].functionDeclarations[0].name',
    );
  });

  test('is lenient where Google is: no role, one part without a list, numbers as text, null', () => {
    expect(dialect.readRequest({ contents: [{ parts: { text: 'Hi' } }] }).messages).toEqual([
      { role: 'user', blocks: [{ type: 'text', text: 'Hi' }] },
    ]);
    expect(dialect.readRequest({ contents: [{ role: 'function', parts: [] }] }).messages[0]?.role).toBe(
      'user',
    );
    expect(config({ maxOutputTokens: '64', seed: '7' })).toMatchObject({ maxTokens: 64, seed: 7 });
    expect(read({ generationConfig: null, tools: null, toolConfig: null })).toEqual(read({}));
  });

  test('says what has no word in the hub by its path, so that each loss has a name', () => {
    const request = read({
      labels: { team: 'a' },
      generationConfig: { mediaResolution: 'MEDIA_RESOLUTION_LOW', thinkingConfig: { newKnob: 1 } },
      toolConfig: { retrievalConfig: {}, functionCallingConfig: { mode: 'AUTO', newKnob: true } },
    });
    const losses = foreign(request, 'openai-chat', openaiChat.can, dialect.can);
    expect(losses.meaning).toEqual([]);
    expect(losses.hints.sort()).toEqual([
      'generation_config.media_resolution',
      'generation_config.thinking_config.new_knob',
      'labels',
      'tool_config.function_calling_config.new_knob',
      'tool_config.retrieval_config',
    ]);
  });

  test.each([
    [{ cachedContent: 'cachedContents/1' }, true],
    [{ generationConfig: { responseModalities: ['TEXT', 'IMAGE'] } }, true],
    [{ generationConfig: { responseModalities: ['TEXT'] } }, false],
    [{ generationConfig: { responseMimeType: 'text/x.enum', responseSchema: { type: 'STRING' } } }, true],
    [{ generationConfig: { responseMimeType: 'text/plain' } }, false],
    [{ safetySettings: [] }, false],
  ])('%j means something to other dialects: %p', (body, means) => {
    const { meaning } = foreign(read(body), 'openai-chat', openaiChat.can, dialect.can);
    expect(meaning.length > 0).toBe(means);
  });
});

describe('calls and results', () => {
  test('without ids belong together by name, in order', () => {
    const [, calls, results] = blocksOf(
      user({ text: 'q' }),
      model(call('f', { args: { a: 1 } }), call('f', { args: { a: 2 } }), call('g')),
      user(result('f', { output: 'one' }), result('g', { output: 'three' }), result('f', { output: 'two' })),
    );
    const ids = (calls ?? []).map((block) => (block.type === 'tool-call' ? block.id : ''));
    expect(new Set(ids).size).toBe(3);
    const answered = (results ?? []).map((block) => (block.type === 'tool-result' ? block.callId : ''));
    expect(answered).toEqual([ids[0]!, ids[2]!, ids[1]!]);
  });

  test('get the same ids in the next request, which has more turns', () => {
    const turns = [user({ text: 'q' }), model(call('f')), user(result('f', { output: 'x' }))];
    const more = [
      ...turns,
      model({ text: 'a' }),
      user({ text: 'r' }),
      model(call('f')),
      user(result('f', {})),
    ];
    expect(blocksOf(...more).slice(0, 3)).toEqual(blocksOf(...turns));
  });

  test('with ids belong together by them, in any order', () => {
    const [, , results] = blocksOf(
      user({ text: 'q' }),
      model(call('f', { id: 'a' }), call('f', { id: 'b' })),
      user(result('f', { output: '2' }, 'b'), result('f', { output: '1' }, 'a')),
    );
    expect(results?.map((block) => (block.type === 'tool-result' ? block.callId : ''))).toEqual(['b', 'a']);
  });

  test('a result without an id answers the call by its name, and one without a name has that of its call', () => {
    const [, named] = blocksOf(model(call('f', { id: 'a' })), user(result('f', { output: '1' })));
    expect(named).toMatchObject([{ callId: 'a', name: 'f' }]);
    const [, nameless] = blocksOf(
      model(call('f', { id: 'a' })),
      user({ functionResponse: { id: 'a', response: {} } }),
    );
    expect(nameless).toMatchObject([{ callId: 'a', name: 'f' }]);
  });

  test('a result of no call is kept as one', () => {
    expect(blocksOf(user(result('f', { output: 'x' })))[0]).toMatchObject([
      { type: 'tool-result', name: 'f', blocks: [{ type: 'text', text: 'x' }] },
    ]);
  });

  test.each([
    [{ output: 'rain' }, 'rain', undefined],
    [{ error: 'no such place' }, 'no such place', true],
    [{ error: { code: 5 } }, '{"error":{"code":5}}', true],
    [{ result: 'rain' }, '{"result":"rain"}', undefined],
    [{ output: '{"a":1}' }, '{"output":"{\\"a\\":1}"}', undefined],
    [{ output: 'x', error: 'y' }, '{"output":"x","error":"y"}', undefined],
    [{}, '{}', undefined],
  ])('the result %j says %s', (response, text, isError) => {
    const contents = [model(call('f')), user(result('f', response))];
    const [block] = blocksOf(...contents)[1] ?? [];
    expect(block).toMatchObject({ type: 'tool-result', blocks: [{ type: 'text', text }] });
    expect(block?.type === 'tool-result' && block.isError).toBe(isError as never);
    expect(rewrite({ contents }).contents).toEqual(contents);
  });

  test('results that the provider gave itself are the words of nobody but a tool', () => {
    const contents = [
      user({ text: 'q' }),
      model(call('f')),
      model(result('f', { output: 'x' })),
      model({ text: 'a' }),
    ];
    const { messages } = dialect.readRequest({ contents });
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(rewrite({ contents }).contents).toEqual(contents);
  });
});

describe('tools', () => {
  const functions = (...functionDeclarations: JsonObject[]): JsonObject => ({
    tools: [{ functionDeclarations }],
  });

  test('in the OpenAPI form become JSON Schema, and go back in the form they came in', () => {
    const parameters = {
      type: 'OBJECT',
      properties: {
        format: { type: 'STRING', nullable: true, example: 'a4' },
        size: { type: 'STRING', format: 'enum', enum: ['s', 'm'], nullable: true },
        any: { anyOf: [{ type: 'INTEGER' }, { type: 'BOOLEAN' }], nullable: true },
        list: { type: 'ARRAY', items: { type: 'NUMBER' }, minItems: '2' },
      },
      required: ['format'],
      propertyOrdering: ['format', 'size'],
    };
    const request = read(functions({ name: 'print', parameters }));
    expect(request.tools?.[0]?.schema).toEqual({
      type: 'object',
      properties: {
        format: { type: ['string', 'null'], examples: ['a4'] },
        size: { type: ['string', 'null'], enum: ['s', 'm', null] },
        any: { anyOf: [{ type: 'integer' }, { type: 'boolean' }, { type: 'null' }] },
        list: { type: 'array', items: { type: 'number' }, minItems: 2 },
      },
      required: ['format'],
    });
    expect(rewrite(functions({ name: 'print', parameters })).tools).toEqual(
      functions({ name: 'print', parameters }).tools,
    );
  });

  test.each([
    [{ mode: 'AUTO' }, { type: 'auto' }],
    [{ mode: 'VALIDATED' }, { type: 'auto' }],
    [{ mode: 'NONE' }, { type: 'none' }],
    [{ mode: 'ANY' }, { type: 'required' }],
    [
      { mode: 'ANY', allowedFunctionNames: ['f'] },
      { type: 'tool', name: 'f' },
    ],
    [
      { mode: 'ANY', allowedFunctionNames: ['f', 'g'] },
      { type: 'allowed', mode: 'required', names: ['f', 'g'] },
    ],
    [
      { mode: 'VALIDATED', allowedFunctionNames: ['f'] },
      { type: 'allowed', mode: 'auto', names: ['f'] },
    ],
  ])('are chosen: %j', (functionCallingConfig, choice) => {
    const body = { ...functions({ name: 'f' }, { name: 'g' }), toolConfig: { functionCallingConfig } };
    expect(read(body).toolChoice).toEqual(choice as never);
    expect(rewrite(body).toolConfig).toEqual({ functionCallingConfig });
  });
});

describe('generationConfig', () => {
  test('says how many log-probabilities are wanted', () => {
    expect(config({ responseLogprobs: true }).logprobs).toBe(0);
    expect(config({ responseLogprobs: true, logprobs: 3 }).logprobs).toBe(3);
    expect(config({ logprobs: 3 }).logprobs).toBeUndefined();
  });

  test('gives the answer a form', () => {
    expect(config({ responseMimeType: 'application/json' }).format).toEqual({ type: 'json' });
    const schema = { type: 'OBJECT', properties: { a: { type: 'STRING' } } };
    expect(config({ responseMimeType: 'application/json', responseSchema: schema }).format).toEqual({
      type: 'schema',
      schema: { type: 'object', properties: { a: { type: 'string' } } },
    });
    expect(config({ responseMimeType: 'text/plain' }).format).toBeUndefined();
  });

  test.each([
    [{ thinkingBudget: 0 }, { enabled: false }],
    [{ thinkingBudget: -1 }, { enabled: true, adaptive: true }],
    [
      { thinkingBudget: 512, includeThoughts: true },
      { enabled: true, budgetTokens: 512, display: 'summarized' },
    ],
    [
      { thinkingLevel: 'HIGH', includeThoughts: false },
      { enabled: true, effort: 'high', display: 'omitted' },
    ],
    [{ includeThoughts: true }, { enabled: true, display: 'summarized' }],
    [{ includeThoughts: false }, undefined],
  ])('says how much is thought: %j', (thinkingConfig, wish) => {
    expect(config({ thinkingConfig }).reasoning).toEqual(wish as never);
    expect(rewrite({ generationConfig: { thinkingConfig } }).generationConfig).toEqual({ thinkingConfig });
  });
});

describe('state of models', () => {
  const signed = (block: Block | undefined): unknown =>
    block?.type === 'text' || block?.type === 'tool-call' ? block.state : undefined;

  test('of Gemini is a signature on any part', () => {
    const [blocks] = blocksOf(
      model(
        { text: 'hm', thought: true, thoughtSignature: 'c2ln' },
        { text: '', thoughtSignature: 'dHdv' },
        { functionCall: { name: 'f', args: {} }, thoughtSignature: 'dGhyZWU=' },
        { thoughtSignature: 'Zm91cg==' },
      ),
    );
    expect(blocks?.[0]).toEqual({ type: 'reasoning', text: 'hm', signature: 'c2ln', vendor: 'gemini' });
    expect(blocks?.slice(1).map(signed)).toEqual([
      { vendor: 'gemini', value: 'dHdv' },
      { vendor: 'gemini', value: 'dGhyZWU=' },
      { vendor: 'gemini', value: 'Zm91cg==' },
    ]);
  });

  const thinking = carry({ type: 'reasoning', vendor: 'anthropic-messages', signature: 'EqMC' });

  test('of another vendor comes out of the signature it was carried in', () => {
    expect(blocksOf(model({ text: 'hm', thought: true, thoughtSignature: thinking }))).toEqual([
      [{ type: 'reasoning', text: 'hm', signature: 'EqMC', vendor: 'anthropic-messages' }],
    ]);
    const state = carry({ type: 'state', vendor: 'openai-responses', value: 'enc', call: 'c1' });
    const [[block] = []] = blocksOf(model({ ...call('f', { id: 'c1' }), thoughtSignature: state }));
    expect(signed(block)).toEqual({ vendor: 'openai-responses', value: 'enc' });
    // A client that leaves thoughts out may keep the signature on what came after them.
    expect(blocksOf(model({ text: 'so', thoughtSignature: thinking }))[0]).toEqual([
      { type: 'reasoning', text: '', signature: 'EqMC', vendor: 'anthropic-messages' },
      { type: 'text', text: 'so' },
    ]);
  });

  test('is put together with the thoughts it signs, where a client hands back a stream as it came', () => {
    const contents = [
      user({ text: 'q' }),
      model({ text: 'hm, ', thought: true }),
      model({ text: 'yes', thought: true }),
      model({ text: '', thought: true, thoughtSignature: thinking }),
      model({ text: 'so' }),
    ];
    expect(blocksOf(...contents).slice(1)).toEqual([
      [{ type: 'reasoning', text: 'hm, yes', signature: 'EqMC', vendor: 'anthropic-messages' }],
      [{ type: 'text', text: 'so' }],
    ]);
  });

  test('of another vendor never reaches Gemini', () => {
    const contents = [
      user({ text: 'q' }),
      model({ text: 'hm', thought: true, thoughtSignature: thinking }),
      model(
        { text: 'so' },
        { ...call('f'), thoughtSignature: carry({ type: 'state', vendor: 'ollama', value: 'x' }) },
      ),
    ];
    const lost: string[] = [];
    expect(rewrite({ contents }, {}, lost).contents).toEqual([
      user({ text: 'q' }),
      model({ text: 'so' }, call('f')),
    ]);
    expect(lost).toEqual(['messages[1].content[0]', 'messages[2].content[1].signature']);
  });

  test('that models with levels insist on is made up for, on the first call of each turn', () => {
    const contents = [
      user({ text: 'q' }),
      model(call('f'), call('g')),
      user(result('f', {}), result('g', {})),
      model({ ...call('f'), thoughtSignature: 'c2ln' }, call('g')),
      user(result('f', {}), result('g', {})),
    ];
    const signatures = (quirks: Quirks): unknown[] =>
      (rewrite({ contents }, quirks).contents as JsonObject[]).flatMap(({ parts }) =>
        (parts as JsonObject[]).flatMap((part) =>
          part.functionCall === undefined ? [] : [part.thoughtSignature],
        ),
      );
    expect(signatures({ thinking: 'level' })).toEqual([
      'skip_thought_signature_validator',
      undefined,
      'c2ln',
      undefined,
    ]);
    expect(signatures({ thinking: 'budget' })).toEqual([undefined, undefined, 'c2ln', undefined]);
  });
});

describe('a relayed request', () => {
  const plan = (body: JsonObject, quirks: Quirks = {}): JsonObject | undefined => {
    const bytes = new TextEncoder().encode(JSON.stringify({ ...hello, ...body }));
    const members = scanMembers(bytes);
    const made = dialect.planRelay(bytes, members, false, quirks);
    return made && JSON.parse(new TextDecoder().decode(splice(bytes, members, made.edits)));
  };
  const calling = [user({ text: 'q' }), model(call('f')), user(result('f', {}))];
  const signed = [user({ text: 'q' }), model({ ...call('f'), thoughtSignature: 'c2ln' }, call('g'))];
  const named = [user({ text: 'q' }), model(call('f', { id: 'a' }))];

  test('passes as it is, but for a model in its body', () => {
    expect(plan({ model: 'models/fast', labels: {} })).toEqual({ ...hello, labels: {} });
    expect(plan({ contents: calling })).toEqual({ contents: calling });
  });

  test.each([
    [
      'state of another vendor',
      {
        contents: [
          model({ text: 'x', thoughtSignature: carry({ type: 'state', vendor: 'ollama', value: 'x' }) }),
        ],
      },
      {},
    ],
    ['an unsigned call', { contents: calling }, { thinking: 'level' }],
    [
      'an unsigned call in snake_case',
      { contents: [model({ function_call: { name: 'f' } })] },
      { thinking: 'level' },
    ],
    ['an id of a call', { contents: named }, { noCallIds: true }],
    ['a level', { generationConfig: { thinkingConfig: { thinkingLevel: 'LOW' } } }, { thinking: 'budget' }],
    [
      'any thinking',
      { generation_config: { thinking_config: { thinking_budget: 0 } } },
      { thinking: 'none' },
    ],
  ] as const)('is rewritten where the model cannot take %s', (_what, body, quirks) => {
    expect(plan(body as never, quirks)).toBeUndefined();
  });

  test.each([
    ['a signed call', { contents: signed }, { thinking: 'level' }],
    ['calls without ids', { contents: calling }, { noCallIds: true }],
    ['a budget', { generationConfig: { thinkingConfig: { thinkingBudget: 1 } } }, { thinking: 'level' }],
  ] as const)('is not rewritten for %s', (_what, body, quirks) => {
    expect(plan(body as never, quirks)).toEqual({ ...hello, ...(body as object) } as never);
  });

  test('leaves out what the host refuses', () => {
    expect(plan({ labels: {} }, { drop: ['labels'] })).toEqual(hello);
  });
});

describe('an error', () => {
  test.each([
    ['error-rate-limit', 'upstream_rate_limited', 35],
    ['error-api-key', 'upstream_auth', undefined],
    ['error-api-key-listed', 'upstream_auth', undefined],
    ['error-permission', 'upstream_auth', undefined],
    ['error-not-found', 'upstream_not_found', undefined],
    ['error-context-length', 'context_length', undefined],
    ['error-bad-request', 'upstream_bad_request', undefined],
    ['error-overloaded', 'upstream_overloaded', undefined],
    ['error-internal', 'upstream_unavailable', undefined],
    ['error-deadline', 'upstream_timeout', undefined],
  ] as const)('%s is read as %s', (name, kind, retryAfterS) => {
    const { status, headers, body } = json(name, 'error.json');
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const error = dialect.readError(status as number, new Headers(headers as Record<string, string>), bytes);
    expect([error.kind, error.detail.retryAfterS]).toEqual([kind, retryAfterS]);
  });

  test.each([
    ['bad_request', 400, 'INVALID_ARGUMENT'],
    ['unauthorized', 401, 'UNAUTHENTICATED'],
    ['forbidden', 403, 'PERMISSION_DENIED'],
    ['not_found', 404, 'NOT_FOUND'],
    ['rate_limited', 429, 'RESOURCE_EXHAUSTED'],
    ['upstream_overloaded', 503, 'UNAVAILABLE'],
    ['upstream_timeout', 504, 'DEADLINE_EXCEEDED'],
    ['upstream_auth', 502, 'INTERNAL'],
    ['internal', 500, 'INTERNAL'],
  ] as const)('%s is written with status %i as %s', (kind, status, word) => {
    const { status: given, body } = dialect.writeError(new GatewayError(kind, 'Why.'), '');
    expect(given).toBe(status);
    expect(body).toEqual({ error: { code: status, message: 'Why.', status: word, details: [] } });
  });

  test('says in details what is wrong, when to come back and which call it was', () => {
    const detail = { param: 'contents', retryAfterS: 2.2 };
    const { body } = dialect.writeError(new GatewayError('rate_limited', 'Slow down.', detail), 'call1');
    expect((body.error as JsonObject).details).toEqual([
      {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: [{ field: 'contents', description: 'Slow down.' }],
      },
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '3s' },
      { '@type': 'type.googleapis.com/google.rpc.RequestInfo', requestId: 'call1' },
    ]);
  });

  test('of a conversation too long is said in the words clients look for', () => {
    const { body } = dialect.writeError(new GatewayError('context_length', 'prompt is too long'), '');
    expect((body.error as JsonObject).message).toStartWith(
      'The input token count exceeds the maximum number',
    );
  });

  test('inside a stream is an event like any other', () => {
    const text = dialect.writeStreamError(new GatewayError('upstream_network', 'Cut.'), '');
    expect(text).toBe(
      'data: {"error":{"code":502,"message":"Cut.","status":"UNAVAILABLE","details":[]}}\r\n\r\n',
    );
  });
});

describe('lists and counts', () => {
  test('name models as Google does', () => {
    const entries = ['fast', 'openai/gpt-4o'].map((id) => dialect.writeModel(cardOf(id)));
    expect(dialect.writeModels(entries)).toEqual({ models: entries });
    expect(entries[1]).toMatchObject({ name: 'models/openai/gpt-4o' });
  });

  test('count the contents, or the whole request', () => {
    expect(dialect.counting?.requestOf(hello)).toEqual(hello);
    expect(dialect.counting?.requestOf({ generateContentRequest: hello })).toEqual(hello);
    expect(dialect.counting?.requestOf({ generate_content_request: hello })).toEqual(hello);
    expect(dialect.counting?.write(31)).toEqual({ totalTokens: 31 });
  });
});
