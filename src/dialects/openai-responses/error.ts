/** Errors inside a Responses stream that has begun; others are as Chat Completions has them. */
import type { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { writeError } from '../openai-chat/error.ts';
import { madeUp } from './state.ts';

/** How many events went before is not known here; numbers only have to grow. */
const lastNumber = 2 ** 31 - 1;

/**
 * `error`, then `response.failed`, as OpenAI ends a stream. Its SDKs throw what stands in a member `error` of any
 * event, whereas the reference has the same words beside `type`; agents that know neither wait for the second event.
 * https://platform.openai.com/docs/api-reference/responses-streaming/error
 */
export function writeStreamError(error: GatewayError, requestId: string): string {
  const told = writeError(error, requestId).body.error;
  const { message = '', code = null, param = null, type = '' }: JsonObject = isObject(told) ? told : {};
  const response = {
    id: `resp${madeUp}${requestId}`,
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    status: 'failed',
    // Clients know this code by name; what went wrong with a provider is said in the event before.
    error: { code: type === 'server_error' ? type : (code ?? type), message },
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: '',
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    usage: null,
  };
  return (
    frame('error', lastNumber - 1, { code, message, param, error: { type, code, message, param } }) +
    frame('response.failed', lastNumber, { response })
  );
}

function frame(type: string, number: number, members: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: number, ...members })}\n\n`;
}
