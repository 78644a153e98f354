/** Streamed answers of OpenAI Responses: read, written, watched, understood by the official client. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import type { Block, ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';
import { sseEvents } from '../recordings.ts';

const folder = join(import.meta.dir, '../../fixtures/openai-responses');
const load = (name: string, file = 'stream.sse'): string => readFileSync(join(folder, name, file), 'utf8');
const streams = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'stream.sse')));
const failing = streams.filter((name) => /^(error|failed)-/.test(name));
const sound = streams.filter((name) => !failing.includes(name));

function read(sse: string): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = openaiResponses.readStream((event) => events.push(event), {});
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return events;
}

const foldText = (sse: string): ChatResponse => fold(read(sse), 'openai-responses');

function write(events: readonly ChatEvent[]): string {
  let text = '';
  const writer = openaiResponses.writeStream(
    (piece) => {
      text += piece;
    },
    { streamUsage: true },
  );
  for (const event of events) writer.push(event);
  return text;
}

type WireEvent = JsonObject & { type: string };

const eventsOf = (sse: string): WireEvent[] =>
  sseEvents(sse)
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data));

/** A stream of these events. */
const sse = (...events: WireEvent[]): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');

const completed = (...output: JsonObject[]): WireEvent => ({
  type: 'response.completed',
  response: { id: 'resp_1', status: 'completed', output },
});
const message = (id: string, ...texts: string[]): JsonObject => ({
  type: 'message',
  id,
  role: 'assistant',
  content: texts.map((text) => ({ type: 'output_text', text, annotations: [] })),
});
const blocksOf = (text: string): Block[] => foldText(text).choices[0]?.blocks ?? [];

describe('a stream', () => {
  test.each(sound.filter((name) => existsSync(join(folder, name, 'response.json'))))(
    'spells the whole answer: %s',
    (name) => {
      const whole = openaiResponses.readResponse(JSON.parse(load(name, 'response.json')), {});
      expect(foldText(load(name))).toEqual(whole);
    },
  );

  test.each(sound)('survives being read and written: %s', (name) => {
    expect(foldText(write(read(load(name))))).toEqual(foldText(load(name)));
  });

  test('has its text in pieces as they come', () => {
    const texts = read(load('text')).flatMap((event) => (event.type === 'delta' ? [event.text] : []));
    expect(texts.length).toBeGreaterThan(1);
    expect(texts.join('')).toBe('The capital of France is Paris.');
  });

  test('begins with its id, model and time', () => {
    expect(read(load('text'))[0]).toMatchObject({
      type: 'start',
      id: 'resp_text01',
      model: 'gpt-5.2-2025-12-11',
      created: 1764000000,
    });
  });

  test('ends with finish, usage and end, and hears nothing after that', () => {
    const events = read(load('done-marker') + load('text'));
    expect(events.slice(-3).map(({ type }) => type)).toEqual(['finish', 'usage', 'end']);
    expect(events.filter(({ type }) => type === 'start')).toHaveLength(1);
  });

  test('without its last event was cut', () => {
    const cut = load('text').split('event: response.completed')[0]!;
    for (const text of [cut, `${cut}data: [DONE]\n\n`]) {
      expect(read(text).map(({ type }) => type)).not.toContainAnyValues(['finish', 'end']);
    }
  });

  test('parts of a summary are joined by a blank line', () => {
    expect(blocksOf(load('reasoning-summary'))[0]).toMatchObject({
      text: '**Listing primes**\n\nTwo, three, five…\n\n**Counting**\n\nThere are eight.',
      redacted: 'Z0FBQUFBQmVuY3J5cHRlZC1yZWFzb25pbmctb25l',
    });
  });

  test('unknown events and items are no harm', () => {
    const types = read(load('hosted-tools')).flatMap((event) =>
      event.type === 'block' ? [event.value.type] : [],
    );
    expect(types).toEqual(['opaque', 'text']);
    expect(foldText(load('queued')).choices[0]).toMatchObject({ stop: 'stop', blocks: [{ text: 'Four.' }] });
  });
});

describe('hosts leave out', () => {
  test('all events but the last', () => {
    expect(blocksOf(sse(completed(message('msg_1', 'All', ' of it'))))).toMatchObject([
      { type: 'text', text: 'All', extra: { item: { id: 'msg_1' } } },
      { type: 'text', text: ' of it' },
    ]);
  });

  test('the pieces of an item', () => {
    const call = { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"a":1}' };
    const events = sse({ type: 'response.output_item.done', output_index: 0, item: call }, completed());
    expect(foldText(events).choices[0]).toMatchObject({
      stop: 'tool_calls',
      blocks: [{ type: 'tool-call', id: 'c1', name: 'f', input: '{"a":1}' }],
    });
  });

  test('the end of a text, which its item then tells', () => {
    const delta = { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'All' };
    const done = { type: 'response.output_item.done', output_index: 0, item: message('msg_1', 'All of it') };
    expect(blocksOf(sse(delta, done, completed()))).toMatchObject([{ text: 'All of it' }]);
    expect(blocksOf(sse(delta, completed(message('msg_1', 'All of it'))))).toMatchObject([
      { text: 'All of it' },
    ]);
  });

  test('the places of items, or give all the same', () => {
    const add = (item: JsonObject, place?: number): WireEvent => ({
      type: 'response.output_item.added',
      item: { ...item, content: [] },
      ...(place !== undefined && { output_index: place }),
    });
    const say = (delta: string, place?: number): WireEvent => ({
      type: 'response.output_text.delta',
      delta,
      ...(place !== undefined && { output_index: place }),
    });
    const done = (item: JsonObject, place?: number): WireEvent => ({
      ...add(item, place),
      type: 'response.output_item.done',
      item,
    });
    const one = message('msg_1', 'one');
    const two = message('msg_2', 'two');
    for (const place of [undefined, 0]) {
      const events = [one, two].flatMap((item, i) => [
        add(item, place),
        say(['one', 'two'][i]!, place),
        done(item, place),
      ]);
      const texts = blocksOf(sse(...events, completed(one, two))).map(
        (block) => 'text' in block && block.text,
      );
      expect(texts).toEqual(['one', 'two']);
    }
  });

  test('the name of an event, or its type', () => {
    expect(foldText(load('done-marker')).choices[0]?.blocks).toMatchObject([{ text: '4' }]);
    const untyped = `event: response.output_text.delta\ndata: {"delta":"Hi"}\n\n${sse(completed())}`;
    expect(blocksOf(untyped)).toEqual([{ type: 'text', text: 'Hi' }]);
  });

  test('the id of a call, and name it late', () => {
    const item = { type: 'function_call', id: 'fc_1', arguments: '{}' };
    const events = sse(
      { type: 'response.output_item.added', output_index: 0, item: { ...item, arguments: '' } },
      { type: 'response.function_call_arguments.delta', output_index: 0, delta: '{}' },
      { type: 'response.output_item.done', output_index: 0, item: { ...item, name: 'f' } },
      completed(),
    );
    expect(blocksOf(events)).toMatchObject([{ type: 'tool-call', id: 'fc_1', name: 'f', input: '{}' }]);
  });
});

describe('a failure', () => {
  test.each<[string, string, string]>([
    ['error-in-stream', 'upstream_quota', 'You exceeded your current quota'],
    ['error-in-stream-flat', 'upstream_rate_limited', 'Rate limit reached'],
    ['failed-in-stream', 'upstream_unavailable', 'The model broke down.'],
  ])('is told once, with the words of the provider: %s', (name, kind, words) => {
    const errors = read(load(name)).flatMap((event) => (event.type === 'error' ? [event.error] : []));
    expect(errors).toHaveLength(1);
    expect(errors[0]?.kind as string).toBe(kind);
    expect(errors[0]?.message).toStartWith(words);
    const tap = openaiResponses.tap({}, false);
    for (const { event, data } of sseEvents(load(name))) expect(tap.push(event, data)).toBeTrue();
    expect(tap).toMatchObject({ complete: false, error: { kind } });
  });

  test.each<[string, string]>([
    ['what is no event', 'data: Hello\n\n'],
    ['what is no object', 'data: 7\n\n'],
    ['an error of another dialect', 'data: {"error":{"message":"No.","code":502}}\n\n'],
  ])('is %s', (_, text) => {
    expect(read(text).map(({ type }) => type)).toEqual(['error']);
  });

  test.each<[string, (stream: OpenAI) => Promise<unknown>]>([
    ['stream helper', async (client) => client.responses.stream({ model: 'm', input: 'Hi' }).finalResponse()],
    [
      'plain stream',
      async (client) => {
        for await (const _ of await client.responses.create({ model: 'm', input: 'Hi', stream: true }));
      },
    ],
  ])('written after some text is thrown by the %s of the official client', async (_, call) => {
    const error = new GatewayError('upstream_overloaded', 'Too many wanted the same.');
    const begun = write(read(load('text')).slice(0, 4));
    const text = begun + openaiResponses.writeStreamError(error, 'r1');
    expect(call(clientOf(text))).rejects.toThrow('Too many wanted the same.');
  });

  test('is an error, then a failed response, for clients that know only one of them', () => {
    const error = new GatewayError('context_length', 'Too long.');
    const [first, second] = eventsOf(openaiResponses.writeStreamError(error, 'r1'));
    expect(first).toMatchObject({
      type: 'error',
      code: 'context_length_exceeded',
      message: 'Too long.',
      error: { code: 'context_length_exceeded', message: 'Too long.' },
    });
    expect(second).toMatchObject({
      type: 'response.failed',
      response: {
        status: 'failed',
        error: { code: 'context_length_exceeded', message: 'Too long.' },
        output: [],
      },
    });
    expect(Number(second?.sequence_number)).toBeGreaterThan(Number(first?.sequence_number));
    expect(read(openaiResponses.writeStreamError(error, 'r1'))).toMatchObject([
      { type: 'error', error: { kind: 'context_length', message: 'Too long.' } },
    ]);
  });
});

function clientOf(text: string): OpenAI {
  const headers = { 'content-type': 'text/event-stream' };
  return new OpenAI({ apiKey: 'none', maxRetries: 0, fetch: async () => new Response(text, { headers }) });
}

describe('a written stream', () => {
  const at = { choice: 0, block: 0 };
  const start: ChatEvent = { type: 'start', id: 'x', model: 'm' };
  const usage = { ...emptyUsage(), input: 3, output: 2 };
  const end: ChatEvent[] = [
    { type: 'finish', choice: 0, stop: 'stop' },
    { type: 'usage', usage },
    { type: 'end' },
  ];
  const typesOf = (...events: ChatEvent[]): string[] =>
    eventsOf(write([start, ...events, ...end])).map(({ type }) => type.replace('response.', ''));
  const open = (value: Block, block = 0): ChatEvent => ({ type: 'block', choice: 0, block, value });
  const close = (block = 0): ChatEvent => ({ type: 'close', choice: 0, block });

  test('tells a text in all its steps', () => {
    const types = typesOf(open({ type: 'text', text: '' }), { type: 'delta', ...at, text: 'Hi' }, close());
    expect(types).toEqual([
      'created', 'in_progress', 'output_item.added', 'content_part.added', 'output_text.delta', 'output_text.done',
      'content_part.done', 'output_item.done', 'completed',
    ]); // biome-ignore format: one list
  });

  test('tells a refusal, reasoning and a call in all their steps', () => {
    expect(typesOf(open({ type: 'refusal', text: '' }), { type: 'delta', ...at, text: 'No' }, close()).slice(2, -1)).toEqual([
      'output_item.added', 'content_part.added', 'refusal.delta', 'refusal.done', 'content_part.done', 'output_item.done',
    ]); // biome-ignore format: one list
    expect(typesOf(open({ type: 'reasoning', text: '' }), { type: 'delta', ...at, text: 'Hm' }, close()).slice(2, -1)).toEqual([
      'output_item.added', 'reasoning_summary_part.added', 'reasoning_summary_text.delta', 'reasoning_summary_text.done',
      'reasoning_summary_part.done', 'output_item.done',
    ]); // biome-ignore format: one list
    const call: Block = { type: 'tool-call', id: 'c1', name: 'f', input: '' };
    expect(typesOf(open(call), { type: 'delta', ...at, input: '{}' }, close()).slice(2, -1)).toEqual([
      'output_item.added', 'function_call_arguments.delta', 'function_call_arguments.done', 'output_item.done',
    ]); // biome-ignore format: one list
    expect(typesOf(open({ ...call, custom: true }), { type: 'delta', ...at, input: 'x' }, close()).slice(2, -1)).toEqual([
      'output_item.added', 'custom_tool_call_input.delta', 'custom_tool_call_input.done', 'output_item.done',
    ]); // biome-ignore format: one list
  });

  test('numbers its events one by one, and names each twice', () => {
    for (const name of sound) {
      const text = write(read(load(name)));
      const events = eventsOf(text);
      expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, i) => i));
      expect(sseEvents(text).map(({ event }) => event)).toEqual(events.map(({ type }) => type));
      expect(text).not.toContain('[DONE]');
    }
  });

  test('repeats in its last event every item as it was told, and what it cost', () => {
    const call: Block = { type: 'tool-call', id: 'c1', name: 'f', input: '' };
    const events = eventsOf(
      write([
        start,
        open({ type: 'text', text: '' }),
        { type: 'delta', ...at, text: 'Hi' },
        close(),
        open(call, 1),
        close(1),
        ...end,
      ]),
    );
    const told = events.flatMap(({ type, item }) => (type === 'response.output_item.done' ? [item!] : []));
    expect(events.at(-1)).toMatchObject({
      type: 'response.completed',
      response: {
        id: 'resp_x',
        status: 'completed',
        usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
      },
    });
    expect((events.at(-1)!.response as JsonObject).output).toEqual(told);
    expect(told).toMatchObject([{ type: 'message' }, { type: 'function_call', arguments: '{}' }]);
  });

  test('ends incomplete where the answer was cut', () => {
    const events = eventsOf(
      write([
        start,
        open({ type: 'text', text: '' }),
        { type: 'delta', ...at, text: 'Hi' },
        close(),
        { type: 'finish', choice: 0, stop: 'length' },
        { type: 'end' },
      ]),
    );
    expect(events.at(-2)).toMatchObject({
      type: 'response.output_item.done',
      item: { status: 'incomplete' },
    });
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    });
  });

  test('keeps calls apart that grow at the same time', () => {
    const call = (id: string): Block => ({ type: 'tool-call', id, name: 'f', input: '' });
    const text = write([
      start,
      open(call('c1'), 0),
      open(call('c2'), 1),
      { type: 'delta', choice: 0, block: 1, input: '{"b":' },
      { type: 'delta', choice: 0, block: 0, input: '{"a":1}' },
      { type: 'delta', choice: 0, block: 1, input: '2}' },
      close(0),
      close(1),
      ...end,
    ]);
    expect(blocksOf(text)).toMatchObject([
      { id: 'c1', input: '{"a":1}' },
      { id: 'c2', input: '{"b":2}' },
    ]);
  });

  test('carries what another vendor says at the end of its thoughts and texts', () => {
    const state = { vendor: 'gemini' as const, value: 'T' };
    const items = (
      eventsOf(
        write([
          start,
          open({ type: 'reasoning', text: '', vendor: 'anthropic-messages' }),
          { type: 'delta', ...at, text: 'Hm' },
          { type: 'delta', ...at, signature: 'SIG' },
          close(),
          open({ type: 'text', text: '' }, 1),
          { type: 'delta', choice: 0, block: 1, text: 'Hi' },
          { type: 'delta', choice: 0, block: 1, state },
          close(1),
          ...end,
        ]),
      ).at(-1)!.response as JsonObject
    ).output;
    const { messages } = openaiResponses.readRequest({ model: 'm', input: items as JsonObject[] });
    expect(messages[0]?.blocks).toEqual([
      { type: 'reasoning', text: 'Hm', vendor: 'anthropic-messages', signature: 'SIG' },
      { type: 'text', text: 'Hi', state },
    ]);
  });

  test('has one choice: there is no word for more', () => {
    const text = write([
      start,
      open({ type: 'text', text: 'a' }),
      { type: 'block', choice: 1, block: 0, value: { type: 'text', text: 'b' } },
      { type: 'close', choice: 1, block: 0 },
      close(),
      { type: 'finish', choice: 1, stop: 'length' },
      ...end,
    ]);
    expect(foldText(text).choices).toMatchObject([{ stop: 'stop', blocks: [{ text: 'a' }] }]);
  });

  test.each(sound.filter((name) => name !== 'hosted-tools'))(
    'is read by the official client: %s',
    async (name) => {
      const said = foldText(load(name));
      const final = await clientOf(write(read(load(name))))
        .responses.stream({ model: 'm', input: 'Hi' })
        .finalResponse();
      const blocks = said.choices[0]!.blocks;
      expect(final.output_text).toBe(
        blocks.map((block) => (block.type === 'text' ? block.text : '')).join(''),
      );
      expect(final.usage?.total_tokens).toBe((said.usage?.input ?? 0) + (said.usage?.output ?? 0));
      expect(final.output.flatMap((item) => (item.type === 'function_call' ? [item.arguments] : []))).toEqual(
        blocks.flatMap((block) => (block.type === 'tool-call' && !block.custom ? [block.input] : [])),
      );
    },
  );
});

describe('a tap', () => {
  const watch = (text: string) => {
    const tap = openaiResponses.tap({}, false);
    for (const { event, data } of sseEvents(text)) tap.push(event, data);
    return tap;
  };

  test.each(sound)('tells what the reader tells: %s', (name) => {
    const { usage } = foldText(load(name));
    expect(watch(load(name))).toMatchObject({
      usage: usage!,
      meaningful: true,
      complete: true,
      terminated: true,
    });
  });

  test('waits for something a client would notice', () => {
    const events = eventsOf(load('reasoning-summary'));
    const upTo = (type: string) =>
      watch(sse(...events.slice(0, events.findIndex((event) => event.type === type) + 1)));
    expect(upTo('response.output_item.added').meaningful).toBeFalse();
    expect(upTo('response.reasoning_summary_text.delta').meaningful).toBeTrue();
    const call = { type: 'function_call', call_id: 'c1', name: 'f', arguments: '' };
    expect(
      watch(sse({ type: 'response.output_item.added', output_index: 0, item: call })).meaningful,
    ).toBeTrue();
  });

  test('needs to see nothing between the first words and the last event', () => {
    const { tapMarkers } = openaiResponses;
    const frames = load('reasoning-summary').split('\n\n').filter(Boolean);
    const shown = frames.filter((frame) => tapMarkers.some((marker) => frame.includes(marker)));
    expect(shown.at(-1)).toContain('response.completed');
    expect(shown.every((frame) => /response\.(created|in_progress|completed)/.test(frame))).toBeTrue();
  });
});
