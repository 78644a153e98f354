/** What was shown of an answer, and whether it can be gone on with. */
import { describe, expect, test } from 'bun:test';
import type { Block, ChatEvent } from '../../src/core/chat.ts';
import { maxShown, Shown } from '../../src/gateway/resume/shown.ts';

function shownBy(...events: ChatEvent[]): Shown {
  const shown = new Shown();
  for (const event of events) shown.push(event);
  return shown;
}

const begin = (block: number, value: Block, choice = 0): ChatEvent => ({
  type: 'block',
  choice,
  block,
  value,
});
const say = (block: number, text: string): ChatEvent => ({ type: 'delta', choice: 0, block, text });
const give = (block: number, input: string): ChatEvent => ({ type: 'delta', choice: 0, block, input });
const close = (block: number): ChatEvent => ({ type: 'close', choice: 0, block });
const text: Block = { type: 'text', text: '' };
const thought: Block = { type: 'reasoning', text: '' };
const call: Block = { type: 'tool-call', id: 'c1', name: 'look', input: '' };

describe('an answer can be gone on with', () => {
  test('in the middle of a text, which flows on', () => {
    const shown = shownBy(
      begin(0, thought),
      say(0, 'Hm.'),
      close(0),
      begin(1, text),
      say(1, 'One, '),
      say(1, 'two'),
    );
    expect(shown).toMatchObject({
      text: 'One, two',
      resumable: true,
      isBlank: false,
      flowing: 1,
      nextBlock: 2,
    });
    expect(shown.openBlocks).toEqual([1]);
  });

  test('where a text has ended', () => {
    const shown = shownBy(begin(0, text), say(0, 'One.'), close(0));
    expect(shown).toMatchObject({ resumable: true, flowing: undefined });
    expect(shown.openBlocks).toEqual([]);
  });

  test('where there are thoughts only', () => {
    expect(shownBy(begin(0, thought), say(0, 'Hm.'))).toMatchObject({
      text: '',
      isBlank: true,
      resumable: true,
    });
  });

  test('behind a tool call that is closed, or whole by the look of it', () => {
    expect(shownBy(begin(0, call), give(0, '{"a":'), give(0, '1}')).resumable).toBe(true);
    expect(shownBy(begin(0, call), close(0)).resumable).toBe(true);
    expect(shownBy(begin(0, call), give(0, '{}')).calls).toEqual([{ id: 'c1', name: 'look', input: '{}' }]);
  });
});

describe('an answer cannot be gone on with', () => {
  const cases: Record<string, ChatEvent[]> = {
    'in the middle of a tool call': [begin(0, call), give(0, '{"a":')],
    'at the beginning of a tool call': [begin(0, call)],
    'in the input of a free-form tool': [begin(0, { ...call, custom: true }), give(0, '{}')],
    'at its end': [begin(0, text), say(0, 'One.'), { type: 'finish', choice: 0, stop: 'stop' }],
    'where its provider has used tools of its own': [
      begin(0, { type: 'opaque', dialect: 'gemini', value: {} }),
    ],
    'in a refusal': [begin(0, { type: 'refusal', text: '' })],
    'where there are several': [begin(0, text), begin(0, text, 1)],
    'beyond what is kept': [begin(0, text), say(0, 'x'.repeat(maxShown)), say(0, 'x')],
  };
  test.each(Object.entries(cases))('%s', (_where, events) => {
    expect(shownBy(...events).resumable).toBe(false);
  });
});
