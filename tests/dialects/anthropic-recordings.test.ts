/** Anthropic's own traffic as it was recorded: everything is understood, nothing gets lost. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { anthropicMessages as dialect } from '../../src/dialects/anthropic-messages.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { haveRecordings, loadRecordings, type Recording, sseEvents } from '../recordings.ts';

const all = loadRecordings((entry) => entry.dialect === 'anthropic-messages');
const cases = (filter: (recording: Recording) => boolean): [string, Recording][] =>
  all.filter(filter).map((recording) => [recording.file.replace(/^.*\//, ''), recording]);
const isWhole = ({ response }: Recording): boolean =>
  response.status === 200 && typeof response.body === 'object';
const isStream = ({ response }: Recording): boolean => response.status === 200 && response.sse !== undefined;

function eventsOf(recording: Recording): ChatEvent[] {
  const seen: ChatEvent[] = [];
  const reader = dialect.readStream((event) => seen.push(event), {});
  for (const { event, data } of sseEvents(recording.response.sse ?? '')) reader.push(event, data);
  reader.end();
  return seen;
}

/** Text and tool names of an answer, from the wire's own words. */
function wordsOf(blocks: JsonObject[]): string[] {
  return blocks.flatMap(({ type, text, name }) =>
    type === 'text' ? [String(text)] : type === 'tool_use' ? [String(name)] : [],
  );
}

describe.skipIf(!haveRecordings)('recorded', () => {
  test.each(cases(({ request, response }) => request !== undefined && response.status === 200))(
    'request %s is the same after it was read and written',
    (_name, { request }) => {
      const once = dialect.readRequest(request!.body);
      const lost: string[] = [];
      expect(dialect.readRequest(dialect.writeRequest(once, {}, lost))).toEqual(once);
      expect(lost).toEqual([]);
    },
  );

  test.each(cases(isWhole))(
    'answer %s keeps its content, stop reason and usage',
    (_name, { response, stopReason }) => {
      const body = response.body as JsonObject;
      const answer = dialect.readResponse(body, {});
      const again = dialect.writeResponse(answer);
      expect(wordsOf(again.content as JsonObject[])).toEqual(
        wordsOf(body.content as JsonObject[]).filter(Boolean),
      );
      expect(again.content).toEqual(
        (body.content as JsonObject[]).map(withoutNulls).filter((block) => block.text !== ''),
      );
      expect(again.stop_reason).toBe(stopReason);
      expect(dialect.readResponse(again, {})).toEqual(answer);
      const usage = body.usage as Record<string, number>;
      expect(answer.usage).toMatchObject({
        input:
          usage.input_tokens! +
          (usage.cache_read_input_tokens ?? 0) +
          (usage.cache_creation_input_tokens ?? 0),
        output: usage.output_tokens!,
      });
    },
  );

  test.each(cases(isStream))('stream %s tells its text, calls, stop reason and usage', (_name, recording) => {
    const wire = sseEvents(recording.response.sse ?? '').map(({ data }): JsonObject => JSON.parse(data));
    const seen = eventsOf(recording);
    const answer = fold(seen, dialect.name);
    const [choice] = answer.choices;
    const textOf = (type: string, member: string): string =>
      wire
        .map(({ delta }) => ((delta as JsonObject)?.type === type ? (delta as JsonObject)[member] : ''))
        .join('');
    const told = (type: string): string =>
      (choice?.blocks ?? [])
        .map((block) => (block.type === type && 'text' in block ? block.text : ''))
        .join('');
    expect(told('text')).toBe(textOf('text_delta', 'text'));
    expect(told('reasoning')).toBe(textOf('thinking_delta', 'thinking'));
    const { delta, usage } = wire.findLast(({ type }) => type === 'message_delta') ?? {};
    expect(dialect.writeResponse(answer).stop_reason).toBe(String((delta as JsonObject).stop_reason));
    expect(answer.usage?.output).toBe((usage as JsonObject).output_tokens as number);

    const tap = dialect.tap({}, false);
    for (const { event, data } of sseEvents(recording.response.sse ?? '')) tap.push(event, data);
    expect([tap.usage, tap.complete, tap.terminated]).toEqual([answer.usage!, true, true]);

    let again = '';
    const writer = dialect.writeStream(
      (text) => {
        again += text;
      },
      { streamUsage: true },
    );
    for (const event of seen) writer.push(event);
    const copy: Recording = { ...recording, response: { ...recording.response, sse: again } };
    expect(fold(eventsOf(copy), dialect.name)).toEqual(answer);
  });

  test.each(cases(({ response }) => response.status >= 400))(
    'error %s is understood',
    (_name, { response }) => {
      const { status, headers, body } = response;
      const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
      const { kind, message } = dialect.readError(status, new Headers(headers), bytes);
      const kinds: Record<number, string> = {
        400: 'upstream_bad_request',
        401: 'upstream_auth',
        404: 'upstream_not_found',
      };
      expect(kind).toBe(kinds[status] as never);
      expect(message).not.toBe('');
    },
  );
});

describe.skipIf(!haveRecordings)('recorded for OpenAI', () => {
  const others = loadRecordings(({ dialect: name, hasRequest }) => name === 'openai-chat' && hasRequest);
  const requests = others.flatMap(({ file, request, response }): [string, JsonObject][] =>
    request === undefined || response.status !== 200 ? [] : [[file, request.body]],
  );

  test.each(requests)(
    'request %s becomes one the API accepts, or is refused with a reason',
    (_name, body) => {
      let written: JsonObject;
      try {
        const request = openaiChat.readRequest(body);
        requireMeaning(foreign(request, dialect.name, dialect.can, openaiChat.can), dialect.name);
        written = dialect.writeRequest(request, {}, []);
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError);
        expect((error as GatewayError).kind).toBe('unsupported');
        return;
      }
      expectAcceptable(written);
      expect(dialect.readRequest(written).messages.length).toBeGreaterThan(0);
    },
  );
});

/** The rules by which the API refuses messages. */
function expectAcceptable(body: JsonObject): void {
  let expected = 'user';
  let open: (Json | undefined)[] = [];
  for (const message of body.messages as JsonObject[]) {
    expect(message.role).toBe(expected);
    expected = expected === 'user' ? 'assistant' : 'user';
    const content =
      typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
    const blocks = content as JsonObject[];
    expect(blocks.length).toBeGreaterThan(0);
    for (const { type, text } of blocks) if (type === 'text') expect(String(text).trim()).not.toBe('');
    const results = blocks.filter(({ type }) => type === 'tool_result');
    expect(results.map((block) => block.tool_use_id)).toEqual(open);
    expect(blocks.slice(0, results.length)).toEqual(results);
    open = blocks.filter(({ type }) => type === 'tool_use').map(({ id }) => id);
    for (const id of open) expect(id).toMatch(/^[a-zA-Z0-9_-]+$/);
    expect(blocks.slice(blocks.length - open.length).every(({ type }) => type === 'tool_use')).toBe(true);
  }
  expect(open).toEqual([]);
}

function withoutNulls(block: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(block).filter(([name, value]) => name !== 'citations' || value !== null),
  );
}
