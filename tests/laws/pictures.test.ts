/** A picture that a model paints reaches every client that can be shown one, in whole answers and in streams alike. */
import { describe, expect, test } from 'bun:test';
import type { ChatResponse } from '../../src/core/chat.ts';
import { unfold } from '../../src/core/unfold.ts';
import { clientDialects } from '../../src/dialects/index.ts';

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
