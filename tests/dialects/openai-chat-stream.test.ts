/** What is particular to streamed answers of OpenAI Chat Completions. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { sseEvents } from '../recordings.ts';

const folder = join(import.meta.dir, '../../fixtures/openai-chat');
const load = (name: string, file = 'stream.sse'): string => readFileSync(join(folder, name, file), 'utf8');
const streams = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'stream.sse')));
const failing = streams.filter((name) => name.startsWith('error'));
const sound = streams.filter((name) => !name.startsWith('error'));

function read(sse: string): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = openaiChat.readStream((event) => events.push(event), {});
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return events;
}

/** Chunks given as their choices' deltas, the way a host would send them. */
function readDeltas(...deltas: JsonObject[]): ChatResponse {
  const chunks = deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] }));
  const all = [...chunks, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }];
  return fold(read(all.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')), 'openai-chat');
}

function write(events: ChatEvent[], streamUsage = false): string {
  let text = '';
  const writer = openaiChat.writeStream(
    (piece) => {
      text += piece;
    },
    { streamUsage },
  );
  for (const event of events) writer.push(event);
  return text;
}

const chunksOf = (sse: string): JsonObject[] =>
  sseEvents(sse)
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data));

const call = (
  index: number | undefined,
  id: string | undefined,
  name: string | undefined,
  args: Json,
): JsonObject => ({
  tool_calls: [{ index, id, type: 'function', function: { name, arguments: args } }],
});

describe('a stream', () => {
  test.each(sound.filter((name) => existsSync(join(folder, name, 'response.json'))))(
    'spells the whole answer: %s',
    (name) => {
      const whole = openaiChat.readResponse(JSON.parse(load(name, 'response.json')), {});
      expect(fold(read(load(name)), 'openai-chat')).toMatchObject({
        choices: whole.choices,
        usage: whole.usage,
      });
    },
  );

  test.each(sound)('survives being read and written: %s', (name) => {
    const events = read(load(name));
    const again = read(write(events, true));
    expect(fold(again, 'openai-chat')).toEqual(fold(events.map(withoutExtra), 'openai-chat'));
  });

  test.each(sound)('has one finish a choice, then usage, then one end: %s', (name) => {
    const types = read(load(name)).map((event) => event.type);
    const last = types.slice(types.indexOf('finish'));
    expect(last.filter((type) => type === 'end')).toHaveLength(1);
    expect(last.at(-1)).toBe('end');
    expect(last.at(-2)).toBe('usage');
    expect(types.filter((type) => type === 'start')).toHaveLength(1);
  });

  test.each(failing)('tells of a failure and then nothing: %s', (name) => {
    const events = read(load(name));
    expect(events.at(-1)?.type).toBe('error');
    expect(events.some((event) => event.type === 'finish' || event.type === 'end')).toBe(false);
  });

  test('that is cut before its finish does not end', () => {
    const [head] = load('text').split(
      'data: {"id":"chatcmpl-fixture","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4.1-mini","choices":[{"index":0,"delta":{},',
    );
    const events = read(head ?? '');
    expect(events.some((event) => event.type === 'delta')).toBe(true);
    expect(events.some((event) => event.type === 'end' || event.type === 'finish')).toBe(false);
  });

  test('with two choices is cut while one of them is unfinished', () => {
    const chunk = (index: number, finish_reason: string | null) =>
      `data: ${JSON.stringify({ choices: [{ index, delta: { content: 'x' }, finish_reason }] })}\n\n`;
    expect(read(chunk(0, 'stop') + chunk(1, null)).at(-1)?.type).not.toBe('end');
    expect(read(chunk(0, 'stop') + chunk(1, 'stop')).at(-1)?.type).toBe('end');
  });

  test('with its last word but no finish reason is whole', () => {
    const chunk = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x' } }] })}\n\n`;
    expect(fold(read(`${chunk}data: [DONE]\n\n`), 'openai-chat').choices[0]?.stop).toBe('stop');
  });

  test('without any answer is a failure', () => {
    expect(read('data: [DONE]\n\n')).toMatchObject([{ type: 'error', error: { kind: 'upstream_invalid' } }]);
  });

  test('with a piece that is not JSON is a failure', () => {
    expect(read('data: {"choices":[\n\n')).toMatchObject([
      { type: 'error', error: { kind: 'upstream_invalid' } },
    ]);
  });
});

function withoutExtra(event: ChatEvent): ChatEvent {
  if (event.type !== 'start') return event;
  const { extra: _, ...rest } = event;
  return rest;
}

describe('tool calls of a stream', () => {
  const blocks = (...deltas: JsonObject[]) => readDeltas(...deltas).choices[0]?.blocks;

  test('are told apart by index, though ids and names repeat', () => {
    expect(
      blocks(
        call(0, 'a', 'f', '{"x"'),
        call(1, 'b', 'g', ''),
        call(0, 'a', 'f', ':1}'),
        call(1, 'b', 'g', '{}'),
      ),
    ).toEqual([
      { type: 'tool-call', id: 'a', name: 'f', input: '{"x":1}' },
      { type: 'tool-call', id: 'b', name: 'g', input: '{}' },
    ]);
  });

  test('are told apart by id where the index is missing', () => {
    expect(
      blocks(
        call(undefined, 'a', 'f', '{"x"'),
        call(undefined, undefined, undefined, ':1}'),
        call(undefined, 'b', 'f', '{}'),
      ),
    ).toEqual([
      { type: 'tool-call', id: 'a', name: 'f', input: '{"x":1}' },
      { type: 'tool-call', id: 'b', name: 'f', input: '{}' },
    ]);
  });

  test('without ids get some, one for each', () => {
    const answer = fold(read(load('tool-id-empty')), 'openai-chat');
    expect(answer.choices[0]?.stop).toBe('tool_calls');
    const calls = answer.choices[0]?.blocks as { id: string; input: string }[];
    expect(calls.map((each) => each.input)).toEqual(['{"city":"Oslo"}', '{"city":"Rome"}']);
    expect(new Set(calls.map((each) => each.id)).size).toBe(2);
    for (const each of calls) expect(each.id).toMatch(/^call_\w{24}$/);
  });

  test('whose id or name comes late lose nothing', () => {
    expect(blocks(call(0, 'a', '', '{"x"'), call(0, undefined, 'f', ':1}'))).toEqual([
      { type: 'tool-call', id: 'a', name: 'f', input: '{"x":1}' },
    ]);
    expect(blocks(call(0, '', 'f', '{"x"'), call(0, 'late', undefined, ':1}'))).toMatchObject([
      { input: '{"x":1}' },
    ]);
  });

  test('keep a null inside their arguments, but not one instead of them', () => {
    expect(
      blocks(
        call(0, 'a', 'f', '{"x":'),
        call(0, undefined, undefined, 'null'),
        call(0, undefined, undefined, '}'),
      ),
    ).toMatchObject([{ input: '{"x":null}' }]);
    expect(blocks(call(0, 'a', 'f', 'null'))).toMatchObject([{ input: '{}' }]);
  });

  test('that never come make a promised tool_calls a stop', () => {
    const chunk = { choices: [{ index: 0, delta: { content: 'x' }, finish_reason: 'tool_calls' }] };
    expect(fold(read(`data: ${JSON.stringify(chunk)}\n\n`), 'openai-chat').choices[0]?.stop).toBe('stop');
  });
});

describe('a written stream', () => {
  const start: ChatEvent = { type: 'start', id: 'msg_1', model: 'claude' };
  const usage = openaiChat.readUsage({ usage: { prompt_tokens: 3, completion_tokens: 2 } }, {})!;
  const text = (words: string): ChatEvent => ({ type: 'delta', choice: 0, block: 0, text: words });
  const answer: ChatEvent[] = [
    start,
    { type: 'block', choice: 0, block: 0, value: { type: 'reasoning', text: '' } },
    text('hm'),
    { type: 'delta', choice: 0, block: 0, signature: 'abc' },
    { type: 'close', choice: 0, block: 0 },
    { type: 'block', choice: 0, block: 1, value: { type: 'text', text: '' } },
    { type: 'delta', choice: 0, block: 1, text: 'Hi "there"\n' },
    { type: 'close', choice: 0, block: 1 },
    { type: 'block', choice: 0, block: 2, value: { type: 'tool-call', id: 't1', name: 'f', input: '' } },
    { type: 'delta', choice: 0, block: 2, input: '{"a"' },
    { type: 'delta', choice: 0, block: 2, input: ':1}' },
    { type: 'close', choice: 0, block: 2 },
    {
      type: 'block',
      choice: 0,
      block: 3,
      value: { type: 'opaque', dialect: 'anthropic-messages', value: { type: 'server_tool_use' } },
    },
    { type: 'close', choice: 0, block: 3 },
    { type: 'block', choice: 0, block: 4, value: { type: 'tool-call', id: 't2', name: 'g', input: '' } },
    { type: 'close', choice: 0, block: 4 },
    { type: 'finish', choice: 0, stop: 'tool_calls' },
    { type: 'usage', usage },
    { type: 'end' },
  ];

  test('has the chunks that OpenAI sends', () => {
    const sse = write(answer);
    expect(sse.endsWith('"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n')).toBe(true);
    expect(sse.match(/\[DONE\]/g)).toHaveLength(1);
    const chunks = chunksOf(sse);
    for (const chunk of chunks) {
      expect(chunk).toMatchObject({ id: 'chatcmpl-msg_1', object: 'chat.completion.chunk', model: 'claude' });
      expect(chunk.created).toBeNumber();
      expect('usage' in chunk).toBe(false);
    }
    const choices = chunks.map((chunk) => (chunk.choices as JsonObject[])[0]!);
    expect(choices.slice(0, -1).every((choice) => choice.finish_reason === null)).toBe(true);
    expect(choices.map((choice) => choice.delta)).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { reasoning_content: 'hm' },
      { content: 'Hi "there"\n' },
      { tool_calls: [{ index: 0, id: 't1', type: 'function', function: { name: 'f', arguments: '' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"a"' } }] },
      { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
      { tool_calls: [{ index: 1, id: 't2', type: 'function', function: { name: 'g', arguments: '' } }] },
      { tool_calls: [{ index: 1, function: { arguments: '{}' } }] },
      {},
    ]);
  });

  test('has usage in a last chunk of its own, if asked for', () => {
    const chunks = chunksOf(write(answer, true));
    const last = chunks.at(-1);
    expect(last?.choices).toEqual([]);
    expect(last?.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  test('ends with the error and no last word when it fails', () => {
    const error = new GatewayError('upstream_overloaded', 'Busy.');
    const sse = write([...answer.slice(0, 3), { type: 'error', error }]);
    expect(sse).not.toContain('[DONE]');
    expect(chunksOf(sse).at(-1)).toEqual({
      error: { message: 'Busy.', type: 'server_error', param: null, code: 'overloaded' },
    });
  });

  test.each([
    ['refusal', 'content_filter'],
    ['stop_sequence', 'stop'],
    ['context_length', 'length'],
    ['pause', 'stop'],
  ] as const)('says %s as %s', (stop, word) => {
    const chunks = chunksOf(write([start, { type: 'finish', choice: 0, stop }, { type: 'end' }]));
    expect(chunks.at(-1)).toMatchObject({ choices: [{ finish_reason: word }] });
    expect(chunks[0]).toMatchObject({ choices: [{ delta: { role: 'assistant' } }] });
  });
});

describe('a tap', () => {
  function watch(name: string, hideUsage = false) {
    const tap = openaiChat.tap({}, hideUsage);
    const hidden = sseEvents(load(name)).filter(({ event, data }) => !tap.push(event, data));
    return { tap, hidden };
  }

  test.each(sound)('agrees with the reader on usage: %s', (name) => {
    const { tap } = watch(name);
    const answer = fold(read(load(name)), 'openai-chat');
    expect(tap.usage).toEqual(answer.usage);
    expect(tap).toMatchObject({ meaningful: true, complete: true, error: undefined });
  });

  test.each(sound)('needs only what its markers show, once something has passed: %s', (name) => {
    const tap = openaiChat.tap({}, false);
    for (const frame of load(name).split(/(?<=\n\n)/)) {
      if (tap.meaningful && !openaiChat.tapMarkers.some((marker) => frame.includes(marker))) continue;
      for (const { event, data } of sseEvents(frame)) tap.push(event, data);
    }
    expect(tap.usage).toEqual(watch(name).tap.usage);
    expect(tap.complete).toBe(true);
  });

  test('hides the usage the client did not ask for, and nothing else', () => {
    expect(watch('text', true).hidden.map(({ data }) => JSON.parse(data).choices)).toEqual([[]]);
    expect(watch('text', false).hidden).toEqual([]);
    // The content filter's first chunk has no choices either, and usage may ride on the last choice.
    expect(watch('content-filter', true).hidden).toHaveLength(1);
    expect(watch('reasoning-content', true).hidden).toEqual([]);
  });

  test('waits for something a client would notice', () => {
    const tap = openaiChat.tap({}, false);
    tap.push('', '{"choices":[],"prompt_filter_results":[]}');
    tap.push('', '{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}');
    expect(tap.meaningful).toBe(false);
    tap.push('', '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]},"finish_reason":null}]}');
    expect(tap).toMatchObject({ meaningful: true, complete: false, terminated: false });
    tap.push('', '[DONE]');
    expect(tap).toMatchObject({ complete: true, terminated: true });
  });

  test.each(failing)('notices a failure: %s', (name) => {
    expect(watch(name).tap.error).toBeInstanceOf(GatewayError);
  });
});
