/** Counts what a provider did not count: streams that were cut, answers without usage. */
import type { Block, ChatRequest, MediaBlock } from '../core/chat.ts';
import type { Outcome } from '../core/record.ts';
import { emptyUsage, type Usage } from '../core/usage.ts';
import { utf8 } from '../wire/bytes.ts';
import type { Attempt } from './attempt.ts';

/** Text beyond this adds nothing to an estimate but time. */
export const maxChars = 1024 * 1024;

/** An answer whose text can be counted. */
interface Passed {
  text(): string;
}

/** A request whose usage can be told where the provider does not. */
export interface Countable {
  /**
   * @param usage what the provider has counted of it.
   * @param passed how much of the answer has come; undefined: nothing.
   */
  complete(usage: Usage | undefined, passed: Passed | undefined, countTokens: CountTokens): Promise<Usage>;
}

type CountTokens = (text: string) => Promise<number>;

/**
 * Settles with the provider's own count where it is final, at once. Otherwise the count is completed from what
 * passed and marked estimated: then the promise is to be waited for.
 */
export function settleCounted(
  attempt: Attempt,
  outcome: Outcome,
  usage: Usage | undefined,
  final: boolean,
  passed: Passed | undefined,
  inbound: Countable,
): Promise<void> | undefined {
  if (usage === undefined || !final) return settleEstimated(attempt, outcome, usage, passed, inbound);
  attempt.settle(outcome, usage, false);
  return undefined;
}

async function settleEstimated(
  attempt: Attempt,
  outcome: Outcome,
  usage: Usage | undefined,
  passed: Passed | undefined,
  inbound: Countable,
): Promise<void> {
  const counted = await inbound.complete(usage, passed, attempt.call.gateway.countTokens);
  if (!usage?.input) counted.input += attempt.addedTokens;
  attempt.settle(outcome, counted, true);
}

/** Of a chat: by the text of the request, and of the answer as far as it came. */
export async function completeChat(
  usage: Usage | undefined,
  passed: Passed | undefined,
  request: () => ChatRequest,
  body: Uint8Array,
  countTokens: CountTokens,
): Promise<Usage> {
  const counted = usage === undefined ? emptyUsage() : { ...usage };
  if (counted.input === 0) counted.input = await countTokens(safely(() => requestText(request()), body));
  const said = passed === undefined ? '' : safely(() => passed.text()).slice(0, maxChars);
  counted.output = Math.max(counted.output, await countTokens(said));
  return counted;
}

/** What passes is not always understood: counting it must not fail for that. */
function safely(read: () => string, otherwise?: Uint8Array): string {
  try {
    return read();
  } catch {
    return otherwise === undefined ? '' : utf8(otherwise, 0, Math.min(otherwise.length, maxChars));
  }
}

/** All that the model reads as text, as far as `limit`. */
export function requestText(request: ChatRequest, limit = maxChars): string {
  let text = '';
  for (const message of request.messages) {
    if (text.length > limit) return text.slice(0, limit);
    text += blocksText(message.blocks, limit - text.length);
  }
  if (request.tools !== undefined) text += JSON.stringify(request.tools);
  return text.slice(0, limit);
}

function blocksText(blocks: readonly Block[], limit: number): string {
  let text = '';
  for (const block of blocks) {
    if (text.length > limit) return text;
    if (block.type === 'text' || block.type === 'reasoning') text += `${block.text}\n`;
    else if (block.type === 'tool-call') text += `${block.name} ${block.input}\n`;
    else if (block.type === 'tool-result') text += blocksText(block.blocks, limit - text.length);
    else if (block.type === 'media' && block.source.type === 'text') text += `${block.source.text}\n`;
  }
  return text;
}

// Before a request is sent

/** No window is larger. */
const maxWindowChars = 16 * 1024 * 1024;
/** What hosts put around a message: its role, its beginning and its end. */
const tokensPerMessage = 4;
/** What is not text, as an image of usual size, a document of a few pages, half a minute of audio or video would have. */
const flatTokens: Readonly<Record<MediaBlock['media'], number>> = {
  image: 1000,
  document: 5000,
  audio: 1000,
  video: 5000,
};

/** Tokens of a whole request: its words by the gateway's tokenizer, all else by a flat guess. */
export async function estimateRequest(request: ChatRequest, countTokens: CountTokens): Promise<number> {
  let tokens = request.messages.length * tokensPerMessage;
  for (const { blocks } of request.messages) tokens += flatOf(blocks);
  return tokens + (await countTokens(requestText(request, maxWindowChars)));
}

function flatOf(blocks: readonly Block[]): number {
  let tokens = 0;
  for (const block of blocks) {
    if (block.type === 'media' && block.source.type !== 'text') tokens += flatTokens[block.media];
    else if (block.type === 'tool-result') tokens += flatOf(block.blocks);
  }
  return tokens;
}
