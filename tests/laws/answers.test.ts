/** An answer says the same in every dialect: its text, its tool calls, why it ended and what it cost. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { gistOf, isAnswerTo, linksFor, roomFor } from './gist.ts';
import { foldText, readStream, tryFold, writeText } from './reading.ts';
import { answerings, responses, streams } from './samples.ts';
import { throwsKind } from './verdict.ts';

for (const [from, to] of answerings) {
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

    for (const sample of streams.filter(({ dialect }) => dialect === from)) {
      const { name } = sample;
      const events = readStream(sample);
      const answer = tryFold(events, from.name);
      if (answer === undefined) continue;
      test(`a stream says the same: ${name}`, () => {
        expectSame(foldText(to, writeText(to, events)), answer, to);
        expectUsageOnlyIfWished(to, events);
      });
    }
  });
}

function expectSame(copy: ChatResponse, answer: ChatResponse, to: ClientDialect): void {
  expect(linksFor(to, copy)).toEqual(linksFor(to, answer));
  if (isAnswerTo(to, answer)) expect(gistOf(copy)).toEqual(gistOf(answer, roomFor(to)));
}

/** Where usage has to be asked for, a stream without it tells the rest all the same. */
function expectUsageOnlyIfWished(to: ClientDialect, events: readonly ChatEvent[]): void {
  const silent = gistOf(foldText(to, writeText(to, events, false)));
  const asked = gistOf(foldText(to, writeText(to, events)));
  expect(silent.choices).toEqual(asked.choices);
}
