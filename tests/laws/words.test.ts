/** Words that no dialect has, though every JavaScript object knows them, mean what any unknown word does. */
import { describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../src/core/json.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';

const odd = ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'unheard_of'];

/** An answer of each provider's that ended for `reason`. */
const answers: Readonly<Record<string, (reason: string) => JsonObject>> = {
  'openai-chat': (reason) => ({ choices: [{ message: { content: 'Hi' }, finish_reason: reason }] }),
  'openai-completions': (reason) => ({ choices: [{ text: 'Hi', finish_reason: reason }] }),
  'anthropic-messages': (reason) => ({ content: [{ type: 'text', text: 'Hi' }], stop_reason: reason }),
  gemini: (reason) => ({ candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: reason }] }),
  'bedrock-converse': (reason) => ({
    output: { message: { content: [{ text: 'Hi' }] } },
    stopReason: reason,
  }),
  'cohere-v2': (reason) => ({ message: { content: [{ type: 'text', text: 'Hi' }] }, finish_reason: reason }),
  ollama: (reason) => ({ message: { content: 'Hi' }, done: true, done_reason: reason }),
};

describe.each(Object.entries(answers))('an answer of %s that ended for no reason known', (name, answer) => {
  const provider = [...dialects.values()].find((each) => each.name === name)!;

  test.each(odd)('ended like any other: %s', (reason) => {
    const read = provider.readResponse(answer(reason), {});
    expect(read.choices[0]!.stop).toBe('stop');
  });
});

describe.each(odd)('how much to think, as %s', (effort) => {
  const messages = clientDialects.find(({ name }) => name === 'anthropic-messages')!;
  const body = {
    model: 'm',
    max_tokens: 9000,
    messages: [{ role: 'user', content: 'Hi' }],
    thinking: { type: 'adaptive' },
    output_config: { effort },
  };

  test('stays between the client and a model of its own dialect', () => {
    expect(messages.writeRequest(messages.readRequest(body), {}, []).output_config).toEqual({ effort });
  });

  test.each([...dialects.values()].map((dialect) => [dialect.name, dialect] as const))(
    'makes no nonsense of the words of %s',
    (name, target) => {
      if (target === messages || name === 'openai-completions') return;
      const text = JSON.stringify(target.writeRequest(messages.readRequest(body), {}, []));
      expect(text).not.toMatch(/"(thinkingBudget|token_budget|budget_tokens)":null/);
    },
  );
});
