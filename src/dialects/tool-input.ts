/** Arguments of tool calls as the objects some APIs want, where the hub keeps them as text. */
import type { ToolCallBlock } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';

/** Undefined when the text is no JSON object; no text is an empty one. */
export function parseInput(input: string): JsonObject | undefined {
  if (input.trim() === '') return {};
  try {
    const value: Json = JSON.parse(input);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The arguments of a call that is sent back; those of a free-form tool as the only member of an object.
 * @throws GatewayError `bad_request` when they are no JSON object.
 */
export function inputObject(call: ToolCallBlock, path: string): JsonObject {
  const input = call.custom ? { input: call.input } : parseInput(call.input);
  if (input !== undefined) return input;
  throw new GatewayError(
    'bad_request',
    `${path}: the arguments of the tool call '${call.name}' are not a JSON object. ` +
      'Send back complete arguments, or leave that turn out.',
    { param: path },
  );
}
