/** Content blocks of Anthropic Messages, as they stand in requests and in answers, to and from the hub. */
import type { Block, Citation, MediaBlock, TextBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';

/** Refuses what is at `path`; `expected` completes the sentence "`path` …". */
type Fail = (path: string, expected: string) => never;

export const dialectName = 'anthropic-messages';

const members = {
  text: new Set(['type', 'text', 'citations']),
  image: new Set(['type', 'source']),
  document: new Set(['type', 'source', 'title']),
  thinking: new Set(['type', 'thinking', 'signature']),
  redacted: new Set(['type', 'data']),
  toolUse: new Set(['type', 'id', 'name', 'input']),
  toolResult: new Set(['type', 'tool_use_id', 'content', 'is_error']),
};

/** A message's or a tool result's `content`: text or a list of blocks. */
export function readContent(content: Json | undefined, path: string, fail: Fail): Block[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  if (!Array.isArray(content)) return fail(path, 'must be a string or a list of content blocks');
  return content.map((value, i) => readBlock(value, `${path}[${i}]`, fail));
}

/** Blocks the hub has no word for (server tools and their results, search results, compaction…) are kept whole. */
export function readBlock(value: Json | undefined, path: string, fail: Fail): Block {
  if (!isObject(value) || typeof value.type !== 'string') {
    return fail(path, 'must be an object with a `type`, such as {"type":"text","text":"…"}');
  }
  switch (value.type) {
    case 'text':
      if (typeof value.text !== 'string') return fail(`${path}.text`, 'must be a string');
      return readText(value, value.text);
    case 'image':
    case 'document':
      return readMedia(value, value.type, path, fail);
    case 'thinking':
      if (typeof value.thinking !== 'string') return fail(`${path}.thinking`, 'must be a string');
      return withExtra(readThinking(value.thinking, value.signature), value, members.thinking);
    case 'redacted_thinking':
      if (typeof value.data !== 'string') return fail(`${path}.data`, 'must be a string');
      return withExtra(
        { type: 'reasoning', text: '', redacted: value.data, vendor: dialectName },
        value,
        members.redacted,
      );
    case 'tool_use':
      if (typeof value.id !== 'string') return fail(`${path}.id`, 'must be a string');
      if (typeof value.name !== 'string') return fail(`${path}.name`, 'must be a string');
      return withExtra(
        { type: 'tool-call', id: value.id, name: value.name, input: readInput(value.input, path, fail) },
        value,
        members.toolUse,
      );
    case 'tool_result':
      return readToolResult(value, path, fail);
    default:
      return { type: 'opaque', dialect: dialectName, value };
  }
}

export function readCitation(value: Json): Citation | undefined {
  if (!isObject(value)) return undefined;
  const citation: Citation = { value, dialect: dialectName };
  const title = value.title ?? value.document_title;
  if (typeof value.url === 'string') citation.url = value.url;
  if (typeof title === 'string') citation.title = title;
  if (typeof value.cited_text === 'string') citation.text = value.cited_text;
  return citation;
}

/** Members of a text block beside its text, for a block whose text is still to come. */
export function readText(value: JsonObject, text: string): TextBlock {
  const block: TextBlock = { type: 'text', text };
  if (Array.isArray(value.citations)) {
    const citations = value.citations.map(readCitation).filter((citation) => citation !== undefined);
    if (citations.length > 0) block.citations = citations;
  }
  return withExtra(block, value, members.text);
}

/** Members of a tool call that the hub has no word for (`caller`, `cache_control`). */
export function readToolUseExtra(value: JsonObject): JsonObject | undefined {
  return rest(value, members.toolUse);
}

/** Text without a signature belongs to no vendor: it can be shown, but never be sent back. */
function readThinking(text: string, signature: Json | undefined): Block {
  return typeof signature === 'string' && signature !== ''
    ? { type: 'reasoning', text, signature, vendor: dialectName }
    : { type: 'reasoning', text };
}

/** A string is what this gateway itself writes for arguments that a token limit cut short. */
function readInput(input: Json | undefined, path: string, fail: Fail): string {
  if (isObject(input)) return JSON.stringify(input);
  if (typeof input === 'string') return input;
  if (input === undefined || input === null) return '{}';
  return fail(`${path}.input`, 'must be an object');
}

function readToolResult(value: JsonObject, path: string, fail: Fail): Block {
  if (typeof value.tool_use_id !== 'string') return fail(`${path}.tool_use_id`, 'must be a string');
  const content = value.content ?? '';
  const block: Block = {
    type: 'tool-result',
    callId: value.tool_use_id,
    blocks: readContent(content, `${path}.content`, fail),
  };
  if (typeof value.is_error === 'boolean') block.isError = value.is_error;
  return withExtra(block, value, members.toolResult);
}

function readMedia(value: JsonObject, media: 'image' | 'document', path: string, fail: Fail): Block {
  if (!isObject(value.source)) return fail(`${path}.source`, 'must be an object with a `type`');
  const source = readSource(value.source, `${path}.source`, fail);
  // A document made of blocks (`source.type: content`) and sources yet to be invented are kept whole.
  if (source === undefined) return { type: 'opaque', dialect: dialectName, value };
  const block: MediaBlock = { type: 'media', media, source };
  if (media === 'document' && typeof value.title === 'string') block.name = value.title;
  return withExtra(block, value, members[media]);
}

function readSource(source: JsonObject, path: string, fail: Fail): MediaBlock['source'] | undefined {
  const text = (name: string): string => {
    const found = source[name];
    return typeof found === 'string' ? found : fail(`${path}.${name}`, 'must be a string');
  };
  switch (source.type) {
    case 'base64':
      return { type: 'base64', mimeType: text('media_type'), data: text('data') };
    case 'url':
      return { type: 'url', url: text('url') };
    case 'file':
      return { type: 'file', id: text('file_id') };
    case 'text':
      return { type: 'text', mimeType: text('media_type'), text: text('data') };
    default:
      return undefined;
  }
}

function withExtra<B extends Block & { extra?: JsonObject }>(
  block: B,
  value: JsonObject,
  known: ReadonlySet<string>,
): B {
  const extra = rest(value, known);
  if (extra !== undefined) block.extra = extra;
  return block;
}

// Writing

/** Tool arguments as the object the wire wants; undefined when the text is no JSON object. */
export function parseInput(input: string): JsonObject | undefined {
  if (input.trim() === '') return {};
  try {
    const value: Json = JSON.parse(input);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function writeText(block: TextBlock): JsonObject {
  const written: JsonObject = { type: 'text', text: block.text };
  const citations = block.citations?.filter((citation) => citation.dialect === dialectName);
  if (citations !== undefined && citations.length > 0) {
    written.citations = citations.map((citation) => citation.value);
  }
  return written;
}

export function writeMedia(block: MediaBlock): JsonObject {
  const written: JsonObject = { type: block.media, source: writeSource(block.source) };
  if (block.media === 'document' && block.name !== undefined) written.title = block.name;
  return written;
}

function writeSource(source: MediaBlock['source']): JsonObject {
  switch (source.type) {
    case 'base64':
      return { type: 'base64', media_type: source.mimeType, data: source.data };
    case 'url':
      return { type: 'url', url: source.url };
    case 'file':
      return { type: 'file', file_id: source.id };
    case 'text':
      return { type: 'text', media_type: source.mimeType, data: source.text };
  }
}

const wellFormedId = /^[a-zA-Z0-9_-]+$/;

/**
 * A tool call id within the characters the API takes (`^[a-zA-Z0-9_-]+$`). The same id always becomes the same id, so
 * call and result stay a pair without any memory; a hash keeps ids apart that differ only in what was replaced.
 */
export function safeToolId(id: string): string {
  if (wellFormedId.test(id)) return id;
  return `${id.replace(/[^a-zA-Z0-9_-]/g, '_')}_${Bun.hash(id).toString(36).slice(0, 8)}`;
}
