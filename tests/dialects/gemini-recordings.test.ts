/** Gemini's own traffic as it was recorded: everything is understood, nothing gets lost. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { gemini as dialect } from '../../src/dialects/gemini.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import { haveRecordings, loadRecordings, type Recording, sseEvents } from '../recordings.ts';

const all = loadRecordings((entry) => entry.dialect === 'gemini');
const cases = (filter: (recording: Recording) => boolean): [string, Recording][] =>
  all.filter(filter).map((recording) => [recording.file.replace(/^.*\//, ''), recording]);
const isWhole = ({ response }: Recording): boolean =>
  response.status === 200 && typeof response.body === 'object';
const isStream = ({ response }: Recording): boolean => response.status === 200 && response.sse !== undefined;
const chunksOf = ({ response }: Recording): JsonObject[] =>
  response.sse === undefined
    ? [response.body as JsonObject]
    : sseEvents(response.sse).map(({ data }): JsonObject => JSON.parse(data));

function eventsOf(sse: string): ChatEvent[] {
  const seen: ChatEvent[] = [];
  const reader = dialect.readStream((event) => seen.push(event), {});
  for (const { event, data } of sseEvents(sse)) reader.push(event, data);
  reader.end();
  return seen;
}

/** All parts of the first candidate. */
const partsOf = (chunks: JsonObject[]): JsonObject[] =>
  chunks.flatMap(({ candidates }) => {
    const [first] = (candidates ?? []) as JsonObject[];
    return ((first?.content as JsonObject | undefined)?.parts ?? []) as JsonObject[];
  });
const textOf = (parts: JsonObject[], thought: boolean): string =>
  parts.map((part) => ((part.thought === true) === thought ? String(part.text ?? '') : '')).join('');
const signaturesOf = (parts: JsonObject[]): unknown[] => parts.flatMap((part) => part.thoughtSignature ?? []);

/** What an answer costs, by the provider's own sums. */
function expectUsage(recording: Recording, usage: { input: number; output: number } | undefined): void {
  const last = chunksOf(recording).findLast(({ usageMetadata }) =>
    Object.hasOwn((usageMetadata ?? {}) as JsonObject, 'promptTokenCount'),
  );
  const counts = last?.usageMetadata as Record<string, number>;
  expect((usage?.input ?? 0) + (usage?.output ?? 0)).toBe(counts.totalTokenCount!);
  expect(usage?.input).toBe(counts.promptTokenCount! + (counts.toolUsePromptTokenCount ?? 0));
}

describe.skipIf(!haveRecordings)('recorded', () => {
  test.each(cases(({ request, response }) => request !== undefined && response.status === 200))(
    'request %s is the same after it was read and written',
    (_name, { request }) => {
      const once = dialect.readRequest(request!.body);
      const lost: string[] = [];
      expect(dialect.readRequest(dialect.writeRequest(once, {}, lost))).toEqual(once);
      expect(lost).toEqual([]);
      const { path, query } = splitUrl(request!.url);
      expect(dialect.match(path, query)).toMatchObject({
        operation: 'chat',
        model: expect.stringMatching(/^gemini-/),
        array: false,
      });
    },
  );

  test.each(cases((recording) => isWhole(recording) || isStream(recording)))(
    'answer %s keeps its text, thoughts, calls, signatures and usage',
    (_name, recording) => {
      const wire = partsOf(chunksOf(recording));
      const answer = isStream(recording)
        ? fold(eventsOf(recording.response.sse!), dialect.name)
        : dialect.readResponse(recording.response.body as JsonObject, {});
      const { blocks, stop } = answer.choices[0]!;
      const told = (type: 'text' | 'reasoning'): string =>
        blocks.map((block) => (block.type === type ? block.text : '')).join('');
      expect(told('text')).toBe(textOf(wire, false));
      expect(told('reasoning')).toBe(textOf(wire, true));
      const again = partsOf([dialect.writeResponse(structuredClone(answer))]);
      expect(signaturesOf(again)).toEqual(signaturesOf(wire));
      const calls = again.flatMap(({ functionCall }) => (functionCall as JsonObject | undefined)?.name ?? []);
      expect(calls).toEqual(
        wire.flatMap(({ functionCall }) => (functionCall as JsonObject | undefined)?.name ?? []),
      );
      if (blocks.some(({ type }) => type === 'tool-call')) expect(stop).toBe('tool_calls');
      expectUsage(recording, answer.usage);
    },
  );

  test.each(cases(isStream))('stream %s is the same for a client, and to a tap', (_name, recording) => {
    const seen = eventsOf(recording.response.sse ?? '');
    // What only Gemini knows of an answer as a whole is the relay's to pass on.
    const answer = { ...fold(seen, dialect.name), extra: undefined };
    const tap = dialect.tap({}, false);
    for (const { event, data } of sseEvents(recording.response.sse ?? '')) tap.push(event, data);
    expect([tap.usage, tap.complete, tap.terminated, tap.error]).toEqual([
      answer.usage!,
      true,
      false,
      undefined!,
    ]);
    for (const array of [false, true]) {
      let out = '';
      const writer = dialect.writeStream((text) => (out += text), { streamUsage: true, array });
      for (const event of seen) writer.push(event);
      const chunks = array
        ? (JSON.parse(out) as JsonObject[])
        : sseEvents(out).map(({ data }) => JSON.parse(data));
      const sse = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('');
      expect({ ...fold(eventsOf(sse), dialect.name), extra: undefined }).toEqual(answer);
    }
  });

  test.each(cases(({ response }) => response.status >= 400))(
    'error %s is understood',
    (_name, { response }) => {
      const { status, headers, body } = response;
      const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
      const { kind, detail, message } = dialect.readError(status, new Headers(headers), bytes);
      expect(kind).toBe(status === 429 ? 'upstream_rate_limited' : 'upstream_not_found');
      if (status === 429) expect(detail.retryAfterS).toBeGreaterThan(30);
      expect(message).not.toBe('');
    },
  );
});

function splitUrl(url: string): { path: string; query: string } {
  const { pathname, search } = new URL(url);
  return { path: pathname, query: search.slice(1) };
}

describe.skipIf(!haveRecordings)('recorded for others', () => {
  const others = clientDialects.filter(({ name }) => name !== dialect.name);
  const requests = others.flatMap((from) =>
    loadRecordings(
      ({ dialect: name, hasRequest, status }) => name === from.name && hasRequest && status === 200,
    ).map(({ file, request }) => ({ file, from, body: request!.body })),
  );

  test.each(requests.map(({ file, ...each }): [string, typeof each] => [file, each]))(
    'request %s becomes one the API accepts, or is refused with a reason',
    (_name, { from, body }) => {
      let written: JsonObject;
      try {
        const request = from.readRequest(body);
        requireMeaning(foreign(request, dialect.name, dialect.can, from.can), dialect.name);
        written = dialect.writeRequest(request, { thinking: 'level' }, []);
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError);
        // Completions before chat are recorded under the name of chat here and there.
        expect(['unsupported', 'bad_request']).toContain((error as GatewayError).kind);
        return;
      }
      expectAcceptable(written.contents as JsonObject[]);
      expect(dialect.readRequest(written).messages.length).toBeGreaterThan(0);
    },
  );
});

/** The rules by which the API refuses contents. */
function expectAcceptable(contents: JsonObject[]): void {
  expect(contents[0]?.role).toBe('user');
  let open: unknown[] = [];
  for (const { role, parts } of contents as { role: string; parts: JsonObject[] }[]) {
    expect(['user', 'model']).toContain(role);
    expect(parts.length).toBeGreaterThan(0);
    for (const part of parts) if (part.thoughtSignature === undefined) expect(part.text).not.toBe('');
    const named = (member: string): unknown[] =>
      parts.flatMap((part) => (part[member] as JsonObject | undefined)?.name ?? []);
    const results = named('functionResponse');
    expect(results).toEqual(open);
    if (open.length > 0) expect(parts.length).toBe(results.length);
    open = named('functionCall');
    const first = parts.find(({ functionCall }) => functionCall !== undefined);
    if (first !== undefined) expect(first.thoughtSignature).toBeString();
  }
  expect(open).toEqual([]);
}
