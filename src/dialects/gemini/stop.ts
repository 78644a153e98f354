/** Why an answer ended, in Gemini's words. https://ai.google.dev/api/generate-content#FinishReason */
import type { StopReason } from '../../core/chat.ts';
import { wordIn } from '../../core/json.ts';

const read: Readonly<Record<string, StopReason>> = {
  STOP: 'stop',
  MAX_TOKENS: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  LANGUAGE: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
  IMAGE_PROHIBITED_CONTENT: 'content_filter',
  IMAGE_RECITATION: 'content_filter',
  MODEL_ARMOR: 'content_filter',
  JAILBREAK: 'content_filter',
  // The answer can be gone on with, by a token that comes with it.
  CONTINUATION: 'pause',
  OTHER: 'stop',
  IMAGE_OTHER: 'stop',
  NO_IMAGE: 'stop',
  FINISH_REASON_UNSPECIFIED: 'stop',
};

/** The model tried to call a tool and failed: what there is of a call is not to be carried out. */
const malformed = new Set([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MALFORMED_RESPONSE',
  'MISSING_THOUGHT_SIGNATURE',
]);

export function isMalformed(reason: string): boolean {
  return malformed.has(reason);
}

/**
 * Calls of tools end with a plain STOP. A reason yet to be invented (or not published) counts as a plain stop after
 * an answer, as a block where there is none.
 */
export function readStop(reason: string, called: boolean, silent: boolean): StopReason {
  if (malformed.has(reason)) return 'stop';
  const stop = wordIn(read, reason) ?? (silent ? 'content_filter' : 'stop');
  return stop === 'stop' && called ? 'tool_calls' : stop;
}

const written: Readonly<Record<StopReason, string>> = {
  stop: 'STOP',
  stop_sequence: 'STOP',
  length: 'MAX_TOKENS',
  context_length: 'MAX_TOKENS',
  tool_calls: 'STOP',
  content_filter: 'SAFETY',
  refusal: 'SAFETY',
  // "Send it again to go on" has no word here without a token to go on with.
  pause: 'OTHER',
};

/** @param refused the answer holds a refusal, which this wire says by the reason only. */
export function writeStop(stop: StopReason, refused: boolean): string {
  return refused && stop === 'stop' ? 'SAFETY' : written[stop];
}
