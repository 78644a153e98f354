/** Answers made up in the hub's own words, however their events are mixed, come out the same after any dialect. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Block, ChatEvent, ChatResponse, DialectName, StopReason } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import { emptyUsage, type Usage } from '../../src/core/usage.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import { gistOf, roomFor } from './gist.ts';
import { orderFault } from './order.ts';
import { foldText, readFrames, splitText, writeText } from './reading.ts';

const seed = 4001;

const words = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const called: fc.Arbitrary<Block> = fc
  .tuple(fc.stringMatching(/^[a-z]{3,9}$/), fc.dictionary(words, fc.oneof(words, fc.integer(), fc.boolean())))
  .map(([name, input]) => ({ type: 'tool-call', id: '', name, input: JSON.stringify(input) }));
const text: fc.Arbitrary<Block> = words.map((said) => ({ type: 'text', text: said }));
const thought: fc.Arbitrary<Block> = words.map((said) => ({ type: 'reasoning', text: said }));

/** Text, thoughts and calls in any order, as far as the dialect has words for them; ids are given later. */
function blocksFor({ can }: Dialect): fc.Arbitrary<Block[]> {
  const kinds = [text];
  if (can.params.has('reasoning')) kinds.push(thought);
  if (can.params.has('tools')) kinds.push(called, called);
  return fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: 6 });
}

const usage: fc.Arbitrary<Usage> = fc
  .tuple(fc.nat(5000), fc.nat(5000), fc.nat(500), fc.nat(500))
  .map(([fresh, output, cacheRead, cacheWrite5m]) => ({
    ...emptyUsage(),
    input: fresh + cacheRead + cacheWrite5m,
    cacheRead,
    cacheWrite5m,
    output,
  }));

function answerOf(lists: Block[][], told: Usage, length: boolean): ChatResponse {
  let calls = 0;
  const choices = lists.map((list, index) => {
    const own = list.map((block) =>
      block.type === 'tool-call' ? { ...block, id: `call_${++calls}` } : block,
    );
    const calling = own.some(({ type }) => type === 'tool-call');
    const stop: StopReason = length ? 'length' : calling ? 'tool_calls' : 'stop';
    return { index, blocks: own, stop };
  });
  return { dialect: 'openai-chat', id: 'made-up', model: 'any', created: 1, choices, usage: told };
}

/** The events of an answer: pieces of blocks that are open at once come in an order that `pick` decides. */
function eventsOf(
  { id, model, created, choices, usage: told }: ChatResponse,
  pick: () => number,
): ChatEvent[] {
  const events: ChatEvent[] = [{ type: 'start', id, model, created }];
  const queues = choices.map(({ index, blocks: list }) => mixed(index, list, pick));
  while (queues.some((queue) => queue.length > 0)) {
    const queue = queues[pick() % queues.length];
    const event = queue?.shift();
    if (event !== undefined) events.push(event);
  }
  for (const { index, stop } of choices) events.push({ type: 'finish', choice: index, stop });
  if (told !== undefined) events.push({ type: 'usage', usage: told });
  events.push({ type: 'end' });
  return events;
}

/** The events of one choice: each block opens in its turn, calls may go on while later blocks are open. */
function mixed(choice: number, list: readonly Block[], pick: () => number): ChatEvent[] {
  const events: ChatEvent[] = [];
  let running: ChatEvent[][] = [];
  const drain = (whole: boolean): void => {
    while (running.length > 0 && (whole || pick() % 3 > 0)) {
      const queue = running[pick() % running.length]!;
      events.push(queue.shift()!);
      running = running.filter(({ length }) => length > 0);
    }
  };
  list.forEach((value, block) => {
    if (value.type === 'tool-call') {
      events.push({ type: 'block', choice, block, value: { ...value, input: '' } });
      running.push([
        ...cut(value.input, pick).map((input): ChatEvent => ({ type: 'delta', choice, block, input })),
        { type: 'close', choice, block },
      ]);
      drain(false);
    } else if (value.type === 'text' || value.type === 'reasoning') {
      events.push({ type: 'block', choice, block, value: { ...value, text: '' } });
      for (const part of cut(value.text, pick)) {
        events.push({ type: 'delta', choice, block, text: part });
        if (running.length > 0) drain(false);
      }
      events.push({ type: 'close', choice, block });
    }
  });
  drain(true);
  return events;
}

function cut(whole: string, pick: () => number): string[] {
  const characters = [...whole];
  const at = pick() % (characters.length + 1);
  return [characters.slice(0, at).join(''), characters.slice(at).join('')].filter((part) => part !== '');
}

const picks = fc.infiniteStream(fc.nat(1000)).map((stream) => () => Number(stream.next().value));

describe('an answer made up', () => {
  for (const to of clientDialects) {
    const answer = fc
      .tuple(fc.array(blocksFor(to), { minLength: 1, maxLength: roomFor(to, 3) }), usage, fc.boolean())
      .map(([lists, told, length]) => answerOf(lists, told, length));

    test(`comes out the same after ${to.name}`, () => {
      fc.assert(
        fc.property(answer, (given) => {
          const written = JSON.parse(JSON.stringify(to.writeResponse(structuredClone(given))));
          const copy = to.readResponse(written, {});
          expect(gistOf(copy)).toEqual(gistOf(given));
          expect(thoughts(copy)).toEqual(thoughts(given));
          expect(copy.usage).toEqual(usageIn(to, given));
        }),
        { seed, numRuns: 300 },
      );
    });

    test(`comes out the same after a stream of ${to.name}, however its events are mixed`, () => {
      fc.assert(
        fc.property(answer, picks, (given, pick) => {
          const events = eventsOf(given, pick);
          expect(orderFault(events)).toBeUndefined();
          expect(gistOf(fold(events, given.dialect))).toEqual(gistOf(given));
          const copy = foldText(to, writeText(to, events));
          expect(gistOf(copy)).toEqual(gistOf(given));
          expect(thoughts(copy)).toEqual(thoughts(given));
          expect(copy.usage).toEqual(usageIn(to, given));
        }),
        { seed, numRuns: 300 },
      );
    });

    test(`is whole in ${to.name} only when all of it is there`, () => {
      fc.assert(
        fc.property(answer, picks, fc.nat(), (given, pick, at) => {
          const frames = splitText(writeText(to, eventsOf(given, pick)));
          const part = frames.slice(0, at % frames.length);
          const tap = to.tap({}, false);
          for (const { event, data } of part) tap.push(event, data);
          const events = readFrames(to, part);
          expect(events.at(-1)?.type === 'end').toBe(tap.complete);
          if (!tap.complete) return;
          // A choice of which nothing has come yet is missed by nobody.
          const { choices } = fold(events, to.name);
          const begun = given.choices.filter(({ index }) => choices.some((choice) => choice.index === index));
          expect(gistOf({ ...given, choices }).choices).toEqual(gistOf({ ...given, choices: begun }).choices);
        }),
        { seed, numRuns: 300 },
      );
    });
  }
});

/** Dialects without a word for what is written to a cache. */
const silentOnWrites: ReadonlySet<DialectName> = new Set(['gemini']);

function usageIn(to: Dialect, { usage: told }: ChatResponse): Usage | undefined {
  return told !== undefined && silentOnWrites.has(to.name) ? { ...told, cacheWrite5m: 0 } : told;
}

function thoughts({ choices }: ChatResponse): string[] {
  return choices.map(({ blocks: list }) =>
    list.map((block) => (block.type === 'reasoning' ? block.text : '')).join(''),
  );
}
