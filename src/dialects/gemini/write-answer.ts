/** Blocks of an answer as the parts a client reads. */
import { carry, carryReasoning } from '../../core/carry.ts';
import type { Block, ReasoningBlock, ToolCallBlock, VendorState } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { parseInput } from '../tool-input.ts';
import { writeMedia } from './media.ts';
import { dialectName } from './read-part.ts';

export function writeAnswerParts(blocks: readonly Block[]): JsonObject[] {
  return blocks.map(writeAnswerPart).filter((part) => part !== undefined);
}

/** Undefined for what has no place here: what only other dialects know, text that is empty. */
export function writeAnswerPart(block: Block): JsonObject | undefined {
  switch (block.type) {
    case 'text': {
      const signature = writeSignature(block.state, undefined);
      return block.text === '' && signature === undefined ? undefined : textPart(block.text, signature);
    }
    case 'refusal':
      return block.text === '' ? undefined : textPart(block.text, undefined);
    case 'reasoning': {
      const signature = writeThoughtSignature(block);
      if (block.text === '' && signature === undefined) return undefined;
      return thoughtPart(block.text, signature);
    }
    case 'tool-call':
      return writeCall(block);
    case 'media': {
      const { part, ...about } = block.extra ?? {};
      const written = writeMedia({ ...block, extra: about }, true);
      return written !== undefined && isObject(part) ? { ...written, ...part } : written;
    }
    case 'opaque':
      return block.dialect === dialectName ? block.value : undefined;
    case 'tool-result':
      return undefined;
  }
}

export function textPart(text: string, signature: string | undefined): JsonObject {
  return signature === undefined ? { text } : { text, thoughtSignature: signature };
}

export function thoughtPart(text: string, signature: string | undefined): JsonObject {
  return { ...textPart(text, signature), thought: true };
}

/** Clients hand a signature back unchanged: another vendor's state travels in it. */
export function writeSignature(state: VendorState | undefined, call: string | undefined): string | undefined {
  if (state === undefined) return undefined;
  if (state.vendor === dialectName) return state.value;
  return carry({ type: 'state', ...(call !== undefined && { call }), ...state });
}

export function writeThoughtSignature(block: ReasoningBlock): string | undefined {
  return block.vendor === dialectName ? block.signature : carryReasoning(block);
}

/** Input of a free-form tool is text; here it becomes the only member of an object. */
function writeCall(block: ToolCallBlock): JsonObject {
  const { id, name, input, custom } = block;
  const args = custom ? { input } : parseInput(input);
  const functionCall: JsonObject = args === undefined ? { id, name, ...cutShort(input) } : { id, name, args };
  const signature = writeSignature(block.state, id);
  return signature === undefined ? { functionCall } : { functionCall, thoughtSignature: signature };
}

/** Arguments that a token limit cut short are said to go on, as Vertex AI streams them, so that nobody takes them for whole. */
function cutShort(input: string): JsonObject {
  return { partialArgs: [{ jsonPath: '$', stringValue: input, willContinue: true }], willContinue: true };
}
