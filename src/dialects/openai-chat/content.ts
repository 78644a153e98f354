/** Content parts of OpenAI Chat: text, images, files and audio, between the wire and the hub. */
import type { Block, MediaBlock, TextBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, prototypeName } from '../../core/json.ts';

export function badRequest(param: string, message: string): GatewayError {
  return new GatewayError('bad_request', message, { param });
}

/** The members of `object` beside `known` that say something: null is how SDKs write "not set". */
export function others(object: JsonObject, known: ReadonlySet<string>): JsonObject | undefined {
  let extra: JsonObject | undefined;
  for (const name in object) {
    if (known.has(name) || object[name] === undefined || object[name] === null) continue;
    if (name === prototypeName) continue;
    extra ??= {};
    extra[name] = object[name];
  }
  return extra;
}

function withExtra(block: TextBlock | MediaBlock, extra: JsonObject | undefined): Block {
  if (extra !== undefined) block.extra = extra;
  return block;
}

/**
 * String content or a list of parts. `path` names the member in errors.
 * @throws GatewayError `bad_request` when it is neither.
 */
export function readContent(content: Json | undefined, path: string): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) {
    throw badRequest(path, `${path} must be a string or a list of parts like {"type": "text", "text": "…"}.`);
  }
  return content.map((part, i) => readPart(part, `${path}[${i}]`));
}

const textMembers = new Set(['type', 'text']);
const imageMembers = new Set(['type', 'image_url']);
const fileMembers = new Set(['type', 'file']);
const audioMembers = new Set(['type', 'input_audio']);
const imageUrlMembers = new Set(['url']);

function readPart(part: Json, path: string): Block {
  // Mistral and some SDKs write a text part as a bare string.
  if (typeof part === 'string') return { type: 'text', text: part };
  if (!isObject(part) || typeof part.type !== 'string') {
    throw badRequest(
      `${path}.type`,
      `${path} must be an object with a type: "text", "image_url", "file" or "input_audio".`,
    );
  }
  switch (part.type) {
    case 'text':
      if (typeof part.text !== 'string') throw badRequest(`${path}.text`, `${path}.text must be a string.`);
      return withExtra({ type: 'text', text: part.text }, others(part, textMembers));
    case 'refusal':
      if (typeof part.refusal !== 'string')
        throw badRequest(`${path}.refusal`, `${path}.refusal must be a string.`);
      return { type: 'refusal', text: part.refusal };
    case 'image_url':
      return readImage(part, path);
    case 'file':
      return readFile(part, path);
    case 'input_audio':
      return readAudio(part, path);
    default:
      return { type: 'opaque', dialect: 'openai-chat', value: part };
  }
}

function readImage(part: JsonObject, path: string): Block {
  // Mistral and Ollama take the URL without an object around it: https://docs.mistral.ai/capabilities/vision
  const image: JsonObject =
    typeof part.image_url === 'string' ? { url: part.image_url } : asObject(part.image_url);
  if (typeof image.url !== 'string' || image.url === '') {
    throw badRequest(
      `${path}.image_url.url`,
      `${path}.image_url must be an object whose url is a web address or a data: URL.`,
    );
  }
  const block: MediaBlock = { type: 'media', media: 'image', source: readUrl(image.url) };
  const about = others(image, imageUrlMembers);
  const beside = others(part, imageMembers);
  return withExtra(block, about || beside ? { ...about, ...beside } : undefined);
}

function readFile(part: JsonObject, path: string): Block {
  const file = asObject(part.file);
  const name = typeof file.filename === 'string' ? { name: file.filename } : undefined;
  const extra = others(part, fileMembers);
  if (typeof file.file_id === 'string') {
    return withExtra(
      { type: 'media', media: 'document', source: { type: 'file', id: file.file_id }, ...name },
      extra,
    );
  }
  if (typeof file.file_data !== 'string') {
    throw badRequest(
      `${path}.file`,
      `${path}.file must have a file_id, or file_data (a data: URL) with a filename.`,
    );
  }
  const source = readUrl(file.file_data);
  if (source.type === 'url' && !/^https?:/.test(source.url)) {
    throw badRequest(
      `${path}.file.file_data`,
      `${path}.file.file_data must be a data: URL: "data:application/pdf;base64,…".`,
    );
  }
  return withExtra({ type: 'media', media: 'document', source, ...name }, extra);
}

function readAudio(part: JsonObject, path: string): Block {
  // Mistral's input_audio is a string: carried whole.
  if (typeof part.input_audio === 'string') return { type: 'opaque', dialect: 'openai-chat', value: part };
  const audio = asObject(part.input_audio);
  if (typeof audio.data !== 'string' || typeof audio.format !== 'string') {
    throw badRequest(
      `${path}.input_audio`,
      `${path}.input_audio must have data (base64) and format ("wav" or "mp3").`,
    );
  }
  const mimeType = audio.format === 'mp3' ? 'audio/mpeg' : `audio/${audio.format}`;
  return withExtra(
    { type: 'media', media: 'audio', source: { type: 'base64', mimeType, data: audio.data } },
    others(part, audioMembers),
  );
}

function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** A data: URL in base64 is taken apart; anything else stays a URL. */
export function readUrl(url: string): Extract<MediaBlock['source'], { type: 'base64' | 'url' }> {
  const comma = url.startsWith('data:') ? url.indexOf(';base64,') : -1;
  if (comma === -1) return { type: 'url', url };
  return { type: 'base64', mimeType: url.slice(5, comma), data: url.slice(comma + 8) };
}

/**
 * Blocks as content: a string for exactly one plain text, else parts.
 * @throws GatewayError `unsupported` for what has no part in this dialect.
 */
export function writeContent(blocks: readonly Block[], path: string, own: boolean): string | JsonObject[] {
  const [first] = blocks;
  if (first === undefined) return '';
  if (blocks.length === 1 && first.type === 'text' && (first.extra === undefined || !own)) return first.text;
  return blocks.map((block) => writePart(block, path, own));
}

function writePart(block: Block, path: string, own: boolean): JsonObject {
  if (block.type === 'text') return { type: 'text', text: block.text, ...(own ? block.extra : undefined) };
  if (block.type === 'refusal') return { type: 'text', text: block.text };
  if (block.type === 'media') return writeMedia(block, path, own ? block.extra : undefined);
  if (block.type === 'opaque' && block.dialect === 'openai-chat') return block.value;
  throw cannotSay(path, block.type);
}

export function cannotSay(path: string, what: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `${path} holds a ${what} block, which OpenAI Chat has no way to say here. Remove it, or route the call elsewhere.`,
    { param: path },
  );
}

function writeMedia(block: MediaBlock, path: string, extra: JsonObject | undefined): JsonObject {
  const { media, source } = block;
  if (source.type === 'text') return { type: 'text', text: documentText(block.name, source.text) };
  if (media === 'image' && source.type !== 'file') {
    const { detail, format, ...beside } = extra ?? {};
    const image: JsonObject = { url: writeUrl(source) };
    if (detail !== undefined) image.detail = detail;
    if (format !== undefined) image.format = format;
    return { type: 'image_url', image_url: image, ...beside };
  }
  if (media === 'document') {
    if (source.type === 'file')
      return { type: 'file', file: { file_id: source.id, filename: block.name }, ...extra };
    // OpenAI wants a file name beside the data: https://platform.openai.com/docs/guides/pdf-files
    const file: JsonObject = { filename: block.name ?? 'document.pdf', file_data: writeUrl(source) };
    return { type: 'file', file, ...extra };
  }
  if (media === 'audio' && source.type === 'base64') {
    return {
      type: 'input_audio',
      input_audio: { data: source.data, format: audioFormat(source.mimeType) },
      ...extra,
    };
  }
  throw cannotSay(path, `${media} (${source.type})`);
}

export function writeUrl(
  source: { type: 'base64'; mimeType: string; data: string } | { type: 'url'; url: string },
): string {
  return source.type === 'url' ? source.url : `data:${source.mimeType};base64,${source.data}`;
}

function audioFormat(mimeType: string): string {
  const format = mimeType.slice(mimeType.indexOf('/') + 1).replace(/^x-/, '');
  return format === 'mpeg' ? 'mp3' : format;
}

/**
 * The text of a message, its blocks joined by a line break; for hosts that take strings only. What its own client
 * said beside the texts (`cache_control`) is named in `lost`; of other clients the generic walk has named it.
 */
export function plainText(blocks: readonly Block[], path: string, own: boolean, lost: string[]): string {
  const texts = blocks.map((block, i) => {
    if (own && block.type === 'text') {
      for (const name in block.extra) lost.push(`${path}.content[${i}].${name}`);
    }
    if (block.type === 'text' || block.type === 'refusal') return block.text;
    if (block.type === 'media' && block.source.type === 'text')
      return documentText(block.name, block.source.text);
    const what = block.type === 'media' ? block.media : `${block.type} block`;
    throw new GatewayError(
      'unsupported',
      `${path} holds a ${what}, but the model behind this route takes text only. ` +
        'Remove it, or route the call to a model that supports it.',
      { param: path },
    );
  });
  return texts.join('\n');
}

export function documentText(title: string | undefined, text: string): string {
  return title ? `${title}\n\n${text}` : text;
}
