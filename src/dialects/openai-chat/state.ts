/**
 * State of another vendor's tool call (a thought signature of Gemini's), where Google's own OpenAI-compatible host puts
 * it: `extra_content.google`. Clients that hand calls back whole hand it back too.
 * https://ai.google.dev/gemini-api/docs/thought-signatures#openai
 */
import { carry, uncarry } from '../../core/carry.ts';
import type { ToolCallBlock } from '../../core/chat.ts';
import { isObject, type JsonObject, rest } from '../../core/json.ts';

const ours = new Set(['extra_content']);

/** The call with its state, where an answer of the gateway's had carried it; that of the host itself stays as it is. */
export function takeState(block: ToolCallBlock): ToolCallBlock {
  const content = block.extra?.extra_content;
  const signature =
    isObject(content) && isObject(content.google) ? content.google.thought_signature : undefined;
  const carried = typeof signature === 'string' ? uncarry(signature) : undefined;
  if (carried?.type !== 'state') return block;
  const { extra, ...bare } = block;
  const left = extra === undefined ? undefined : rest(extra, ours);
  const taken: ToolCallBlock = { ...bare, state: { vendor: carried.vendor, value: carried.value } };
  if (left !== undefined) taken.extra = left;
  return taken;
}

/** The member that carries it to a client; undefined when there is none. */
export function stateMember({ state }: ToolCallBlock): JsonObject | undefined {
  if (state === undefined) return undefined;
  return { extra_content: { google: { thought_signature: carry({ type: 'state', ...state }) } } };
}
