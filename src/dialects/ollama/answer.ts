/** What whole answers and the last line of a stream have in common. */
import type { StopReason } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { count, emptyUsage, type Usage } from '../../core/usage.ts';

const known = new Set([
  'model', 'created_at', 'message', 'done', 'done_reason', 'prompt_eval_count', 'eval_count', 'logprobs',
]); // biome-ignore format: one list

/** `load` and `unload` end an answer in which nothing was asked. @param called the answer holds a tool call. */
export function readStop(reason: Json | undefined, called: boolean): StopReason {
  if (reason === 'length') return 'length';
  return called ? 'tool_calls' : 'stop';
}

/**
 * A count of zero is left out: older servers do not count a prompt they have in their cache. Undefined when there is
 * no count at all.
 */
export function readUsage(body: JsonObject): Usage | undefined {
  const { prompt_eval_count: input, eval_count: output } = body;
  if (typeof input !== 'number' && typeof output !== 'number') return undefined;
  return { ...emptyUsage(), input: count(input), output: count(output) };
}

/** Durations, and where a cloud model runs. */
export function readExtra(body: JsonObject): JsonObject | undefined {
  return rest(body, known);
}

/** Seconds since 1970. */
export function readCreated(createdAt: Json | undefined): number | undefined {
  const ms = typeof createdAt === 'string' ? Date.parse(createdAt) : Number.NaN;
  return ms > 0 ? Math.floor(ms / 1000) : undefined;
}

/** The items are as others have them, save what they leave out; a list of them stands alone. */
export function readLogprobs(logprobs: Json | undefined): Json | undefined {
  if (!Array.isArray(logprobs) || logprobs.length === 0) return undefined;
  const content = logprobs.filter(isObject).map((each) => ({ bytes: null, top_logprobs: [], ...each }));
  return { content, refusal: null };
}
