/**
 * State of another vendor's tool call (a thought signature of Gemini's), where Google's own OpenAI-compatible host puts
 * it: `extra_content.google`. Clients that hand calls back whole hand it back too.
 * https://ai.google.dev/gemini-api/docs/thought-signatures#openai
 */
import { carry, uncarry } from '../../core/carry.ts';
import type { ToolCallBlock } from '../../core/chat.ts';
import { isObject, type JsonObject, rest } from '../../core/json.ts';

const ours = new Set(['extra_content']);

/** The call with its state, where an answer of the gateway's had carried it; Google's own also stays where it stands. */
export function takeState(block: ToolCallBlock): ToolCallBlock {
  const content = block.extra?.extra_content;
  const signature =
    isObject(content) && isObject(content.google) ? content.google.thought_signature : undefined;
  if (typeof signature !== 'string') return block;
  const carried = uncarry(signature);
  if (carried === undefined) return { ...block, state: { vendor: 'gemini', value: signature } };
  if (carried.type !== 'state') return block;
  const { extra, ...bare } = block;
  const left = extra === undefined ? undefined : rest(extra, ours);
  const taken: ToolCallBlock = { ...bare, state: { vendor: carried.vendor, value: carried.value } };
  if (left !== undefined) taken.extra = left;
  return taken;
}

/** The member that carries it to a client; undefined when there is none. */
export function stateMember({ state, extra }: ToolCallBlock): JsonObject | undefined {
  if (state === undefined || extra?.extra_content !== undefined) return undefined;
  return { extra_content: { google: { thought_signature: carry({ type: 'state', ...state }) } } };
}
