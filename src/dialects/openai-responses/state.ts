/**
 * State of other vendors' models (signatures, encrypted reasoning) in reasoning items, whose encrypted content clients
 * hand back unread.
 */
import { type Carried, carry, carryReasoning, uncarry } from '../../core/carry.ts';
import type { ReasoningBlock, TextBlock, ToolCallBlock } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { dialectName } from './content.ts';
import { writeSummary } from './item.ts';

/** Stands in every id this gateway makes up: no provider knows such an item. */
export const madeUp = '_sluice_';

export function isMadeUp(id: unknown): boolean {
  return typeof id === 'string' && /^(msg|fc|ctc|rs|ig)_sluice_/.test(id);
}

// In answers

/** Reasoning of another vendor as an item of this dialect. */
export function showReasoning(block: ReasoningBlock, id: string): JsonObject {
  const item: JsonObject = { type: 'reasoning', id, summary: writeSummary(block.text) };
  const carried = carryReasoning(block);
  if (carried !== undefined) item.encrypted_content = carried;
  return item;
}

/** The state of a text or a tool call as an item without words; undefined when it has none. */
export function showState(block: TextBlock | ToolCallBlock, id: string): JsonObject | undefined {
  if (block.state === undefined) return undefined;
  const call = block.type === 'tool-call' ? { call: block.id } : {};
  const carried = carry({ type: 'state', ...call, ...block.state });
  return { type: 'reasoning', id, summary: [], encrypted_content: carried };
}

// In requests

export function readCarried(block: ReasoningBlock): Carried | undefined {
  return block.redacted === undefined ? undefined : uncarry(block.redacted);
}

/**
 * A reasoning item as it came, under the name of whoever made it.
 * @param block was read from this dialect.
 */
export function reclaim(block: ReasoningBlock, carried: Carried | undefined): ReasoningBlock {
  const { type, text } = block;
  if (carried?.type === 'reasoning') {
    const { vendor, signature, redacted, id } = carried;
    return {
      type,
      text,
      vendor,
      ...(signature === undefined ? {} : { signature }),
      ...(redacted === undefined ? {} : { redacted }),
      ...(id === undefined ? {} : { id }),
    };
  }
  // Nobody's: it was shown to the client, and that is all.
  return isMadeUp(block.id) ? { type, text } : block;
}

/** Whether a provider of this dialect may see it. */
export function isOwn({ vendor }: { vendor?: string }): boolean {
  return vendor === dialectName;
}
