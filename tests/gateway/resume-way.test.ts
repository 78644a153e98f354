/** How a target is asked to go on with an answer: by its beginning where it is known to take one, else in words. */
import { describe, expect, test } from 'bun:test';
import type { Endpoint, Target } from '../../src/config/snapshot.ts';
import type { ChatRequest, DialectName } from '../../src/core/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { Shown } from '../../src/gateway/resume/shown.ts';
import { askToGoOn, wayOn } from '../../src/gateway/resume/way.ts';
import { catalogued, quirksOf } from '../../src/providers/catalog.ts';
import { makeTarget } from '../routing/targets.ts';

const asked: ChatRequest = {
  dialect: 'openai-chat',
  model: 'm',
  messages: [{ role: 'user', blocks: [{ type: 'text', text: 'Count.' }] }],
  stream: true,
};

function shownOf(text: string): Shown {
  const shown = new Shown();
  shown.push({ type: 'block', choice: 0, block: 0, value: { type: 'text', text } });
  return shown;
}

function targetOf(provider: string, model: string, dialect: DialectName): [Target, Endpoint] {
  const target: Target = { ...makeTarget(model), quirks: quirksOf(catalogued(provider), model) };
  return [target, { dialect: dialects.get(dialect)! } as unknown as Endpoint];
}

const wayAt = (provider: string, model: string, dialect: DialectName): string =>
  wayOn(shownOf('One, two'), asked, ...targetOf(provider, model, dialect)).how;

describe('a beginning is given to', () => {
  test.each<[string, string, DialectName]>([
    ['anthropic', 'claude-3-5-haiku-latest', 'anthropic-messages'],
    ['anthropic', 'claude-sonnet-4-20250514', 'anthropic-messages'],
    ['anthropic', 'claude-opus-4-1', 'anthropic-messages'],
    ['anthropic', 'claude-sonnet-4-5', 'anthropic-messages'],
    ['bedrock', 'eu.anthropic.claude-haiku-4-5-20251001-v1:0', 'bedrock-converse'],
    ['gemini', 'gemini-2.5-flash', 'gemini'],
    ['mistral', 'mistral-large-latest', 'openai-chat'],
    ['vllm', 'qwen', 'openai-chat'],
    ['ollama', 'llama3', 'ollama'],
    ['ollama', 'llama3', 'openai-chat'],
  ])('%s %s (%s)', (provider, model, dialect) => {
    expect(wayAt(provider, model, dialect)).toBe('turn');
  });
});

describe('words are said to', () => {
  test.each<[string, string, DialectName]>([
    ['anthropic', 'claude-sonnet-4-6', 'anthropic-messages'],
    ['anthropic', 'claude-opus-4-6', 'anthropic-messages'],
    ['anthropic', 'claude-opus-4-8', 'anthropic-messages'],
    ['anthropic', 'claude-sonnet-5', 'anthropic-messages'],
    ['openai', 'gpt-5', 'openai-responses'],
    ['openai', 'gpt-4o', 'openai-chat'],
    ['deepseek', 'deepseek-v4-pro', 'openai-chat'],
    ['gemini', 'gemini-3.5-flash', 'gemini'],
    ['openrouter', 'anthropic/claude-sonnet-4.5', 'openai-chat'],
    ['vllm', 'qwen', 'anthropic-messages'],
    ['cohere', 'command-a-03-2025', 'cohere-v2'],
  ])('%s %s (%s)', (provider, model, dialect) => {
    expect(wayAt(provider, model, dialect)).toBe('instruction');
  });
});

describe('a beginning is marked as one', () => {
  const bodyFor = (provider: string) => {
    const [target, endpoint] = targetOf(provider, 'm', 'openai-chat');
    const changed = askToGoOn(shownOf('One, two \n'), 5)({ ...asked, maxTokens: 100 }, target, endpoint);
    return endpoint.dialect.writeRequest(changed, target.quirks, []);
  };

  test('in its message', () => {
    const { messages, max_tokens } = bodyFor('mistral');
    expect(messages).toEqual([
      { role: 'user', content: 'Count.' },
      { role: 'assistant', content: 'One, two', prefix: true },
    ]);
    expect(max_tokens).toBe(95);
  });

  test('beside the messages', () => {
    const body = bodyFor('vllm');
    expect(body).toMatchObject({ continue_final_message: true, add_generation_prompt: false });
    expect(body.messages).toMatchObject([{}, { role: 'assistant', content: 'One, two' }]);
  });

  test('by its place alone', () => {
    expect(JSON.stringify(bodyFor('ollama'))).not.toContain('continue_final_message');
  });
});

test('JSON is not gone on with in words', () => {
  const [target, endpoint] = targetOf('openai', 'gpt-4o', 'openai-chat');
  expect(() => wayOn(shownOf('{"a": 1,'), asked, target, endpoint)).toThrow('JSON');
  expect(() => wayOn(shownOf('"a'), { ...asked, format: { type: 'json' } }, target, endpoint)).toThrow(
    'JSON',
  );
});
