/** Content blocks of Bedrock Converse, as they stand in requests and in answers, read into the hub. */
import type { Block, Citation, TextBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { kinds, readMedia } from './media.ts';

/** Refuses what is at `path`; `expected` completes the sentence "`path` …". */
type Fail = (path: string, expected: string) => never;

export const dialectName = 'bedrock-converse';

const toolUseMembers = new Set(['toolUseId', 'name', 'input']);
const toolResultMembers = new Set(['toolUseId', 'content', 'status']);

export function readContent(content: Json | undefined, path: string, fail: Fail): Block[] {
  if (!Array.isArray(content)) return fail(path, 'must be a list of content blocks');
  return content.map((value, i) => readBlock(value, `${path}[${i}]`, fail));
}

/** Blocks the hub has no word for (cache points, server tools and their results, guarded content…) are kept whole. */
function readBlock(value: Json, path: string, fail: Fail): Block {
  if (!isObject(value)) return fail(path, 'must be an object with one member, such as {"text":"…"}');
  if (value.text !== undefined) {
    return typeof value.text === 'string'
      ? { type: 'text', text: value.text }
      : fail(`${path}.text`, 'must be a string');
  }
  const known = readKnown(value, path, fail);
  return known ?? { type: 'opaque', dialect: dialectName, value };
}

function readKnown(value: JsonObject, path: string, fail: Fail): Block | undefined {
  const { toolUse, toolResult, reasoningContent, citationsContent } = value;
  if (isObject(toolUse)) return readToolUse(toolUse, `${path}.toolUse`, fail);
  if (isObject(toolResult)) return readToolResult(toolResult, `${path}.toolResult`, fail);
  if (isObject(reasoningContent)) return readReasoning(reasoningContent);
  if (isObject(citationsContent)) return readCitations(citationsContent);
  for (const media of kinds) {
    const file = value[media];
    if (isObject(file)) return readMedia(media, file);
  }
  return undefined;
}

/** Calls of the provider's own tools, which it has carried out itself, are none that a client could answer. */
export function isServerCall(toolUse: JsonObject): boolean {
  return toolUse.type === 'server_tool_use';
}

function readToolUse(value: JsonObject, path: string, fail: Fail): Block | undefined {
  if (isServerCall(value)) return undefined;
  if (typeof value.toolUseId !== 'string') return fail(`${path}.toolUseId`, 'must be a string');
  if (typeof value.name !== 'string') return fail(`${path}.name`, 'must be a string');
  return {
    type: 'tool-call',
    id: value.toolUseId,
    name: value.name,
    input: readInput(value.input, path, fail),
    ...readToolUseExtra(value),
  };
}

/** Members of a tool call that the hub has no word for (`type`). */
export function readToolUseExtra(value: JsonObject): { extra?: JsonObject } {
  const extra = rest(value, toolUseMembers);
  return extra === undefined ? {} : { extra };
}

/** A text is what a token limit left of the arguments. */
function readInput(input: Json | undefined, path: string, fail: Fail): string {
  if (isObject(input)) return JSON.stringify(input);
  if (typeof input === 'string') return input;
  if (input === undefined || input === null) return '{}';
  return fail(`${path}.input`, 'must be an object');
}

/** Results of the provider's own tools have a type. */
function readToolResult(value: JsonObject, path: string, fail: Fail): Block | undefined {
  if (typeof value.type === 'string') return undefined;
  if (typeof value.toolUseId !== 'string') return fail(`${path}.toolUseId`, 'must be a string');
  const { status } = value;
  const extra = rest(value, toolResultMembers);
  return {
    type: 'tool-result',
    callId: value.toolUseId,
    blocks: readContent(value.content, `${path}.content`, fail),
    ...((status === 'error' || status === 'success') && { isError: status === 'error' }),
    ...(extra !== undefined && { extra }),
  };
}

/** Text without a signature belongs to no vendor: it can be shown, but never be sent back. */
function readReasoning({ reasoningText, redactedContent }: JsonObject): Block | undefined {
  if (typeof redactedContent === 'string') {
    return { type: 'reasoning', text: '', redacted: redactedContent, vendor: dialectName };
  }
  if (!isObject(reasoningText) || typeof reasoningText.text !== 'string') return undefined;
  const { text, signature } = reasoningText;
  return typeof signature === 'string' && signature !== ''
    ? { type: 'reasoning', text, signature, vendor: dialectName }
    : { type: 'reasoning', text };
}

/** Words with the sources they rest on; sometimes only the sources, for the words before. */
function readCitations({ content, citations }: JsonObject): TextBlock | undefined {
  const words = Array.isArray(content) ? content : [];
  const block: TextBlock = { type: 'text', text: words.map(textOf).join('') };
  const sources = Array.isArray(citations) ? citations.flatMap((each) => readCitation(each) ?? []) : [];
  if (sources.length > 0) block.citations = sources;
  return block;
}

export function readCitation(value: Json | undefined): Citation | undefined {
  if (!isObject(value)) return undefined;
  const citation: Citation = { value, dialect: dialectName };
  const { location, source, title, sourceContent } = value;
  const web = isObject(location) && isObject(location.web) ? location.web.url : undefined;
  const url = [web, source].find((each) => typeof each === 'string' && /^https?:/.test(each));
  if (typeof url === 'string') citation.url = url;
  if (typeof title === 'string') citation.title = title;
  if (Array.isArray(sourceContent)) citation.text = sourceContent.map(textOf).join('');
  return citation;
}

function textOf(part: Json): string {
  return isObject(part) && typeof part.text === 'string' ? part.text : '';
}
