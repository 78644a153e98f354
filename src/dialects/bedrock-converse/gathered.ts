/** Blocks of a stream that the hub takes only when they are whole. */
import type { Block } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { dialectName } from './block.ts';
import { readMedia } from './media.ts';

/** Adds a piece to a block that is gathered: input grows as text, results are lists, an image comes with its source. */
export function addPiece(value: JsonObject, { toolUse, toolResult, image }: JsonObject): void {
  if (isObject(value.toolUse) && isObject(toolUse)) {
    if (typeof toolUse.input === 'string') value.toolUse.input = String(value.toolUse.input) + toolUse.input;
  } else if (isObject(value.toolResult) && Array.isArray(toolResult)) {
    const { content } = value.toolResult;
    value.toolResult.content = [...(Array.isArray(content) ? content : []), ...toolResult];
  } else if (isObject(value.image) && isObject(image)) {
    Object.assign(value.image, image);
  }
}

/** What was gathered, as whole answers have it. */
export function wholeOf(value: JsonObject): Block {
  const image = isObject(value.image) ? readMedia('image', value.image) : undefined;
  if (image !== undefined) return image;
  const { toolUse } = value;
  if (isObject(toolUse)) toolUse.input = parseOr(String(toolUse.input) || '{}');
  return { type: 'opaque', dialect: dialectName, value };
}

function parseOr(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Pieces of bytes are encoded each for itself. */
export function joinBase64(pieces: readonly string[]): string {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64'))).toString('base64');
}
