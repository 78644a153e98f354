/** A whole answer told as a stream is the same answer. */
import { expect, test } from 'bun:test';
import type { ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import { unfold } from '../../src/core/unfold.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { orderFault } from '../laws/order.ts';
import { responses } from '../laws/samples.ts';
import { throwsKind } from '../laws/verdict.ts';

const everything: ChatResponse = {
  dialect: 'openai-chat',
  id: 'a',
  model: 'm',
  created: 3,
  extra: { fingerprint: 'f' },
  usage: { ...emptyUsage(), input: 1, output: 2 },
  choices: [
    {
      index: 0,
      blocks: [
        { type: 'reasoning', text: 'hm', signature: 's', id: 'r1', vendor: 'anthropic-messages' },
        { type: 'reasoning', text: '', redacted: 'x', vendor: 'anthropic-messages' },
        {
          type: 'text',
          text: 'said',
          citations: [{ url: 'u', value: {}, dialect: 'openai-chat' }],
          state: { vendor: 'gemini', value: 'v' },
        },
        { type: 'text', text: '' },
        { type: 'tool-call', id: 'c', name: 'f', input: '{"a":1}', state: { vendor: 'gemini', value: 'w' } },
        { type: 'media', media: 'image', source: { type: 'base64', mimeType: 'image/png', data: 'AA' } },
        { type: 'opaque', dialect: 'openai-chat', value: { type: 'x' } },
      ],
      stop: 'tool_calls',
      logprobs: { content: [{ token: 'said' }] },
      extra: { more: true },
    },
    { index: 1, blocks: [{ type: 'refusal', text: 'no' }], stop: 'stop_sequence', stopSequence: 'END' },
    { index: 2, blocks: [], stop: 'length' },
  ],
};

const answers: [string, ChatResponse][] = [['everything there is', everything]];
for (const { name, dialect, quirks, content } of responses) {
  if (throwsKind(() => dialect.readResponse(content, quirks)) === undefined)
    answers.push([name, dialect.readResponse(content, quirks)]);
}

test.each(answers)('%s', (_, answer) => {
  const before = structuredClone(answer);
  const events = [...unfold(answer)];
  expect(orderFault(events)).toBeUndefined();
  expect(fold(events, answer.dialect)).toEqual(before);
  expect(answer).toEqual(before);
});
