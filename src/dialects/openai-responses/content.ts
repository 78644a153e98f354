/** Content parts of OpenAI Responses: text, images, files and audio, between the wire and the hub. */
import type { Block, Citation, MediaBlock, TextBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, documentText, others, readUrl, writeUrl } from '../openai-chat/content.ts';

export const dialectName = 'openai-responses';

const members = {
  text: new Set(['type', 'text', 'annotations']),
  image: new Set(['type', 'image_url', 'file_id']),
  file: new Set(['type', 'file_id', 'file_data', 'file_url', 'filename']),
};

/**
 * What a message or a tool result holds: a text or a list of parts. `path` names the member in errors.
 * @throws GatewayError `bad_request` when it is neither.
 */
export function readContent(content: Json | undefined, path: string): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) {
    throw badRequest(
      path,
      `${path} must be a string or a list of parts like {"type": "input_text", "text": "…"}.`,
    );
  }
  return content.map((part, i) => readPart(part, `${path}[${i}]`));
}

function readPart(part: Json, path: string): Block {
  if (!isObject(part) || typeof part.type !== 'string') {
    throw badRequest(
      `${path}.type`,
      `${path} must be an object with a type: "input_text", "input_image" or "input_file".`,
    );
  }
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      if (typeof part.text !== 'string') throw badRequest(`${path}.text`, `${path}.text must be a string.`);
      return readText(part, part.text);
    case 'refusal':
      if (typeof part.refusal !== 'string')
        throw badRequest(`${path}.refusal`, `${path}.refusal must be a string.`);
      return { type: 'refusal', text: part.refusal };
    case 'input_image':
      return readImage(part, path);
    case 'input_file':
      return readFile(part);
    default:
      return { type: 'opaque', dialect: dialectName, value: part };
  }
}

/** A text part with its citations. Empty lists of log-probabilities come with every part. */
export function readText({ logprobs, ...part }: JsonObject, text: string): TextBlock {
  const block: TextBlock = { type: 'text', text };
  const citations = Array.isArray(part.annotations) ? part.annotations.flatMap(readCitation) : [];
  if (citations.length > 0) block.citations = citations;
  const extra = others(part, members.text);
  const told = Array.isArray(logprobs) && logprobs.length > 0;
  return withExtra(block, told ? { ...extra, logprobs } : extra);
}

/** `url_citation`, `file_citation`, `container_file_citation` or `file_path`. */
export function readCitation(value: Json | undefined): Citation[] {
  if (!isObject(value)) return [];
  const citation: Citation = { value, dialect: dialectName };
  const title = value.title ?? value.filename;
  if (typeof value.url === 'string') citation.url = value.url;
  if (typeof title === 'string') citation.title = title;
  if (typeof value.start_index === 'number') citation.start = value.start_index;
  if (typeof value.end_index === 'number') citation.end = value.end_index;
  return [citation];
}

function readImage(part: JsonObject, path: string): Block {
  const extra = others(part, members.image);
  if (typeof part.image_url === 'string' && part.image_url !== '') {
    return withExtra({ type: 'media', media: 'image', source: readUrl(part.image_url) }, extra);
  }
  if (typeof part.file_id !== 'string') {
    throw badRequest(
      `${path}.image_url`,
      `${path} must have an image_url (a web address or a data: URL) or a file_id.`,
    );
  }
  return withExtra({ type: 'media', media: 'image', source: { type: 'file', id: part.file_id } }, extra);
}

/** Of several places to find a file, and of data that is not a data: URL, nobody else knows what to make. */
function readFile(part: JsonObject): Block {
  const source = readFileSource(part);
  if (source === undefined) return { type: 'opaque', dialect: dialectName, value: part };
  const block: MediaBlock = { type: 'media', media: 'document', source };
  if (typeof part.filename === 'string') block.name = part.filename;
  return withExtra(block, others(part, members.file));
}

function readFileSource({ file_id, file_data, file_url }: JsonObject): MediaBlock['source'] | undefined {
  const given = [file_id, file_data, file_url].filter((each) => typeof each === 'string');
  if (given.length !== 1) return undefined;
  if (typeof file_id === 'string') return { type: 'file', id: file_id };
  if (typeof file_url === 'string') return { type: 'url', url: file_url };
  const source = readUrl(String(file_data));
  return source.type === 'base64' ? source : undefined;
}

function withExtra<B extends TextBlock | MediaBlock>(block: B, extra: JsonObject | undefined): B {
  if (extra !== undefined) block.extra = extra;
  return block;
}

// Writing

/**
 * What users say and tools return, as a string where it is one plain text.
 * @param own the blocks were read from this dialect: their `extra` members are written again.
 * @throws GatewayError `unsupported` for what has no part in this dialect.
 */
export function writeContent(blocks: readonly Block[], path: string, own: boolean): string | JsonObject[] {
  const [first] = blocks;
  if (first === undefined) return '';
  if (blocks.length === 1 && first.type === 'text' && (first.extra === undefined || !own)) return first.text;
  return blocks.map((block, i) => writePart(block, `${path}[${i}]`, own));
}

function writePart(block: Block, path: string, own: boolean): JsonObject {
  switch (block.type) {
    case 'text':
      return { type: 'input_text', text: block.text, ...(own ? block.extra : undefined) };
    case 'refusal':
      return own ? { type: 'refusal', refusal: block.text } : { type: 'input_text', text: block.text };
    case 'media':
      return writeMedia(block, path, own);
    case 'opaque':
      if (block.dialect === dialectName) return block.value;
      throw cannotSay(path, block.type);
    default:
      throw cannotSay(path, block.type);
  }
}

export function cannotSay(path: string, what: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `${path} holds a ${what} block, which OpenAI Responses has no way to say here. Remove it, or route the call elsewhere.`,
    { param: path },
  );
}

function writeMedia(block: MediaBlock, path: string, own: boolean): JsonObject {
  const { media, source, name } = block;
  const extra = own ? block.extra : undefined;
  if (source.type === 'text') return { type: 'input_text', text: documentText(name, source.text) };
  if (media === 'image') {
    const image: JsonObject = { type: 'input_image' };
    if (source.type === 'file') image.file_id = source.id;
    else image.image_url = writeUrl(source);
    // Some hosts insist on the word; clients of Chat Completions have it, too.
    if (!own) image.detail = block.extra?.detail ?? 'auto';
    return Object.assign(image, extra);
  }
  if (media !== 'document') throw cannotSay(path, `${media} (${source.type})`);
  const file: JsonObject = { type: 'input_file' };
  if (source.type === 'file') file.file_id = source.id;
  else if (source.type === 'url') file.file_url = source.url;
  else file.file_data = writeUrl(source);
  // Data is refused without a name: https://platform.openai.com/docs/guides/pdf-files
  const filename = name ?? (source.type === 'base64' && !own ? `document.${ending(source.mimeType)}` : null);
  if (filename !== null) file.filename = filename;
  return Object.assign(file, extra);
}

function ending(mimeType: string): string {
  return mimeType === 'text/plain' ? 'txt' : mimeType.slice(mimeType.indexOf('/') + 1);
}
