/** OpenAI Chat Completions as real hosts speak it. */
import { describe, expect, test } from 'bun:test';
import type { Block, ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { haveRecordings, loadRecordings, type Recording, sseEvents } from '../recordings.ts';

const dialects = ['openai-chat', 'deepseek-chat', 'mistral-chat'];
const recordings = loadRecordings((entry) => dialects.includes(entry.dialect) && entry.status === 200);
const named = recordings.map((each) => [each.file, each] as const);
const streams = named.filter(([, each]) => each.response.sse !== undefined);
const wholes = named.filter(([, each]) => each.response.sse === undefined);

const wire = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value));

function readEvents(sse: string): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = openaiChat.readStream((event) => events.push(event), {});
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return events;
}

function answerOf({ response }: Recording): ChatResponse {
  if (response.sse !== undefined) return fold(readEvents(response.sse), 'openai-chat');
  return openaiChat.readResponse(response.body as JsonObject, {});
}

/** What the provider's own words contain, found without the reader. */
function chunksOf({ response }: Recording): JsonObject[] {
  if (response.sse === undefined) return [response.body as JsonObject];
  return sseEvents(response.sse)
    .filter(({ data }) => data !== '[DONE]')
    .map(({ data }) => JSON.parse(data));
}

const choicesOf = (chunk: JsonObject): JsonObject[] =>
  Array.isArray(chunk.choices) ? (chunk.choices as JsonObject[]) : [];
const saidBy = (choice: JsonObject): JsonObject => (choice.delta ?? choice.message ?? {}) as JsonObject;
const sum = (values: (Json | undefined)[]): string =>
  values.filter((value) => typeof value === 'string').join('');
const textOf = (blocks: Block[], type: Block['type']): string =>
  blocks.map((block) => (block.type === type && 'text' in block ? block.text : '')).join('');

describe.skipIf(!haveRecordings)('recorded requests', () => {
  test.each(named.filter(([, each]) => each.request !== undefined))(
    'survive being read and written: %s',
    (_, { request }) => {
      const read = openaiChat.readRequest(request!.body);
      const lost: string[] = [];
      const written = wire(openaiChat.writeRequest(read, {}, lost));
      expect(lost).toEqual([]);
      expect(openaiChat.readRequest(written)).toEqual(read);
      expect(wire(openaiChat.writeRequest(openaiChat.readRequest(written), {}, []))).toEqual(written);
      // Nothing but nulls, empty lists and the older names of members is missing.
      for (const [name, value] of Object.entries(request!.body)) {
        if (
          value === null ||
          value === false ||
          name === 'max_tokens' ||
          (Array.isArray(value) && value.length === 0)
        )
          continue;
        if (name !== 'logprobs' || value === true) expect(written).toHaveProperty(name);
      }
    },
  );
});

describe.skipIf(!haveRecordings)('recorded answers', () => {
  test.each(named)('are read whole: %s', (_, recording) => {
    const answer = answerOf(recording);
    const chunks = chunksOf(recording);
    for (const choice of answer.choices) {
      const said = chunks
        .flatMap(choicesOf)
        .filter((each) => (each.index ?? 0) === choice.index)
        .map(saidBy);
      expect(textOf(choice.blocks, 'text')).toBe(sum(said.map((each) => each.content)));
      expect(textOf(choice.blocks, 'refusal')).toBe(sum(said.map((each) => each.refusal)));
      const thought = sum(said.map((each) => each.reasoning_content ?? each.reasoning));
      expect(textOf(choice.blocks, 'reasoning')).toBe(thought);
      const functions = said.flatMap(({ tool_calls, function_call: legacy }) => [
        ...((tool_calls ?? []) as { function: { name?: string } }[]).map((call) => call.function),
        ...(legacy ? [legacy as { name?: string }] : []),
      ]);
      expect(choice.blocks.flatMap((block) => (block.type === 'tool-call' ? [block.name] : []))).toEqual(
        functions.flatMap(({ name }) => name ?? []),
      );
    }
  });

  test.each(named)('say why they ended: %s', (_, recording) => {
    const called = (blocks: Block[]) => blocks.some((block) => block.type === 'tool-call');
    for (const choice of answerOf(recording).choices) {
      const words: Record<string, string> = { eos: 'stop', function_call: 'tool_calls' };
      const word = words[recording.stopReason] ?? recording.stopReason;
      expect(choice.stop as string).toBe(word === 'stop' && called(choice.blocks) ? 'tool_calls' : word);
    }
  });

  test.each(named)('have their usage counted: %s', (_, recording) => {
    const { usage } = answerOf(recording);
    const last = chunksOf(recording)
      .map((chunk) => chunk.usage as JsonObject | null | undefined)
      .findLast((value) => typeof value === 'object' && value !== null);
    if (last === undefined) {
      expect(usage).toBeUndefined();
      return;
    }
    expect(usage?.input).toBeGreaterThanOrEqual(last.prompt_tokens as number);
    expect(usage!.input + usage!.output).toBeGreaterThanOrEqual(last.total_tokens as number);
    expect(usage!.cacheRead).toBeLessThanOrEqual(usage!.input);
    expect(usage!.reasoning).toBeLessThanOrEqual(usage!.output);
  });

  test.each(wholes)('survive being read and written: %s', (_, recording) => {
    const answer = answerOf(recording);
    expect(openaiChat.readResponse(wire(openaiChat.writeResponse(answer)), {})).toEqual(answer);
  });

  test.each(streams)('stream the same again: %s', (_, { response }) => {
    const events = readEvents(response.sse!);
    let sse = '';
    const writer = openaiChat.writeStream(
      (text) => {
        sse += text;
      },
      { streamUsage: true },
    );
    for (const event of events) writer.push(event);
    const { extra: _extra, ...answer } = fold(events, 'openai-chat');
    expect(wire(fold(readEvents(sse), 'openai-chat'))).toEqual(wire(answer));
  });

  test.each(streams)('are tapped as they are read: %s', (_, { response }) => {
    const tap = openaiChat.tap({}, false);
    for (const { event, data } of sseEvents(response.sse!)) expect(tap.push(event, data)).toBe(true);
    expect(tap.usage).toEqual(fold(readEvents(response.sse!), 'openai-chat').usage);
    expect(tap).toMatchObject({ meaningful: true, complete: true, error: undefined });
  });
});
