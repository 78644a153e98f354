/** State of one vendor is remembered for its owner, given back to that vendor only, and within bounds. */
import { describe, expect, test } from 'bun:test';
import type { Block, ChatEvent, ChatRequest } from '../../src/core/chat.ts';
import { StateCollector, VendorMemory } from '../../src/gateway/vendor-memory.ts';

const call = (id: string): Block => ({ type: 'tool-call', id, name: 'look', input: '{}' });
const thought: Block = { type: 'reasoning', text: 'Hm.', signature: 'signed', vendor: 'anthropic-messages' };
const signed = (id: string): Block => ({ ...call(id), state: { vendor: 'gemini', value: 'mark' } }) as Block;

const request = (...blocks: Block[]): ChatRequest => ({
  dialect: 'openai-chat',
  model: 'any',
  stream: false,
  messages: [
    { role: 'user', blocks: [{ type: 'text', text: 'Go' }] },
    { role: 'assistant', blocks },
  ],
});
const assistant = ({ messages }: ChatRequest): Block[] => messages[1]!.blocks;

describe('memory', () => {
  test('puts signed reasoning back before the calls it led to', () => {
    const memory = new VendorMemory();
    memory.remember('a', [thought, call('one'), call('two')]);
    for (const id of ['one', 'two']) {
      const recalled = memory.recall('a', request(call(id)), 'anthropic-messages');
      expect(assistant(recalled)).toEqual([thought, call(id)]);
    }
  });

  test('puts a call’s own state back on that call', () => {
    const memory = new VendorMemory();
    memory.remember('a', [signed('one'), call('two')]);
    const recalled = memory.recall('a', request(call('one'), call('two')), 'gemini');
    expect(assistant(recalled)).toEqual([signed('one'), call('two')]);
  });

  test('gives nothing to another vendor, another owner, or for another call', () => {
    const memory = new VendorMemory();
    memory.remember('a', [thought, signed('one')]);
    const asked = request(call('one'));
    expect(memory.recall('a', asked, 'openai-responses')).toBe(asked);
    expect(memory.recall('b', asked, 'gemini')).toBe(asked);
    expect(memory.recall('a', request(call('two')), 'gemini')).toEqual(request(call('two')));
  });

  test('says thoughts once: those the client shows by itself make room for the signed ones', () => {
    const memory = new VendorMemory();
    memory.remember('a', [thought, call('one')]);
    const shown: Block = { type: 'reasoning', text: 'Hm.' };
    expect(assistant(memory.recall('a', request(shown, call('one')), 'anthropic-messages'))).toEqual([
      thought,
      call('one'),
    ]);
    const whole = request(thought, call('one'));
    expect(memory.recall('a', whole, 'anthropic-messages')).toEqual(whole);
  });

  test('remembers nothing of what has no state', () => {
    const memory = new VendorMemory();
    memory.remember('a', [{ type: 'reasoning', text: 'Hm.' }, call('one')]);
    const asked = request(call('one'));
    expect(memory.recall('a', asked, 'anthropic-messages')).toBe(asked);
  });

  test('forgets the oldest when there is too much, and never takes what is no signature', () => {
    const memory = new VendorMemory();
    for (let i = 0; i < 20_001; i++) memory.remember('a', [signed(`c${i}`)]);
    const first = request(call('c0'));
    expect(memory.recall('a', first, 'gemini')).toEqual(first);
    expect(assistant(memory.recall('a', request(call('c1')), 'gemini'))).toEqual([signed('c1')]);
    const huge = { ...thought, signature: 'x'.repeat(3 * 1024 * 1024) } as Block;
    memory.remember('a', [huge, call('big')]);
    const asked = request(call('big'));
    expect(memory.recall('a', asked, 'anthropic-messages')).toEqual(asked);
  });
});

test('state is gathered from a stream, choice by choice', () => {
  const collector = new StateCollector();
  const events: ChatEvent[] = [
    {
      type: 'block',
      choice: 0,
      block: 0,
      value: { type: 'reasoning', text: '', vendor: 'anthropic-messages' },
    },
    { type: 'delta', choice: 0, block: 0, text: 'H' },
    { type: 'delta', choice: 0, block: 0, text: 'm.' },
    { type: 'delta', choice: 0, block: 0, signature: 'signed' },
    { type: 'block', choice: 0, block: 1, value: { type: 'text', text: '' } },
    { type: 'delta', choice: 0, block: 1, text: 'Well' },
    { type: 'block', choice: 1, block: 0, value: call('other') },
    { type: 'block', choice: 0, block: 2, value: call('one') },
    { type: 'delta', choice: 0, block: 2, state: { vendor: 'gemini', value: 'mark' } },
  ];
  for (const event of events) collector.push(event);
  expect(collector.of(0)).toEqual([thought, signed('one')]);
  expect(collector.of(1)).toEqual([call('other')]);
});
