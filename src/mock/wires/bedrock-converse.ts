/** Writes the mock's answers on the wire of Amazon Bedrock's Converse. */
import { padding } from '../framing.ts';
import { cutText, type Part, type Tokens } from '../plan.ts';
import { amazon } from '../voices/amazon.ts';
import type { Event, Turn, Wire } from '../wire.ts';
import { readConverse } from './bedrock-converse-ask.ts';

export const bedrockConverse: Wire = {
  keys: ['authorization'],
  ids: { answer: '', call: 'tooluse_' },
  voice: amazon,
  ask: readConverse,
  whole: ({ plan }) => ({
    metrics: { latencyMs: 1 },
    output: { message: { content: plan.parts.map(writeBlock), role: 'assistant' } },
    stopReason: stopReasons[plan.stop],
    ...(plan.usage && { usage: writeUsage(plan.usage) }),
  }),
  events: writeEvents,
};

const stopReasons = {
  end: 'end_turn',
  length: 'max_tokens',
  'stop-sequence': 'stop_sequence',
  tool: 'tool_use',
  refusal: 'content_filtered',
} as const;

/** `inputTokens` excludes what was read from or written to the cache; reasoning is not told apart. */
function writeUsage(usage: Tokens): object {
  const { cached, written } = usage;
  return {
    inputTokens: Math.max(0, usage.input - cached - written),
    outputTokens: usage.output,
    totalTokens: usage.input + usage.output,
    ...(cached + written > 0 && { cacheReadInputTokens: cached, cacheWriteInputTokens: written }),
    serverToolUsage: {},
  };
}

function writeBlock(part: Part): object {
  if (part.type === 'tool-call') {
    return { toolUse: { input: JSON.parse(part.input), name: part.name, toolUseId: part.id } };
  }
  if (part.type !== 'reasoning') return { text: part.text };
  if (part.redacted) return { reasoningContent: { redactedContent: part.signature } };
  return { reasoningContent: { reasoningText: { signature: part.signature, text: part.text } } };
}

function writeEvents({ plan }: Turn): Event[] {
  const events: Event[] = [];
  const event = (name: string, payload: object): void => {
    events.push({ name, data: JSON.stringify({ ...payload, p: padding }) });
  };
  event('messageStart', { role: 'assistant' });
  plan.parts.forEach((part, contentBlockIndex) => {
    // Only calls are announced: text and reasoning begin with their first piece.
    if (part.type === 'tool-call') {
      const start = { toolUse: { name: part.name, toolUseId: part.id } };
      event('contentBlockStart', { contentBlockIndex, start });
    }
    for (const delta of deltas(part, plan.pieceLength)) {
      event('contentBlockDelta', { contentBlockIndex, delta });
    }
    event('contentBlockStop', { contentBlockIndex });
  });
  event('messageStop', { stopReason: stopReasons[plan.stop] });
  event('metadata', { metrics: { latencyMs: 1 }, ...(plan.usage && { usage: writeUsage(plan.usage) }) });
  return events;
}

function* deltas(part: Part, pieceLength: number): Generator<object> {
  if (part.type === 'tool-call') {
    // A call without arguments has one empty piece: `{}` is never spelt out.
    const pieces = part.input === '{}' ? [''] : cutText(part.input, Math.min(pieceLength, 8));
    for (const input of pieces) yield { toolUse: { input } };
  } else if (part.type === 'reasoning') {
    if (part.redacted) return yield { reasoningContent: { redactedContent: part.signature } };
    for (const text of cutText(part.text, pieceLength)) yield { reasoningContent: { text } };
    yield { reasoningContent: { signature: part.signature } };
  } else {
    for (const text of cutText(part.text, pieceLength)) yield { text };
  }
}
