/**
 * Items of an assistant's turn: what answers are made of, and what comes back of them in later requests.
 * https://platform.openai.com/docs/api-reference/responses/object#responses/object-output
 */
import type { Block, ReasoningBlock, ToolCallBlock } from '../../core/chat.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { others } from '../openai-chat/content.ts';
import { readArguments } from '../openai-chat/read-request.ts';
import { dialectName, readText } from './content.ts';

const members = {
  message: new Set(['type', 'role', 'content']),
  reasoning: new Set(['type', 'id', 'summary', 'content', 'encrypted_content']),
  function: new Set(['type', 'call_id', 'name', 'arguments']),
  custom: new Set(['type', 'call_id', 'name', 'input']),
};

/**
 * The blocks an item stands for. What only this dialect knows of the item (`id`, `status`, `phase`…) is in
 * `extra.item` of its first block; of a message, the blocks after that without an `extra.item` are further parts.
 * Nothing is refused: what is not understood is carried whole.
 */
export function readItem(item: JsonObject): Block[] {
  switch (item.type) {
    case 'message':
      return readMessage(item);
    case 'reasoning':
      return [readReasoning(item)];
    case 'function_call':
      return [readCall(item, readArguments(item.arguments) || '{}', members.function)];
    case 'custom_tool_call': {
      const call = readCall(item, String(item.input ?? ''), members.custom);
      return [{ ...call, custom: true }];
    }
    default:
      return [{ type: 'opaque', dialect: dialectName, value: item }];
  }
}

/** What only this dialect knows of an item that has just begun; undefined where there is nothing. */
export function beginItem({ status: _, ...item }: JsonObject): JsonObject | undefined {
  switch (item.type) {
    case 'message':
      return others(item, members.message);
    case 'reasoning':
      return others(item, members.reasoning);
    default:
      return others(item, item.type === 'custom_tool_call' ? members.custom : members.function);
  }
}

function readMessage(item: JsonObject): Block[] {
  const parts: Json[] =
    typeof item.content === 'string' ? [{ type: 'output_text', text: item.content }] : listOf(item.content);
  const blocks = parts.map(readPart);
  const [first] = blocks;
  const about = others(item, members.message);
  if (first === undefined) return [withItem({ type: 'text', text: '' }, about)];
  if (first.type !== 'opaque') withItem(first, about);
  return blocks;
}

/** A part of a kind nobody else knows becomes a message of its own. */
function readPart(part: Json): Block {
  if (isObject(part)) {
    if (part.type === 'output_text' && typeof part.text === 'string') return readText(part, part.text);
    if (part.type === 'refusal' && typeof part.refusal === 'string')
      return { type: 'refusal', text: part.refusal };
  }
  return {
    type: 'opaque',
    dialect: dialectName,
    value: { type: 'message', role: 'assistant', content: [part] },
  };
}

/**
 * Takes the log-probabilities out of a part of an answer, where they belong to the choice.
 * @param block is changed.
 */
export function takeLogprobs(block: Block): Json[] {
  if (block.type !== 'text' || block.extra === undefined) return [];
  const { logprobs, ...extra } = block.extra;
  if (!Array.isArray(logprobs)) return [];
  if (Object.keys(extra).length > 0) block.extra = extra;
  else delete block.extra;
  return logprobs;
}

function readCall(item: JsonObject, input: string, known: ReadonlySet<string>): ToolCallBlock {
  const id = [item.call_id, item.id].find((each) => typeof each === 'string' && each !== '');
  const block: ToolCallBlock = {
    type: 'tool-call',
    id: typeof id === 'string' ? id : randomId('call_'),
    name: typeof item.name === 'string' ? item.name : '',
    input,
  };
  return withItem(block, others(item, known));
}

/**
 * Its text is what the model thought in full, where the host shows that, and a summary otherwise; parts are joined by
 * a blank line. Parts that this text would not give back stand in `extra.item`.
 */
function readReasoning(item: JsonObject): ReasoningBlock {
  const summary = listOf(item.summary);
  const content = listOf(item.content);
  const block: ReasoningBlock = { type: 'reasoning', text: reasoningText(item), vendor: dialectName };
  if (typeof item.id === 'string') block.id = item.id;
  if (typeof item.encrypted_content === 'string' && item.encrypted_content !== '') {
    block.redacted = item.encrypted_content;
  }
  const about: JsonObject = { ...others(item, members.reasoning) };
  if (content.length > 0) about.content = content;
  const plain = content.length === 0 && Bun.deepEquals(summary, writeSummary(block.text));
  if (!plain && summary.length > 0) about.summary = summary;
  return withItem(block, Object.keys(about).length > 0 ? about : undefined);
}

/** @param kind which of the two a stream has shown; absent: whichever there is. */
export function reasoningText(item: JsonObject, kind?: 'content' | 'summary'): string {
  const content = kind === 'summary' ? [] : textsOf(item.content);
  if (content.length > 0 || kind === 'content') return content.join(partBreak);
  return textsOf(item.summary).join(partBreak);
}

/** Between parts of reasoning. */
export const partBreak = '\n\n';

function textsOf(parts: Json | undefined): string[] {
  return listOf(parts).flatMap((part) =>
    isObject(part) && typeof part.text === 'string' && part.text !== '' ? [part.text] : [],
  );
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

function withItem<B extends Exclude<Block, { type: 'opaque' }>>(block: B, about: JsonObject | undefined): B {
  if (about !== undefined) block.extra = { ...block.extra, item: about };
  return block;
}

// Writing

export function writeSummary(text: string): JsonObject[] {
  return text === '' ? [] : [{ type: 'summary_text', text }];
}

/** @param about what only this dialect knows of it; its own parts win over the block's text. */
export function writeReasoning(block: ReasoningBlock, about: JsonObject | undefined): JsonObject {
  const item: JsonObject = { type: 'reasoning' };
  if (block.id !== undefined) item.id = block.id;
  item.summary = about?.content === undefined ? writeSummary(block.text) : [];
  if (block.redacted !== undefined) item.encrypted_content = block.redacted;
  return Object.assign(item, about);
}

/** @param about what only this dialect knows of it. */
export function writeCall(block: ToolCallBlock, about: JsonObject | undefined): JsonObject {
  const { id, name, input } = block;
  return block.custom
    ? { ...about, type: 'custom_tool_call', call_id: id, name, input }
    : { ...about, type: 'function_call', call_id: id, name, arguments: input === '' ? '{}' : input };
}
