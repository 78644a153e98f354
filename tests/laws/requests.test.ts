/** A call asks the same in every dialect: the same words of the same speakers, the same tools, the same numbers. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Block, ChatRequest, Effort, Message, ToolCallBlock } from '../../src/core/chat.ts';
import { isObject, type Json } from '../../src/core/json.ts';
import { foreign } from '../../src/core/loss.ts';
import { effortLadder, effortOf } from '../../src/dialects/effort.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { parse } from './gist.ts';
import { hostsOf } from './hosts.ts';
import { askings, requests } from './samples.ts';
import { translate } from './translating.ts';
import { throwsKind } from './verdict.ts';

for (const [from, to] of askings) {
  describe(`a call in ${from.name} to ${to.name}`, () => {
    for (const { name, dialect, content } of requests) {
      if (dialect !== from || throwsKind(() => from.readRequest(content)) !== undefined) continue;
      test(`asks the same: ${name}`, () => {
        const { body, lost, copies } = translate(content, { from, to, quirks: {} });
        if (!isObject(body)) return;
        const asked = from.readRequest(content);
        const written = to.readRequest(body);
        if (copies > 1) written.n = copies;
        expect(unsaid(asked, written)).toEqual([]);
        expectSameExchanges(written, asked);
        // Some want the tools of the past declared where none are offered any more.
        if (asked.tools !== undefined && !lost.includes('tools'))
          expect(toolsOf(written, asked)).toEqual(toolsOf(asked, asked));
        const told = namesOfNumbers(asked, lost);
        expect(valuesOf(written, told)).toEqual(valuesOf(asked, told));
      });
    }
  });
}

/** What applications set, within bounds and beyond them. */
const settings = fc.record(
  {
    maxTokens: fc.integer({ min: 1, max: 2 ** 31 }),
    temperature: fc.constantFrom(0, 0.3, 1, 1.7, 2),
    topP: fc.constantFrom(0, 0.005, 0.5, 0.995, 1),
    topK: fc.constantFrom(1, 40, 100_000),
    seed: fc.constantFrom(0, -1, 7, 2 ** 31, 2 ** 53 - 1),
    presencePenalty: fc.constantFrom(-2, 0, 0.5, 2),
    frequencyPenalty: fc.constantFrom(-2, 0, 0.5, 2),
    n: fc.constantFrom(1, 2, 9),
    stop: fc.uniqueArray(fc.stringMatching(/^([A-Z]{1,9}|\n+)$/), { minLength: 1, maxLength: 9 }),
  },
  { requiredKeys: [] },
);

for (const to of dialects.values()) {
  test(`a call to ${to.name} has the numbers that were asked for, or names those it has not`, () => {
    fc.assert(
      fc.property(settings, fc.constantFrom(...clientDialects), (set, { name, can }) => {
        if (name === to.name) return;
        const messages: Message[] = [{ role: 'user', blocks: [{ type: 'text', text: 'Hello' }] }];
        const asked: ChatRequest = { dialect: name, model: 'any', messages, stream: false, ...set };
        const { hints, meaning } = foreign(asked, to.name, to.can, can);
        const lost = [...hints];
        if (meaning.length > 0) return;
        const body = to.writeRequest(asked, {}, lost);
        const written = to.readRequest(JSON.parse(JSON.stringify(body)));
        const told = namesOfNumbers(asked, lost);
        expect(valuesOf(written, told)).toEqual(valuesOf(asked, told));
      }),
      { seed: 4003, numRuns: 300 },
    );
  });
}

/** Hosts have words for some efforts, or a budget instead: these are told apart by all. */
const classes: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1,
  low: 1,
  medium: 2,
  high: 3,
  xhigh: 3,
  max: 3,
};

function effortRead({ reasoning }: ChatRequest): Effort | undefined {
  const { enabled, effort, budgetTokens } = reasoning ?? {};
  if (enabled === false) return 'none';
  return effort ?? (budgetTokens === undefined ? undefined : effortOf(budgetTokens));
}

for (const to of dialects.values()) {
  for (const { name: host, quirks } of hostsOf(to.name)) {
    test(`a call to ${host} in ${to.name} thinks as much as was asked for, or says that it does not`, () => {
      for (const effort of effortLadder) {
        const asked: ChatRequest = {
          dialect: to === clientDialects[0] ? 'anthropic-messages' : clientDialects[0]!.name,
          model: 'any',
          messages: [{ role: 'user', blocks: [{ type: 'text', text: 'Hello' }] }],
          stream: false,
          maxTokens: 50_000,
          reasoning: { effort, enabled: effort !== 'none' },
        };
        const lost: string[] = [];
        const written = to.readRequest(JSON.parse(JSON.stringify(to.writeRequest(asked, quirks, lost))));
        const read = effortRead(written);
        if (read === undefined || lost.some((path) => path.startsWith('reasoning'))) continue;
        expect({ effort, class: classes[read] }).toEqual({ effort, class: classes[effort] });
      }
    });
  }
}

/** Of what was said, the texts that those who said it do not say any more. */
function unsaid(asked: ChatRequest, written: ChatRequest): string[] {
  const said = (isModel: boolean) =>
    written.messages.filter(({ role }) => (role === 'assistant') === isModel).flatMap(textsOf);
  const texts = { model: said(true).join('\n'), others: said(false).join('\n') };
  return asked.messages.flatMap((message) => {
    const whole = message.role === 'assistant' ? texts.model : texts.others;
    return textsOf(message).filter((text) => !whole.includes(text.trim()));
  });
}

function textsOf({ blocks }: Message): string[] {
  return blocks.flatMap((block) => {
    if (block.type === 'tool-result') return [textOf(block.blocks)];
    return block.type === 'text' || block.type === 'refusal' ? [block.text] : [];
  });
}

function textOf(blocks: readonly Block[]): string {
  return blocks.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
}

/** Some dialects say in words that a tool failed. */
function expectSameExchanges(written: ChatRequest, asked: ChatRequest): void {
  const given = exchangesOf(asked);
  const copies = exchangesOf(written);
  expect(copies.map(({ input }) => input)).toEqual(given.map(({ input }) => input));
  given.forEach(({ result }, i) => {
    expect(copies[i]?.result).toContain(result.trim());
  });
}

/** The tool calls of the conversation, and what came of each that was answered. */
function exchangesOf({ messages }: ChatRequest): { input: Json; result: string }[] {
  const blocks = messages.flatMap((message) => message.blocks);
  const calls = blocks.filter((block): block is ToolCallBlock => block.type === 'tool-call');
  return calls.flatMap(({ id, input, custom }) => {
    const result = blocks.find((block) => block.type === 'tool-result' && block.callId === id);
    if (result?.type !== 'tool-result') return [];
    // Free text is an argument of that name where tools take objects only.
    return [{ input: custom ? { input } : parse(input), result: textOf(result.blocks) }];
  });
}

/** A choice of some tools, or of one, may be told by leaving out the others. */
function toolsOf({ tools = [] }: ChatRequest, { toolChoice }: ChatRequest): object[] {
  const chosen =
    toolChoice?.type === 'allowed'
      ? toolChoice.names
      : toolChoice?.type === 'tool'
        ? [toolChoice.name]
        : undefined;
  const allowed = tools.filter(
    ({ name, opaque }) => opaque === undefined && (chosen?.includes(name) ?? true),
  );
  return allowed.map(({ description = '', schema }) => ({
    description,
    parameters: isObject(schema) && isObject(schema.properties) ? Object.keys(schema.properties) : [],
  }));
}

const numbers = [
  'maxTokens', 'temperature', 'topP', 'topK', 'seed', 'presencePenalty', 'frequencyPenalty', 'n', 'stop',
] as const; // biome-ignore format: one list

type NumberName = (typeof numbers)[number];

/** These are 1 where nothing is said. */
const usuallyOne: ReadonlySet<NumberName> = new Set(['temperature', 'topP', 'n']);

/** What the client said that means something and is not named as lost or changed. */
function namesOfNumbers(asked: ChatRequest, lost: readonly string[]): NumberName[] {
  return numbers.filter((name) => {
    if (asked[name] === undefined || (asked[name] === 1 && usuallyOne.has(name))) return false;
    const wire = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return !lost.some((path) => path.endsWith(wire) || path.endsWith(name));
  });
}

function valuesOf(request: ChatRequest, names: readonly NumberName[]): object {
  return Object.fromEntries(names.map((name) => [name, request[name]]));
}
