/** Conversations of thousands of parts are read and written in the time it takes to look at each, whatever their ids. */
import { expect, test } from 'bun:test';
import { carry } from '../../src/core/carry.ts';
import type { Block, Message } from '../../src/core/chat.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { bedrockConverse } from '../../src/dialects/bedrock-converse.ts';
import { gemini } from '../../src/dialects/gemini.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';
import { arrangeTurns } from '../../src/dialects/turns.ts';

const how = { first: 0, foldsSystem: true, keeps: () => true };
const many = 20_000;
const numbers = Array.from({ length: many }, (_, i) => i);

const user = (content: string) => ({ role: 'user', content });
const call = (id: string): Block => ({ type: 'tool-call', id, name: 'f', input: '{}' });
const result = (callId: string, text: string): Block => ({
  type: 'tool-result',
  callId,
  blocks: [{ type: 'text', text }],
});

function arrange(calls: string[], results: Block[]): Block[][] {
  const messages: Message[] = [
    { role: 'user', blocks: [{ type: 'text', text: 'Begin' }] },
    { role: 'assistant', blocks: calls.map(call) },
    { role: 'user', blocks: results },
  ];
  return arrangeTurns(messages, how).map(({ content }) => content.map(({ block }) => block));
}

const idsOf = (blocks: Block[] | undefined): string[] =>
  (blocks ?? []).flatMap((block) =>
    block.type === 'tool-call' ? [block.id] : block.type === 'tool-result' ? [block.callId] : [],
  );
const textsOf = (blocks: Block[] | undefined): string[] =>
  (blocks ?? []).flatMap((block) =>
    block.type === 'tool-result' ? block.blocks.map((each) => (each.type === 'text' ? each.text : '')) : [],
  );

test('calls of one id are told apart, and keep their results in order', () => {
  const [, calls, results] = arrange(
    numbers.map(() => 'same'),
    numbers.map((i) => result('same', `result ${i}`)),
  );
  expect(new Set(idsOf(calls)).size).toBe(many);
  expect(idsOf(results)).toEqual(idsOf(calls));
  expect(textsOf(results)).toEqual(numbers.map((i) => `result ${i}`));
});

test('an id made so is nobody else’s, also where ids are long and begin alike', () => {
  const long = 'x'.repeat(60);
  const ids = ['same', 'same_2', 'same', 'same', `${long}a`, `${long}b`, `${long}a`, `${long}b`];
  const [, calls] = arrange(ids, []);
  expect(new Set(idsOf(calls)).size).toBe(ids.length);
  for (const id of idsOf(calls).slice(6)) expect(id.length).toBeLessThanOrEqual(64);
});

test('results in another order find their calls', () => {
  const [, calls, results] = arrange(
    numbers.map((i) => `call_${i}`),
    numbers.map((i) => result(`call_${i}`, `result ${i}`)).reverse(),
  );
  expect(idsOf(results)).toEqual(idsOf(calls));
  expect(textsOf(results)).toEqual(numbers.map((i) => `result ${i}`));
});

test('calls without results are told of, and results without calls become words', () => {
  const [, calls, others] = arrange(
    numbers.map((i) => `call_${i}`),
    numbers.map((i) => result(`other_${i}`, `result ${i}`)),
  );
  expect(idsOf(others)).toEqual(idsOf(calls));
  expect(new Set(textsOf(others))).toEqual(
    new Set(['There is no result: the tool call was not carried out.']),
  );
  expect((others ?? []).filter(({ type }) => type === 'text')).toHaveLength(2 * many);
});

test('a history of unnamed and named calls is read once, not once for each result', () => {
  const calls = numbers.map((i) => ({ functionCall: { id: `c${i}`, name: 'f', args: {} } }));
  const results = numbers.map((i) => ({
    functionResponse: { id: `c${i}`, name: 'f', response: { output: `result ${i}` } },
  }));
  const { messages } = gemini.readRequest({
    contents: [
      { role: 'model', parts: calls },
      { role: 'user', parts: [...results].reverse() },
    ],
  });
  expect(idsOf(messages[1]?.blocks)).toEqual(idsOf(messages[0]?.blocks).reverse());
});

test.each<[string, (states: string[]) => Message[]]>([
  [
    'thinking blocks',
    (states) =>
      anthropicMessages.readRequest({
        model: 'm',
        max_tokens: 1,
        messages: [
          {
            role: 'assistant',
            content: [
              ...numbers.map((i) => ({ type: 'tool_use', id: `c${i}`, name: 'f', input: {} })),
              ...states.map((data) => ({ type: 'redacted_thinking', data })),
            ],
          },
        ],
      }).messages,
  ],
  [
    'reasoning items',
    (states) =>
      openaiResponses.readRequest({
        model: 'm',
        input: [
          ...numbers.map((i) => ({ type: 'function_call', call_id: `c${i}`, name: 'f', arguments: '{}' })),
          ...states.map((encrypted_content) => ({ type: 'reasoning', summary: [], encrypted_content })),
        ],
      }).messages,
  ],
])('state of thousands of calls in %s finds each of them', (_, read) => {
  const states = numbers.map((i) =>
    carry({ type: 'state', call: `c${i}`, vendor: 'gemini', value: `state ${i}` }),
  );
  const [turn] = read(states.reverse());
  expect(turn!.blocks.map((block) => (block.type === 'tool-call' ? block.state?.value : ''))).toEqual(
    numbers.map((i) => `state ${i}`),
  );
});

test('documents of one name are told apart', () => {
  const blocks = numbers.map(
    (): Block => ({
      type: 'media',
      media: 'document',
      name: 'Report.pdf',
      source: { type: 'text', mimeType: 'text/plain', text: 'x' },
    }),
  );
  const request = anthropicMessages.readRequest({ model: 'm', max_tokens: 1, messages: [user('x')] });
  const written = bedrockConverse.writeRequest({ ...request, messages: [{ role: 'user', blocks }] }, {}, []);
  const [{ content: all }] = written.messages as [{ content: { document?: { name: string } }[] }];
  const content = all.flatMap(({ document }) => document ?? []);
  expect(new Set(content.map(({ name }) => name.toLowerCase())).size).toBe(many);
  expect(content.slice(0, 3).map(({ name }) => name)).toEqual(['Report', 'Report (2)', 'Report (3)']);
});
