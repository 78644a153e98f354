/** Token counts as Chat Completions hosts write them, to and from the gateway's one convention. */

import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { count, emptyUsage, normaliseUsage, type Usage, withSearches } from '../../core/usage.ts';
import type { Quirks } from '../quirks.ts';

/**
 * Reads a `usage` object; undefined when it is none. OpenAI counts cached tokens in the prompt and reasoning in
 * the completion; hosts that leave something out give themselves away by their total.
 */
export function readUsage(value: Json | undefined, quirks: Quirks): Usage | undefined {
  if (!isObject(value)) return undefined;
  if (typeof value.prompt_tokens !== 'number' && typeof value.completion_tokens !== 'number')
    return undefined;
  const inputs = isObject(value.prompt_tokens_details) ? value.prompt_tokens_details : {};
  const outputs = isObject(value.completion_tokens_details) ? value.completion_tokens_details : {};
  const usage = emptyUsage();
  usage.input = count(value.prompt_tokens);
  usage.output = count(value.completion_tokens);
  // DeepSeek's own word, and Together's and Moonshot's, beside OpenAI's.
  usage.cacheRead =
    count(inputs.cached_tokens) || count(value.prompt_cache_hit_tokens) || count(value.cached_tokens);
  usage.cacheWrite5m = count(inputs.cache_write_tokens);
  usage.audioInput = count(inputs.audio_tokens);
  usage.audioOutput = count(outputs.audio_tokens);
  usage.reasoning = count(outputs.reasoning_tokens) || count(value.reasoning_tokens);
  addUncounted(usage, count(value.total_tokens) - usage.input - usage.output, quirks);
  // Perplexity's word.
  return withSearches(normaliseUsage(usage), count(value.num_search_queries));
}

/** `uncounted`: tokens of the total that are in neither the prompt nor the completion. */
function addUncounted(usage: Usage, uncounted: number, quirks: Quirks): void {
  const cached = usage.cacheRead + usage.cacheWrite5m;
  if (usage.audioInput > usage.input || (usage.audioInput > 0 && usage.audioInput === uncounted)) {
    // Mistral counts audio beside the prompt.
    usage.input += usage.audioInput;
  } else if (uncounted > 0 && !(cached > usage.input && uncounted === cached)) {
    // xAI counts reasoning beside the completion; Gemini's does so without naming it.
    usage.output += uncounted;
    if (usage.reasoning === 0) usage.reasoning = uncounted;
  } else if (quirks.outputExcludesReasoning) {
    usage.output += usage.reasoning;
  }
}

/** Writes usage as OpenAI does, details included. */
export function writeUsage(usage: Usage): JsonObject {
  const inputs: JsonObject = { cached_tokens: usage.cacheRead, audio_tokens: usage.audioInput };
  const written = usage.cacheWrite5m + usage.cacheWrite1h;
  if (written > 0) inputs.cache_write_tokens = written;
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: inputs,
    completion_tokens_details: { reasoning_tokens: usage.reasoning, audio_tokens: usage.audioOutput },
  };
}
