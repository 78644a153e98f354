/** Writes the mock's answers on the wire of Anthropic Messages. */
import { cutText, type Part, type Plan, type Tokens } from '../plan.ts';
import { anthropic } from '../voices/anthropic.ts';
import { type Event, type Turn, typed, type Wire } from '../wire.ts';
import { readMessages } from './anthropic-messages-ask.ts';

export const anthropicMessages: Wire = {
  keys: ['x-api-key', 'authorization'],
  ids: { answer: 'msg_', call: 'toolu_' },
  voice: anthropic,
  ask: readMessages,
  whole: writeWhole,
  events: writeEvents,
  counted: (tokens) => ({ input_tokens: tokens }),
  listed: (models) => {
    const data = models.map((id) => ({
      type: 'model',
      id,
      display_name: id,
      created_at: '2025-01-01T00:00:00Z',
    }));
    return { data, has_more: false, first_id: models[0], last_id: models.at(-1) };
  },
};

const stopReasons = {
  end: 'end_turn',
  length: 'max_tokens',
  'stop-sequence': 'stop_sequence',
  tool: 'tool_use',
  refusal: 'refusal',
} as const;

/** `input_tokens` excludes what was read from or written to the cache; `output_tokens` counts up while it streams. */
function writeUsage(usage: Tokens, output: number): object {
  return {
    input_tokens: Math.max(0, usage.input - usage.cached - usage.written),
    cache_creation_input_tokens: usage.written,
    cache_read_input_tokens: usage.cached,
    cache_creation: { ephemeral_5m_input_tokens: usage.written, ephemeral_1h_input_tokens: 0 },
    output_tokens: output,
    ...(usage.reasoning > 0 && output > 1 && { output_tokens_details: { thinking_tokens: usage.reasoning } }),
    service_tier: 'standard',
  };
}

function stopDetails(plan: Plan): object | null {
  if (plan.stop !== 'refusal') return null;
  const text = plan.parts.find((part) => part.type === 'refusal')?.text ?? null;
  return { type: 'refusal', category: null, explanation: text };
}

function writeWhole({ id, model, ask, plan }: Turn): object {
  return {
    id,
    type: 'message',
    role: 'assistant',
    model,
    // A refusal stands in stop_details; the content is empty.
    content: plan.parts
      .filter((part) => part.type !== 'refusal')
      .map((part) => writeBlock(part, ask.showsReasoning)),
    stop_reason: stopReasons[plan.stop],
    stop_sequence: plan.stopSequence ?? null,
    stop_details: stopDetails(plan),
    ...(plan.usage && { usage: writeUsage(plan.usage, plan.usage.output) }),
  };
}

function writeBlock(part: Exclude<Part, { type: 'refusal' }>, shows: boolean): object {
  if (part.type === 'text') return { type: 'text', text: part.text };
  if (part.type === 'tool-call') {
    return { type: 'tool_use', id: part.id, name: part.name, input: JSON.parse(part.input) };
  }
  if (part.redacted) return { type: 'redacted_thinking', data: part.signature };
  return { type: 'thinking', thinking: shows ? part.text : '', signature: part.signature };
}

function writeEvents({ id, model, ask, plan }: Turn): Event[] {
  const events: Event[] = [];
  const event = (type: string, members: object): void => void events.push(typed(type, members));
  const message = {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
  const started = plan.usage && { usage: writeUsage(plan.usage, Math.min(1, plan.usage.output)) };
  event('message_start', { message: { ...message, ...started } });
  let index = 0;
  for (const part of plan.parts) {
    if (part.type === 'refusal') continue;
    event('content_block_start', { index, content_block: openBlock(part) });
    if (index === 0) event('ping', {});
    for (const delta of deltas(part, plan.pieceLength, ask.showsReasoning))
      event('content_block_delta', { index, delta });
    event('content_block_stop', { index });
    index++;
  }
  const delta = {
    stop_reason: stopReasons[plan.stop],
    stop_sequence: plan.stopSequence ?? null,
    stop_details: stopDetails(plan),
  };
  const ended = plan.usage && { usage: writeUsage(plan.usage, plan.usage.output) };
  event('message_delta', { delta, ...ended });
  event('message_stop', {});
  return events;
}

function openBlock(part: Exclude<Part, { type: 'refusal' }>): object {
  if (part.type === 'text') return { type: 'text', text: '' };
  if (part.type === 'tool-call') return { type: 'tool_use', id: part.id, name: part.name, input: {} };
  if (part.redacted) return writeBlock(part, false);
  return { type: 'thinking', thinking: '', signature: '' };
}

function* deltas(
  part: Exclude<Part, { type: 'refusal' }>,
  pieceLength: number,
  shows: boolean,
): Generator<object> {
  if (part.type === 'text') {
    for (const text of cutText(part.text, pieceLength)) yield { type: 'text_delta', text };
  } else if (part.type === 'tool-call') {
    // The first piece is empty; a call without arguments has no other: `{}` is never spelt out.
    yield { type: 'input_json_delta', partial_json: '' };
    if (part.input === '{}') return;
    for (const piece of cutText(part.input, Math.min(pieceLength, 8))) {
      yield { type: 'input_json_delta', partial_json: piece };
    }
  } else if (!part.redacted) {
    for (const thinking of cutText(shows ? part.text : '', pieceLength))
      yield { type: 'thinking_delta', thinking };
    yield { type: 'signature_delta', signature: part.signature };
  }
}
