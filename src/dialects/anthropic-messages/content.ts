/** Content blocks of a request, whoever's they were, in the form the API accepts. */
import type { Block, MediaBlock, ReasoningBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { sniffMimeType } from '../media-type.ts';
import { inputObject } from '../tool-input.ts';
import { type Placed, placeBlocks } from '../turns.ts';
import { dialectName, writeMedia, writeText } from './block.ts';

export interface Manner {
  /**
   * The request is of this very dialect: `extra` members and everything else stay as they are. Of other dialects'
   * blocks blank texts are left out, ids and media are made to fit.
   */
  own: boolean;
  /** Gets the paths of reasoning that cannot be sent back. */
  lost: string[];
}

/** @throws GatewayError `bad_request` for arguments that are no JSON object, `unsupported` for media nobody reads. */
export function writeBlocks(blocks: readonly Block[], path: string, manner: Manner): JsonObject[] {
  return writePlaced(placeBlocks(blocks, path), manner);
}

/** The same for blocks that come from several messages. */
export function writePlaced(content: readonly Placed[], manner: Manner): JsonObject[] {
  const written: JsonObject[] = [];
  for (const placed of content) {
    if (isSayable(placed, manner)) written.push(writeBlock(placed, manner));
  }
  return written;
}

/** Whether there is a way to write it: the API refuses blank text blocks, and thinking that is not its own. */
export function isSayable({ block, path }: Placed, { own, lost }: Manner): boolean {
  if (block.type === 'text' || block.type === 'refusal') return own || block.text.trim() !== '';
  if (block.type === 'opaque') return block.dialect === dialectName;
  if (block.type !== 'reasoning' || isSigned(block)) return true;
  lost.push(path);
  return false;
}

/** Only what Anthropic itself has signed goes back to it, byte for byte; an empty text with a signature counts. */
function isSigned({ vendor, redacted, signature }: ReasoningBlock): boolean {
  return vendor === dialectName && (redacted !== undefined || Boolean(signature));
}

/** A single plain text block is written as the string it is. */
export function shorten(content: JsonObject[]): Json {
  const only = content.length === 1 ? content[0] : undefined;
  if (only?.type !== 'text' || Object.keys(only).length !== 2) return content;
  return only.text ?? '';
}

function writeBlock({ block, path }: Placed, manner: Manner): JsonObject {
  if (block.type === 'opaque') return block.value;
  if (!manner.own) return writeForeignBlock(block, path, manner);
  const value = writeOwnBlock(block, path, manner);
  return block.extra === undefined ? value : { ...value, ...block.extra };
}

type Known = Exclude<Block, { type: 'opaque' }>;

function writeOwnBlock(block: Known, path: string, manner: Manner): JsonObject {
  switch (block.type) {
    case 'text':
    case 'refusal':
      return writeText({ ...block, type: 'text' });
    case 'media':
      return writeMedia(block);
    case 'reasoning':
      return writeThinking(block);
    case 'tool-call':
      return { type: 'tool_use', id: block.id, name: block.name, input: inputObject(block, path) };
    case 'tool-result':
      return writeToolResult(block, block.callId, path, manner);
  }
}

function writeForeignBlock(block: Known, path: string, manner: Manner): JsonObject {
  switch (block.type) {
    case 'text':
    case 'refusal':
      return writeText({ ...block, type: 'text' });
    case 'media':
      return writeMedia(fitMedia(block, path));
    case 'reasoning':
      return writeThinking(block);
    case 'tool-call':
      return {
        type: 'tool_use',
        id: block.id,
        name: block.name,
        input: inputObject(block, path),
      };
    case 'tool-result':
      return writeToolResult(block, block.callId, path, manner);
  }
}

function writeThinking({ text, signature, redacted }: ReasoningBlock): JsonObject {
  if (redacted !== undefined) return { type: 'redacted_thinking', data: redacted };
  return { type: 'thinking', thinking: text, signature };
}

function writeToolResult(
  block: Extract<Block, { type: 'tool-result' }>,
  id: string,
  path: string,
  manner: Manner,
): JsonObject {
  const written: JsonObject = { type: 'tool_result', tool_use_id: id };
  const content = writeBlocks(block.blocks, `${path}.content`, manner);
  // An empty result is still a result: the block stays, without content.
  if (content.length > 0) written.content = shorten(content);
  if (block.isError !== undefined && (manner.own || block.isError)) written.is_error = block.isError;
  return written;
}

// Media

const imageTypes = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

/** https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support */
function fitMedia(block: MediaBlock, path: string): MediaBlock {
  const source = readDataUrl(block.source);
  if (block.media !== 'image' && block.media !== 'document') {
    return refuse(path, `${block.media} is not understood; send text, images or documents`);
  }
  if (source.type !== 'base64') return source === block.source ? block : { ...block, source };
  const mimeType = sniffMimeType(source.data) ?? source.mimeType;
  if (block.media === 'image') {
    if (!imageTypes.has(mimeType)) {
      return refuse(path, `images must be JPEG, PNG, GIF or WebP, not ${mimeType}`);
    }
    return { ...block, source: { type: 'base64', mimeType, data: source.data } };
  }
  if (mimeType === 'application/pdf') {
    return { ...block, source: { type: 'base64', mimeType, data: source.data } };
  }
  if (mimeType.startsWith('text/') || mimeType === 'application/json') {
    const text = Buffer.from(source.data, 'base64').toString('utf8');
    return { ...block, source: { type: 'text', mimeType: 'text/plain', text } };
  }
  return refuse(path, `documents must be PDF or text, not ${mimeType}`);
}

function readDataUrl(source: MediaBlock['source']): MediaBlock['source'] {
  if (source.type !== 'url' || !source.url.startsWith('data:')) return source;
  const comma = source.url.indexOf(',');
  const [mimeType = '', ...parameters] = source.url.slice(5, comma).split(';');
  const data = source.url.slice(comma + 1);
  if (parameters.includes('base64')) return { type: 'base64', mimeType, data };
  return { type: 'base64', mimeType, data: Buffer.from(decodeURIComponent(data)).toString('base64') };
}

function refuse(path: string, why: string): never {
  throw new GatewayError(
    'unsupported',
    `${path}: for the model behind this route ${why}. Change it, or route the call to another model.`,
    { param: path },
  );
}
