/** An answer says the same in every dialect: its text, its tool calls, why it ended and what it cost. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { gistOf } from './gist.ts';
import { foldText, readText, tryFold, writeText } from './reading.ts';
import { responses, streams, translations } from './samples.ts';
import { throwsKind } from './verdict.ts';

const roomFor = (dialect: Dialect): number => (dialect.can.params.has('n') ? Number.POSITIVE_INFINITY : 1);

for (const [from, to] of translations) {
  describe(`${from.name} in ${to.name}`, () => {
    for (const { name, content, quirks } of responses.filter(({ dialect }) => dialect === from)) {
      if (throwsKind(() => from.readResponse(content, quirks)) !== undefined) continue;
      test(`an answer says the same: ${name}`, () => {
        const answer = from.readResponse(content, quirks);
        const written = JSON.parse(JSON.stringify(to.writeResponse(structuredClone(answer))));
        expectSame(to.readResponse(written, {}), answer, to);
        expect(to.readUsage(written, {})).toEqual(to.readResponse(written, {}).usage);
      });
    }

    for (const { name, content, quirks } of streams.filter(({ dialect }) => dialect === from)) {
      const events = readText(from, content, quirks);
      const answer = tryFold(events, from.name);
      if (answer === undefined) continue;
      test(`a stream says the same: ${name}`, () => {
        expectSame(foldText(to, writeText(to, events)), answer, to);
        expectUsageOnlyIfWished(to, events);
      });
    }
  });
}

function expectSame(copy: ChatResponse, answer: ChatResponse, to: Dialect): void {
  // What only one dialect knows is answered to none but those who asked in its words.
  if (answer.choices.some(({ blocks }) => blocks.some(({ type }) => type === 'opaque'))) return;
  expect(gistOf(copy)).toEqual(gistOf(answer, roomFor(to)));
}

/** Where usage has to be asked for, a stream without it tells the rest all the same. */
function expectUsageOnlyIfWished(to: Dialect, events: readonly ChatEvent[]): void {
  const silent = gistOf(foldText(to, writeText(to, events, false)));
  const asked = gistOf(foldText(to, writeText(to, events)));
  expect(silent.choices).toEqual(asked.choices);
}
