/** Writes a Chat Completions request for a provider, in the words its quirks allow. */
import type { ChatRequest, Effort, ReasoningWish, Tool, ToolChoice } from '../../core/chat.ts';
import { emptySchema } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { effortLadder, effortOf, nearestEffort } from '../effort.ts';
import { markUnfinished } from '../prefill.ts';
import type { Quirks } from '../quirks.ts';
import { writeMessages } from './write-messages.ts';

/** https://platform.openai.com/docs/api-reference/chat/create#chat_create-stop */
const mostStops = 4;

/**
 * @param lost gets the paths of hints that are left out or changed, beyond what the dialect's `can` tells.
 * @throws GatewayError `unsupported` for meaning that cannot be said to this host.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === 'openai-chat';
  const body: JsonObject = { model: request.model, messages: [] };
  body.messages = writeMessages(request.messages, { own, quirks, lost });
  markUnfinished(request, quirks, body);
  writeFormat(request, body);
  writeTools(request, quirks, own, body);
  writeSampling(request, quirks, own, lost, body);
  const effort = writeEffort(request.reasoning, own, wordsFor(quirks), lost);
  if (effort !== undefined) body.reasoning_effort = effort;
  if (request.user !== undefined) body.user = request.user;
  if (own) {
    if (request.topK !== undefined) body.top_k = request.topK;
    if (request.serviceTier !== undefined) body.service_tier = request.serviceTier;
    if (request.metadata !== undefined) body.metadata = request.metadata;
    Object.assign(body, request.extra);
  }
  if (quirks.thinkingSwitch) switchThinking(request, quirks, body, lost);
  writeStream(request, quirks, own, body);
  applyQuirks(body, quirks, lost);
  return body;
}

export function writeStream(request: ChatRequest, quirks: Quirks, own: boolean, body: JsonObject): void {
  if (request.stream) body.stream = true;
  if (quirks.noStreamOptions) delete body.stream_options;
  else if (request.stream && request.streamUsage) {
    const more = own ? request.extra?.stream_options : undefined;
    body.stream_options = isObject(more) ? { ...more, include_usage: true } : { include_usage: true };
  }
}

/** Renames and drops top-level members last, whoever wrote them. */
export function applyQuirks(body: JsonObject, quirks: Quirks, lost: string[]): void {
  if (quirks.noSampling) {
    for (const name of samplingMembers) remove(body, name, lost);
  }
  for (const name of quirks.drop ?? []) remove(body, name, lost);
  for (const from in quirks.rename) {
    const to = quirks.rename[from];
    if (to === undefined || body[from] === undefined) continue;
    body[to] = body[from];
    delete body[from];
  }
}

/** What `noSampling` leaves out. */
export const samplingMembers: readonly string[] = ['temperature', 'top_p', 'top_k'];

function remove(body: JsonObject, name: string, lost: string[]): void {
  if (body[name] === undefined) return;
  delete body[name];
  lost.push(name);
}

function writeSampling(
  request: ChatRequest,
  quirks: Quirks,
  own: boolean,
  lost: string[],
  body: JsonObject,
): void {
  if (request.maxTokens !== undefined)
    body[quirks.limitMember ?? 'max_completion_tokens'] = request.maxTokens;
  if (request.temperature !== undefined) body.temperature = request.temperature;
  if (request.topP !== undefined) body.top_p = request.topP;
  if (request.stop !== undefined) {
    body.stop = own ? request.stop : request.stop.slice(0, mostStops);
    if (!own && request.stop.length > mostStops) lost.push('stop');
  }
  if (request.seed !== undefined) body.seed = request.seed;
  if (request.presencePenalty !== undefined) body.presence_penalty = request.presencePenalty;
  if (request.frequencyPenalty !== undefined) body.frequency_penalty = request.frequencyPenalty;
  if (request.logitBias !== undefined) body.logit_bias = request.logitBias;
  if (request.n !== undefined) body.n = request.n;
  if (request.logprobs !== undefined) {
    body.logprobs = true;
    if (request.logprobs > 0) body.top_logprobs = request.logprobs;
  }
}

// Reasoning

/** What every reasoning host understands; `none` and `minimal` are words of few models, and errors elsewhere. */
const commonEfforts: readonly Effort[] = ['low', 'medium', 'high'];

/**
 * A token budget becomes an effort: up to 4,096 low, below 16,384 medium, from there high. Adaptive thinking
 * without an effort says nothing: the model's own default is what was asked for.
 */
export function writeEffort(
  wish: ReasoningWish | undefined,
  own: boolean,
  words: readonly Effort[] | undefined,
  lost: string[],
): Effort | undefined {
  if (wish === undefined) return undefined;
  if (wish.display !== undefined) lost.push('reasoning.display');
  const { budgetTokens } = wish;
  let { effort } = wish;
  if (wish.enabled === false && effort !== 'none') {
    if (effort !== undefined) lost.push('reasoning.effort');
    effort = 'none';
  }
  if (effort === undefined && budgetTokens !== undefined) {
    effort = effortOf(budgetTokens);
  }
  const known = words ?? (own ? effortLadder : commonEfforts);
  if (effort === undefined || known.includes(effort)) return effort;
  lost.push('reasoning.effort');
  // "Do not reason" to a host without the word: better its default than an effort nobody asked for.
  return effort === 'none' ? undefined : nearestEffort(effort, known);
}

function wordsFor({ efforts, thinkingSwitch }: Quirks): readonly Effort[] | undefined {
  return thinkingSwitch && efforts !== undefined ? ['none', ...efforts] : efforts;
}

/** Says with the switch what `reasoning_effort: none` says elsewhere. A client that uses the switch itself is heard. */
function switchThinking(request: ChatRequest, quirks: Quirks, body: JsonObject, lost: string[]): void {
  if (body.thinking !== undefined) return;
  const { reasoning: wish, toolChoice } = request;
  const off = wish?.enabled === false || wish?.effort === 'none';
  const forced = quirks.noForcedThinking === true && body.tool_choice !== undefined && isForced(toolChoice);
  if (!off && !forced) return;
  if (!off && wish !== undefined) lost.push('reasoning');
  body.thinking = { type: 'disabled' };
  delete body.reasoning_effort;
}

function isForced(choice: ToolChoice | undefined): boolean {
  return (
    choice?.type === 'required' ||
    choice?.type === 'tool' ||
    (choice?.type === 'allowed' && choice.mode === 'required')
  );
}

// Structured output

function writeFormat({ format }: ChatRequest, body: JsonObject): void {
  if (format === undefined) return;
  if (format.type === 'json') {
    body.response_format = { type: 'json_object' };
    return;
  }
  const spec: JsonObject = { name: format.name ?? 'answer' };
  if (format.description !== undefined) spec.description = format.description;
  spec.schema = format.schema;
  if (format.strict !== undefined) spec.strict = format.strict;
  body.response_format = { type: 'json_schema', json_schema: spec };
}

// Tools

function writeTools(request: ChatRequest, quirks: Quirks, own: boolean, body: JsonObject): void {
  if (request.tools !== undefined) body.tools = request.tools.map((tool) => writeTool(tool, own));
  // Without tools both members are refused; other dialects allow them.
  if (!own && (request.tools === undefined || request.tools.length === 0)) return;
  if (request.toolChoice !== undefined) body.tool_choice = writeToolChoice(request.toolChoice, quirks, own);
  if (request.parallelTools !== undefined) body.parallel_tool_calls = request.parallelTools;
}

export function writeTool(tool: Tool, own: boolean): JsonObject {
  if (tool.opaque !== undefined) {
    if (own) return tool.opaque;
    throw new GatewayError('unsupported', `The tool ${tool.name} is known to its own provider only.`, {
      param: 'tools',
    });
  }
  const spec: JsonObject = { name: tool.name };
  if (tool.description !== undefined) spec.description = tool.description;
  if (tool.schema !== undefined) spec.parameters = tool.schema;
  else if (!own) spec.parameters = emptySchema;
  if (tool.strict !== undefined) spec.strict = tool.strict;
  if (!own || tool.extra === undefined) return { type: 'function', function: spec };
  const { function: inside, ...beside } = tool.extra;
  return { type: 'function', function: Object.assign(spec, inside), ...beside };
}

function writeToolChoice(choice: ToolChoice, quirks: Quirks, own: boolean): Json {
  switch (choice.type) {
    case 'required':
      return quirks.requiredWord ?? 'required';
    case 'tool':
      return { type: 'function', function: { name: choice.name } };
    case 'allowed': {
      const tools = choice.names.map((name) => ({ type: 'function', function: { name } }));
      return { type: 'allowed_tools', allowed_tools: { mode: choice.mode, tools } };
    }
    case 'opaque':
      if (own) return choice.value;
      throw new GatewayError('unsupported', 'tool_choice is known to its own provider only.', {
        param: 'tool_choice',
      });
    default:
      return choice.type;
  }
}
