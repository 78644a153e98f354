/** `generationConfig`: how the answer is made, and what form it has. https://ai.google.dev/api/generate-content#generationconfig */
import type { ChatRequest, Effort, ReasoningWish } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { addExtras } from './extras.ts';
import type { Fail } from './read-part.ts';
import { readOpenApi } from './schema.ts';

const holder = 'generationConfig';

/** Numbers, by their names here and in the hub. */
const numbers = [
  ['temperature', 'temperature'],
  ['topP', 'topP'],
  ['topK', 'topK'],
  ['presencePenalty', 'presencePenalty'],
  ['frequencyPenalty', 'frequencyPenalty'],
  ['seed', 'seed'],
] as const;

const wholeNumbers = [
  ['maxOutputTokens', 'maxTokens'],
  ['candidateCount', 'n'],
] as const;

/** Members that the hub has no word for, or whose values it has none for, go to `extra`. */
export function readConfig(
  value: Json | undefined,
  request: ChatRequest,
  extra: JsonObject,
  fail: Fail,
): void {
  if (value === undefined) return;
  if (!isObject(value)) fail(holder, 'must be an object');
  const said = new Set<string>();
  for (const [name, hub] of numbers) {
    const number = readNumber(value[name], `${holder}.${name}`, fail);
    if (number !== undefined) request[hub] = number;
    said.add(name);
  }
  for (const [name, hub] of wholeNumbers) {
    const path = `${holder}.${name}`;
    const number = readNumber(value[name], path, fail);
    if (number !== undefined && (!Number.isInteger(number) || number < 0))
      fail(path, 'must be a whole number');
    if (number !== undefined) request[hub] = number;
    said.add(name);
  }
  readStops(value.stopSequences, request, fail);
  said.add('stopSequences');
  readLogprobs(value, request, said, fail);
  readFormat(value, request, said);
  readThinking(value.thinkingConfig, request, extra, fail);
  said.add('thinkingConfig');
  addExtras(extra, holder, value, said);
}

/** Numbers may be spelled as text. */
function readNumber(value: Json | undefined, path: string, fail: Fail): number | undefined {
  if (value === undefined || typeof value === 'number') return value;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : fail(path, 'must be a number');
}

function readStops(stop: Json | undefined, request: ChatRequest, fail: Fail): void {
  if (stop === undefined) return;
  const path = `${holder}.stopSequences`;
  if (!Array.isArray(stop)) fail(path, 'must be a list of strings');
  const words = stop.filter((word, i): word is string =>
    typeof word === 'string' ? word !== '' : fail(`${path}[${i}]`, 'must be a string'),
  );
  if (words.length > 0) request.stop = words;
}

/** `logprobs` says how many alternatives are wanted, `responseLogprobs` that any are. */
function readLogprobs(config: JsonObject, request: ChatRequest, said: Set<string>, fail: Fail): void {
  if (config.responseLogprobs !== true) return;
  request.logprobs = readNumber(config.logprobs, `${holder}.logprobs`, fail) ?? 0;
  said.add('responseLogprobs').add('logprobs');
}

function readFormat(config: JsonObject, request: ChatRequest, said: Set<string>): void {
  if (config.responseMimeType !== 'application/json') return;
  const { responseJsonSchema, responseSchema } = config;
  said.add('responseMimeType');
  if (responseJsonSchema !== undefined) {
    request.format = { type: 'schema', schema: responseJsonSchema };
    said.add('responseJsonSchema');
  } else if (isObject(responseSchema)) {
    request.format = { type: 'schema', schema: readOpenApi(responseSchema) };
    said.add('responseSchema');
  } else request.format = { type: 'json' };
}

const efforts: ReadonlySet<Json | undefined> = new Set(['minimal', 'low', 'medium', 'high']);

/** A budget of 0 switches thinking off, -1 leaves it to the model. https://ai.google.dev/gemini-api/docs/thinking */
function readThinking(value: Json | undefined, request: ChatRequest, extra: JsonObject, fail: Fail): void {
  if (value === undefined) return;
  const path = `${holder}.thinkingConfig`;
  if (!isObject(value)) fail(path, 'must be an object such as {"thinkingBudget":1024}');
  const wish: ReasoningWish = {};
  const said = new Set<string>();
  const budget = readNumber(value.thinkingBudget, `${path}.thinkingBudget`, fail);
  if (budget !== undefined) {
    said.add('thinkingBudget');
    wish.enabled = budget !== 0;
    if (budget < 0) wish.adaptive = true;
    else if (budget > 0) wish.budgetTokens = budget;
  }
  const level = typeof value.thinkingLevel === 'string' ? value.thinkingLevel.toLowerCase() : undefined;
  if (efforts.has(level) && wish.enabled !== false) {
    said.add('thinkingLevel');
    wish.enabled = true;
    wish.effort = level as Effort;
  }
  // Thoughts are hidden unless asked for: not to ask for them is no wish.
  const thinks = value.includeThoughts === true || wish.enabled !== undefined;
  if (typeof value.includeThoughts === 'boolean' && thinks) {
    said.add('includeThoughts');
    wish.enabled ??= true;
    wish.display = value.includeThoughts ? 'summarized' : 'omitted';
  }
  if (thinks) request.reasoning = wish;
  addExtras(extra, 'generationConfig.thinkingConfig', value, said);
}
