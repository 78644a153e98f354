/** Parts of a request's contents, one block for each. https://ai.google.dev/api/caching#Part */

import { type Carried, uncarry } from '../../core/carry.ts';
import type { Block, MediaBlock, ReasoningBlock, ToolResultBlock, VendorState } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { parseInput } from '../tool-input.ts';
import type { CallLog } from './calls.ts';
import { readMedia } from './media.ts';

/** Refuses what is at `path`; `expected` completes the sentence "`path` …". */
export type Fail = (path: string, expected: string) => never;

export const dialectName = 'gemini';

/** Members of each kind of part that the hub has words for. */
export const partMembers = {
  text: new Set(['text', 'thought', 'thoughtSignature']),
  media: new Set(['inlineData', 'fileData', 'thought']),
  call: new Set(['functionCall', 'thought', 'thoughtSignature']),
  result: new Set(['functionResponse', 'thought']),
  functionCall: new Set(['id', 'name', 'args']),
  functionResponse: new Set(['id', 'name', 'response', 'parts']),
};

/**
 * The block of a part. Before it comes the reasoning of another vendor, where the part's signature carries that.
 * Parts without a word in the hub (code that was executed, tools that the provider runs) are kept whole.
 */
export function readPart(value: Json, path: string, calls: CallLog, fail: Fail): Block[] {
  if (!isObject(value))
    return fail(path, 'must be an object with one of `text`, `inlineData`, `functionCall`…');
  const carried = typeof value.thoughtSignature === 'string' ? uncarry(value.thoughtSignature) : undefined;
  const block = readBlock(value, stateOf(value, carried), path, calls, fail);
  if (carried?.type !== 'reasoning') return [block];
  const { type: _, ...state } = carried;
  if (block.type === 'reasoning') return [{ ...block, ...state }];
  return [{ type: 'reasoning', text: '', ...state }, block];
}

/** The state that belongs to the part itself, whoever's it is. */
function stateOf(value: JsonObject, carried: Carried | undefined): VendorState | undefined {
  const { thoughtSignature } = value;
  if (carried?.type === 'state') return { vendor: carried.vendor, value: carried.value };
  if (carried !== undefined || typeof thoughtSignature !== 'string' || thoughtSignature === '')
    return undefined;
  return { vendor: dialectName, value: thoughtSignature };
}

function readBlock(
  value: JsonObject,
  state: VendorState | undefined,
  path: string,
  calls: CallLog,
  fail: Fail,
): Block {
  if (isObject(value.functionCall)) {
    const { id, name, args } = value.functionCall;
    if (typeof name !== 'string' || name === '')
      return fail(`${path}.functionCall.name`, 'must name a function');
    const inside = rest(value.functionCall, partMembers.functionCall);
    return withState(
      { type: 'tool-call', id: calls.enter(name, textOf(id)), name, input: readArguments(args, path, fail) },
      state,
      gather(rest(value, partMembers.call), 'functionCall', inside),
    );
  }
  if (isObject(value.functionResponse)) return readResult(value, value.functionResponse, path, calls, fail);
  const media = readMediaPart(value);
  if (media !== undefined) return media;
  if (isText(value)) {
    const text = textOf(value.text);
    const extra = rest(value, partMembers.text);
    if (value.thought !== true) return withState({ type: 'text', text }, state, extra);
    const thought = readThought(text, state);
    return extra === undefined ? thought : { ...thought, extra };
  }
  if (value.text !== undefined) return fail(`${path}.text`, 'must be a string');
  if (isEmpty(value)) return fail(path, 'must have one of `text`, `inlineData`, `functionCall`…');
  return { type: 'opaque', dialect: dialectName, value };
}

/** Nothing in it says what the part is. */
export function isEmpty(part: JsonObject): boolean {
  return Object.keys(part).every((name) => partMembers.text.has(name));
}

/** Members beside the file stand apart from those about it. */
export function readMediaPart(part: JsonObject): MediaBlock | undefined {
  const media = readMedia(part);
  const beside = rest(part, partMembers.media);
  return media === undefined || beside === undefined
    ? media
    : { ...media, extra: { ...media.extra, part: beside } };
}

/** A signature may stand alone; then its text is empty. */
export function isText(part: JsonObject): boolean {
  if (typeof part.text === 'string') return true;
  return part.text === undefined && isEmpty(part) && textOf(part.thoughtSignature) !== '';
}

/** Thoughts without a signature belong to no vendor. */
function readThought(text: string, state: VendorState | undefined): ReasoningBlock {
  if (state === undefined) return { type: 'reasoning', text };
  return { type: 'reasoning', text, signature: state.value, vendor: state.vendor };
}

function readArguments(args: Json | undefined, path: string, fail: Fail): string {
  if (args === undefined) return '{}';
  return isObject(args) ? JSON.stringify(args) : fail(`${path}.functionCall.args`, 'must be an object');
}

function readResult(
  part: JsonObject,
  value: JsonObject,
  path: string,
  calls: CallLog,
  fail: Fail,
): ToolResultBlock {
  const { response, parts } = value;
  if (response !== undefined && !isObject(response)) {
    return fail(`${path}.functionResponse.response`, 'must be an object, such as {"output":"…"}');
  }
  const name = textOf(value.name);
  const call = calls.answer(name, textOf(value.id));
  const block: ToolResultBlock = {
    type: 'tool-result',
    callId: call.id,
    name: name || call.name,
    blocks: [],
  };
  readPayload(response, block);
  for (const each of Array.isArray(parts) ? parts : []) {
    const media = isObject(each) ? readMedia(each) : undefined;
    if (media !== undefined) block.blocks.push(media);
    else if (isObject(each)) block.blocks.push({ type: 'opaque', dialect: dialectName, value: each });
  }
  const inside = rest(value, partMembers.functionResponse);
  const extra = gather(rest(part, partMembers.result), 'functionResponse', inside);
  return extra === undefined ? block : { ...block, extra };
}

/**
 * `output` and `error` are the words for what a function gave or why it failed; anything else is said as the JSON it
 * is. Text that is itself a JSON object stays in its wrapping: a writer would take it for the response.
 * https://ai.google.dev/api/caching#FunctionResponse
 */
function readPayload(response: JsonObject | undefined, block: ToolResultBlock): void {
  if (response === undefined) return;
  const names = Object.keys(response);
  const [name = ''] = names.length === 1 ? names : [];
  const only = response[name];
  if (name === 'error') block.isError = true;
  const plain = (name === 'error' || name === 'output') && typeof only === 'string' && !isObjectText(only);
  block.blocks.push({ type: 'text', text: plain ? only : JSON.stringify(response) });
}

function isObjectText(text: string): boolean {
  return text.trim() !== '' && parseInput(text) !== undefined;
}

/** Members beside and inside the one that makes the part what it is. */
function gather(
  beside: JsonObject | undefined,
  name: string,
  inside: JsonObject | undefined,
): JsonObject | undefined {
  return inside === undefined ? beside : { ...beside, [name]: inside };
}

function withState<B extends Extract<Block, { type: 'text' | 'tool-call' }>>(
  block: B,
  state: VendorState | undefined,
  extra: JsonObject | undefined,
): B {
  if (state !== undefined) block.state = state;
  if (extra !== undefined) block.extra = extra;
  return block;
}

export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
