/**
 * Gemini's thought signature of a tool call, where its OpenAI-compatible host puts it: `extra_content.google`. Clients
 * that hand calls back whole hand it back too. https://ai.google.dev/gemini-api/docs/thought-signatures#openai
 */
import type { ToolCallBlock } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';

/** Takes it from the block's other members. */
export function takeSignature(block: ToolCallBlock): ToolCallBlock {
  const content = block.extra?.extra_content;
  if (!isObject(content) || !isObject(content.google)) return block;
  const { thought_signature: value, ...google } = content.google;
  if (typeof value !== 'string') return block;
  const { google: _, ...others } = content;
  const left: JsonObject = Object.keys(google).length === 0 ? others : { ...others, google };
  const { extra_content: __, ...extra } = block.extra ?? {};
  if (Object.keys(left).length > 0) extra.extra_content = left;
  const { extra: ___, ...bare } = block;
  const state = { vendor: 'gemini', value } as const;
  return Object.keys(extra).length === 0 ? { ...bare, state } : { ...bare, state, extra };
}

/** The member that holds it, beside what else stands there; undefined when there is none. */
export function signatureMember({ state, extra }: ToolCallBlock): JsonObject | undefined {
  if (state?.vendor !== 'gemini') return undefined;
  const content = isObject(extra?.extra_content) ? extra.extra_content : {};
  const google = isObject(content.google) ? content.google : {};
  return { extra_content: { ...content, google: { ...google, thought_signature: state.value } } };
}
