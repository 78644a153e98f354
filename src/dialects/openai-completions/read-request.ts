/** Reads a completions request: https://platform.openai.com/docs/api-reference/completions/create */
import type { ChatRequest, TextBlock } from '../../core/chat.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { badRequest, others } from '../openai-chat/content.ts';
import {
  booleanOf,
  limitOf,
  numberOf,
  objectOf,
  readStop,
  readStreamOptions,
  set,
  stringOf,
} from '../openai-chat/read-request.ts';
import { dialectName } from './write-request.ts';

const known = new Set([
  'model', 'prompt', 'max_tokens', 'temperature', 'top_p', 'top_k', 'stop', 'seed', 'presence_penalty',
  'frequency_penalty', 'logit_bias', 'n', 'logprobs', 'stream', 'stream_options', 'user',
]); // biome-ignore format: one list

/** Members that say what holds without them, and would be refused for nothing elsewhere. */
const usual: readonly [name: string, value: Json][] = [
  ['echo', false],
  ['best_of', 1],
  ['suffix', ''],
];

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string' || body.model === '') {
    throw badRequest('model', 'model must name a model, for example "gpt-3.5-turbo-instruct".');
  }
  const prompt = readPrompt(body.prompt);
  const request: ChatRequest = {
    dialect: dialectName,
    model: body.model,
    messages: [{ role: 'user', blocks: prompt.blocks }],
    stream: booleanOf(body, 'stream') ?? false,
  };
  const extra = others(body, known) ?? {};
  for (const [name, value] of usual) if (extra[name] === value) delete extra[name];
  if (prompt.whole !== undefined) extra.prompt = prompt.whole;
  readSampling(body, request);
  readStreamOptions(body, request, extra);
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function readSampling(body: JsonObject, request: ChatRequest): void {
  // 0 is allowed here: nothing is written then, which makes sense with `echo`.
  set(request, 'maxTokens', numberOf(body, 'max_tokens'));
  set(request, 'temperature', numberOf(body, 'temperature'));
  set(request, 'topP', numberOf(body, 'top_p'));
  set(request, 'topK', numberOf(body, 'top_k'));
  set(request, 'seed', numberOf(body, 'seed'));
  set(request, 'presencePenalty', numberOf(body, 'presence_penalty'));
  set(request, 'frequencyPenalty', numberOf(body, 'frequency_penalty'));
  set(request, 'logitBias', objectOf(body, 'logit_bias'));
  set(request, 'n', limitOf(body, 'n'));
  set(request, 'logprobs', numberOf(body, 'logprobs'));
  set(request, 'user', stringOf(body, 'user'));
  set(request, 'stop', readStop(body.stop));
}

interface Prompt {
  /** What of it is text. */
  blocks: TextBlock[];
  /** As it was sent, where one text does not say it: several prompts, or numbers of tokens. */
  whole?: Json;
}

function readPrompt(prompt: Json | undefined): Prompt {
  if (typeof prompt === 'string') return { blocks: [{ type: 'text', text: prompt }] };
  if (Array.isArray(prompt) && prompt.length > 0) {
    const texts = prompt.filter((each) => typeof each === 'string');
    if (texts.length === prompt.length) {
      const blocks = texts.map((text): TextBlock => ({ type: 'text', text }));
      return texts.length === 1 ? { blocks } : { blocks, whole: prompt };
    }
    if (prompt.every(isNumber) || prompt.every((each) => Array.isArray(each) && each.every(isNumber))) {
      return { blocks: [], whole: prompt };
    }
  }
  throw badRequest('prompt', 'prompt must be a text, a list of texts, or a list of token numbers.');
}

function isNumber(value: Json): boolean {
  return typeof value === 'number';
}
