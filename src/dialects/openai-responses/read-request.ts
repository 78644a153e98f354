/** Reads a Responses request: https://platform.openai.com/docs/api-reference/responses/create */
import type { ChatRequest, Effort, Message, OutputFormat, ReasoningWish } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { effortLadder } from '../effort.ts';
import { badRequest, others } from '../openai-chat/content.ts';
import { booleanOf, limitOf, numberOf, objectOf, set, stringOf } from '../openai-chat/read-request.ts';
import { dialectName } from './content.ts';
import { readInput } from './read-input.ts';
import { readTool, readToolChoice } from './tools.ts';

const known = new Set([
  'model', 'input', 'instructions', 'tools', 'tool_choice', 'parallel_tool_calls', 'max_output_tokens', 'temperature',
  'top_p', 'top_logprobs', 'include', 'text', 'reasoning', 'stream', 'store', 'previous_response_id', 'user', 'metadata',
  'service_tier',
]); // biome-ignore format: one list

/** What `include` may ask for that the hub has words for. */
export const included = {
  logprobs: 'message.output_text.logprobs',
  reasoning: 'reasoning.encrypted_content',
} as const;

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string' || body.model === '') {
    throw badRequest('model', 'model must name a model, for example "gpt-5".');
  }
  const request: ChatRequest = {
    dialect: dialectName,
    model: body.model,
    messages: [...readInstructions(body), ...readInput(body.input)],
    stream: booleanOf(body, 'stream') ?? false,
    // The last event of a stream always has it.
    streamUsage: true,
  };
  const extra = others(body, known) ?? {};
  // Not to go on in the background is what every provider does.
  if (extra.background === false) delete extra.background;
  readTools(body, request);
  set(request, 'maxTokens', limitOf(body, 'max_output_tokens'));
  set(request, 'temperature', numberOf(body, 'temperature'));
  set(request, 'topP', numberOf(body, 'top_p'));
  readInclude(body, request, extra);
  readText(body, request, extra);
  readReasoning(body, request, extra);
  set(request, 'store', booleanOf(body, 'store'));
  set(request, 'previousResponseId', stringOf(body, 'previous_response_id'));
  set(request, 'user', stringOf(body, 'user'));
  set(request, 'metadata', objectOf(body, 'metadata'));
  set(request, 'serviceTier', stringOf(body, 'service_tier'));
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function readInstructions(body: JsonObject): Message[] {
  const text = stringOf(body, 'instructions');
  return text === undefined || text === ''
    ? []
    : [{ role: 'system', blocks: [{ type: 'text', text }], apart: true }];
}

function readTools(body: JsonObject, request: ChatRequest): void {
  const { tools } = body;
  if (tools !== undefined && tools !== null) {
    if (!Array.isArray(tools)) throw badRequest('tools', 'tools must be a list of {"type": "function", …}.');
    if (tools.length > 0) request.tools = tools.map((tool, i) => readTool(tool, `tools[${i}]`));
  }
  set(request, 'toolChoice', readToolChoice(body.tool_choice));
  set(request, 'parallelTools', booleanOf(body, 'parallel_tool_calls'));
}

/** What else may be included belongs to tools and inputs that are losses by themselves where nobody knows them. */
function readInclude(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const { include } = body;
  if (include !== undefined && include !== null) {
    if (!Array.isArray(include)) throw badRequest('include', 'include must be a list of strings.');
    const more = include.filter((each) => each !== included.logprobs && each !== included.reasoning);
    if (more.length > 0) extra.include = more;
    if (include.includes(included.logprobs)) request.logprobs = 0;
    if (include.includes(included.reasoning)) request.replayable = true;
  }
  const top = numberOf(body, 'top_logprobs');
  if (request.logprobs !== undefined) request.logprobs = top ?? 0;
  else if (top !== undefined) extra.top_logprobs = top;
}

function readText(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const text = objectOf(body, 'text');
  if (text === undefined) return;
  const { format, ...more } = text;
  const about = others(more, new Set());
  if (about !== undefined) extra.text = about;
  if (format === undefined || format === null) return;
  if (isObject(format) && format.type === 'text') return;
  if (isObject(format) && format.type === 'json_object') request.format = { type: 'json' };
  else if (isObject(format) && format.type === 'json_schema') request.format = readSchema(format);
  else if (isObject(format) && typeof format.type === 'string') extra.text = { ...about, format };
  else {
    throw badRequest(
      'text.format',
      'text.format must be {"type": "json_schema", "name", "schema"}, {"type": "json_object"} or {"type": "text"}.',
    );
  }
}

function readSchema(format: JsonObject): OutputFormat {
  const wanted: OutputFormat = { type: 'schema', schema: format.schema ?? {} };
  if (typeof format.name === 'string') wanted.name = format.name;
  if (typeof format.description === 'string') wanted.description = format.description;
  if (typeof format.strict === 'boolean') wanted.strict = format.strict;
  return wanted;
}

const efforts: ReadonlySet<unknown> = new Set(effortLadder);

function readReasoning(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const told = objectOf(body, 'reasoning');
  if (told === undefined) return;
  const { effort, summary, ...more } = told;
  const rest: JsonObject = { ...others(more, new Set()) };
  const wish: ReasoningWish = {};
  if (efforts.has(effort)) wish.effort = effort as Effort;
  else if (effort !== undefined && effort !== null) rest.effort = effort;
  if (effort === 'none') wish.enabled = false;
  if (typeof summary === 'string') wish.display = summary;
  if (Object.keys(wish).length > 0) request.reasoning = wish;
  if (Object.keys(rest).length > 0) extra.reasoning = rest;
}
