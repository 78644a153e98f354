/** What the dialects write, the vendors' own clients read: the same text, calls and usage as the hub's. */
import { describe, expect, test } from 'bun:test';
import type { ChatResponse } from '../../src/core/chat.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import { clients, type SdkGist, wholeOnly } from './clients.ts';
import { type Gist, gistOf, isAnswerTo } from './gist.ts';
import { readStream, tryFold, writeText } from './reading.ts';
import { responses, streams } from './samples.ts';
import { throwsKind } from './verdict.ts';

function expected(answer: ChatResponse): SdkGist {
  const { choices, usage }: Gist = gistOf(answer);
  const { text = '', calls: told = [] } = choices[0] ?? {};
  const calls = told.map(({ name, input }) => ({ name, input: wholeOnly(input) }));
  return { text, calls, input: usage.input, cached: usage.cacheRead, output: usage.output };
}

function hasCustomCall({ choices }: ChatResponse): boolean {
  return choices.some(({ blocks }) => blocks.some((block) => block.type === 'tool-call' && block.custom));
}

for (const to of clientDialects) {
  const client = clients[to.name];
  if (client === undefined) continue;
  describe(`the client of ${to.name}`, () => {
    for (const sample of streams) {
      const { name } = sample;
      const events = readStream(sample);
      const answer = tryFold(events, sample.dialect.name);
      if (answer === undefined || !isAnswerTo(to, answer)) continue;
      if (client.functionsOnly && hasCustomCall(answer)) continue;
      test(`understands a stream: ${name}`, async () => {
        expect(await client.stream(writeText(to, events))).toEqual(expected(answer));
      });
    }

    for (const { name, dialect, quirks, content } of responses) {
      if (throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) continue;
      const answer = dialect.readResponse(content, quirks);
      if (!isAnswerTo(to, answer)) continue;
      test(`understands an answer: ${name}`, async () => {
        expect(await client.whole(to.writeResponse(structuredClone(answer)))).toEqual(expected(answer));
      });
    }
  });
}
