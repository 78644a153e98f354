/** Whole answers: https://platform.openai.com/docs/api-reference/completions/object */
import type { Block, ChatResponse, Choice, StopReason } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { AnswerWish } from '../dialect.ts';
import { readResponse as readChatResponse, writeFinish } from '../openai-chat/answer.ts';
import { writeUsage } from '../openai-chat/usage.ts';
import type { Quirks } from '../quirks.ts';
import { characters, readLogprobs, writeLogprobs } from './logprobs.ts';
import { dialectName } from './write-request.ts';

/** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds. */
export function readResponse(body: JsonObject, quirks: Quirks): ChatResponse {
  const { choices } = body;
  if ((body.error ?? undefined) === undefined && !(Array.isArray(choices) && choices.length > 0)) {
    throw new GatewayError(
      'upstream_invalid',
      'The provider answered with something that is not a completion.',
    );
  }
  const chat = Array.isArray(choices)
    ? { ...body, choices: choices.map((choice) => asChatChoice(choice, 'message')) }
    : body;
  return { ...readChatResponse(chat, quirks), dialect: dialectName };
}

/** A choice as Chat Completions would have it: everything about it but where its words stand is the same. */
export function asChatChoice(choice: Json, holder: 'message' | 'delta'): Json {
  if (!isObject(choice)) return choice;
  // OpenRouter tells what a model thought beside the text.
  const { text, reasoning, logprobs, ...rest } = choice;
  return {
    ...rest,
    logprobs: readLogprobs(logprobs),
    [holder]: { content: typeof text === 'string' ? text : null, reasoning },
  };
}

/** Writes an answer read from any dialect. There is no word for tool calls: nobody who asks in this dialect has tools. */
export function writeResponse(response: ChatResponse, wish?: AnswerWish): JsonObject {
  const own = response.dialect === dialectName;
  const body: JsonObject = {
    id: writeId(response.id, own),
    object: 'text_completion',
    created: response.created ?? Math.floor(Date.now() / 1000),
    model: response.model,
    choices: response.choices.map((choice) => writeChoice(choice, own, wish)),
  };
  if (response.usage !== undefined) body.usage = writeUsage(response.usage);
  return own ? Object.assign(body, response.extra) : body;
}

/** Ids of other dialects keep their own part, so that an answer can be found at its provider. */
export function writeId(id: string, own: boolean): string {
  if (id === '') return randomId('cmpl-');
  return own || id.startsWith('cmpl-') ? id : `cmpl-${id.replace(/^chatcmpl-/, '')}`;
}

/** @param refused some of its words are a refusal's: the finish is all that tells, where they stand among the others. */
export function writeStop(stop: StopReason, refused: boolean): string {
  if (refused && stop === 'stop') return 'content_filter';
  // A tool call that nobody asked for ends an answer like anything else.
  return stop === 'tool_calls' ? 'stop' : writeFinish(stop, false);
}

function writeChoice(choice: Choice, own: boolean, wish: AnswerWish | undefined): JsonObject {
  const start = choice.logprobs === undefined ? 0 : promptLength(wish);
  const written: JsonObject = {
    text: textOf(choice.blocks, isSaid),
    index: choice.index,
    logprobs: writeLogprobs(choice.logprobs, start).logprobs,
    finish_reason: writeStop(choice.stop, choice.blocks.some(isRefusal)),
  };
  const thought = textOf(choice.blocks, isThought);
  if (thought !== '') written.reasoning = thought;
  return own ? Object.assign(written, choice.extra) : written;
}

/** Words for the user: a refusal's are such words too. */
export function isSaid(block: Block): boolean {
  return block.type === 'text' || block.type === 'refusal';
}

export function isRefusal(block: Block): boolean {
  return block.type === 'refusal';
}

export function isThought(block: Block): boolean {
  return block.type === 'reasoning';
}

function textOf(blocks: readonly Block[], counts: (block: Block) => boolean): string {
  let text = '';
  for (const block of blocks) if (counts(block) && 'text' in block) text += block.text;
  return text;
}

/** Where an answer begins, counted from the start of the prompt: offsets of tokens are counted from there. */
export function promptLength(wish: AnswerWish | undefined): number {
  let length = 0;
  for (const block of wish?.request?.().messages[0]?.blocks ?? []) {
    if (block.type === 'text') length += characters(block.text);
  }
  return length;
}
