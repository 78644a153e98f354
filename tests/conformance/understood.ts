/** What a client understood of an answer, in words that all of them share: for comparing one client with another. */
import { isObject, type Json } from '../../src/core/json.ts';

export interface Understood {
  choices: UnderstoodChoice[];
  usage: { input: number; cached: number; output: number };
}

export interface UnderstoodChoice {
  /** Words for the user; a refusal's are such words too. */
  text: string;
  /** What of its reasoning can be read. */
  thought: string;
  calls: { name: string; input: Json }[];
  stop: Stop;
}

export type Stop = 'stop' | 'length' | 'calls' | 'refused';

/** The words of all dialects and clients for why an answer ended; others mean that it came to its end. */
const stops: Readonly<Record<string, Stop>> = {
  length: 'length',
  max_tokens: 'length',
  max_output_tokens: 'length',
  MAX_TOKENS: 'length',
  model_length: 'length',
  model_context_window_exceeded: 'length',
  tool_calls: 'calls',
  'tool-calls': 'calls',
  function_call: 'calls',
  tool_use: 'calls',
  TOOL_CALL: 'calls',
  content_filter: 'refused',
  'content-filter': 'refused',
  content_filtered: 'refused',
  guardrail_intervened: 'refused',
  refusal: 'refused',
  SAFETY: 'refused',
  PROHIBITED_CONTENT: 'refused',
  BLOCKLIST: 'refused',
  RECITATION: 'refused',
  SPII: 'refused',
  IMAGE_SAFETY: 'refused',
  MODEL_ARMOR: 'refused',
};

interface Told {
  text: string;
  thought?: string;
  refusal?: string | null | undefined;
  calls: readonly { name: string; input: unknown }[];
  /** In the words of whoever tells. */
  stop: string | null | undefined;
}

/**
 * Some say that tools are wanted, or that it is a refusal, by a word at the end, others by what stands in the answer.
 * Arguments that a token limit cut short each client repairs in its own way: they are none.
 */
export function choiceOf({ text, thought = '', refusal, calls, stop }: Told): UnderstoodChoice {
  const word = stops[stop ?? ''] ?? 'stop';
  const refused = typeof refusal === 'string' && refusal !== '';
  return {
    text: text + (refusal ?? ''),
    thought,
    calls: calls.map(({ name, input }) => ({ name, input: objectOf(input) })),
    stop: refused ? 'refused' : word === 'stop' && calls.length > 0 ? 'calls' : word,
  };
}

function objectOf(input: unknown): Json {
  if (typeof input !== 'string') return isObject(input as Json) ? (input as Json) : {};
  try {
    return objectOf(JSON.parse(input) ?? {});
  } catch {
    return {};
  }
}

/** @param cached part of `input`. Counts nobody told are 0. */
export function usageOf(
  input: number | null | undefined,
  cached: number | null | undefined,
  output: number | null | undefined,
): Understood['usage'] {
  return { input: input ?? 0, cached: cached ?? 0, output: output ?? 0 };
}
