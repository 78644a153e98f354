/** State of one vendor's model comes back whole when clients of another dialect hand their history back. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Block, ChatEvent, ChatResponse, DialectName } from '../../src/core/chat.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { isAnswerTo } from './gist.ts';
import { foldText, readStream, tryFold, writeText } from './reading.ts';
import { responses, streams } from './samples.ts';
import { throwsKind } from './verdict.ts';

const seed = 4002;

/** How a client puts an answer into the history of its next request. A dialect without a place for state is not here. */
const replays: Partial<Record<DialectName, (answer: JsonObject) => JsonObject>> = {
  'anthropic-messages': ({ content }) => ({
    model: 'any',
    max_tokens: 1,
    messages: [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content },
    ],
  }),
  'openai-responses': ({ output }) => ({
    model: 'any',
    input: [{ role: 'user', content: 'Hello' }, ...(output as JsonObject[])],
  }),
  gemini: ({ candidates }) => ({
    contents: [{ role: 'user', parts: [{ text: 'Hello' }] }, (candidates as JsonObject[])[0]!.content!],
  }),
};

const opaque = fc.base64String({ minLength: 16, maxLength: 60 });
const words = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });

/** Blocks with state as vendors make it: signed or encrypted thoughts, signed texts and calls. */
function blocksOf(vendor: DialectName): fc.Arbitrary<Block[]> {
  const state = opaque.map((value) => ({ vendor, value }));
  const thought: fc.Arbitrary<Block> = fc.oneof(
    fc.record({
      type: fc.constant('reasoning' as const),
      text: words,
      signature: opaque,
      vendor: fc.constant(vendor),
    }),
    fc.record({
      type: fc.constant('reasoning' as const),
      text: fc.oneof(fc.constant(''), words),
      redacted: opaque,
      id: opaque,
      vendor: fc.constant(vendor),
    }),
  );
  const text: fc.Arbitrary<Block> = fc.record({ type: fc.constant('text' as const), text: words, state });
  const call: fc.Arbitrary<Block> = fc.record({
    type: fc.constant('tool-call' as const),
    id: fc.stringMatching(/^call_[a-z0-9]{12}$/),
    name: fc.constant('find'),
    input: fc.constant('{"a":1}'),
    state,
  });
  return fc
    .tuple(
      fc.array(thought, { maxLength: 2 }),
      fc.array(fc.oneof(text, call), { minLength: 1, maxLength: 3 }),
    )
    .map((lists) => lists.flat());
}

function answerOf(blocks: Block[], dialect: DialectName): ChatResponse {
  const stop = blocks.some(({ type }) => type === 'tool-call') ? 'tool_calls' : 'stop';
  return { dialect, id: 'made-up', model: 'any', created: 1, choices: [{ index: 0, blocks, stop }] };
}

function eventsOf({ id, model, choices }: ChatResponse): ChatEvent[] {
  const { blocks, stop } = choices[0]!;
  const events: ChatEvent[] = [{ type: 'start', id, model }];
  blocks.forEach((whole, block) => {
    const at = { choice: 0, block };
    if (whole.type === 'reasoning') {
      const { text, signature, redacted, ...value } = whole;
      events.push({ type: 'block', ...at, value: { ...value, text: '' } });
      if (text !== '') events.push({ type: 'delta', ...at, text });
      if (signature !== undefined) events.push({ type: 'delta', ...at, signature });
      if (redacted !== undefined) events.push({ type: 'delta', ...at, redacted });
    } else if (whole.type === 'text') {
      const { text, state } = whole;
      events.push({ type: 'block', ...at, value: { type: 'text', text: '' } });
      events.push({ type: 'delta', ...at, text }, { type: 'delta', ...at, state });
    } else events.push({ type: 'block', ...at, value: whole });
    events.push({ type: 'close', ...at });
  });
  events.push({ type: 'finish', choice: 0, stop }, { type: 'end' });
  return events;
}

/** Everything in the assistant's turns that is state, in order. */
function statesOf(blocks: readonly Block[]): object[] {
  return blocks.flatMap((block): object[] => {
    if (block.type === 'reasoning') {
      const { text, signature, redacted, id, vendor } = block;
      return signature === undefined && redacted === undefined
        ? []
        : [{ text, signature, redacted, id, vendor }];
    }
    if ((block.type !== 'text' && block.type !== 'tool-call') || block.state === undefined) return [];
    return [{ on: block.type === 'text' ? block.text : block.id, ...block.state }];
  });
}

function expectBack(to: ClientDialect, written: JsonObject, answer: ChatResponse): void {
  const body: JsonObject = JSON.parse(JSON.stringify(replays[to.name]!(written)));
  const { messages } = to.readRequest(body);
  const said = messages.flatMap(({ role, blocks }) => (role === 'assistant' ? blocks : []));
  expect(statesOf(said)).toEqual(statesOf(answer.choices[0]?.blocks ?? []));
}

for (const to of clientDialects) {
  if (replays[to.name] === undefined) continue;
  describe(`through a client of ${to.name}`, () => {
    for (const from of dialects.values()) {
      if (from === to) continue;
      test(`state of ${from.name} comes back`, () => {
        fc.assert(
          fc.property(blocksOf(from.name), (blocks) => {
            const answer = answerOf(blocks, from.name);
            expectBack(to, to.writeResponse(structuredClone(answer)), answer);
            const streamed = foldText(to, writeText(to, eventsOf(answer)));
            expectBack(to, to.writeResponse(streamed), answer);
          }),
          { seed, numRuns: 100 },
        );
      });
    }

    for (const { name, dialect, quirks, content } of responses) {
      if (dialect === to || throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) continue;
      const answer = dialect.readResponse(content, quirks);
      if (statesOf(answer.choices[0]?.blocks ?? []).length === 0 || !isAnswerTo(to, answer)) continue;
      test(`the state of an answer comes back: ${name}`, () => {
        expectBack(to, to.writeResponse(structuredClone(answer)), answer);
      });
    }

    for (const sample of streams) {
      if (sample.dialect === to) continue;
      const events = readStream(sample);
      const answer = tryFold(events, sample.dialect.name);
      if (answer === undefined || !isAnswerTo(to, answer)) continue;
      if (statesOf(answer.choices[0]?.blocks ?? []).length === 0) continue;
      test(`the state of a stream comes back: ${sample.name}`, () => {
        expectBack(to, to.writeResponse(foldText(to, writeText(to, events))), answer);
      });
    }
  });
}
