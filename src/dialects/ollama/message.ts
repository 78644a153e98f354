/** Messages of Ollama, as they stand in requests and answers: one text, files beside it, arguments as objects. */
import type { Block, ToolCallBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { sniffMimeType } from '../media-type.ts';
import { readToolCall } from '../openai-chat/read-request.ts';
import { parseInput } from '../tool-input.ts';

export const dialectName = 'ollama';

/** Pictures, and sounds for models that hear, go by one name. */
export function readImages(images: Json | undefined): Block[] {
  return (Array.isArray(images) ? images : []).flatMap((data): Block[] => {
    if (typeof data !== 'string') return [];
    const mimeType = sniffMimeType(data) ?? 'image/png';
    return [{ type: 'media', media: 'image', source: { type: 'base64', mimeType, data } }];
  });
}

/** A whole tool call; undefined when it is none. Its id may be empty. */
export function readCall(value: Json): ToolCallBlock | undefined {
  return isObject(value) && isObject(value.function) ? readToolCall(value) : undefined;
}

/**
 * The call with an id, also from older servers, which give none: made from what is in the answer, so that the same
 * bytes always read the same.
 * @param place how many calls came before it. @param createdAt tells answers apart.
 */
export function identify(call: ToolCallBlock, place: number, createdAt: Json | undefined): ToolCallBlock {
  if (call.id !== '') return call;
  const known = `${createdAt} ${place} ${call.name} ${call.input}`;
  return { ...call, id: `call_${Bun.hash(known).toString(36)}` };
}

/** @param own the request is Ollama's own: `extra` members are written again. */
export function writeCall(call: ToolCallBlock, own: boolean): JsonObject {
  const written: JsonObject = call.id === '' ? {} : { id: call.id };
  written.function = { name: call.name, arguments: writeInput(call) };
  return own ? { ...written, ...call.extra } : written;
}

/** Free text, and arguments that a token limit cut short, are the only argument of an object. */
function writeInput({ input, custom }: ToolCallBlock): JsonObject {
  return (custom ? undefined : parseInput(input)) ?? { input };
}
