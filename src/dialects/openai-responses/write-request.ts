/** Writes a Responses request for a provider, in the words its quirks allow. */
import { createHash } from 'node:crypto';
import type { ChatRequest, Message } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { applyQuirks, writeEffort } from '../openai-chat/write-request.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './content.ts';
import { included } from './read-request.ts';
import { writeTool, writeToolChoice } from './tools.ts';
import { writeInput } from './write-input.ts';

/**
 * @param lost gets the paths of hints that are left out or changed, beyond what the dialect's `can` tells.
 * @throws GatewayError `unsupported` for meaning that cannot be said to this host.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const apart = countApart(request);
  const instructions = writeInstructions(request.messages.slice(0, apart));
  const body: JsonObject = { model: request.model };
  if (instructions !== undefined) body.instructions = instructions;
  body.input = writeInput(request.messages, apart, own, quirks, lost);
  Object.assign(body, writeMembers(request, quirks, lost));
  // Nothing is kept, so that the conversation can go on anywhere.
  if (!own) body.store = false;
  if (request.stream) body.stream = true;
  applyQuirks(body, quirks, lost);
  return body;
}

/** How many messages at the beginning are instructions of their own; of other dialects, all that are texts. */
function countApart({ dialect, messages }: ChatRequest): number {
  if (dialect === dialectName) return messages[0]?.apart ? 1 : 0;
  const rest = messages.findIndex(
    ({ role, blocks }) => role !== 'system' || blocks.some(({ type }) => type !== 'text'),
  );
  return rest < 0 ? messages.length : rest;
}

function writeInstructions(messages: readonly Message[]): string | undefined {
  const texts = messages.flatMap(({ blocks }) =>
    blocks.flatMap((block) => (block.type === 'text' && block.text !== '' ? [block.text] : [])),
  );
  return texts.length === 0 ? undefined : texts.join('\n\n');
}

/** All members of a request but the model, the conversation and the way it is answered. */
export function writeMembers(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const body: JsonObject = {};
  writeTools(request, own, body);
  if (request.maxTokens !== undefined) body.max_output_tokens = writeLimit(request.maxTokens, own, lost);
  if (request.temperature !== undefined) body.temperature = request.temperature;
  if (request.topP !== undefined) body.top_p = request.topP;
  if (request.store !== undefined) body.store = request.store;
  if (request.previousResponseId !== undefined) body.previous_response_id = request.previousResponseId;
  if (request.user !== undefined) body.user = own ? request.user : shortenUser(request.user, lost);
  if (own && request.metadata !== undefined) body.metadata = request.metadata;
  if (own && request.serviceTier !== undefined) body.service_tier = request.serviceTier;
  const { text, reasoning, include, ...extra } = ownExtra(request, own);
  Object.assign(body, extra);
  writeInclude(request, own, include, body);
  writeText(request, text, body);
  writeReasoning(request, quirks, lost, reasoning, body);
  return body;
}

/** Members that Chat Completions has under the same name, for the same thing. */
export const sharedMembers: readonly string[] = [
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
];

/** OpenAI refuses less (`integer_below_min_value`), though clients that only try a connection want a single token. */
const leastTokens = 16;

function writeLimit(maxTokens: number, own: boolean, lost: string[]): number {
  if (own || maxTokens >= leastTokens) return maxTokens;
  lost.push('maxTokens');
  return leastTokens;
}

function ownExtra({ extra }: ChatRequest, own: boolean): JsonObject {
  if (own || extra === undefined) return { ...extra };
  const shared: JsonObject = {};
  for (const name of sharedMembers) if (extra[name] !== undefined) shared[name] = extra[name];
  if (extra.verbosity !== undefined) shared.text = { verbosity: extra.verbosity };
  return shared;
}

const longestUser = 64;

/** Names of end users are cut off by none and refused when they are long: the same one stays the same. */
function shortenUser(user: string, lost: string[]): string {
  if (user.length <= longestUser) return user;
  lost.push('user');
  return createHash('sha256').update(user).digest('hex');
}

function writeTools(request: ChatRequest, own: boolean, body: JsonObject): void {
  if (request.tools !== undefined) body.tools = request.tools.map((tool) => writeTool(tool, own));
  // Without tools both members are refused; other dialects allow them.
  if (!own && (request.tools === undefined || request.tools.length === 0)) return;
  if (request.toolChoice !== undefined) body.tool_choice = writeToolChoice(request.toolChoice, own);
  if (request.parallelTools !== undefined) body.parallel_tool_calls = request.parallelTools;
}

/** Of other dialects' calls, what the model thinks always comes back encrypted: the provider does not keep it. */
function writeInclude(request: ChatRequest, own: boolean, more: Json | undefined, body: JsonObject): void {
  const { logprobs, replayable } = request;
  const include: Json[] = replayable || !own ? [included.reasoning] : [];
  if (Array.isArray(more)) include.push(...more);
  if (logprobs !== undefined) include.push(included.logprobs);
  if (include.length > 0) body.include = include;
  if (logprobs !== undefined && logprobs > 0) body.top_logprobs = logprobs;
}

function writeText({ format }: ChatRequest, more: Json | undefined, body: JsonObject): void {
  const text: JsonObject = isObject(more) ? { ...more } : {};
  if (format?.type === 'json') text.format = { type: 'json_object' };
  else if (format?.type === 'schema') {
    const { description, schema, strict } = format;
    const spec: JsonObject = { type: 'json_schema', name: format.name ?? 'answer' };
    if (description !== undefined) spec.description = description;
    spec.schema = schema;
    if (strict !== undefined) spec.strict = strict;
    text.format = spec;
  }
  if (Object.keys(text).length > 0) body.text = text;
}

function writeReasoning(
  request: ChatRequest,
  quirks: Quirks,
  lost: string[],
  more: Json | undefined,
  body: JsonObject,
): void {
  const own = request.dialect === dialectName;
  const reasoning: JsonObject = {};
  if (request.reasoning !== undefined) {
    const { display, ...wish } = request.reasoning;
    const effort = writeEffort(wish, own, quirks.efforts, lost);
    if (effort !== undefined) reasoning.effort = effort;
    // A summary is written only where it is asked for: some organisations may not have one.
    const summary = own ? display : summaryOf(display);
    if (summary !== undefined) reasoning.summary = summary;
  }
  Object.assign(reasoning, more);
  if (Object.keys(reasoning).length > 0) body.reasoning = reasoning;
}

/** Other dialects' word for thinking that is not shown. */
function summaryOf(display: string | undefined): string | undefined {
  return display === undefined || display === 'omitted' ? undefined : 'auto';
}
