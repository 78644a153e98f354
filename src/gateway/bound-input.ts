/** The most tokens that a chat's prompt may have: what limits hold for it, corrected by what was learned. */
import type { Block, ChatRequest, MediaBlock } from '../core/chat.ts';
import { findBytes } from '../wire/bytes.ts';
import { boundText } from './bound-text.ts';
import { requestText } from './estimate.ts';

/** What hosts put around a message, and their own names of roles. */
const tokensPerMessage = 8;

/**
 * Images are scaled down and cut into tiles, of which there are so many at most: 1,600 to 4,800 tokens by what their hosts
 * say, whatever their bytes. Of all else it is not known how long it is before it is read, save by its bytes.
 */
const imageTokens = 5000;
/** A page of a document is text and image at once: 3,000 tokens, of 12 KB and more. */
const documentBytesPerToken = 4;
/** A second of sound has 10 to 32 tokens, one of video 300: at the lowest rates that either is sent in. */
const soundBytesPerToken = 64;
/** Named by an address or an id, or very short: a document of a few pages, half a minute of sound or video. */
const leastTokens: Readonly<Record<MediaBlock['media'], number>> = {
  image: imageTokens,
  document: 5000,
  audio: 1000,
  video: 5000,
};

/** In whatever dialect, a request with media has one of these in it; one that has may have none all the same. */
const marks = ['"image', '"document', '"file', '"inline', '"input_image', '"input_audio', '"video'].map(
  (mark) => Buffer.from(mark),
);

/** Nothing but its text counts: then it has no more tokens than bytes. */
export function isOnlyText(body: Uint8Array): boolean {
  return !marks.some((mark) => findBytes(body, mark) >= 0);
}

/** What words that nobody has counted probably have: prose and code have a quarter fewer tokens. */
export function roughInput(bytes: number): number {
  return Math.ceil(bytes / 3);
}

/** Prompts are known to have no more than what is in their requests: providers may add to them, or keep part of them. */
export function isKnown(ratio: number | undefined): boolean {
  return ratio !== undefined && ratio <= 1;
}

/** @param chat reads the request: only where there may be more to it than the text of its body. */
export function boundInput(body: Uint8Array, isText: boolean, chat: () => ChatRequest): number {
  if (isText) return boundText(body);
  let request: ChatRequest;
  try {
    request = chat();
  } catch {
    // It may be understood elsewhere: then all of it is text, as far as anybody here can tell.
    return boundText(body);
  }
  const { messages, format } = request;
  const text = requestText(request, body.length + maxHistoryChars);
  let tokens = boundText(utf8.encode(format === undefined ? text : text + JSON.stringify(format)));
  for (const { blocks } of messages) tokens += tokensPerMessage + mediaTokens(blocks);
  return tokens;
}

/** What was said before, and is kept at the gateway, is no longer. */
const maxHistoryChars = 16 * 1024 * 1024;

const utf8 = new TextEncoder();

function mediaTokens(blocks: readonly Block[]): number {
  let tokens = 0;
  for (const block of blocks) {
    if (block.type === 'tool-result') tokens += mediaTokens(block.blocks);
    else if (block.type === 'media' && block.source.type !== 'text') tokens += tokensOf(block);
  }
  return tokens;
}

function tokensOf({ media, source }: MediaBlock): number {
  const least = leastTokens[media];
  if (media === 'image' || source.type !== 'base64') return least;
  const bytes = source.data.length * 0.75;
  return Math.max(
    least,
    Math.ceil(bytes / (media === 'document' ? documentBytesPerToken : soundBytesPerToken)),
  );
}

/** Of shorter prompts it is what hosts add of their own that is learned: it does not grow with the prompt. */
const leastLearned = 256;

/** How a prompt compares with what was held for it. */
export function inputRatio(input: number, bound: number): number {
  return bound < leastLearned ? 1 + Math.max(0, input - bound) / leastLearned : input / bound;
}

/** Prompts that are one like the other may still be followed by another one. */
const leastRatio = 0.6;
const mostRatio = 16;

/** @param ratio what nineteen of twenty prompts keep below; undefined: none is known. */
export function correctBound(bound: number, ratio: number | undefined): number {
  if (ratio === undefined) return bound;
  if (ratio > 1) return Math.ceil(bound + (Math.min(ratio, mostRatio) - 1) * Math.max(bound, leastLearned));
  return bound < leastLearned ? bound : Math.ceil(bound * Math.max(ratio, leastRatio));
}
