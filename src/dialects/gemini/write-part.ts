/** Blocks of a conversation as the parts a provider takes. */
import type { Block, MediaBlock, ToolCallBlock, ToolResultBlock, VendorState } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Quirks } from '../quirks.ts';
import { inputObject, parseInput } from '../tool-input.ts';
import { isUnnamed } from './calls.ts';
import { writeMedia } from './media.ts';
import { dialectName } from './read-part.ts';

export interface Manner {
  /** The request is of this very dialect: everything stays as it is, but for other vendors' state. */
  own: boolean;
  quirks: Quirks;
  /** Gets the paths of what cannot be sent. */
  lost: string[];
}

/**
 * Undefined where nothing is left to say.
 * @throws GatewayError `bad_request` for arguments that are no JSON object, `unsupported` for files of others.
 */
export function writePart(block: Block, path: string, manner: Manner): JsonObject | undefined {
  if (block.type === 'opaque') return block.dialect === dialectName ? block.value : undefined;
  const extra: JsonObject = (manner.own && block.extra) || {};
  switch (block.type) {
    case 'text':
      return { text: block.text, ...writeState(block.state, path, manner), ...extra };
    case 'refusal':
      return { text: block.text };
    case 'reasoning': {
      const { text, signature, vendor } = block;
      if (vendor !== undefined && vendor !== dialectName) {
        manner.lost.push(path);
        return undefined;
      }
      return {
        text,
        thought: true,
        ...(signature !== undefined && { thoughtSignature: signature }),
        ...extra,
      };
    }
    case 'media':
      return writeMediaPart(block, path, manner);
    case 'tool-call':
      return writeCall(block, path, manner, extra);
    case 'tool-result':
      return writeResult(block, block.name ?? '', path, manner);
  }
}

/** Only what Gemini itself has signed goes back to it. */
function writeState(state: VendorState | undefined, path: string, { own, lost }: Manner): JsonObject {
  if (state === undefined) return {};
  if (state.vendor === dialectName) return { thoughtSignature: state.value };
  // What a request of another dialect loses is named before it is written.
  if (own) lost.push(`${path}.signature`);
  return {};
}

function writeMediaPart(block: MediaBlock, path: string, { own, lost }: Manner): JsonObject {
  const { part, ...about } = block.extra ?? {};
  // The Gemini API knows no names of files, Vertex AI does.
  if (!own && block.name !== undefined) lost.push(`${path}.name`);
  const written = writeMedia(own ? { ...block, extra: about } : block, own);
  if (written === undefined) {
    throw new GatewayError(
      'unsupported',
      `${path}: the file ${block.source.type === 'file' ? block.source.id : ''} is kept by another provider. ` +
        'Send its content, or route the call to that provider.',
      { param: path },
    );
  }
  return own && isObject(part) ? { ...written, ...part } : written;
}

function writeCall(block: ToolCallBlock, path: string, manner: Manner, extra: JsonObject): JsonObject {
  const { functionCall: inside, ...beside } = extra;
  const call: JsonObject = {
    ...writeId(block.id, path, manner),
    name: block.name,
    args: inputObject(block, path),
    ...(isObject(inside) && inside),
  };
  return { functionCall: call, ...writeState(block.state, path, manner), ...beside };
}

/** Ids that were made up because there was none mean nothing to anybody. */
function writeId(id: string, path: string, { own, quirks, lost }: Manner): JsonObject {
  if (id === '' || isUnnamed(id)) return {};
  if (!quirks.noCallIds) return { id };
  if (own) lost.push(`${path}.id`);
  return {};
}

// Results

/**
 * @param name of the function that was called: Gemini finds the call by it.
 * Media stand inside where the model takes them; else they are left out here (see mediaBeside).
 */
export function writeResult(block: ToolResultBlock, name: string, path: string, manner: Manner): JsonObject {
  const { own, quirks } = manner;
  const { functionResponse: inside, ...beside } = (own && block.extra) || ({} as JsonObject);
  const result: JsonObject = { ...writeId(block.callId, path, manner), name };
  const texts: string[] = [];
  const parts: JsonObject[] = [];
  block.blocks.forEach((each, i) => {
    if (each.type === 'text' || each.type === 'refusal') texts.push(each.text);
    else if (each.type === 'opaque' && each.dialect === dialectName) parts.push(each.value);
    else if (each.type === 'media' && (own || holdsMedia(each, quirks))) {
      parts.push(writeMediaPart(each, `${path}.content[${i}]`, manner));
    }
  });
  if (mediaBeside(block, manner).length > 0) texts.push('What it shows is in the next message.');
  if (!own || block.blocks.some(({ type }) => type === 'text')) {
    result.response = writePayload(texts.join('\n'), block.isError === true, own);
  }
  if (parts.length > 0) result.parts = parts;
  return { functionResponse: { ...result, ...(isObject(inside) && inside) }, ...beside };
}

/** Media of a result that have to be shown in a message after it. */
export function mediaBeside(block: ToolResultBlock, { own, quirks }: Manner): MediaBlock[] {
  if (own) return [];
  return block.blocks.filter((each) => each.type === 'media').filter((each) => !holdsMedia(each, quirks));
}

/** What results may hold, from Gemini 3 on. https://ai.google.dev/gemini-api/docs/function-calling#multimodal */
const resultTypes = new Set(['image/png', 'image/jpeg', 'image/webp', 'application/pdf', 'text/plain']);

function holdsMedia({ source }: MediaBlock, quirks: Quirks): boolean {
  if (quirks.thinking !== 'level') return false;
  return source.type === 'text' || (source.type === 'base64' && resultTypes.has(source.mimeType));
}

/**
 * A response is an object: a JSON object as it is, other text under the name the API has for it. Objects that hold
 * `$ref` would be taken for references to media, and refused: they stay text.
 */
function writePayload(text: string, isError: boolean, own: boolean): JsonObject {
  const object = !own && /"\$(ref|defs)"/.test(text) ? undefined : readObject(text);
  if (!isError) return object ?? { output: text };
  return object !== undefined && Object.keys(object).join() === 'error' ? object : { error: text };
}

function readObject(text: string): JsonObject | undefined {
  return text.trim() === '' ? undefined : parseInput(text);
}
