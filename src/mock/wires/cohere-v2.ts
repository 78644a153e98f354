/** Writes the mock's answers on the wire of Cohere's chat, second version. */
import { cutText, type Part, type Tokens } from '../plan.ts';
import { cohere } from '../voices/cohere.ts';
import { type Event, type Turn, typed, type Wire } from '../wire.ts';
import { readCohere } from './cohere-v2-ask.ts';

export const cohereV2: Wire = {
  keys: ['authorization'],
  ids: { answer: '', call: 'call_' },
  voice: cohere,
  ask: readCohere,
  whole: ({ id, plan }) => ({
    id,
    message: writeMessage(plan.parts),
    finish_reason: finishReasons[plan.stop],
    ...(plan.usage && { usage: writeUsage(plan.usage) }),
  }),
  events: writeEvents,
};

/** It has no word for a refusal: that is a text like any other. */
const finishReasons = {
  end: 'COMPLETE',
  length: 'MAX_TOKENS',
  'stop-sequence': 'STOP_SEQUENCE',
  tool: 'TOOL_CALL',
  refusal: 'COMPLETE',
} as const;

/** What is billed leaves out the template around the messages. */
function writeUsage(usage: Tokens): object {
  return {
    billed_units: { input_tokens: usage.input, output_tokens: usage.output },
    tokens: {
      input_tokens: usage.input,
      output_tokens: usage.output,
      ...(usage.reasoning > 0 && { reasoning_tokens: usage.reasoning }),
    },
    cached_tokens: usage.cached,
  };
}

function writeMessage(parts: Part[]): object {
  const content: object[] = [];
  const calls: object[] = [];
  for (const part of parts) {
    if (part.type === 'tool-call') {
      calls.push({ id: part.id, type: 'function', function: { name: part.name, arguments: part.input } });
    } else if (part.type === 'reasoning') {
      if (!part.redacted) content.push({ type: 'thinking', thinking: part.text });
    } else {
      content.push({ type: 'text', text: part.text });
    }
  }
  return {
    role: 'assistant',
    ...(calls.length > 0 && { tool_calls: calls }),
    ...((content.length > 0 || calls.length === 0) && { content }),
  };
}

function writeEvents({ id, plan }: Turn): Event[] {
  const events: Event[] = [];
  const event = (type: string, members: object): void => void events.push(typed(type, members));
  const told = (type: string, index: number, message: object): void =>
    event(type, { index, delta: { message } });
  const empty = { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] };
  event('message-start', { id, delta: { message: empty } });
  let blocks = 0;
  let calls = 0;
  for (const part of plan.parts) {
    if (part.type === 'tool-call') {
      const index = calls++;
      const { id, name } = part;
      // One object, not a list; a call without arguments has no pieces.
      told('tool-call-start', index, {
        tool_calls: { id, type: 'function', function: { name, arguments: '' } },
      });
      const pieces = part.input === '{}' ? [] : cutText(part.input, Math.min(plan.pieceLength, 8));
      for (const piece of pieces) {
        told('tool-call-delta', index, { tool_calls: { function: { arguments: piece } } });
      }
      event('tool-call-end', { index });
    } else if (part.type !== 'reasoning' || !part.redacted) {
      const index = blocks++;
      const type = part.type === 'reasoning' ? 'thinking' : 'text';
      told('content-start', index, { content: { type, [type]: '' } });
      for (const piece of cutText(part.text, plan.pieceLength)) {
        told('content-delta', index, { content: { [type]: piece } });
      }
      event('content-end', { index });
    }
  }
  const usage = plan.usage && { usage: writeUsage(plan.usage) };
  event('message-end', { delta: { finish_reason: finishReasons[plan.stop], ...usage } });
  events.push({ name: '', data: '[DONE]' });
  return events;
}
