/** Content parts of Cohere: text, thinking and images, between the wire and the hub. Documents are carried whole. */
import type { Block, MediaBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, documentText, others, readUrl, writeUrl } from '../openai-chat/content.ts';

export const dialectName = 'cohere-v2';

const textMembers = new Set(['type', 'text']);
const thinkingMembers = new Set(['type', 'thinking']);
const imageMembers = new Set(['type', 'image_url']);
const urlMembers = new Set(['url']);

/** A string or a list of parts. @throws GatewayError `bad_request` when it is neither. */
export function readContent(content: Json | undefined, path: string): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) {
    throw badRequest(path, `${path} must be a string or a list of parts like {"type": "text", "text": "…"}.`);
  }
  return content.map((part, i) => {
    const block = readPart(part);
    if (block !== undefined) return block;
    throw badRequest(`${path}[${i}]`, `${path}[${i}] must be a part such as {"type": "text", "text": "…"}.`);
  });
}

/** A part of a request or of an answer; undefined when it is none. */
export function readPart(part: Json): Block | undefined {
  if (!isObject(part) || typeof part.type !== 'string') return undefined;
  switch (part.type) {
    case 'text':
      if (typeof part.text !== 'string') return undefined;
      return withExtra({ type: 'text', text: part.text }, others(part, textMembers));
    case 'thinking':
      if (typeof part.thinking !== 'string') return undefined;
      return withExtra({ type: 'reasoning', text: part.thinking }, others(part, thinkingMembers));
    case 'image_url':
      return readImage(part);
    default:
      return { type: 'opaque', dialect: dialectName, value: part };
  }
}

function readImage(part: JsonObject): Block | undefined {
  const image = isObject(part.image_url) ? part.image_url : { url: part.image_url };
  if (typeof image.url !== 'string' || image.url === '') return undefined;
  const block: MediaBlock = { type: 'media', media: 'image', source: readUrl(image.url) };
  const about = others(image, urlMembers);
  const beside = others(part, imageMembers);
  return withExtra(block, about || beside ? { ...beside, ...(about && { image_url: about }) } : undefined);
}

function withExtra<B extends Exclude<Block, { type: 'opaque' }>>(block: B, extra: JsonObject | undefined): B {
  if (extra !== undefined) block.extra = extra;
  return block;
}

/** What the model means to do with its tools, said before it calls them. It stands beside the content. */
export function planBlock(text: string): Block {
  return { type: 'reasoning', text, extra: { tool_plan: true } };
}

export function isPlan(block: Block): boolean {
  return block.type === 'reasoning' && block.extra?.tool_plan === true;
}

/**
 * Blocks as content: a string for exactly one plain text, else parts.
 * @param own the request is Cohere's own: `extra` members are written again.
 * @throws GatewayError `unsupported` for what has no part here.
 */
export function writeContent(blocks: readonly Block[], path: string, own: boolean): string | JsonObject[] {
  const [first] = blocks;
  if (first === undefined) return '';
  if (blocks.length === 1 && first.type === 'text' && (first.extra === undefined || !own)) return first.text;
  return blocks.map((block) => writePart(block, path, own));
}

function writePart(block: Block, path: string, own: boolean): JsonObject {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text, ...(own && block.extra) };
    case 'refusal':
      return { type: 'text', text: block.text };
    case 'reasoning':
      return { type: 'thinking', thinking: block.text, ...(own && block.extra) };
    case 'media':
      return writeMedia(block, path, own ? block.extra : undefined);
    case 'opaque':
      if (block.dialect === dialectName) return block.value;
  }
  throw cannotSay(path, `a ${block.type} block`);
}

function writeMedia(
  { media, source, name }: MediaBlock,
  path: string,
  extra: JsonObject | undefined,
): JsonObject {
  if (source.type === 'text') return { type: 'text', text: documentText(name, source.text) };
  if (media !== 'image' || source.type === 'file') throw cannotSay(path, `${media} (${source.type})`);
  const { image_url: about, ...beside } = extra ?? {};
  return {
    type: 'image_url',
    image_url: { url: writeUrl(source), ...(isObject(about) && about) },
    ...beside,
  };
}

/** `param` is `path`: what stands there is `what`. */
export function cannotSay(path: string, what: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `${path} holds ${what}, which the model behind this route cannot be told. Remove it, or route the call elsewhere.`,
    { param: path },
  );
}
