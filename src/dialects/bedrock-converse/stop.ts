/** Why an answer ended. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#bedrock-runtime_Converse-response-stopReason */
import type { StopReason } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, wordIn } from '../../core/json.ts';

const read: Readonly<Record<string, StopReason>> = {
  end_turn: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  stop_sequence: 'stop_sequence',
  // The text is the guardrail's, not the model's, and comes as if it were an answer.
  guardrail_intervened: 'content_filter',
  content_filtered: 'content_filter',
  model_context_window_exceeded: 'context_length',
};

/**
 * A reason yet to be invented counts as a plain stop; so does a call of tools where there is none that the client has
 * to carry out.
 * @param called the answer holds a call for the client.
 * @throws GatewayError `upstream_invalid` when the model said what Bedrock could not understand.
 */
export function readStop(value: Json | undefined, called: boolean): StopReason {
  if (value === 'malformed_tool_use' || value === 'malformed_model_output') {
    throw new GatewayError(
      'upstream_invalid',
      `The model's answer could not be understood by its provider (${value}).`,
      { code: value },
    );
  }
  const stop = wordIn(read, value) ?? 'stop';
  return stop === 'tool_calls' && !called ? 'stop' : stop;
}

/** The stop sequence that was hit, which Claude tells when it is asked to: at another place in whole answers. */
export function readStopSequence(fields: Json | undefined): string | undefined {
  if (!isObject(fields)) return undefined;
  const place = isObject(fields.delta) ? fields.delta : fields;
  return typeof place.stop_sequence === 'string' ? place.stop_sequence : undefined;
}

/** Where the hit stop sequence is asked for. */
export function stopSequencePath(stream: boolean): string {
  return stream ? '/delta/stop_sequence' : '/stop_sequence';
}
