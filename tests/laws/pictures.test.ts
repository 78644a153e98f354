/** A picture that a model paints reaches every client that can be shown one, in whole answers and in streams alike. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import { unfold } from '../../src/core/unfold.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';

const data = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ';

const answer: ChatResponse = {
  dialect: 'ollama',
  id: 'a',
  model: 'm',
  choices: [
    {
      index: 0,
      stop: 'stop',
      blocks: [
        { type: 'text', text: 'Here it is.' },
        { type: 'media', media: 'image', source: { type: 'base64', mimeType: 'image/png', data } },
      ],
    },
  ],
};

describe.each(
  // Completions are a text and nothing else.
  [...clientDialects]
    .filter(({ name }) => name !== 'openai-completions')
    .map((dialect) => [dialect.name, dialect]),
)('%s', (_, dialect) => {
  test('shows it in a whole answer', () => {
    expect(JSON.stringify(dialect.writeResponse(structuredClone(answer)))).toInclude(data);
  });

  test('shows it in a stream, behind the words before it', () => {
    let text = '';
    const writer = dialect.writeStream(
      (piece) => {
        text += piece;
      },
      { streamUsage: true },
    );
    for (const event of unfold(answer)) writer.push(event);
    expect(text).toInclude(data);
    expect(text.indexOf(data)).toBeGreaterThan(text.indexOf('Here it is.'));
  });
});

test('one that comes in Chat Completions is a picture to everybody, and goes back there as it came', () => {
  const images = [
    { type: 'image_url', index: 0, image_url: { url: `data:image/png;base64,${data}` } },
    { type: 'image_url', index: 1, image_url: { url: 'https://example.com/cat.png' } },
  ];
  const message = { role: 'assistant', content: 'Two of them.', refusal: null, images };
  const whole = openaiChat.readResponse({ choices: [{ index: 0, message, finish_reason: 'stop' }] }, {});
  expect(whole.choices[0]!.blocks.map(({ type }) => type)).toEqual(['text', 'media', 'media']);
  expect(openaiChat.writeResponse(whole).choices).toMatchObject([{ message }]);

  const events: ChatEvent[] = [];
  const reader = openaiChat.readStream((event) => events.push(event), {});
  for (const [delta, finish] of [[{ content: 'Two of them.' }], [{ images }], [{}, 'stop']])
    reader.push('', JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish ?? null }] }));
  reader.push('', '[DONE]');
  expect(fold(events, 'openai-chat').choices[0]!.blocks).toEqual(whole.choices[0]!.blocks);
});
