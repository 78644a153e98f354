/** Writes a request of any dialect for Ollama's chat API: https://docs.ollama.com/api/chat */
import type { ChatRequest, Effort, OutputFormat, ReasoningWish, Tool, ToolChoice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { effortOf, nearestEffort } from '../effort.ts';
import { fitMembers } from '../members.ts';
import { offerTools } from '../offered-tools.ts';
import { writeTool } from '../openai-chat/write-request.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './message.ts';
import { plainSchema } from './schema.ts';
import { writeMessages } from './write-messages.ts';

/**
 * @param lost gets the paths of hints that are left out or changed, beyond what the dialect's `can` tells.
 * @throws GatewayError `unsupported` for meaning that cannot be said, `bad_request` for a choice among no tools.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const body: JsonObject = {
    model: request.model,
    messages: writeMessages(request.messages, own, lost),
    // Said in any case: without the word the answer is a stream.
    stream: request.stream,
  };
  const tools = own ? request.tools?.map((tool) => writeTool(tool, true)) : offer(request, lost);
  if (tools !== undefined && tools.length > 0) body.tools = tools;
  if (request.format !== undefined) body.format = writeFormat(request.format);
  const think = own ? verbatim(request.reasoning) : writeThink(request.reasoning, quirks, lost);
  if (think !== undefined) body.think = think;
  if (request.logprobs !== undefined) {
    body.logprobs = true;
    if (request.logprobs > 0) body.top_logprobs = request.logprobs;
  }
  const { options: others, ...extra } = (own && request.extra) || {};
  const options = writeOptions(request);
  if (isObject(others)) Object.assign(options, others);
  if (Object.keys(options).length > 0 || isObject(others)) body.options = options;
  Object.assign(body, extra);
  fitMembers(body, quirks, lost);
  return body;
}

const named = [
  ['maxTokens', 'num_predict'],
  ['temperature', 'temperature'],
  ['topP', 'top_p'],
  ['topK', 'top_k'],
  ['stop', 'stop'],
  ['seed', 'seed'],
  ['presencePenalty', 'presence_penalty'],
  ['frequencyPenalty', 'frequency_penalty'],
] as const;

function writeOptions(request: ChatRequest): JsonObject {
  const options: JsonObject = {};
  for (const [name, option] of named) if (request[name] !== undefined) options[option] = request[name];
  return options;
}

// Structured output

function writeFormat(format: OutputFormat): Json {
  if (format.type === 'json') return 'json';
  const { schema, description } = format;
  // The format's description stands in the schema, unless that has one of its own.
  if (description === undefined || !isObject(schema) || schema.description !== undefined) return schema;
  return { ...schema, description };
}

// Reasoning

function verbatim(wish: ReasoningWish | undefined): Json | undefined {
  return wish?.effort ?? wish?.enabled;
}

/** https://docs.ollama.com/capabilities/thinking */
const levels: readonly Effort[] = ['low', 'medium', 'high', 'max'];

/** Yes, no, or a level. A budget becomes one; adaptive thinking without an effort is a yes. */
function writeThink(wish: ReasoningWish | undefined, quirks: Quirks, lost: string[]): Json | undefined {
  if (wish === undefined) return undefined;
  const { enabled, effort, budgetTokens, display } = wish;
  if (display !== undefined) lost.push('reasoning.display');
  if (enabled === false || effort === 'none') {
    if (effort !== undefined && effort !== 'none') lost.push('reasoning.effort');
    return false;
  }
  if (effort === undefined && budgetTokens === undefined) return true;
  // Above `high` there is one level only.
  const wanted = effort === 'xhigh' ? 'max' : (effort ?? effortOf(budgetTokens ?? 0));
  if (wanted === 'none') return false;
  const level = nearestEffort(wanted, quirks.efforts ?? levels) ?? true;
  if (effort !== undefined && level !== effort) lost.push('reasoning.effort');
  return level;
}

// Tools

/** Models choose for themselves: that they must not call a tool is said by not showing them any. */
function offer(request: ChatRequest, lost: string[]): JsonObject[] {
  refuseForce(request.toolChoice);
  const { tools, choice } = offerTools(request, {});
  if (choice?.type === 'none') {
    if (tools.length > 0) lost.push('tools');
    return [];
  }
  return tools.map(({ tool, path }) => {
    if (tool.strict === true) lost.push(`${path}.strict`);
    return writeForeignTool(tool);
  });
}

function refuseForce(choice: ToolChoice | undefined): void {
  const wish = choice?.type === 'allowed' ? choice.mode : choice?.type;
  if (wish === undefined || wish === 'auto' || wish === 'none') return;
  throw new GatewayError(
    'unsupported',
    'The model behind this route cannot be made to call a tool. Let it choose ("auto"), or route the call elsewhere.',
    { param: 'tool_choice' },
  );
}

function writeForeignTool(tool: Tool): JsonObject {
  return writeTool({ ...tool, schema: plainSchema(tool.schema), strict: undefined }, false);
}
