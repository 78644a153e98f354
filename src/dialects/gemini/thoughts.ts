/** Thoughts that clients hand back in pieces, put together again. */
import type { Block, Message, ReasoningBlock } from '../../core/chat.ts';
import { dialectName } from './read-part.ts';

/**
 * Clients keep a streamed answer as the chunks it came in, a content for each: the thoughts of another vendor's model
 * first, then their signature with no text of its own. That vendor knows the signature together with the text only.
 */
export function joinThoughts(messages: Message[]): Message[] {
  if (!messages.some(({ blocks }) => blocks.some(isBareSignature))) return messages;
  const joined: Message[] = [];
  let thoughts: ReasoningBlock | undefined;
  for (const message of messages) {
    if (message.role !== 'assistant') thoughts = undefined;
    const blocks: Block[] = [];
    for (const block of message.blocks) {
      if (thoughts !== undefined && isBareSignature(block)) {
        Object.assign(thoughts, block, { text: thoughts.text });
        thoughts = undefined;
      } else if (thoughts !== undefined && isUnsigned(block)) thoughts.text += block.text;
      else {
        thoughts = isUnsigned(block) ? block : undefined;
        blocks.push(block);
      }
    }
    if (blocks.length > 0 || message.blocks.length === 0) joined.push({ ...message, blocks });
  }
  return joined;
}

function isUnsigned(block: Block): block is ReasoningBlock {
  return block.type === 'reasoning' && block.vendor === undefined && block.extra === undefined;
}

function isBareSignature(block: Block): block is ReasoningBlock {
  return (
    block.type === 'reasoning' &&
    block.text === '' &&
    block.vendor !== undefined &&
    block.vendor !== dialectName
  );
}
