/** OpenAI Responses as real hosts speak it. */
import { describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import type { Block, ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';
import { haveRecordings, loadRecordings, type Recording, sseEvents } from '../recordings.ts';

const recordings = loadRecordings((entry) => entry.dialect === 'openai-responses');
const named = recordings.map((each) => [each.file, each] as const);
const sound = named.filter(
  ([, { response }]) => response.status === 200 && !wordsOf(response.sse).includes('"error":{'),
);
const streams = sound.filter(([, each]) => each.response.sse !== undefined);

const wire = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value));

/** Without what says nothing: null, and lists of nothing. */
function bare(value: Json | undefined): Json {
  if (Array.isArray(value)) return value.map(bare);
  if (!isObject(value)) return value ?? null;
  const said = Object.entries(value).filter(
    ([, member]) => member !== null && !(Array.isArray(member) && member.length === 0),
  );
  return Object.fromEntries(said.map(([name, member]) => [name, bare(member)]));
}

function wordsOf(text: string | undefined): string {
  return text ?? '';
}

function readEvents(sse: string): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = openaiResponses.readStream((event) => events.push(event), {});
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return events;
}

function answerOf({ response }: Recording): ChatResponse {
  if (response.sse !== undefined) return fold(readEvents(response.sse), 'openai-responses');
  return openaiResponses.readResponse(response.body as JsonObject, {});
}

/** The response as the provider itself tells it at the end, its items those that were streamed. */
function responseOf({ response }: Recording): JsonObject {
  if (response.sse === undefined) return response.body as JsonObject;
  const events: JsonObject[] = sseEvents(response.sse)
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data));
  const done = events
    .filter(({ type }) => type === 'response.output_item.done')
    .map(({ item }) => item as Json);
  return { ...(events.at(-1)!.response as JsonObject), output: done };
}

const itemsOf = (recording: Recording): JsonObject[] =>
  (responseOf(recording).output as Json[]).filter(isObject);
const partsOf = (item: JsonObject, member: string): JsonObject[] =>
  Array.isArray(item[member]) ? (item[member] as Json[]).filter(isObject) : [];

/** What an item says, found without the reader: its kind, its words or arguments, its id. */
function gistOfItem(item: JsonObject): object[] {
  switch (item.type) {
    case 'message':
      return partsOf(item, 'content').map((part) => ({
        type: part.type === 'refusal' ? 'refusal' : 'text',
        words: part.text ?? part.refusal,
        sources: partsOf(part, 'annotations'),
      }));
    case 'reasoning': {
      const content = partsOf(item, 'content');
      const shown = (content.length > 0 ? content : partsOf(item, 'summary')).map(({ text }) => text);
      return [
        {
          type: 'reasoning',
          words: shown.join('\n\n'),
          id: item.id,
          state: item.encrypted_content ?? undefined,
        },
      ];
    }
    case 'function_call':
      return [{ type: 'tool-call', words: item.arguments, id: item.call_id, name: item.name }];
    default:
      return [{ type: 'opaque', words: item }];
  }
}

function gistOfBlock(block: Block): object {
  switch (block.type) {
    case 'text':
    case 'refusal': {
      const citations = block.type === 'text' ? (block.citations ?? []) : [];
      return { type: block.type, words: block.text, sources: citations.map(({ value }) => value) };
    }
    case 'reasoning':
      return { type: block.type, words: block.text, id: block.id, state: block.redacted };
    case 'tool-call':
      return { type: block.type, words: block.input, id: block.id, name: block.name };
    case 'opaque':
      return { type: block.type, words: block.value };
    default:
      return block;
  }
}

describe.skipIf(!haveRecordings)('recorded requests', () => {
  test.each(named.filter(([, each]) => each.request !== undefined))(
    'survive being read and written: %s',
    (_, each) => {
      const body = each.request!.body;
      const lost: string[] = [];
      const read = openaiResponses.readRequest(body);
      const written = wire(openaiResponses.writeRequest(read, {}, lost));
      expect(lost).toEqual([]);
      expect(openaiResponses.readRequest(written)).toEqual(read);
      const items = (input: Json | undefined): (Json | undefined)[] =>
        Array.isArray(input)
          ? input.map((item) => (isObject(item) ? (item.type ?? 'message') : item))
          : ['message'];
      expect(items(written.input)).toEqual(items(body.input));
      for (const name of [
        'model',
        'instructions',
        'tools',
        'tool_choice',
        'reasoning',
        'text',
        'include',
        'store',
      ]) {
        expect({ name, value: bare(written[name]) }).toEqual({ name, value: bare(body[name]) });
      }
    },
  );

  test.each(named.filter(([, each]) => each.request !== undefined))(
    'go to a provider as they are: %s',
    (_, each) => {
      const bytes = new TextEncoder().encode(JSON.stringify(each.request!.body));
      expect(openaiResponses.planRelay(bytes, [], false, {})).toEqual({
        edits: {},
        hideUsage: false,
        lost: [],
      });
    },
  );
});

describe.skipIf(!haveRecordings)('recorded answers', () => {
  test.each(sound)('are read block by block: %s', (_, each) => {
    const [choice] = answerOf(each).choices;
    expect(choice?.blocks.map(gistOfBlock)).toEqual(itemsOf(each).flatMap(gistOfItem));
  });

  test.each(sound)('end as the provider says, and cost what it counts: %s', (_, each) => {
    const { choices, usage, id, model } = answerOf(each);
    const response = responseOf(each);
    const called = itemsOf(each).some(({ type }) => type === 'function_call');
    const stop = response.status === 'incomplete' ? 'length' : called ? 'tool_calls' : 'stop';
    const told = response.usage as JsonObject;
    expect({ stop: choices[0]?.stop, input: usage?.input, output: usage?.output, id, model }).toEqual({
      stop,
      input: Number(told.input_tokens),
      output: Number(told.output_tokens),
      id: String(response.id),
      model: String(response.model),
    });
  });

  test.each(sound)('come back with all that only this dialect knows: %s', (_, each) => {
    const answer = answerOf(each);
    const written = wire(openaiResponses.writeResponse(structuredClone(answer)));
    const { usage, ...response } = responseOf(each);
    expect(bare(written)).toMatchObject(bare(response) as JsonObject);
    expect(written.usage).toMatchObject({
      input_tokens: (usage as JsonObject).input_tokens,
      output_tokens: (usage as JsonObject).output_tokens,
    } as JsonObject);
    expect(openaiResponses.readResponse(written, {})).toEqual(answer);
  });

  test.each(streams)('are read from a stream that is written anew: %s', async (_, each) => {
    const events = readEvents(each.response.sse!);
    let text = '';
    const writer = openaiResponses.writeStream(
      (piece) => {
        text += piece;
      },
      { streamUsage: true },
    );
    for (const event of events) writer.push(event);
    expect(fold(readEvents(text), 'openai-responses')).toEqual(answerOf(each));
    const headers = { 'content-type': 'text/event-stream' };
    const client = new OpenAI({
      apiKey: 'none',
      maxRetries: 0,
      fetch: async () => new Response(text, { headers }),
    });
    const final = await client.responses.stream({ model: 'm', input: 'Hi' }).finalResponse();
    expect(final.output.map(({ type }) => type)).toEqual(
      itemsOf(each).map(({ type }) => type as (typeof final.output)[number]['type']),
    );
  });

  test.each(streams)('are understood by clients of other dialects: %s', (_, each) => {
    const events = readEvents(each.response.sse!);
    const words = (answer: ChatResponse): string =>
      (answer.choices[0]?.blocks ?? [])
        .map((block) => (block.type === 'text' || block.type === 'refusal' ? block.text : ''))
        .join('');
    for (const client of [openaiChat, anthropicMessages]) {
      const copy: ChatEvent[] = [];
      const reader = client.readStream((event) => copy.push(event), {});
      const writer = client.writeStream(
        (text) => {
          for (const { event, data } of sseEvents(text)) reader.push(event, data);
        },
        { streamUsage: true },
      );
      for (const event of events) writer.push(event);
      reader.end();
      expect(words(fold(copy, client.name))).toBe(words(answerOf(each)));
    }
  });

  test.each(streams)('tell a tap what they tell a reader: %s', (_, each) => {
    const tap = openaiResponses.tap({}, false);
    for (const { event, data } of sseEvents(each.response.sse!)) expect(tap.push(event, data)).toBeTrue();
    expect(tap).toMatchObject({
      usage: answerOf(each).usage!,
      complete: true,
      terminated: true,
      error: undefined,
    });
  });
});

describe.skipIf(!haveRecordings)('recorded refusals', () => {
  const kinds: readonly [string, string][] = [
    ['context-length-exceeded', 'context_length'],
    ['nonexistent-previous-response', 'upstream_bad_request'],
    ['openai-error-1.0.vercel.json', 'upstream_quota'],
    ['rejects-interleaved-function-calls', 'upstream_bad_request'],
    ['direct-url-audio', 'upstream_bad_request'],
    ['auth-err', 'upstream_auth'],
  ];

  test.each(named.filter(([, { response }]) => response.status >= 400))(
    'are classified: %s',
    (file, { response }) => {
      const body = new TextEncoder().encode(JSON.stringify(response.body));
      const { kind } = openaiResponses.readError(response.status, new Headers(response.headers), body);
      const expected = kinds.find(([part]) => file.includes(part))?.[1];
      expect(kind as string).toBe(expected ?? 'a kind of its own');
    },
  );

  test.each(named.filter(([, { response }]) => wordsOf(response.sse).includes('"error":{')))(
    'in a stream are its error: %s',
    (_, { response }) => {
      expect(readEvents(response.sse!).at(-1)).toMatchObject({
        type: 'error',
        error: { kind: 'upstream_quota' },
      });
    },
  );
});
