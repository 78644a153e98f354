/** Bedrock's own traffic as it was recorded, and that of other vendors' clients written for it. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/core/chat.ts';
import type { ErrorKind } from '../../src/core/error.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { fitToolWords } from '../../src/core/tool-words.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { bedrockConverse as dialect } from '../../src/dialects/bedrock-converse.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { frameReader } from '../../src/wire/framing.ts';
import { haveRecordings, loadRecordings, type Recording } from '../recordings.ts';

const all = loadRecordings((entry) => entry.dialect === 'bedrock-converse');
const cases = (filter: (recording: Recording) => boolean): [string, Recording][] =>
  all.filter(filter).map((recording) => [recording.file.replace(/^.*\//, ''), recording]);
const isWhole = ({ response }: Recording): boolean => response.status === 200 && isObject(response.body);
const isStream = ({ response }: Recording): boolean => response.events !== undefined;

/** Frames as they were decoded by whoever recorded them. */
function framesOf({ response }: Recording): [string, string][] {
  return (response.events ?? []).map(({ headers, payload }) => [
    headers[':event-type'] ?? `exception:${headers[':exception-type']}`,
    JSON.stringify(payload),
  ]);
}

/** Frames as they are decoded here. */
function decodedFrames({ response }: Recording): [string, string][] {
  const frames: [string, string][] = [];
  const reader = frameReader('aws-events', (name, text) => frames.push([name, text]));
  reader.push(Buffer.from(response.eventstream_base64 ?? '', 'base64'));
  reader.end();
  return frames;
}

function eventsOf(frames: readonly [string, string][]): ChatEvent[] {
  const seen: ChatEvent[] = [];
  const reader = dialect.readStream((event) => seen.push(event), {});
  for (const [name, data] of frames) reader.push(name, data);
  reader.end();
  return seen;
}

/** All texts under a member of this name, in order. */
function textsUnder(value: Json | undefined, name: string): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => textsUnder(each, name));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([member, each]) =>
    member === name && typeof each === 'string' ? [each] : textsUnder(each, name),
  );
}

describe.skipIf(!haveRecordings)('recorded', () => {
  test.each(cases(({ request, response }) => request !== undefined && response.status === 200))(
    'request %s is the same after it was read and written',
    (_name, { request }) => {
      const once = dialect.readRequest(request!.body);
      const lost: string[] = [];
      const written = dialect.writeRequest(once, {}, lost);
      const { system, ...body } = request!.body;
      // An empty list says nothing.
      const sent = Array.isArray(system) && system.length > 0 ? request!.body : body;
      expect(written).toEqual(sent);
      expect(lost).toEqual([]);
    },
  );

  test.each(cases(isWhole))(
    'answer %s keeps its words, calls, stop reason and usage',
    (_name, { response, stopReason }) => {
      const body = response.body as JsonObject;
      const content = ((body.output as JsonObject).message as JsonObject).content as JsonObject[];
      const answer = dialect.readResponse(body, {});
      const [choice] = answer.choices;
      const said = choice?.blocks.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('');
      const words = content.flatMap(({ text, citationsContent }) =>
        typeof text === 'string' ? [text] : textsUnder((citationsContent as JsonObject)?.content, 'text'),
      );
      expect(said).toBe(words.join(''));
      const called = choice?.blocks.flatMap((block) => (block.type === 'tool-call' ? [block.name] : []));
      const wanted = content.flatMap(({ toolUse }) =>
        isObject(toolUse) && toolUse.type !== 'server_tool_use' ? [String(toolUse.name)] : [],
      );
      expect(called).toEqual(wanted);
      expect(choice?.stop).toBe(stopOf(stopReason) as never);
      const { totalTokens } = body.usage as { totalTokens: number };
      expect((answer.usage?.input ?? 0) + (answer.usage?.output ?? 0)).toBe(totalTokens);
    },
  );

  test.each(cases(isStream))('stream %s tells its text, calls, stop reason and usage', (_name, recording) => {
    const frames = decodedFrames(recording);
    expect(frames.map(([name, text]) => [name, JSON.parse(text)])).toEqual(
      framesOf(recording).map(([name, text]) => [name, JSON.parse(text)]),
    );
    const seen = eventsOf(frames);
    const payloads = frames.map(([, text]): JsonObject => JSON.parse(text));
    if (recording.features.includes('error-in-stream')) {
      const last = seen.at(-1);
      expect(last?.type === 'error' && last.error.kind).toBe('upstream_bad_request');
      return;
    }
    const answer = fold(seen, dialect.name);
    const [choice] = answer.choices;
    const told = (type: string): string =>
      (choice?.blocks ?? [])
        .map((block) => (block.type === type && 'text' in block ? block.text : ''))
        .join('');
    const deltas = payloads.flatMap(({ delta }) => (isObject(delta) ? [delta] : []));
    expect(told('text')).toBe(deltas.map(({ text }) => text ?? '').join(''));
    const thought = deltas.map(({ reasoningContent }) => (reasoningContent as JsonObject)?.text ?? '');
    expect(told('reasoning')).toBe(thought.join(''));
    expect(choice?.stop).toBe(stopOf(recording.stopReason) as never);
    const { usage } = payloads.find((payload) => payload.usage !== undefined) as { usage: JsonObject };
    expect((answer.usage?.input ?? 0) + (answer.usage?.output ?? 0)).toBe(Number(usage.totalTokens));
    // What other dialects are told of it is the same as of any stream.
    for (const client of [openaiChat, anthropicMessages]) {
      let out = '';
      const writer = client.writeStream(
        (text) => {
          out += text;
        },
        { streamUsage: true },
      );
      for (const event of seen) writer.push(event);
      for (const words of deltas.flatMap(({ text }) => (typeof text === 'string' ? [text] : []))) {
        expect(out).toContain(JSON.stringify(words).slice(1, -1));
      }
    }
  });

  const kinds: Readonly<Record<number, ErrorKind>> = { 400: 'context_length', 404: 'upstream_not_found' };

  test.each(cases(({ response }) => response.status >= 400))(
    'error %s is understood',
    (_name, { response }) => {
      const { status, headers, body } = response;
      const bytes = new TextEncoder().encode(JSON.stringify(body));
      const error = dialect.readError(status, new Headers(headers), bytes);
      expect(error.kind).toBe(kinds[status]!);
      expect(error.message).toBe((body as JsonObject).message as string);
    },
  );
});

function stopOf(stopReason: string): string {
  const stops: Record<string, string> = {
    end_turn: 'stop',
    tool_use: 'tool_calls',
    max_tokens: 'length',
    guardrail_intervened: 'content_filter',
  };
  return stops[stopReason] ?? stopReason;
}

describe.skipIf(!haveRecordings)('recorded for others', () => {
  const clients = [openaiChat, anthropicMessages];
  const requests = clients.flatMap((client) =>
    loadRecordings((entry) => entry.dialect === client.name && entry.hasRequest).flatMap(
      ({ file, request, response }) =>
        request?.body.messages === undefined || response.status !== 200
          ? []
          : [[file, client, request.body] as const],
    ),
  );

  test.each(requests)(
    'request %s becomes one the API accepts, or is refused with a reason',
    (_name, from, body) => {
      for (const model of [
        'us.anthropic.claude-haiku-4-5-v1:0',
        'amazon.nova-lite-v1:0',
        'meta.llama4-v1:0',
      ]) {
        let written: JsonObject;
        try {
          const request = { ...from.readRequest(body), model };
          requireMeaning(foreign(request, dialect.name, dialect.can, from.can), dialect.name);
          const { toolNames: names, toolIds: ids } = dialect.can;
          written = dialect.writeRequest(fitToolWords(request, { names, ids }).request, {}, []);
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
          expect((error as GatewayError).kind).toBe('unsupported');
          continue;
        }
        expectAcceptable(written);
      }
    },
  );
});

/** The rules by which the API refuses requests. */
function expectAcceptable(body: JsonObject): void {
  let expected = 'user';
  let open: Json[] = [];
  const names: Json[] = [];
  for (const message of body.messages as JsonObject[]) {
    expect(message.role).toBe(expected);
    expected = expected === 'user' ? 'assistant' : 'user';
    const blocks = message.content as JsonObject[];
    expect(blocks.length).toBeGreaterThan(0);
    expectAcceptableBlocks(blocks);
    const results = blocks.flatMap(({ toolResult }) => (isObject(toolResult) ? [toolResult] : []));
    expect(results.map(({ toolUseId }) => toolUseId)).toEqual(open);
    const others = blocks.findIndex(({ toolResult, cachePoint }) => !toolResult && !cachePoint);
    expect(blocks.slice(others < 0 ? blocks.length : others).some(({ toolResult }) => toolResult)).toBe(
      false,
    );
    const calls = blocks.flatMap(({ toolUse }) => (isObject(toolUse) ? [toolUse] : []));
    open = calls.map(({ toolUseId }) => toolUseId ?? null);
    for (const { toolUseId, name, input } of calls) {
      expect(toolUseId).toMatch(/^[a-zA-Z0-9_.:-]{1,64}$/);
      expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
      expect(isObject(input)).toBe(true);
    }
    if (calls.length + results.length > 0) expect(body.toolConfig).toBeDefined();
    for (const { document } of blocks) if (isObject(document)) names.push(document.name ?? null);
  }
  expect(open).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  expectAcceptableTools(body.toolConfig);
  expect(JSON.stringify(body).match(/"cachePoint"/g)?.length ?? 0).toBeLessThanOrEqual(4);
}

function expectAcceptableBlocks(blocks: JsonObject[]): void {
  blocks.forEach((block, i) => {
    // A block is of one kind.
    expect(Object.keys(block)).toHaveLength(1);
    if (typeof block.text === 'string') expect(block.text.trim()).not.toBe('');
    if (block.cachePoint !== undefined) {
      const before = blocks[i - 1];
      expect(before).toBeDefined();
      expect(before?.cachePoint ?? before?.reasoningContent).toBeUndefined();
    }
  });
}

function expectAcceptableTools(config: Json | undefined): void {
  if (!isObject(config)) return;
  const tools = config.tools as JsonObject[];
  expect(tools.length).toBeGreaterThan(0);
  for (const { toolSpec } of tools) {
    if (!isObject(toolSpec)) continue;
    expect(toolSpec.name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
    expect((toolSpec.inputSchema as JsonObject).json).toMatchObject({ type: 'object' });
    expect(toolSpec.description).not.toBe('');
  }
}
