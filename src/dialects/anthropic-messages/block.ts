/** Content blocks of Anthropic Messages, as they stand in requests and in answers, to and from the hub. */
import { type Carried, type CarriedState, restoreStates, uncarry } from '../../core/carry.ts';
import type {
  Block,
  Citation,
  MediaBlock,
  ReasoningBlock,
  TextBlock,
  ToolCallBlock,
} from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';

/** Refuses what is at `path`; `expected` completes the sentence "`path` …". */
type Fail = (path: string, expected: string) => never;

export const dialectName = 'anthropic-messages';

/** Names of tools and ids of their calls, as the API's refusals spell them: "String should match pattern …". */
export const toolNames = /^[a-zA-Z0-9_-]{1,128}$/;
export const toolIds = /^[a-zA-Z0-9_-]+$/;

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
  const blocks: Block[] = [];
  const states: CarriedState[] = [];
  content.forEach((value, i) => {
    const state = readCarriedState(value);
    if (state === undefined) blocks.push(readBlock(value, `${path}[${i}]`, fail));
    else states.push({ ...state, after: blocks.length });
  });
  restoreStates(blocks, states);
  return blocks;
}

/** Another vendor's state of a block beside it. */
function readCarriedState(value: Json): Extract<Carried, { type: 'state' }> | undefined {
  if (!isObject(value) || value.type !== 'redacted_thinking' || typeof value.data !== 'string')
    return undefined;
  const carried = uncarry(value.data);
  return carried?.type === 'state' ? carried : undefined;
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
        readCarriedReasoning('', value.data) ?? {
          type: 'reasoning',
          text: '',
          redacted: value.data,
          vendor: dialectName,
        },
        value,
        members.redacted,
      );
    case 'tool_use':
      if (typeof value.id !== 'string') return fail(`${path}.id`, 'must be a string');
      if (typeof value.name !== 'string') return fail(`${path}.name`, 'must be a string');
      return readToolUse(
        { type: 'tool-call', id: value.id, name: value.name, input: readInput(value.input, path, fail) },
        value,
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

/** Who called a tool, where it is not a program that the model wrote: the model itself, which goes without saying. */
export const directCaller = { type: 'direct' };

/** Members of a tool call that the hub has no word for (`caller`, `cache_control`). */
export function readToolUse(call: ToolCallBlock, value: JsonObject): ToolCallBlock {
  const { caller, ...others } = value;
  const direct = isObject(caller) && caller.type === directCaller.type;
  return withExtra(call, direct ? others : value, members.toolUse);
}

/** Text without a signature belongs to no vendor: it can be shown, but never be sent back. */
function readThinking(text: string, signature: Json | undefined): ReasoningBlock {
  if (typeof signature !== 'string' || signature === '') return { type: 'reasoning', text };
  return readCarriedReasoning(text, signature) ?? { type: 'reasoning', text, signature, vendor: dialectName };
}

/** What another vendor thought, as the answer to this client carried it. */
function readCarriedReasoning(text: string, opaque: string): ReasoningBlock | undefined {
  const carried = uncarry(opaque);
  if (carried?.type !== 'reasoning') return undefined;
  const { type, vendor, signature, redacted, id } = carried;
  const block: ReasoningBlock = { type, text, vendor };
  if (signature !== undefined) block.signature = signature;
  if (redacted !== undefined) block.redacted = redacted;
  if (id !== undefined) block.id = id;
  return block;
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
