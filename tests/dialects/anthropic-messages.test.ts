/** What is particular to Anthropic Messages: its requests, its answers, its streams, its errors. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatEvent, ChatRequest } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { anthropicMessages as dialect } from '../../src/dialects/anthropic-messages.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { scanMembers } from '../../src/wire/splice.ts';
import { sseEvents } from '../recordings.ts';

const fixtures = join(import.meta.dir, '../../fixtures/anthropic-messages');
const casesWith = (file: string): string[] =>
  readdirSync(fixtures).filter((name) => readdirSync(join(fixtures, name)).includes(file));
const text = (name: string, file: string): string => readFileSync(join(fixtures, name, file), 'utf8');
const json = (name: string, file: string): JsonObject => JSON.parse(text(name, file));

const hello = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] };
const read = (body: JsonObject): ChatRequest => dialect.readRequest({ ...hello, ...body });
const rewrite = (body: JsonObject, quirks: Quirks = {}, lost: string[] = []): JsonObject =>
  dialect.writeRequest(read(body), quirks, lost);

function events(sse: string, quirks: Quirks = {}): ChatEvent[] {
  const seen: ChatEvent[] = [];
  const reader = dialect.readStream((event) => seen.push(event), quirks);
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return seen;
}

const frame = (value: JsonObject): string => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
const streamOf = (...values: JsonObject[]): string => values.map(frame).join('');
const start: JsonObject = {
  type: 'message_start',
  message: { id: 'msg_1', model: 'm', usage: { input_tokens: 17, output_tokens: 8 } },
};
const finish: JsonObject = {
  type: 'message_delta',
  delta: { stop_reason: 'end_turn', stop_sequence: null },
  usage: { output_tokens: 3 },
};
const opening = (index: number, block: JsonObject): JsonObject => ({
  type: 'content_block_start',
  index,
  content_block: block,
});
const piece = (index: number, delta: JsonObject): JsonObject => ({
  type: 'content_block_delta',
  index,
  delta,
});
const closing = (index: number): JsonObject => ({ type: 'content_block_stop', index });
const last: JsonObject = { type: 'message_stop' };

/** The wire events a writer makes of hub events. */
function written(hub: ChatEvent[]): JsonObject[] {
  let out = '';
  const writer = dialect.writeStream(
    (part) => {
      out += part;
    },
    { streamUsage: true },
  );
  for (const event of hub) writer.push(event);
  return sseEvents(out).map(({ event, data }) => {
    const value: JsonObject = JSON.parse(data);
    expect(value.type).toBe(event);
    return value;
  });
}

describe('a request', () => {
  test.each(casesWith('request.json'))('%s survives being read and written', (name) => {
    const body = json(name, 'request.json');
    const request = dialect.readRequest(body);
    const lost: string[] = [];
    const again = dialect.writeRequest(request, {}, lost);
    expect(again).toEqual(body);
    expect(lost).toEqual([]);
    expect(dialect.readRequest(again)).toEqual(request);
  });

  test.each<[string, JsonObject, string]>([
    ['no max_tokens', { max_tokens: undefined }, 'max_tokens'],
    ['no messages', { messages: [] }, 'messages'],
    ['a role nobody has', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
    ['content that is no content', { messages: [{ role: 'user', content: 5 }] }, 'messages[0].content'],
    [
      'a block without text',
      { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages[0].content[0].text',
    ],
    [
      'an image without source',
      { messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      'messages[0].content[0].source',
    ],
    [
      'a result of nothing',
      { messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] },
      'messages[0].content[0].tool_use_id',
    ],
    ['a nameless tool', { tools: [{ input_schema: {} }] }, 'tools[0].name'],
    ['a choice of no type', { tool_choice: 'auto' }, 'tool_choice'],
    ['a temperature in words', { temperature: 'hot' }, 'temperature'],
    ['a budget without tokens', { thinking: { type: 'enabled' } }, 'thinking.budget_tokens'],
    ['stop sequences that are a string', { stop_sequences: 'END' }, 'stop_sequences'],
  ])('with %s is refused by the name of the member', (_what, change, param) => {
    try {
      read(change);
      throw new Error('was accepted');
    } catch (error) {
      expect(error).toBeInstanceOf(GatewayError);
      expect((error as GatewayError).kind).toBe('bad_request');
      expect((error as GatewayError).detail.param).toBe(param);
      expect((error as GatewayError).message).toContain(param);
    }
  });

  test('keeps what only its dialect knows', () => {
    const request = dialect.readRequest(json('server-tools', 'request.json'));
    expect(request.tools?.map(({ name, opaque }) => [name, opaque !== undefined])).toEqual([
      ['web_search', true],
      ['get_weather', false],
    ]);
    const extras = dialect.readRequest(json('opaque-extras', 'request.json'));
    expect(extras.messages[0]?.blocks[0]).toMatchObject({ type: 'opaque', value: { type: 'search_result' } });
    expect(Object.keys(extras.extra ?? {})).toEqual(['container', 'context_management', 'inference_geo']);
  });

  test('never sends thinking that nobody signed', () => {
    const messages = [
      { role: 'user', content: 'a' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: '' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'user', content: 'c' },
    ];
    expect((rewrite({ messages }).messages as JsonObject[])[1]).toEqual({ role: 'assistant', content: 'b' });
    expect(plan({ ...hello, messages })).toBeUndefined();
  });

  test('keeps a thinking block whose text is empty but signed', () => {
    const { messages } = dialect.writeRequest(
      dialect.readRequest(json('thinking-redacted', 'request.json')),
      {},
      [],
    );
    expect((messages as JsonObject[])[1]).toEqual(
      (json('thinking-redacted', 'request.json').messages as JsonObject[])[1]!,
    );
  });

  test('asks for thinking in the words of the model', () => {
    const budget = { max_tokens: 8000, thinking: { type: 'enabled', budget_tokens: 4000 } };
    expect(rewrite(budget, { thinking: 'adaptive' })).toMatchObject({
      thinking: { type: 'adaptive' },
      output_config: { effort: 'medium' },
    });
    const adaptive = { max_tokens: 8000, thinking: { type: 'adaptive' }, output_config: { effort: 'low' } };
    const again = rewrite(adaptive, { thinking: 'budget' });
    expect(again.thinking).toEqual({ type: 'enabled', budget_tokens: 2048 });
    expect(again.output_config).toBeUndefined();
    const lost: string[] = [];
    expect(
      rewrite({ output_config: { effort: 'low' } }, { thinking: 'budget' }, lost).thinking,
    ).toBeUndefined();
    expect(lost).toEqual(['reasoning']);
  });

  test('leaves out sampling parameters the model refuses', () => {
    const lost: string[] = [];
    const body = rewrite({ temperature: 0.2, top_p: 1, top_k: 3 }, { noSampling: true }, lost);
    expect(Object.keys(body)).toEqual(['model', 'max_tokens', 'messages']);
    expect(lost).toEqual(['temperature', 'topK']);
  });

  test('folds later instructions into user turns for models without them', () => {
    const body = json('system-in-messages', 'request.json');
    const again = dialect.writeRequest(dialect.readRequest(body), { systemInMessages: false }, []);
    expect(again.messages).toEqual([
      { role: 'user', content: 'Hi.' },
      { role: 'assistant', content: 'Hello.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: '<system>\nAnswer in French from now on.\n</system>' },
          { type: 'text', text: 'How are you?' },
        ],
      },
    ]);
  });
});

function plan(body: JsonObject, quirks: Quirks = {}) {
  const bytes = new TextEncoder().encode(JSON.stringify(body, null, 1));
  return dialect.planRelay(bytes, scanMembers(bytes), false, quirks);
}

describe('a relayed request', () => {
  test.each(casesWith('request.json'))('%s passes as it is', (name) => {
    expect(plan(json(name, 'request.json'))).toEqual({ edits: {}, hideUsage: false, lost: [] });
  });

  test('loses the members its model refuses, and gets others by their other name', () => {
    const quirks: Quirks = { noSampling: true, drop: ['service_tier'], rename: { metadata: 'meta' } };
    expect(
      plan({ ...hello, temperature: 0.2, service_tier: 'auto', metadata: { user_id: 'u' } }, quirks),
    ).toEqual({
      edits: {
        temperature: undefined,
        service_tier: undefined,
        metadata: undefined,
        meta: '{\n  "user_id": "u"\n }',
      },
      hideUsage: false,
      lost: ['temperature', 'service_tier'],
    });
  });

  test.each<[string, string, Quirks]>([
    ['a thinking budget for an adaptive model', 'thinking', { thinking: 'adaptive' }],
    ['adaptive thinking for a model with a budget', 'thinking-adaptive', { thinking: 'budget' }],
    ['a schema for a model without structured output', 'structured-output', { schemaByTool: true }],
    ['an instruction in the middle', 'system-in-messages', { systemInMessages: false }],
  ])('with %s is rewritten', (_what, name, quirks) => {
    expect(plan(json(name, 'request.json'), quirks)).toBeUndefined();
  });
});

describe('an answer', () => {
  test.each(casesWith('response.json'))('%s survives being read and written', (name) => {
    const body = json(name, 'response.json');
    const again = dialect.writeResponse(dialect.readResponse(body, {}));
    expect(again.usage).toMatchObject(body.usage as JsonObject);
    expect({ ...again, usage: undefined }).toEqual({ ...body, usage: undefined });
  });

  test.each(casesWith('response.json').filter((name) => casesWith('stream.sse').includes(name)))(
    '%s is the same streamed',
    (name) => {
      const { usage: wholeUsage, ...whole } = dialect.readResponse(json(name, 'response.json'), {});
      const { usage, ...streamed } = fold(events(text(name, 'stream.sse')), dialect.name);
      expect(streamed).toEqual(whole);
      expect(usage).toEqual(wholeUsage!);
    },
  );

  test.each(casesWith('stream.sse').filter((name) => !name.startsWith('error')))(
    '%s is the same after its stream was read and written',
    (name) => {
      const once = events(text(name, 'stream.sse'));
      const wire = written(once);
      expect(fold(events(streamOf(...wire)), dialect.name)).toEqual(fold(once, dialect.name));
      expectWellFormed(wire);
    },
  );

  test('count what condensing the conversation took, which the totals leave out', () => {
    const iterations = [
      { type: 'compaction', input_tokens: 180_000, cache_read_input_tokens: 20_000, output_tokens: 3500 },
      { type: 'message', input_tokens: 17, output_tokens: 40 },
    ];
    const usage: JsonObject = { input_tokens: 17, output_tokens: 40, iterations };
    const all = { ...emptyUsage(), input: 200_017, cacheRead: 20_000, output: 3540 };
    const body: JsonObject = { content: [], stop_reason: 'end_turn', usage };
    expect(dialect.readUsage(body, {})).toEqual(all);
    const answer = dialect.readResponse(body, {});
    expect(answer.usage).toEqual(all);
    expect(dialect.writeResponse(answer).usage).toMatchObject({ ...usage, cache_read_input_tokens: 0 });

    const stream = streamOf(start, { ...finish, usage }, { ...finish, usage }, { type: 'message_stop' });
    expect(fold(events(stream), dialect.name).usage).toEqual(all);
    const tap = dialect.tap({}, false);
    for (const { event, data } of sseEvents(stream)) tap.push(event, data);
    expect(tap.usage).toEqual(all);
  });

  test('counts cached tokens as input', () => {
    const { usage } = dialect.readResponse(json('cache', 'response.json'), {});
    expect(usage).toEqual({
      ...emptyUsage(),
      input: 2303,
      cacheRead: 2000,
      cacheWrite5m: 100,
      cacheWrite1h: 200,
      output: 4,
    });
    expect(
      dialect.readUsage({ usage: { input_tokens: 3, cache_creation_input_tokens: 12304 } }, {}),
    ).toMatchObject({
      input: 12307,
      cacheWrite5m: 12304,
    });
  });

  test('that refuses tells why in a block of its own and writes it back beside the content', () => {
    const answer = dialect.readResponse(json('refusal', 'response.json'), {});
    expect(answer.choices[0]?.stop).toBe('refusal');
    expect(answer.choices[0]?.blocks[0]).toMatchObject({ type: 'refusal', text: 'I cannot help with that.' });
    expect(dialect.writeResponse(answer)).toMatchObject({ content: [], stop_reason: 'refusal' });
  });

  test('keeps server tools opaque: the client has nothing to carry out', () => {
    const [choice] = dialect.readResponse(json('server-tools', 'response.json'), {}).choices;
    expect(choice?.blocks.map(({ type }) => type)).toEqual(['opaque', 'opaque', 'text']);
    expect(dialect.readResponse(json('pause-turn', 'response.json'), {}).choices[0]?.stop).toBe('pause');
  });

  test.each([
    ['model_context_window_exceeded', 'context_length'],
    ['max_tokens', 'length'],
    ['compaction', 'pause'],
    ['something_new', 'stop'],
  ] as const)('that ended by %s stopped by %s', (reason, stop) => {
    const body = { ...json('text', 'response.json'), stop_reason: reason };
    expect(dialect.readResponse(body, {}).choices[0]?.stop).toBe(stop);
  });

  test('that is an error with status 200 is thrown as one', () => {
    const body = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
    expect(() => dialect.readResponse(body, {})).toThrow(
      expect.objectContaining({ kind: 'upstream_overloaded' }),
    );
    expect(() => dialect.readResponse({ id: 'x' }, {})).toThrow(
      expect.objectContaining({ kind: 'upstream_invalid' }),
    );
  });
});

/** One block open at a time, indexes counting up, the frame events in their places. */
function expectWellFormed(wire: JsonObject[]): void {
  expect(wire.at(0)?.type).toBe('message_start');
  expect(wire.slice(-2).map(({ type }) => type)).toEqual(['message_delta', 'message_stop']);
  let open = -1;
  let next = 0;
  for (const event of wire.slice(1, -2)) {
    if (event.type === 'content_block_start') {
      expect([open, event.index]).toEqual([-1, next]);
      open = next++;
    } else {
      expect(event.index).toBe(open);
      if (event.type === 'content_block_stop') open = -1;
    }
  }
  expect(open).toBe(-1);
}

describe('a stream that is read', () => {
  test('ignores pings and a second message_start', () => {
    const seen = events(
      streamOf(
        { type: 'ping' },
        start,
        start,
        { type: 'ping' },
        opening(0, { type: 'text', text: '' }),
        finish,
        last,
      ),
    );
    expect(seen.map(({ type }) => type)).toEqual(['start', 'block', 'close', 'finish', 'usage', 'end']);
  });

  test('replaces the counts of the start by the cumulative ones and keeps those that do not come again', () => {
    const cached = {
      input_tokens: 5,
      cache_read_input_tokens: 100,
      cache_creation_input_tokens: 10,
      output_tokens: 1,
    };
    const message = { ...(start.message as JsonObject), usage: cached };
    const seen = events(streamOf({ ...start, message }, finish, last));
    expect(seen.find(({ type }) => type === 'usage')).toMatchObject({
      usage: { input: 115, cacheRead: 100, cacheWrite5m: 10, output: 3 },
    });
  });

  test.each([
    ['only empty pieces', ['', ''], '{}'],
    ['no piece at all', [], '{}'],
    ['pieces after an empty one', ['', '{"a"', ':1}'], '{"a":1}'],
  ])('gives a tool call with %s its arguments', (_what, pieces, input) => {
    const stop = { ...finish, delta: { stop_reason: 'tool_use' } };
    const seen = events(
      streamOf(
        start,
        opening(0, { type: 'tool_use', id: 't', name: 'n', input: {} }),
        ...pieces.map((partial_json) => piece(0, { type: 'input_json_delta', partial_json })),
        closing(0),
        stop,
        last,
      ),
    );
    expect(fold(seen, dialect.name).choices[0]).toEqual({
      index: 0,
      blocks: [{ type: 'tool-call', id: 't', name: 'n', input }],
      stop: 'tool_calls',
    });
  });

  test('leaves arguments that a token limit cut as they are', () => {
    const seen = events(
      streamOf(
        start,
        opening(0, { type: 'tool_use', id: 't', name: 'n', input: {} }),
        piece(0, { type: 'input_json_delta', partial_json: '{"a":"b' }),
        closing(0),
        { ...finish, delta: { stop_reason: 'max_tokens' } },
        last,
      ),
    );
    expect(fold(seen, dialect.name).choices[0]).toMatchObject({
      stop: 'length',
      blocks: [{ input: '{"a":"b' }],
    });
  });

  test('ends at its stop reason when the last word is missing, and is cut without a stop reason', () => {
    const types = (...values: JsonObject[]): string[] => events(streamOf(...values)).map(({ type }) => type);
    expect(types(start, finish)).toEqual(['start', 'finish', 'usage', 'end']);
    expect(types(start, opening(0, { type: 'text', text: '' }))).toEqual(['start', 'block']);
    expect(types(start, last)).toEqual(['start']);
  });

  test('tells an error inside it by its kind', () => {
    const seen = events(text('error-in-stream', 'stream.sse'));
    expect(seen.at(-1)).toMatchObject({ type: 'error', error: { kind: 'upstream_overloaded' } });
    expect(() => fold(seen, dialect.name)).toThrow('Overloaded');
  });

  test.each([
    '{"type":',
    '[]',
    '{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"x"}}',
  ])('that makes no sense (%s) ends in an error', (data) => {
    const seen: ChatEvent[] = [];
    const reader = dialect.readStream((event) => seen.push(event), {});
    reader.push('message_delta', data);
    reader.end();
    expect(seen).toMatchObject([{ type: 'error', error: { kind: 'upstream_invalid' } }]);
  });

  test('begins all the same when message_start never came', () => {
    const seen = events(streamOf(opening(0, { type: 'text', text: '' }), closing(0), finish, last));
    expect(seen[0]).toEqual({ type: 'start', id: '', model: '' });
  });

  test('with a piece of the wrong kind for its block ends in an error', () => {
    const thought = piece(0, { type: 'thinking_delta', thinking: 'hm' });
    const seen = events(
      streamOf(start, opening(0, { type: 'text', text: '' }), thought, closing(0), finish, last),
    );
    expect(seen.at(-1)).toMatchObject({ type: 'error', error: { kind: 'upstream_invalid' } });
  });

  test('gathers blocks it has no word for, whatever their pieces are called', () => {
    const grown = { type: 'compaction_delta', content: 'mary' };
    const seen = events(
      streamOf(
        start,
        opening(0, { type: 'compaction', content: 'Sum' }),
        piece(0, grown),
        closing(0),
        finish,
        last,
      ),
    );
    expect(seen[1]).toMatchObject({
      value: { type: 'opaque', value: { type: 'compaction', content: 'Summary' } },
    });
  });

  test('turns the tool that stands for a schema back into text', () => {
    const quirks: Quirks = { schemaByTool: true };
    const body = rewrite(
      { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
      quirks,
    );
    const [tool] = body.tools as JsonObject[];
    expect(body.tool_choice).toEqual({ type: 'tool', name: tool!.name! });
    expect(body.output_config).toBeUndefined();
    const call = { type: 'tool_use', id: 't', name: tool!.name!, input: { a: 1 } };
    const whole = { ...json('text', 'response.json'), content: [call], stop_reason: 'tool_use' };
    const streamed = streamOf(
      start,
      opening(0, { ...call, input: {} }),
      piece(0, { type: 'input_json_delta', partial_json: '{"a"' }),
      piece(0, { type: 'input_json_delta', partial_json: ':1}' }),
      closing(0),
      { ...finish, delta: { stop_reason: 'tool_use' } },
      last,
    );
    const expected = { index: 0, blocks: [{ type: 'text', text: '{"a":1}' }], stop: 'stop' };
    expect(dialect.readResponse(whole, quirks).choices).toEqual([expected as never]);
    expect(fold(events(streamed, quirks), dialect.name).choices).toEqual([expected as never]);
    expect(dialect.readResponse(whole, {}).choices[0]?.stop).toBe('tool_calls');
  });
});

describe('a stream that is written', () => {
  const begin: ChatEvent = { type: 'start', id: 'chatcmpl-1', model: 'gpt' };
  const tool = (block: number, id: string): ChatEvent => ({
    type: 'block',
    choice: 0,
    block,
    value: { type: 'tool-call', id, name: 'f', input: '' },
  });
  const input = (block: number, part: string): ChatEvent => ({
    type: 'delta',
    choice: 0,
    block,
    input: part,
  });
  const say = (block: number, part: string): ChatEvent => ({ type: 'delta', choice: 0, block, text: part });
  const done: ChatEvent[] = [{ type: 'finish', choice: 0, stop: 'stop' }, { type: 'end' }];

  test('has one block open at a time, though calls interleave', () => {
    const wire = written([
      begin,
      tool(0, 'a'),
      input(0, '{"x"'),
      tool(1, 'b'),
      input(1, '{"y"'),
      input(0, ':1}'),
      input(1, ':2}'),
      ...done,
    ]);
    expectWellFormed(wire);
    const answer = fold(events(streamOf(...wire)), dialect.name);
    expect(answer.choices[0]).toMatchObject({
      blocks: [
        { id: 'a', input: '{"x":1}' },
        { id: 'b', input: '{"y":2}' },
      ],
      stop: 'tool_calls',
    });
  });

  test('lets text pass at once: what comes for a block that was closed early opens another', () => {
    const value = { type: 'text', text: '' } as const;
    const wire = written([
      begin,
      { type: 'block', choice: 0, block: 0, value: { type: 'reasoning', text: '' } },
      say(0, 'hm'),
      { type: 'block', choice: 0, block: 1, value },
      say(1, 'A'),
      say(0, 'hm again'),
      say(1, 'B'),
      ...done,
    ]);
    expectWellFormed(wire);
    expect(fold(events(streamOf(...wire)), dialect.name).choices[0]?.blocks).toMatchObject([
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'A' },
      { type: 'reasoning', text: 'hm again' },
      { type: 'text', text: 'B' },
    ]);
  });

  test('begins with message_start and an id of its own, and ends with full usage without cached input', () => {
    const usage = { ...emptyUsage(), input: 120, cacheRead: 100, output: 7, reasoning: 3 };
    const wire = written([
      begin,
      tool(0, 'a'),
      { type: 'close', choice: 0, block: 0 },
      done[0]!,
      { type: 'usage', usage },
      done[1]!,
    ]);
    expect(wire[0]?.message).toMatchObject({
      id: 'msg_chatcmpl-1',
      model: 'gpt',
      content: [],
      usage: { input_tokens: 0 },
    });
    expect(wire[2]?.delta).toEqual({ type: 'input_json_delta', partial_json: '{}' });
    expect(wire.at(-2)).toEqual({
      type: 'message_delta',
      delta: { stop_reason: 'tool_use', stop_sequence: null },
      usage: {
        input_tokens: 20,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 100,
        output_tokens: 7,
        output_tokens_details: { thinking_tokens: 3 },
      },
    });
  });

  test('says a refusal as text and by its stop reason; shows the reasoning of others without a signature', () => {
    const wire = written([
      begin,
      { type: 'block', choice: 0, block: 0, value: { type: 'reasoning', text: '', vendor: 'gemini' } },
      say(0, 'hm'),
      { type: 'delta', choice: 0, block: 0, signature: 'theirs' },
      { type: 'close', choice: 0, block: 0 },
      { type: 'block', choice: 0, block: 1, value: { type: 'refusal', text: '' } },
      say(1, 'No.'),
      ...done,
    ]);
    expectWellFormed(wire);
    expect(JSON.stringify(wire)).not.toContain('theirs');
    expect(
      wire.filter(({ type }) => type === 'content_block_start').map((event) => event.content_block),
    ).toEqual([
      { type: 'thinking', thinking: '', signature: '' },
      { type: 'text', text: '' },
    ]);
    expect(wire.at(-2)?.delta).toMatchObject({ stop_reason: 'refusal' });
  });

  test('holds the first of several answers only', () => {
    const other: ChatEvent[] = [
      { type: 'block', choice: 1, block: 0, value: { type: 'text', text: '' } },
      { type: 'delta', choice: 1, block: 0, text: 'other' },
      { type: 'finish', choice: 1, stop: 'length' },
    ];
    const wire = written([begin, ...other, ...done]);
    expect(wire.map(({ type }) => type)).toEqual(['message_start', 'message_delta', 'message_stop']);
    expect(wire[1]?.delta).toMatchObject({ stop_reason: 'end_turn' });
  });
});

describe('the tap', () => {
  test.each(casesWith('stream.sse').filter((name) => !name.startsWith('error')))(
    'sees in %s what the reader sees',
    (name) => {
      const tap = dialect.tap({}, false);
      for (const { event, data } of sseEvents(text(name, 'stream.sse')))
        expect(tap.push(event, data)).toBe(true);
      const { usage } = fold(events(text(name, 'stream.sse')), dialect.name);
      expect({
        usage: tap.usage,
        meaningful: tap.meaningful,
        complete: tap.complete,
        terminated: tap.terminated,
      }).toEqual({
        usage: usage!,
        meaningful: true,
        complete: true,
        terminated: true,
      });
    },
  );

  test('finds nothing meaningful in the opening of a text block', () => {
    const tap = dialect.tap({}, false);
    const show = (value: JsonObject): boolean =>
      tap.push(String(value.type), JSON.stringify(value)) && tap.meaningful;
    expect([start, { type: 'ping' }, opening(0, { type: 'text', text: '' })].map(show)).toEqual([
      false,
      false,
      false,
    ]);
    expect(show(piece(0, { type: 'text_delta', text: 'x' }))).toBe(true);
    expect(dialect.tap({}, false).meaningful).toBe(false);
  });

  test('tells the error inside a stream', () => {
    const tap = dialect.tap({}, false);
    for (const { event, data } of sseEvents(text('error-in-stream', 'stream.sse'))) tap.push(event, data);
    expect(tap.error?.kind).toBe('upstream_overloaded');
    expect(tap.complete).toBe(false);
  });

  test('has markers for every event it must not miss', () => {
    const must = [finish, last, { type: 'error', error: { type: 'api_error', message: '' } }];
    for (const event of must) {
      expect(dialect.tapMarkers.some((marker) => frame(event).includes(marker))).toBe(true);
    }
  });
});

describe('an error', () => {
  test.each([
    ['error-overloaded', 'upstream_overloaded', undefined],
    ['error-prompt-too-long', 'context_length', undefined],
    ['error-rate-limit', 'upstream_rate_limited', 7],
  ] as const)('%s is read as %s', (name, kind, retryAfterS) => {
    const { status, headers, body } = json(name, 'error.json');
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const error = dialect.readError(status as number, new Headers(headers as Record<string, string>), bytes);
    expect([error.kind, error.detail.retryAfterS]).toEqual([kind, retryAfterS]);
  });

  test('that tells only when the limit resets is retried then', () => {
    const reset = new Date(Date.now() + 20_000).toISOString();
    const headers = new Headers({
      'anthropic-ratelimit-requests-remaining': '0',
      'anthropic-ratelimit-requests-reset': reset,
    });
    const { kind, detail } = dialect.readError(429, headers, new Uint8Array());
    expect(kind).toBe('upstream_rate_limited');
    expect(detail.retryAfterS).toBeGreaterThan(10);
    expect(detail.retryAfterS).toBeLessThanOrEqual(20);
  });

  test.each([
    ['upstream_overloaded', 529, 'overloaded_error'],
    ['unauthorized', 401, 'authentication_error'],
    ['forbidden', 403, 'permission_error'],
    ['not_found', 404, 'not_found_error'],
    ['too_large', 413, 'request_too_large'],
    ['rate_limited', 429, 'rate_limit_error'],
    ['upstream_auth', 502, 'api_error'],
    ['upstream_timeout', 504, 'timeout_error'],
    ['upstream_quota', 429, 'billing_error'],
    ['internal', 500, 'api_error'],
  ] as const)('%s is written with status %i as %s', (kind, status, type) => {
    expect(dialect.writeError(new GatewayError(kind, 'Why.'), 'call1')).toEqual({
      status,
      body: { type: 'error', error: { type, message: 'Why.' }, request_id: 'call1' },
    });
  });

  test('of a conversation too long is said in the words clients look for', () => {
    const { body } = dialect.writeError(
      new GatewayError('context_length', 'maximum context length is 8192'),
      'r',
    );
    expect((body.error as JsonObject).message).toStartWith('prompt is too long: ');
  });

  test('inside a stream is an event of its own', () => {
    const [event] = sseEvents(
      dialect.writeStreamError(new GatewayError('upstream_network', 'Cut.'), 'call1'),
    );
    expect(event?.event).toBe('error');
    expect(JSON.parse(event?.data ?? '')).toMatchObject({
      type: 'error',
      error: { type: 'api_error', message: 'Cut.' },
    });
  });
});
