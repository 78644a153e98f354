/** Whether a model goes on with an answer that is begun for it, and how it is told to. */
import type { ChatRequest } from '../core/chat.ts';
import type { JsonObject } from '../core/json.ts';
import type { Dialect } from './dialect.ts';
import type { Quirks } from './quirks.ts';

/** Dialects in which a conversation may end with a turn of the model's, if the model takes it. */
const turns: ReadonlySet<string> = new Set(['anthropic-messages', 'bedrock-converse', 'gemini', 'ollama']);

/**
 * `turn`: the beginning stands as the last turn · `text`: behind the prompt, which is one text · undefined: a new answer
 * would be begun, or the request refused.
 */
export function prefillOf(
  { name }: Dialect,
  { continues }: Quirks,
  asked: ChatRequest,
): 'turn' | 'text' | undefined {
  if (name === 'openai-completions') return asked.dialect === name ? 'text' : undefined;
  if (name === 'openai-chat') return continues === undefined || continues === 'turn' ? undefined : 'turn';
  return turns.has(name) && (continues === 'turn' || continues === 'any-turn') ? 'turn' : undefined;
}

/** Says in a Chat Completions request that its last turn is to be gone on with, where the host wants to be told. */
export function markUnfinished(request: ChatRequest, { continues }: Quirks, body: JsonObject): void {
  if (request.messages.at(-1)?.unfinished !== true) return;
  const last = Array.isArray(body.messages) ? (body.messages.at(-1) as JsonObject | undefined) : undefined;
  if (continues === 'prefix' && last !== undefined) last.prefix = true;
  if (continues === 'flag')
    Object.assign(body, { continue_final_message: true, add_generation_prompt: false });
}
