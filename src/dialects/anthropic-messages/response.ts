/** Whole answers of Anthropic Messages, read into the hub and written from it. */
import { carry, carryReasoning } from '../../core/carry.ts';
import type { Block, ChatResponse, Choice, MediaBlock, ReasoningBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { isJsonTool } from '../offered-tools.ts';
import type { Quirks } from '../quirks.ts';
import { parseInput } from '../tool-input.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { dialectName, directCaller, readBlock, writeMedia, writeText } from './block.ts';
import { readStop, writeStop } from './stop.ts';
import { addPasses, dropNulls, readUsage, readUsageExtra, writeUsage } from './usage.ts';

const known = new Set(['id', 'type', 'role', 'model', 'content', 'stop_reason', 'stop_sequence', 'usage']);

/** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds (200 with an error body). */
export function readResponse(body: JsonObject, quirks: Quirks): ChatResponse {
  if (body.type === 'error' || isObject(body.error)) throw classifyErrorPayload(body);
  if (!Array.isArray(body.content)) fail('content', 'is not a list of blocks');
  const blocks = body.content.map((value, i) => readAnswerBlock(value, `content[${i}]`, quirks));
  const extra = readAnswerExtra(dropNulls(rest(body, known)), readUsageExtra(body.usage));
  const refusal = readRefusal(extra);
  if (refusal !== undefined) blocks.push(refusal);
  const choice: Choice = { index: 0, blocks, stop: readAnswerStop(body.stop_reason, blocks, quirks) };
  if (typeof body.stop_sequence === 'string') choice.stopSequence = body.stop_sequence;
  if (extra !== undefined) choice.extra = extra;
  const usage = addPasses(readUsage(body.usage), body.usage);
  return {
    dialect: dialectName,
    id: textOf(body.id),
    model: textOf(body.model),
    choices: [choice],
    ...(usage !== undefined && { usage }),
  };
}

function fail(path: string, what: string): never {
  throw new GatewayError('upstream_invalid', `The provider's answer is not understood: its ${path} ${what}.`);
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function readAnswerBlock(value: Json, path: string, quirks: Quirks): Block {
  const block = readBlock(value, path, fail);
  if (block.type === 'tool-call' && isJsonTool(block, quirks)) return { type: 'text', text: block.input };
  // Streams do not tell beforehand whether a signature will come: the vendor is named either way.
  if (block.type === 'reasoning') block.vendor = dialectName;
  return block;
}

function readAnswerStop(value: Json | undefined, blocks: Block[], quirks: Quirks): Choice['stop'] {
  const stop = readStop(value);
  // The call that was turned into text is nothing the client has to carry out.
  const called = !quirks.schemaByTool || blocks.some(({ type }) => type === 'tool-call');
  return stop === 'tool_calls' && !called ? 'stop' : stop;
}

/** What only this dialect knows about an answer, `usage` being what its usage says beside counts. */
export function readAnswerExtra(
  extra: JsonObject | undefined,
  usage: JsonObject | undefined,
): JsonObject | undefined {
  return usage === undefined ? extra : { ...extra, usage };
}

/** The model's words on why it refused stand beside the content; in the hub they are a block of their own. */
export function readRefusal(extra: JsonObject | undefined): Block | undefined {
  const details = extra?.stop_details;
  if (!isObject(details) || typeof details.explanation !== 'string' || details.explanation === '') {
    return undefined;
  }
  return { type: 'refusal', text: details.explanation, extra: { stop_details: details } };
}

// Writing

export function writeResponse(response: ChatResponse): JsonObject {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0];
  const blocks = choice?.blocks ?? [];
  const content: JsonObject[] = [];
  for (const block of blocks) {
    const written = writeAnswerBlock(block, response.dialect === dialectName);
    if (written !== undefined) content.push(written);
    const state = writeState(block);
    if (state !== undefined) content.push(state);
  }
  const refused = blocks.some(({ type }) => type === 'refusal');
  const called = content.some(({ type }) => type === 'tool_use');
  const { usage: usageExtra, ...extra } =
    response.dialect === dialectName ? (choice?.extra ?? {}) : ({} as JsonObject);
  return {
    id: messageId(response.id),
    type: 'message',
    role: 'assistant',
    model: response.model,
    content,
    stop_reason: writeStop(choice?.stop ?? 'stop', called, refused),
    stop_sequence: choice?.stopSequence ?? null,
    ...extra,
    usage: writeUsage(response.usage, usageExtra),
  };
}

function writeAnswerBlock(block: Block, own: boolean): JsonObject | undefined {
  if (block.type === 'opaque') return block.dialect === dialectName ? block.value : undefined;
  const value = answerBlock(block);
  return own && value !== undefined && block.extra !== undefined ? { ...value, ...block.extra } : value;
}

function answerBlock(block: Exclude<Block, { type: 'opaque' }>): JsonObject | undefined {
  switch (block.type) {
    case 'text':
      return block.text === '' ? undefined : writeText(block);
    case 'refusal':
      return hasOwnDetails(block) || block.text === '' ? undefined : { type: 'text', text: block.text };
    case 'reasoning':
      return writeReasoning(block);
    case 'tool-call':
      return {
        type: 'tool_use',
        id: block.id,
        caller: directCaller,
        name: block.name,
        input: block.custom ? { input: block.input } : answerInput(block.input),
      };
    case 'media':
      return writeFile(block);
    case 'tool-result':
      return undefined;
  }
}

/** A picture or document that the model made; undefined for media without a word here. */
export function writeFile(block: MediaBlock): JsonObject | undefined {
  return block.media === 'document' || block.media === 'image' ? writeMedia(block) : undefined;
}

/** Arguments that a token limit cut short stay the text they are, so that nobody takes them for whole. */
function answerInput(input: string): Json {
  return parseInput(input) ?? input;
}

/** A refusal that came as `stop_details` goes back there, not into the content. */
export function hasOwnDetails(block: Extract<Block, { type: 'refusal' }>): boolean {
  return block.extra !== undefined && isObject(block.extra.stop_details);
}

/** Reasoning of other vendors is shown, and their state carried where clients hand it back. */
export function writeReasoning(block: ReasoningBlock): JsonObject | undefined {
  const own = block.vendor === dialectName;
  if (own && block.redacted !== undefined) return { type: 'redacted_thinking', data: block.redacted };
  const signature = own ? block.signature : carryReasoning(block);
  if (own || block.text !== '') {
    return { type: 'thinking', thinking: block.text, signature: signature ?? '' };
  }
  return signature === undefined ? undefined : { type: 'redacted_thinking', data: signature };
}

/** Another vendor's state of a text or a tool call, carried in a block after it. */
export function writeState(block: Block): JsonObject | undefined {
  if ((block.type !== 'text' && block.type !== 'tool-call') || block.state === undefined) return undefined;
  const call = block.type === 'tool-call' ? { call: block.id } : {};
  return { type: 'redacted_thinking', data: carry({ type: 'state', ...call, ...block.state }) };
}

/** Clients expect ids that begin with `msg_`. */
export function messageId(id: string): string {
  if (id === '') return randomId('msg_');
  return id.startsWith('msg_') ? id : `msg_${id.replace(/[^a-zA-Z0-9_-]/g, '_')}`;
}
