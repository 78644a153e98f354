/** Why an answer ended, in Anthropic's words. https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
import type { StopReason } from '../../core/chat.ts';
import { type Json, wordIn } from '../../core/json.ts';

const read: Readonly<Record<string, StopReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop_sequence',
  max_tokens: 'length',
  tool_use: 'tool_calls',
  pause_turn: 'pause',
  refusal: 'refusal',
  model_context_window_exceeded: 'context_length',
  // Beta: the answer stops after it has condensed the conversation, to be sent on.
  compaction: 'pause',
};

const written: Readonly<Record<StopReason, string>> = {
  stop: 'end_turn',
  stop_sequence: 'stop_sequence',
  length: 'max_tokens',
  context_length: 'model_context_window_exceeded',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
  refusal: 'refusal',
  pause: 'pause_turn',
};

/** A reason yet to be invented counts as a plain stop. */
export function readStop(value: Json | undefined): StopReason {
  return wordIn(read, value) ?? 'stop';
}

/**
 * @param called the answer holds a tool call: some providers say `stop` all the same (OpenAI, when one tool was forced).
 * @param refused the answer holds a refusal, which this wire says by the stop reason only.
 */
export function writeStop(stop: StopReason, called: boolean, refused: boolean): string {
  if (stop === 'stop' && refused) return 'refusal';
  if (stop === 'stop' && called) return 'tool_use';
  return written[stop];
}
