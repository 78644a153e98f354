/** Tells a whole answer as a stream of events: what fold.ts puts together, taken apart. */
import type { Block, ChatEvent, ChatResponse, Choice } from './chat.ts';

export function* unfold(answer: ChatResponse): Generator<ChatEvent> {
  const { id, model, created, extra, choices, usage } = answer;
  const start: ChatEvent = { type: 'start', id, model };
  if (created !== undefined) start.created = created;
  if (extra !== undefined) start.extra = extra;
  yield start;
  for (const choice of choices) yield* unfoldChoice(choice);
  if (usage !== undefined) yield { type: 'usage', usage };
  yield { type: 'end' };
}

function* unfoldChoice({ index, blocks, stop, stopSequence, logprobs, extra }: Choice): Generator<ChatEvent> {
  for (const [number, block] of blocks.entries()) yield* unfoldBlock(index, number, block);
  if (logprobs !== undefined) {
    yield { type: 'delta', choice: index, block: Math.max(0, blocks.length - 1), logprobs };
  }
  const finish: ChatEvent = { type: 'finish', choice: index, stop };
  if (stopSequence !== undefined) finish.stopSequence = stopSequence;
  if (extra !== undefined) finish.extra = extra;
  yield finish;
}

function* unfoldBlock(choice: number, number: number, block: Block): Generator<ChatEvent> {
  const place = { choice, block: number };
  yield { type: 'block', ...place, value: opened(block) };
  switch (block.type) {
    case 'text':
      if (block.text !== '') yield { type: 'delta', ...place, text: block.text };
      for (const citation of block.citations ?? []) yield { type: 'delta', ...place, citation };
      if (block.state !== undefined) yield { type: 'delta', ...place, state: block.state };
      break;
    case 'refusal':
      if (block.text !== '') yield { type: 'delta', ...place, text: block.text };
      break;
    case 'reasoning':
      if (block.text !== '') yield { type: 'delta', ...place, text: block.text };
      if (block.signature !== undefined) yield { type: 'delta', ...place, signature: block.signature };
      if (block.redacted !== undefined) yield { type: 'delta', ...place, redacted: block.redacted };
      break;
    case 'tool-call':
      if (block.input !== '') yield { type: 'delta', ...place, input: block.input };
      break;
  }
  yield { type: 'close', ...place };
}

/** A block as it opens: what comes in pieces is still missing. */
function opened(block: Block): Block {
  switch (block.type) {
    case 'text': {
      const { citations: _citations, state: _state, ...rest } = block;
      return { ...rest, text: '' };
    }
    case 'refusal':
      return { ...block, text: '' };
    case 'reasoning': {
      const { signature: _signature, redacted: _redacted, ...rest } = block;
      return { ...rest, text: '' };
    }
    case 'tool-call':
      return { ...block, input: '' };
    default:
      return block;
  }
}
