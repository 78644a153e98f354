/** Content blocks of a request, whoever's they were, in the form the API accepts. */
import type { Block, MediaBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { dialectName, parseInput, safeToolId, writeMedia, writeText } from './block.ts';

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
export function writeBlocks(blocks: Block[], path: string, manner: Manner): JsonObject[] {
  const written: JsonObject[] = [];
  for (let i = 0; i < blocks.length; i++) {
    const value = writeBlock(blocks[i]!, `${path}[${i}]`, manner);
    if (value !== undefined) written.push(value);
  }
  return written;
}

/** A single plain text block is written as the string it is. */
export function shorten(content: JsonObject[]): Json {
  const only = content.length === 1 ? content[0] : undefined;
  if (only?.type !== 'text' || Object.keys(only).length !== 2) return content;
  return only.text ?? '';
}

function writeBlock(block: Block, path: string, manner: Manner): JsonObject | undefined {
  if (block.type === 'opaque') return block.dialect === dialectName ? block.value : undefined;
  const value = manner.own ? writeOwnBlock(block, path, manner) : writeForeignBlock(block, path, manner);
  return manner.own && value !== undefined && block.extra !== undefined
    ? { ...value, ...block.extra }
    : value;
}

type Known = Exclude<Block, { type: 'opaque' }>;

function writeOwnBlock(block: Known, path: string, manner: Manner): JsonObject | undefined {
  switch (block.type) {
    case 'text':
    case 'refusal':
      return writeText({ ...block, type: 'text' });
    case 'media':
      return writeMedia(block);
    case 'reasoning':
      return writeThinking(block, path, manner);
    case 'tool-call':
      return { type: 'tool_use', id: block.id, name: block.name, input: writeInput(block, path) };
    case 'tool-result':
      return writeToolResult(block, block.callId, path, manner);
  }
}

function writeForeignBlock(block: Known, path: string, manner: Manner): JsonObject | undefined {
  switch (block.type) {
    case 'text':
    case 'refusal':
      // The API refuses blank text blocks.
      return block.text.trim() === '' ? undefined : writeText({ ...block, type: 'text' });
    case 'media':
      return writeMedia(fitMedia(block, path));
    case 'reasoning':
      return writeThinking(block, path, manner);
    case 'tool-call': {
      const input = block.custom ? { input: block.input } : writeInput(block, path);
      return { type: 'tool_use', id: safeToolId(block.id), name: block.name, input };
    }
    case 'tool-result':
      return writeToolResult(block, safeToolId(block.callId), path, manner);
  }
}

/** Only what Anthropic itself has signed goes back to it, byte for byte; an empty text with a signature counts. */
function writeThinking(
  block: Extract<Block, { type: 'reasoning' }>,
  path: string,
  { lost }: Manner,
): JsonObject | undefined {
  if (block.vendor === dialectName) {
    if (block.redacted !== undefined) return { type: 'redacted_thinking', data: block.redacted };
    if (block.signature) return { type: 'thinking', thinking: block.text, signature: block.signature };
  }
  lost.push(path);
  return undefined;
}

function writeInput(block: Extract<Block, { type: 'tool-call' }>, path: string): JsonObject {
  const input = parseInput(block.input);
  if (input !== undefined) return input;
  throw new GatewayError(
    'bad_request',
    `${path}: the arguments of the tool call '${block.name}' are not a JSON object. ` +
      'Send back complete arguments, or leave that turn out.',
    { param: path },
  );
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

/** How files of a type begin, in base64: more reliable than the type clients declare. */
const beginnings: readonly [string, string][] = [
  ['/9j/', 'image/jpeg'],
  ['iVBORw0KGgo', 'image/png'],
  ['R0lGOD', 'image/gif'],
  ['UklGR', 'image/webp'],
  ['JVBERi0', 'application/pdf'],
];

/** https://platform.claude.com/docs/en/build-with-claude/vision and …/pdf-support */
function fitMedia(block: MediaBlock, path: string): MediaBlock {
  const source = readDataUrl(block.source);
  if (block.media !== 'image' && block.media !== 'document') {
    return refuse(path, `${block.media} is not understood; send text, images or documents`);
  }
  if (source.type !== 'base64') return source === block.source ? block : { ...block, source };
  const mimeType = beginnings.find(([start]) => source.data.startsWith(start))?.[1] ?? source.mimeType;
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
