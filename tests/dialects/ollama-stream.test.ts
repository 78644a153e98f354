/** What is particular to streamed answers of Ollama. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatEvent } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { ollama } from '../../src/dialects/ollama.ts';
import { frameReader } from '../../src/wire/framing.ts';

const folder = join(import.meta.dir, '../../fixtures/ollama');

function readText(text: string): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = ollama.readStream((event) => events.push(event), {});
  const frames = frameReader(ollama.framing, (name, line) => reader.push(name, line));
  frames.push(new TextEncoder().encode(text));
  frames.end();
  reader.end();
  return events;
}

const load = (name: string): string => readFileSync(join(folder, name, 'stream.ndjson'), 'utf8');
const readLines = (...lines: Json[]): ChatEvent[] =>
  readText(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

const said = (message: JsonObject, more: JsonObject = {}): JsonObject => ({
  model: 'm',
  message: { role: 'assistant', content: '', ...message },
  done: false,
  ...more,
});
const done = (more: JsonObject = {}): JsonObject => said({}, { done: true, done_reason: 'stop', ...more });

describe('a stream', () => {
  test('is thoughts, then words, then what it took', () => {
    const counts = {
      total_duration: 671_921_584,
      load_duration: 140_923_875,
      prompt_eval_duration: 155_740_000,
      eval_duration: 61_034_000,
    };
    expect(readText(load('thinking'))).toEqual([
      { type: 'start', id: '', model: 'qwen3:4b', created: 1_786_082_891 },
      { type: 'block', choice: 0, block: 0, value: { type: 'reasoning', text: '' } },
      { type: 'delta', choice: 0, block: 0, text: '91 is 7 times 13,' },
      { type: 'delta', choice: 0, block: 0, text: ' so it has divisors of its own.' },
      { type: 'close', choice: 0, block: 0 },
      { type: 'block', choice: 0, block: 1, value: { type: 'text', text: '' } },
      { type: 'delta', choice: 0, block: 1, text: 'No: 91 =' },
      { type: 'delta', choice: 0, block: 1, text: ' 7 × 13.' },
      { type: 'close', choice: 0, block: 1 },
      { type: 'finish', choice: 0, stop: 'stop', extra: counts },
      { type: 'usage', usage: expect.objectContaining({ input: 26, output: 48 }) },
      { type: 'end' },
    ]);
  });

  test('has its calls whole, also on the last line', () => {
    const { blocks, stop } = fold(readText(load('tools-after-text')), 'ollama').choices[0]!;
    expect(stop).toBe('tool_calls');
    expect(blocks).toMatchObject([
      { type: 'reasoning' },
      { type: 'text', text: 'Let me look.' },
      { type: 'tool-call', id: 'call_2k7ryu9k', input: '{"city":"Madrid"}' },
    ]);
  });

  test('tells calls without an id apart', () => {
    const bare = { function: { name: 'clock', arguments: {} } };
    const events = readLines(said({ tool_calls: [bare] }), said({ tool_calls: [bare] }), done());
    const { blocks } = fold(events, 'ollama').choices[0]!;
    expect(new Set(blocks.map((block) => (block.type === 'tool-call' ? block.id : ''))).size).toBe(2);
    expect(blocks).toMatchObject([{ input: '{}' }, { input: '{}' }]);
  });

  test('may say that its limit was reached, in the middle of a call or not', () => {
    expect(fold(readText(load('length')), 'ollama').choices[0]?.stop).toBe('length');
    const call = said({ tool_calls: [{ function: { name: 'clock', arguments: {} } }] });
    expect(fold(readLines(call, done({ done_reason: 'length' })), 'ollama').choices[0]?.stop).toBe('length');
  });

  test('begins a new text after a call', () => {
    const call = { tool_calls: [{ id: 'a', function: { name: 'clock', arguments: {} } }] };
    const events = readLines(said({ content: 'a' }), said(call), said({ content: 'b' }), done());
    expect(fold(events, 'ollama').choices[0]?.blocks).toMatchObject([
      { type: 'text', text: 'a' },
      { type: 'tool-call', id: 'a' },
      { type: 'text', text: 'b' },
    ]);
  });

  test('may tell log-probabilities of words that are held back', () => {
    const logprobs = [{ token: '<', logprob: -1 }];
    const events = readLines(said({}, { logprobs }), said({ content: 'Hi' }), done());
    expect(fold(events, 'ollama').choices[0]).toMatchObject({
      blocks: [{ type: 'text', text: 'Hi' }],
      logprobs: { content: logprobs },
    });
  });

  test('ends with its last line, whatever follows', () => {
    const lines = load('text');
    expect(readText(lines.trimEnd())).toEqual(readText(lines));
    expect(readText(lines + lines)).toEqual(readText(lines));
  });
});

describe('a stream that fails', () => {
  const errorOf = (events: ChatEvent[]) => {
    const last = events.at(-1);
    return last?.type === 'error' ? last.error : undefined;
  };

  test('tells why, on a line of its own', () => {
    const events = readText(load('error-in-stream'));
    expect(errorOf(events)).toMatchObject({
      kind: 'upstream_unavailable',
      message: 'an error was encountered while running the model',
    });
    expect(events.filter(({ type }) => type === 'delta')).toHaveLength(2);
  });

  test('may do so on its first line', () => {
    const [only, ...others] = readLines({ error: 'prompt is too long' });
    expect(only?.type === 'error' && only.error.kind).toBe('context_length');
    expect(others).toEqual([]);
  });

  test.each(['not JSON', '7', '{}', '{"response":"Yes","done":false}'])('is not understood: %s', (line) => {
    expect(errorOf(readText(`${line}\n`))?.kind).toBe('upstream_invalid');
  });

  test('by being cut has no end', () => {
    const lines = load('text').split('\n').slice(0, 2).join('\n');
    expect(readText(lines).map(({ type }) => type)).toEqual(['start', 'block', 'delta', 'delta']);
  });
});
