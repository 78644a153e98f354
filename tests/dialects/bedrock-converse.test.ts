/** What is particular to Bedrock Converse: its requests, its answers, its streams, its errors. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatEvent, ChatRequest } from '../../src/core/chat.ts';
import { type ErrorKind, GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { bedrockConverse as dialect } from '../../src/dialects/bedrock-converse.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';

const fixtures = join(import.meta.dir, '../../fixtures/bedrock-converse');
const casesWith = (...files: string[]): string[] =>
  readdirSync(fixtures).filter((name) => files.every((file) => existsSync(join(fixtures, name, file))));
const text = (name: string, file: string): string => readFileSync(join(fixtures, name, file), 'utf8');
const json = (name: string, file: string): JsonObject => JSON.parse(text(name, file));
const quirksOf = (name: string): Quirks =>
  casesWith('quirks.json').includes(name) ? (json(name, 'quirks.json') as Quirks) : {};

type Frame = [name: string, data: Json];

function framesOf(name: string): Frame[] {
  const lines = text(name, 'stream.events.jsonl').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).map(({ name: event, data }): Frame => [event, data]);
}

function events(frames: readonly Frame[], quirks: Quirks = {}): ChatEvent[] {
  const seen: ChatEvent[] = [];
  const reader = dialect.readStream((event) => seen.push(event), quirks);
  for (const [name, data] of frames)
    reader.push(name, typeof data === 'string' ? data : JSON.stringify(data));
  reader.end();
  return seen;
}

const start: Frame = ['messageStart', { role: 'assistant' }];
const delta = (index: number, value: JsonObject): Frame => [
  'contentBlockDelta',
  { contentBlockIndex: index, delta: value },
];
const closing = (index: number): Frame => ['contentBlockStop', { contentBlockIndex: index }];
const finish = (stopReason = 'end_turn'): Frame => ['messageStop', { stopReason }];
const metadata: Frame = ['metadata', { usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 } }];

const answer = (content: Json[], more: JsonObject = {}): JsonObject => ({
  output: { message: { role: 'assistant', content } },
  stopReason: 'end_turn',
  usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 },
  ...more,
});

function refusalOf(act: () => unknown): GatewayError {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('a request', () => {
  test.each(casesWith('request.json'))('%s survives being read and written', (name) => {
    const body = json(name, 'request.json');
    const request = dialect.readRequest(body);
    const lost: string[] = [];
    expect(dialect.writeRequest(request, {}, lost)).toEqual(body);
    expect(lost).toEqual([]);
  });

  test('says model and stream in the path, whatever characters the model has', () => {
    const model = 'arn:aws:bedrock:us-east-1:1:application-inference-profile/x';
    expect(dialect.path('amazon.nova-lite-v1:0', false)).toBe('/model/amazon.nova-lite-v1%3A0/converse');
    expect(dialect.path(model, true)).toBe(`/model/${encodeURIComponent(model)}/converse-stream`);
    expect(dialect.path(model, true).split('/')).toHaveLength(4);
  });

  test.each<[string, JsonObject, string]>([
    ['no messages', {}, 'messages'],
    ['a role nobody has', { messages: [{ role: 'tool', content: [] }] }, 'messages[0].role'],
    ['content that is no list', { messages: [{ role: 'user', content: 'Hi' }] }, 'messages[0].content'],
    ['a block that is a text', { messages: [{ role: 'user', content: ['Hi'] }] }, 'messages[0].content[0]'],
    [
      'a text that is none',
      { messages: [{ role: 'user', content: [{ text: 1 }] }] },
      'messages[0].content[0].text',
    ],
    [
      'a result of nothing',
      { messages: [{ role: 'user', content: [{ toolResult: { content: [] } }] }] },
      'messages[0].content[0].toolResult.toolUseId',
    ],
    ['tools that are no list', { messages: [], toolConfig: {} }, 'toolConfig.tools'],
    [
      'a nameless tool',
      { messages: [], toolConfig: { tools: [{ toolSpec: {} }] } },
      'toolConfig.tools[0].toolSpec.name',
    ],
    [
      'a temperature in words',
      { messages: [], inferenceConfig: { temperature: 'hot' } },
      'inferenceConfig.temperature',
    ],
  ])('with %s is refused by the name of the member', (_what, body, param) => {
    const { kind, message, detail } = refusalOf(() => dialect.readRequest(body));
    expect([kind, detail.param]).toEqual(['bad_request', param]);
    expect(message).toContain(param);
  });

  test('never sends back reasoning that nobody signed', () => {
    const content = [{ reasoningContent: { reasoningText: { text: 'hm' } } }, { text: 'b' }];
    const messages = [
      { role: 'user', content: [{ text: 'a' }] },
      { role: 'assistant', content },
      { role: 'user', content: [{ text: 'c' }] },
    ];
    const lost: string[] = [];
    const written = dialect.writeRequest(dialect.readRequest({ messages }), {}, lost);
    expect((written.messages as JsonObject[])[1]).toEqual({ role: 'assistant', content: [{ text: 'b' }] });
    expect(lost).toEqual(['messages[1].content[0]']);
  });

  test('leaves out what a model refuses, and says so', () => {
    const request: ChatRequest = {
      ...dialect.readRequest({
        messages: [],
        inferenceConfig: { temperature: 0.5, topP: 0.5, maxTokens: 5 },
        additionalModelRequestFields: { top_k: 3 },
        guardrailConfig: {},
      }),
    };
    const lost: string[] = [];
    expect(dialect.writeRequest(request, { noSampling: true, drop: ['guardrailConfig'] }, lost)).toEqual({
      messages: [],
      inferenceConfig: { maxTokens: 5 },
    });
    expect(lost).toEqual(['temperature', 'topP', 'topK', 'guardrailConfig']);
  });
});

describe('a whole answer', () => {
  test.each(casesWith('response.json', 'stream.events.jsonl'))('%s is the same as a stream', (name) => {
    const quirks = quirksOf(name);
    expect(fold(events(framesOf(name), quirks), dialect.name)).toEqual(
      dialect.readResponse(json(name, 'response.json'), quirks),
    );
  });

  test('counts cached tokens as input, once, and tells how long what was written lives', () => {
    expect(dialect.readResponse(json('cache', 'response.json'), {}).usage).toEqual({
      ...emptyUsage(),
      input: 1303,
      cacheRead: 1000,
      cacheWrite5m: 100,
      cacheWrite1h: 200,
      output: 40,
    });
  });

  test.each<[string, string]>([
    ['end_turn', 'stop'],
    ['max_tokens', 'length'],
    ['stop_sequence', 'stop_sequence'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['model_context_window_exceeded', 'context_length'],
    ['a_reason_of_tomorrow', 'stop'],
  ])('that stops by %s stops by %s', (stopReason, stop) => {
    expect(dialect.readResponse(answer([{ text: 'x' }], { stopReason }), {}).choices[0]?.stop).toBe(
      stop as never,
    );
  });

  test('wants tools run only when there is a call for the client', () => {
    const stopReason = 'tool_use';
    const call = { toolUse: { toolUseId: 't', name: 'f', input: {} } };
    const server = {
      toolUse: { toolUseId: 's', name: 'nova_grounding', input: {}, type: 'server_tool_use' },
    };
    const stopOf = (...content: Json[]) =>
      dialect.readResponse(answer(content, { stopReason }), {}).choices[0]?.stop;
    expect([stopOf(call), stopOf(server, call)]).toEqual(['tool_calls', 'tool_calls']);
    expect([stopOf({ text: 'x' }), stopOf(server)]).toEqual(['stop', 'stop']);
  });

  test.each(['malformed_tool_use', 'malformed_model_output'])(
    'that Bedrock itself could not read (%s) is none',
    (stopReason) => {
      const error = refusalOf(() => dialect.readResponse(answer([{ text: 'x' }], { stopReason }), {}));
      expect([error.kind, error.detail.code]).toEqual(['upstream_invalid', stopReason]);
    },
  );

  test.each<[string, JsonObject]>([
    ['nothing', {}],
    ['no message', { output: {} }],
    ['no content', { output: { message: { role: 'assistant' } } }],
    ['a call without id', answer([{ toolUse: { name: 'f', input: {} } }])],
    ['arguments that are a list', answer([{ toolUse: { toolUseId: 't', name: 'f', input: [] } }])],
  ])('with %s is refused as no answer', (_what, body) => {
    expect(refusalOf(() => dialect.readResponse(body, {})).kind).toBe('upstream_invalid');
  });

  test('that is an error is that error', () => {
    const error = refusalOf(() =>
      dialect.readResponse({ message: 'Input is too long for requested model.' }, {}),
    );
    expect(error.kind).toBe('context_length');
  });

  test('cites addresses, titles and words where it names them', () => {
    const web = { location: { web: { domain: 'a.org', url: 'https://a.org/b' } } };
    const page = { source: 'notes.pdf', title: 'Notes', sourceContent: [{ text: 'one ' }, { text: 'two' }] };
    const content = [{ citationsContent: { content: [{ text: 'So.' }], citations: [web, page] } }];
    const [block] = dialect.readResponse(answer(content), {}).choices[0]?.blocks ?? [];
    expect(block).toMatchObject({
      type: 'text',
      text: 'So.',
      citations: [{ url: 'https://a.org/b' }, { title: 'Notes', text: 'one two' }],
    });
    expect((block as { citations: object[] }).citations[1]).not.toHaveProperty('url');
  });

  test('by the reserved tool is text; another tool’s call beside it is still to be carried out', () => {
    const call = (name: string) => ({ toolUse: { toolUseId: name, name, input: { a: 1 } } });
    const stops = (...names: string[]) =>
      dialect.readResponse(answer(names.map(call), { stopReason: 'tool_use' }), { schemaByTool: true })
        .choices[0];
    expect(stops('structured_json_output')).toMatchObject({
      blocks: [{ type: 'text', text: '{"a":1}' }],
      stop: 'stop',
    });
    expect(stops('structured_json_output', 'f')).toMatchObject({
      blocks: [{ type: 'text' }, { type: 'tool-call', name: 'f' }],
      stop: 'tool_calls',
    });
  });
});

describe('a stream', () => {
  test('begins text and reasoning with their first piece, and passes over padding and unknown events', () => {
    const seen = events([
      start,
      ['surprise', { p: 'x', contentBlockIndex: 0 }],
      delta(0, { reasoningContent: { text: 'hm' } }),
      closing(0),
      delta(1, { text: '' }),
      delta(1, { text: 'Hi' }),
      delta(1, { sparkle: {} }),
      closing(1),
      closing(2),
      finish(),
      metadata,
    ]);
    expect(seen.map(({ type }) => type).join(' ')).toBe(
      'start block delta close block delta close finish usage end',
    );
  });

  test('gives calls without arguments an empty object, once', () => {
    const inputs = (...pieces: string[]) => {
      const { choices } = fold(
        events([
          start,
          ['contentBlockStart', { contentBlockIndex: 0, start: { toolUse: { toolUseId: 't', name: 'f' } } }],
          ...pieces.map((input) => delta(0, { toolUse: { input } })),
          closing(0),
          finish('tool_use'),
          metadata,
        ]),
        dialect.name,
      );
      return choices[0]?.blocks.map((block) => block.type === 'tool-call' && block.input);
    };
    expect([inputs(), inputs(''), inputs('{}'), inputs('', '{"a"', ':1}')]).toEqual([
      ['{}'],
      ['{}'],
      ['{}'],
      ['{"a":1}'],
    ]);
  });

  test('keeps arguments that a token limit cut short as they are', () => {
    const seen = events([
      start,
      ['contentBlockStart', { contentBlockIndex: 0, start: { toolUse: { toolUseId: 't', name: 'f' } } }],
      delta(0, { toolUse: { input: '{"a":"b' } }),
      closing(0),
      finish('max_tokens'),
      metadata,
    ]);
    expect(fold(seen, dialect.name).choices[0]).toMatchObject({
      stop: 'length',
      blocks: [{ input: '{"a":"b' }],
    });
  });

  test('makes room for a piece of another kind under the same number', () => {
    const seen = events([
      start,
      delta(0, { reasoningContent: { text: 'hm' } }),
      delta(0, { text: 'Hi' }),
      finish(),
      metadata,
    ]);
    expect(fold(seen, dialect.name).choices[0]?.blocks).toEqual([
      { type: 'reasoning', text: 'hm', vendor: 'bedrock-converse' },
      { type: 'text', text: 'Hi' },
    ]);
  });

  test('ends with its usage, which may come before the stop reason, or never', () => {
    const last = (...frames: Frame[]) => events([start, delta(0, { text: 'Hi' }), ...frames]);
    expect(last(finish(), metadata, delta(0, { text: '!' })).at(-1)?.type).toBe('end');
    expect(
      last(metadata, finish())
        .slice(-3)
        .map(({ type }) => type),
    ).toEqual(['finish', 'usage', 'end']);
    expect(
      last(finish())
        .slice(-2)
        .map(({ type }) => type),
    ).toEqual(['finish', 'end']);
  });

  test('that was cut has no end, although its usage came', () => {
    const seen = events([start, delta(0, { text: 'Hi' }), closing(0), metadata]);
    expect(seen.map(({ type }) => type)).toEqual(['start', 'block', 'delta', 'close']);
  });

  test.each<[string, JsonObject | string, ErrorKind, number]>([
    ['validationException', { message: 'The image is broken.' }, 'upstream_bad_request', 400],
    ['validationException', { message: 'prompt is too long: 9 tokens > 8 maximum' }, 'context_length', 400],
    ['throttlingException', { message: 'Too many tokens, please wait.' }, 'upstream_rate_limited', 429],
    ['modelStreamErrorException', { originalMessage: 'oops' }, 'upstream_unavailable', 502],
    ['internalServerException', {}, 'upstream_unavailable', 502],
    ['serviceUnavailableException', { message: 'Busy.' }, 'upstream_overloaded', 503],
    ['modelTimeoutException', { message: 'Slow.' }, 'upstream_timeout', 504],
    ['exceptionOfTomorrow', 'not JSON', 'upstream_unavailable', 502],
  ])('with a frame %s %j ends in that error', (type, data, kind, status) => {
    for (const before of [[], [start, delta(0, { text: 'Hi' })]]) {
      const last = events([...before, [`exception:${type}`, data], metadata]).at(-1);
      if (last?.type !== 'error') throw new Error('no error');
      expect([last.error.kind, last.error.status]).toEqual([kind, status]);
      expect(last.error.detail.code).toBe(type);
      expect(last.error.message).not.toBe('');
    }
  });

  test.each<[string, Frame]>([
    ['is no JSON', ['contentBlockDelta', '{"contentBlockIndex":0,']],
    ['is no object', ['contentBlockDelta', '[]']],
    ['has arguments of no call', delta(0, { toolUse: { input: '{}' } })],
    ['stops by what Bedrock could not read', finish('malformed_model_output')],
  ])('with a frame that %s is not understood', (_what, frame) => {
    const last = events([start, frame, finish(), metadata]).at(-1);
    expect(last?.type === 'error' && last.error.kind).toBe('upstream_invalid');
  });
});

describe('an error', () => {
  const read = (status: number, type: string, body: Json): GatewayError =>
    dialect.readError(
      status,
      new Headers(type === '' ? {} : { 'x-amzn-errortype': `${type}:http://internal.amazon.com/coral/` }),
      new TextEncoder().encode(JSON.stringify(body)),
    );

  const kinds: Readonly<Record<string, ErrorKind>> = {
    'error-access-denied': 'upstream_auth',
    'error-context-length': 'context_length',
    'error-expired-key': 'upstream_auth',
    'error-model-unknown': 'upstream_not_found',
    'error-not-ready': 'upstream_overloaded',
    'error-quota': 'upstream_quota',
    'error-throttled': 'upstream_rate_limited',
    'error-timeout': 'upstream_timeout',
  };

  test.each(casesWith('error.json'))('%s is understood', (name) => {
    const { status, headers, body } = json(name, 'error.json');
    const error = dialect.readError(
      Number(status),
      new Headers(headers as Record<string, string>),
      new TextEncoder().encode(JSON.stringify(body)),
    );
    expect(error.kind).toBe(kinds[name]!);
    expect(error.detail.code).toMatch(/^[A-Z]\w+Exception$/);
  });

  test.each<[number, string, string, ErrorKind]>([
    [400, 'ValidationException', 'messages.0.content.0.image is broken', 'upstream_bad_request'],
    [400, 'ValidationException', 'too many total text bytes: 99 > 98', 'context_length'],
    [400, 'ValidationException', 'input length and `max_tokens` exceed context limit', 'context_length'],
    [
      400,
      'ValidationException',
      'Invocation of model ID m with on-demand throughput isn’t supported.',
      'upstream_not_found',
    ],
    [
      400,
      'ThrottlingException',
      'Too many tokens, please wait before trying again.',
      'upstream_rate_limited',
    ],
    [400, 'ExpiredTokenException', 'The security token included in the request is expired', 'upstream_auth'],
    [403, 'UnrecognizedClientException', 'The security token is invalid.', 'upstream_auth'],
    [404, 'ResourceNotFoundException', 'This model version has reached its end.', 'upstream_not_found'],
    [424, 'ModelErrorException', 'The model failed.', 'upstream_unavailable'],
    [500, 'InternalServerException', 'Oops.', 'upstream_unavailable'],
    [503, 'ServiceUnavailableException', 'Busy.', 'upstream_overloaded'],
  ])('%i %s “%s” is %s', (status, type, message, kind) => {
    expect(read(status, type, { message }).kind).toBe(kind);
    expect(read(status, '', { __type: `com.amazon.coral.service#${type}`, Message: message }).kind).toBe(
      kind,
    );
  });

  test('tells no client whose account it was', () => {
    const { message } = read(403, 'AccessDeniedException', {
      message: 'User: arn:aws:iam::123456789012:user/ci is not authorized.',
    });
    expect(message).toContain('is not authorized');
    expect(message).not.toMatch(/123456789012|user\/ci/);
  });
});
