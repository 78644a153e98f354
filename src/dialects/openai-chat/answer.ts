/** Whole answers of Chat Completions: https://platform.openai.com/docs/api-reference/chat/object */

import type {
  Block,
  ChatResponse,
  Choice,
  Citation,
  MediaBlock,
  StopReason,
  TextBlock,
  ToolCallBlock,
} from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject, wordIn } from '../../core/json.ts';
import { withTier } from '../../core/usage.ts';
import type { Quirks } from '../quirks.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { others, readUrl, writeUrl } from './content.ts';
import { readToolCall } from './read-request.ts';
import { stateMember } from './state.ts';
import { readUsage, writeUsage } from './usage.ts';
import { writeToolCall } from './write-messages.ts';

// Why it ended

const finishes: Readonly<Record<string, StopReason>> = {
  stop: 'stop',
  length: 'length',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
  // Mistral: the window is full.
  model_length: 'context_length',
};

/** Words for "the provider failed half-way"; DeepSeek's second one means that it ran out of machines. */
const failures: ReadonlySet<unknown> = new Set(['error', 'insufficient_system_resource']);

const finishWords: Readonly<Record<StopReason, string>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  context_length: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
  refusal: 'content_filter',
  // There is no word for "send it again to go on".
  pause: 'stop',
};

/**
 * A finish reason (`eos`, `end_turn`, '' and the like count as stop), made to agree with the answer: OpenAI says
 * `stop` for a forced tool, others `tool_calls` without any.
 */
export function readFinish(reason: Json | undefined, called: boolean): StopReason {
  const stop = wordIn(finishes, reason) ?? 'stop';
  if (stop === 'stop' && called) return 'tool_calls';
  return stop === 'tool_calls' && !called ? 'stop' : stop;
}

/** @param legacy the answer calls a function in the form before tools. */
export function writeFinish(stop: StopReason, legacy: boolean): string {
  return legacy && stop === 'tool_calls' ? 'function_call' : finishWords[stop];
}

/** The failure a choice reports in its own place, if it does. OpenRouter: `choices[].error`. */
export function choiceFailure(choice: JsonObject): GatewayError | undefined {
  if (choice.error !== undefined && choice.error !== null) return classifyErrorPayload(choice);
  if (!failures.has(choice.finish_reason)) return undefined;
  return new GatewayError(
    'upstream_unavailable',
    'The provider broke off its answer with an error and did not say why.',
  );
}

// Reading

const answerMembers = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'error']);
const choiceMembers = new Set(['index', 'message', 'finish_reason', 'logprobs']);
const messageMembers = new Set([
  'role', 'content', 'refusal', 'tool_calls', 'reasoning_content', 'reasoning', 'annotations', 'audio',
  'function_call', 'images',
]); // biome-ignore format: one list

/** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds. */
export function readResponse(body: JsonObject, quirks: Quirks): ChatResponse {
  if (body.error !== undefined && body.error !== null) throw classifyErrorPayload(body);
  if (!Array.isArray(body.choices) || body.choices.length === 0) {
    throw new GatewayError(
      'upstream_invalid',
      'The provider answered with something that is not a chat completion.',
    );
  }
  const response: ChatResponse = {
    dialect: 'openai-chat',
    id: typeof body.id === 'string' ? body.id : '',
    model: typeof body.model === 'string' ? body.model : '',
    choices: body.choices.map(readChoice),
  };
  if (typeof body.created === 'number') response.created = body.created;
  const usage = withTier(readUsage(body.usage, quirks), body.service_tier);
  if (usage !== undefined) response.usage = usage;
  const extra = others(body, answerMembers);
  if (extra !== undefined) response.extra = extra;
  return response;
}

function readChoice(value: Json, position: number): Choice {
  const choice = isObject(value) ? value : {};
  const failure = choiceFailure(choice);
  if (failure !== undefined) throw failure;
  const message = isObject(choice.message) ? choice.message : {};
  const blocks = readMessage(message);
  const called = blocks.some(({ type }) => type === 'tool-call');
  const read: Choice = {
    index: typeof choice.index === 'number' ? choice.index : position,
    blocks,
    stop: readFinish(choice.finish_reason, called),
  };
  // vLLM tells which sequence was hit.
  if (read.stop === 'stop' && typeof choice.stop_reason === 'string') {
    read.stop = 'stop_sequence';
    read.stopSequence = choice.stop_reason;
  }
  if (choice.logprobs !== undefined && choice.logprobs !== null) read.logprobs = choice.logprobs;
  const beside = others(choice, choiceMembers);
  const inside = others(message, messageMembers);
  if (inside !== undefined) read.extra = { ...beside, message: inside };
  else if (beside !== undefined) read.extra = beside;
  return read;
}

/** What tells the form before tools, `function_call`: one call without an id, for those only who asked in that form. */
export const legacyCall = { id: 'function_call', function_call: true } as const;

export function isLegacyCall({ extra }: ToolCallBlock): boolean {
  return extra?.function_call === true;
}

/** Members of messages and deltas that no other dialect has, carried whole. */
export const opaqueMembers: readonly string[] = ['audio', 'images'];

/** What the model made beside words: pictures, as far as they are nothing but that; all else whole. */
export function readMade(name: string, value: Json): Block[] {
  const images = name === 'images' && Array.isArray(value) ? value.map(readImage) : [];
  const known = images.filter((image) => image !== undefined);
  return known.length > 0 && known.length === images.length
    ? known
    : [{ type: 'opaque', dialect: 'openai-chat', value: { [name]: value } }];
}

const imageMembers = new Set(['type', 'image_url', 'index']);

function readImage(value: Json): MediaBlock | undefined {
  if (!isObject(value) || others(value, imageMembers) !== undefined || !isObject(value.image_url))
    return undefined;
  const { url } = value.image_url;
  if (typeof url !== 'string' || Object.keys(value.image_url).length > 1) return undefined;
  const image: MediaBlock = { type: 'media', media: 'image', source: readUrl(url) };
  return typeof value.index === 'number' ? { ...image, extra: { index: value.index } } : image;
}

function readMessage(message: JsonObject): Block[] {
  const blocks: Block[] = [];
  const { text, thought } = splitContent(message.content);
  const thinking = thought || readThought(message);
  if (thinking !== '') blocks.push({ type: 'reasoning', text: thinking });
  const citations = Array.isArray(message.annotations) ? message.annotations.flatMap(readAnnotation) : [];
  if (text !== '' || citations.length > 0) {
    const block: TextBlock = { type: 'text', text };
    if (citations.length > 0) block.citations = citations;
    blocks.push(block);
  }
  if (typeof message.refusal === 'string' && message.refusal !== '') {
    blocks.push({ type: 'refusal', text: message.refusal });
  }
  for (const name of opaqueMembers) {
    const value = message[name];
    if (value !== undefined && value !== null) blocks.push(...readMade(name, value));
  }
  const legacy = isObject(message.function_call) ? [{ ...legacyCall, function: message.function_call }] : [];
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : legacy) {
    const block = readToolCall(call);
    if (block === undefined) continue;
    // Gemini's compatible API leaves ids empty; results could not be told apart.
    if (block.id === '') block.id = randomId('call_');
    blocks.push(block);
  }
  return blocks;
}

/**
 * Content as text and reasoning: Mistral writes a list with `{type:"thinking",thinking:[{type:"text",…}]}` in it.
 * https://docs.mistral.ai/capabilities/reasoning
 */
export function splitContent(content: Json | undefined): { text: string; thought: string } {
  if (typeof content === 'string') return { text: content, thought: '' };
  let text = '';
  let thought = '';
  for (const part of Array.isArray(content) ? content : []) {
    if (typeof part === 'string') text += part;
    else if (!isObject(part)) continue;
    else if (part.type === 'thinking') thought += splitContent(part.thinking).text;
    else if (typeof part.text === 'string') text += part.text;
  }
  return { text, thought };
}

/** The reasoning of a message or delta, once, whichever of its three names it goes by. */
export function readThought(message: JsonObject): string {
  const { reasoning_content, reasoning, reasoning_details } = message;
  if (typeof reasoning_content === 'string' && reasoning_content !== '') return reasoning_content;
  if (typeof reasoning === 'string' && reasoning !== '') return reasoning;
  let thought = '';
  for (const detail of Array.isArray(reasoning_details) ? reasoning_details : []) {
    if (isObject(detail))
      thought += typeof detail.text === 'string' ? detail.text : String(detail.summary ?? '');
  }
  return thought;
}

/** `{type:"url_citation",url_citation:{url,title,start_index,end_index}}`, or an annotation of another kind. */
export function readAnnotation(value: Json): Citation[] {
  if (!isObject(value)) return [];
  const citation: Citation = { value, dialect: 'openai-chat' };
  const about = isObject(value.url_citation) ? value.url_citation : {};
  if (typeof about.url === 'string') citation.url = about.url;
  if (typeof about.title === 'string') citation.title = about.title;
  if (typeof about.start_index === 'number') citation.start = about.start_index;
  if (typeof about.end_index === 'number') citation.end = about.end_index;
  return [citation];
}

// Writing

/** Writes an answer read from any dialect. */
export function writeResponse(response: ChatResponse): JsonObject {
  const own = response.dialect === 'openai-chat';
  const body: JsonObject = {
    id: writeId(response.id, own),
    object: 'chat.completion',
    created: response.created ?? Math.floor(Date.now() / 1000),
    model: response.model,
    choices: response.choices.map((choice) => writeChoice(choice, own)),
  };
  if (response.usage !== undefined) body.usage = writeUsage(response.usage);
  return own ? Object.assign(body, response.extra) : body;
}

/** Ids of other dialects keep their own part, so that an answer can be found at its provider. */
export function writeId(id: string, own: boolean): string {
  if (id === '') return randomId('chatcmpl-');
  return own || id.startsWith('chatcmpl-') ? id : `chatcmpl-${id}`;
}

function writeChoice(choice: Choice, own: boolean): JsonObject {
  const { message: inside, ...beside } = (own && choice.extra) || {};
  const legacy = choice.blocks.some((block) => block.type === 'tool-call' && isLegacyCall(block));
  return {
    index: choice.index,
    message: Object.assign(writeMessage(choice.blocks, own), inside),
    logprobs: choice.logprobs ?? null,
    finish_reason: writeFinish(choice.stop, legacy),
    ...beside,
  };
}

function writeMessage(blocks: readonly Block[], own: boolean): JsonObject {
  const message: JsonObject = { role: 'assistant', content: null, refusal: null };
  let text: string | undefined;
  let thought = '';
  let refusal: string | undefined;
  const annotations: JsonObject[] = [];
  const calls: JsonObject[] = [];
  const images: JsonObject[] = [];
  for (const block of blocks) {
    if (block.type === 'text') {
      const start = text?.length ?? 0;
      text = (text ?? '') + block.text;
      for (const citation of block.citations ?? []) {
        const annotation = writeAnnotation(citation, start, text.length);
        if (annotation !== undefined) annotations.push(annotation);
      }
    } else if (block.type === 'reasoning') thought += block.text;
    else if (block.type === 'refusal') refusal = (refusal ?? '') + block.text;
    else if (block.type === 'tool-call') {
      if (isLegacyCall(block)) message.function_call = { name: block.name, arguments: block.input };
      else calls.push(Object.assign(writeToolCall(block, own), stateMember(block)));
    } else if (block.type === 'media') images.push(...writeImage(block));
    else if (block.type === 'opaque' && block.dialect === 'openai-chat') Object.assign(message, block.value);
  }
  if (images.length > 0) message.images = images;
  const silent = calls.length > 0 || refusal !== undefined || Object.keys(message).length > 3;
  message.content = text ?? (silent ? null : '');
  if (refusal !== undefined) message.refusal = refusal;
  if (thought !== '') message.reasoning_content = thought;
  if (annotations.length > 0) message.annotations = annotations;
  if (calls.length > 0) message.tool_calls = calls;
  return message;
}

/**
 * A picture that the model painted, as an item of `images`; none for other media.
 * https://openrouter.ai/docs/features/multimodal/image-generation
 */
export function writeImage({ media, source, extra }: MediaBlock): JsonObject[] {
  if (media !== 'image' || (source.type !== 'base64' && source.type !== 'url')) return [];
  const image: JsonObject = { type: 'image_url', image_url: { url: writeUrl(source) } };
  if (typeof extra?.index === 'number') image.index = extra.index;
  return [image];
}

/**
 * A citation as an annotation: its own form, or a `url_citation` where it has a URL; undefined for others. `start` and
 * `end` bound the text it belongs to, within the whole content.
 */
export function writeAnnotation(citation: Citation, start: number, end: number): JsonObject | undefined {
  if (citation.dialect === 'openai-chat') return citation.value;
  if (citation.url === undefined) return undefined;
  const from = citation.start === undefined ? start : start + citation.start;
  const to = citation.end === undefined ? end : start + citation.end;
  return {
    type: 'url_citation',
    url_citation: {
      url: citation.url,
      title: citation.title ?? citation.url,
      start_index: from,
      end_index: to,
    },
  };
}
