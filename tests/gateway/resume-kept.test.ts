/** What is kept of a relayed answer, and where the client stands by it. */
import { describe, expect, test } from 'bun:test';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { openaiResponses } from '../../src/dialects/openai-responses.ts';
import type { Outbound } from '../../src/gateway/render.ts';
import { KeptRelay } from '../../src/gateway/resume/kept-relay.ts';
import { maxShown } from '../../src/gateway/resume/shown.ts';
import { makeTarget } from '../routing/targets.ts';

const wish = { streamUsage: false };

function relay(dialect: ClientDialect): KeptRelay {
  const target = makeTarget('m');
  return new KeptRelay(dialect, { target, hideUsage: false } as unknown as Outbound, () => wish, true);
}

const frame = (data: object): Buffer => Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
const piece = (content: string): Buffer =>
  frame({
    id: 'a',
    created: 7,
    model: 'm',
    choices: [{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }],
  });

describe('a relayed answer that is kept', () => {
  test('passes as it came, and tells what the client was shown', () => {
    const stage = relay(openaiChat);
    expect(stage.push(piece('One'))).toEqual(piece('One'));
    stage.push(piece(', two'));
    const stream = stage.replay(wish);
    expect(stream?.shown).toMatchObject({ text: 'One, two', resumable: true, flowing: 0 });
    expect(stream?.take()).toBeUndefined();
    stream?.push({ type: 'delta', choice: 0, block: 0, text: ' three' });
    const written = JSON.parse(stream?.take()?.slice(6) ?? '');
    expect(written).toMatchObject({ id: 'a', created: 7, model: 'm' });
    expect(written.choices[0].delta).toEqual({ content: ' three' });
  });

  test('keeps a failure to itself, and the half of an event', () => {
    const stage = relay(openaiChat);
    const failed = Buffer.concat([piece('One'), frame({ error: { message: 'Too many.', type: 'overloaded_error' } })]);
    expect(stage.push(failed)).toEqual(piece('One'));
    expect(stage.error?.message).toContain('Too many.');
    const cut = relay(openaiChat);
    expect(cut.push(Buffer.concat([piece('One'), piece('two').subarray(0, 30)]))).toEqual(piece('One'));
    expect(cut.end()).toBeUndefined();
    expect(cut.replay(wish)?.shown.text).toBe('One');
    expect(cut.gap).toBe('');
  });

  test('ends an event that was not ended', () => {
    const stage = relay(openaiChat);
    stage.push(piece('One').subarray(0, -2));
    expect(stage.end()).toEqual(piece('One').subarray(0, -2));
    expect(stage.gap).toBe('\n\n');
  });

  test('is not kept without end', () => {
    const stage = relay(openaiChat);
    const large = piece('x'.repeat(100_000));
    for (let size = 0; size <= maxShown; size += large.length) stage.push(large);
    expect(stage.replay(wish)).toBeUndefined();
  });

  test('cannot be gone on with where something has begun that cannot be told yet', () => {
    const stage = relay(anthropicMessages);
    stage.push(frame({ type: 'message_start', message: { id: 'msg_1', model: 'm', usage: {} } }));
    stage.push(frame({ type: 'content_block_start', index: 0, content_block: { type: 'server_tool_use', id: 's', name: 'web_search', input: {} } }));
    expect(stage.replay(wish)).toBeUndefined();
    const items = relay(openaiResponses);
    items.push(frame({ type: 'response.created', sequence_number: 0, response: { id: 'resp_1', model: 'm', created_at: 1 } }));
    items.push(frame({ type: 'response.output_item.added', sequence_number: 1, output_index: 0, item: { type: 'web_search_call', id: 'ws' } }));
    expect(items.replay(wish)).toBeUndefined();
  });

  test('counts on from where its events have come', () => {
    const stage = relay(openaiResponses);
    const at = { output_index: 0, content_index: 0, item_id: 'msg_1' };
    stage.push(frame({ type: 'response.created', sequence_number: 3, response: { id: 'resp_1', model: 'm', created_at: 1 } }));
    stage.push(frame({ type: 'response.output_item.added', sequence_number: 4, output_index: 0, item: { type: 'message', id: 'msg_1', role: 'assistant', content: [] } }));
    stage.push(frame({ type: 'response.output_text.delta', sequence_number: 41, ...at, delta: 'One' }));
    const stream = stage.replay(wish);
    stream?.push({ type: 'delta', choice: 0, block: 0, text: ' two' });
    expect(stream?.take()).toContain('"sequence_number":42,"item_id":"msg_1"');
  });
}); // biome-ignore format: a line each
