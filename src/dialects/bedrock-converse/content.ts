/** Content blocks of a request, whoever's they were, in the form Bedrock accepts. */
import type { Block, ReasoningBlock, TextBlock, ToolResultBlock } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { markFailure } from '../failed-result.ts';
import { inputObject } from '../tool-input.ts';
import { type Placed, placeBlocks } from '../turns.ts';
import type { UniqueNames } from '../unique-names.ts';
import { dialectName } from './block.ts';
import { type CachePoints, markName, type Place } from './cache-points.ts';
import type { Family } from './family.ts';
import { writeMedia, writeOwnMedia } from './media.ts';

export interface Manner {
  /** The request is of this very dialect: `extra` members and everything else stay as they are. */
  own: boolean;
  family: Family;
  points: CachePoints;
  /** Names of the request's documents so far: each has its own. */
  names: UniqueNames;
  /** Gets the paths of what is left out. */
  lost: string[];
}

/**
 * Whether there is a way to write it: Bedrock refuses blank text, and models reasoning that is not their own. A mark
 * on what goes away is lost with it.
 */
export function isSayable({ block, path }: Placed, { own, lost }: Manner): boolean {
  switch (block.type) {
    case 'text':
    case 'refusal':
      if (own || block.text.trim() !== '') return true;
      if (block.extra?.[markName] !== undefined) lost.push(`${path}.${markName}`);
      return false;
    case 'opaque':
      return block.dialect === dialectName;
    case 'reasoning':
      if (isSigned(block)) return true;
      lost.push(path);
      return false;
    default:
      return true;
  }
}

/** Only what a model here has signed goes back to it, byte for byte; an empty text with a signature counts. */
function isSigned({ vendor, redacted, signature }: ReasoningBlock): boolean {
  return vendor === dialectName && (redacted !== undefined || Boolean(signature));
}

/**
 * @param content what can be said.
 * @throws GatewayError `bad_request` for arguments that are no JSON object, `unsupported` for media nobody reads.
 */
export function writeContent(content: readonly Placed[], place: Place, manner: Manner): JsonObject[] {
  const written: JsonObject[] = [];
  for (const { block, path } of content) {
    written.push(writeBlock(block, path, manner));
    if (block.type === 'opaque' || manner.own) continue;
    // No cache point stands inside a tool result.
    if (block.type === 'tool-result') {
      for (const inner of placeBlocks(block.blocks, `${path}.content`)) {
        if (inner.block.type !== 'opaque') manner.points.mark(written, inner.block.extra, inner.path, place);
      }
    }
    manner.points.mark(written, block.extra, path, place);
  }
  return written;
}

function writeBlock(block: Block, path: string, manner: Manner): JsonObject {
  const extra = manner.own && block.type !== 'opaque' ? block.extra : undefined;
  switch (block.type) {
    case 'opaque':
      return block.value;
    case 'text':
      return writeText(block);
    case 'refusal':
      return { text: block.text };
    case 'media':
      return manner.own ? writeOwnMedia(block) : writeMedia(block, path, manner.names);
    case 'reasoning':
      return { reasoningContent: writeReasoning(block) };
    case 'tool-call':
      return {
        toolUse: { toolUseId: block.id, name: block.name, input: inputObject(block, path), ...extra },
      };
    case 'tool-result':
      return { toolResult: { ...writeToolResult(block, path, manner), ...extra } };
  }
}

function writeText({ text, citations = [] }: TextBlock): JsonObject {
  const own = citations.filter(({ dialect }) => dialect === dialectName).map(({ value }) => value);
  if (own.length === 0) return { text };
  return { citationsContent: { ...(text !== '' && { content: [{ text }] }), citations: own } };
}

function writeReasoning({ text, signature, redacted }: ReasoningBlock): JsonObject {
  return redacted === undefined ? { reasoningText: { text, signature } } : { redactedContent: redacted };
}

/** Blank text is allowed in here, and wanted where there is none: some models refuse an empty list. */
function writeToolResult(
  { callId, blocks, isError }: ToolResultBlock,
  path: string,
  manner: Manner,
): JsonObject {
  // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolResultBlock.html: only these know the word.
  const marked = manner.own || manner.family !== 'other';
  const told = isError && !marked ? markFailure(blocks) : blocks;
  const inner = placeBlocks(told, `${path}.content`).filter(
    ({ block }) => block.type !== 'reasoning' && (block.type !== 'opaque' || block.dialect === dialectName),
  );
  const content = inner.map((placed) => writeBlock(placed.block, placed.path, manner));
  if (content.length === 0 && !manner.own) content.push({ text: '' });
  const written: JsonObject = { toolUseId: callId, content };
  if (marked && (isError || (isError === false && manner.own)))
    written.status = isError ? 'error' : 'success';
  return written;
}
