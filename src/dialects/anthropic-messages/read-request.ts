/** Reads an Anthropic Messages request into the hub, refusing what is not one with a word on what to write. */
import type { ChatRequest, Message, ReasoningWish, Tool, ToolChoice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { effortLadder } from '../effort.ts';
import { dialectName, readContent } from './block.ts';

const known = new Set([
  'model', 'max_tokens', 'messages', 'system', 'tools', 'tool_choice', 'temperature', 'top_p', 'top_k',
  'stop_sequences', 'stream', 'thinking', 'output_config', 'output_format', 'metadata', 'service_tier',
]); // biome-ignore format: one list
const knownMessage = new Set(['role', 'content']);
const knownTool = new Set(['type', 'name', 'description', 'input_schema', 'strict']);
const knownConfig = new Set(['effort', 'format']);
const knownMetadata = new Set(['user_id']);

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string' || body.model === '') fail('model', 'must name a model');
  const request: ChatRequest = {
    dialect: dialectName,
    model: body.model,
    messages: readMessages(body),
    maxTokens: readMaxTokens(body.max_tokens),
    stream: readBoolean(body.stream, 'stream') ?? false,
  };
  if (request.stream) request.streamUsage = true;
  const extra = rest(body, known) ?? {};
  readTools(body, request);
  readSampling(body, request);
  readThinking(body, request, extra);
  readOutput(body, request, extra);
  if (isObject(body.metadata)) {
    if (typeof body.metadata.user_id === 'string') request.user = body.metadata.user_id;
    const metadata = rest(body.metadata, knownMetadata);
    if (metadata !== undefined) request.metadata = metadata;
  }
  const tier = readString(body.service_tier, 'service_tier');
  if (tier !== undefined) request.serviceTier = tier;
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function fail(path: string, expected: string): never {
  throw new GatewayError('bad_request', `${path} ${expected}.`, { param: path });
}

function readMaxTokens(value: Json | undefined): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  return fail('max_tokens', 'must be a whole number: the most tokens the answer may have, such as 1024');
}

function readMessages(body: JsonObject): Message[] {
  const messages: Message[] = [];
  if (body.system !== undefined && body.system !== null) {
    const blocks = readContent(body.system, 'system', fail);
    if (blocks.length > 0) messages.push({ role: 'system', blocks });
  }
  if (!Array.isArray(body.messages) || body.messages.length === 0) {
    fail('messages', 'must be a list with at least one message, such as {"role":"user","content":"Hello"}');
  }
  body.messages.forEach((value, i) => {
    const path = `messages[${i}]`;
    if (!isObject(value)) fail(path, 'must be an object with `role` and `content`');
    const { role, content } = value;
    if (role !== 'user' && role !== 'assistant' && role !== 'system') {
      fail(`${path}.role`, "must be 'user', 'assistant' or 'system'");
    }
    const message: Message = { role, blocks: readContent(content, `${path}.content`, fail) };
    const extra = rest(value, knownMessage);
    if (extra !== undefined) message.extra = extra;
    messages.push(message);
  });
  return messages;
}

function readTools(body: JsonObject, request: ChatRequest): void {
  if (body.tools !== undefined && body.tools !== null) {
    if (!Array.isArray(body.tools)) fail('tools', 'must be a list of tools');
    if (body.tools.length > 0) request.tools = body.tools.map((tool, i) => readTool(tool, `tools[${i}]`));
  }
  const choice = body.tool_choice;
  if (choice === undefined || choice === null) return;
  if (!isObject(choice) || typeof choice.type !== 'string') {
    fail('tool_choice', 'must be an object such as {"type":"auto"}');
  }
  request.toolChoice = readToolChoice(choice);
  if (choice.disable_parallel_tool_use === true) request.parallelTools = false;
}

function readTool(value: Json, path: string): Tool {
  if (!isObject(value)) fail(path, 'must be an object with `name` and `input_schema`');
  // Tools with a type of their own (web_search_20250305, bash_20250124…) are known to their makers only.
  const own = value.type !== undefined && value.type !== null && value.type !== 'custom';
  const name = own && typeof value.name !== 'string' ? '' : value.name;
  if (typeof name !== 'string') fail(`${path}.name`, 'must be a string');
  if (own) return { name, opaque: value };
  const tool: Tool = { name };
  const description = readString(value.description, `${path}.description`);
  if (description !== undefined) tool.description = description;
  if (value.input_schema !== undefined && value.input_schema !== null) tool.schema = value.input_schema;
  const strict = readBoolean(value.strict, `${path}.strict`);
  if (strict !== undefined) tool.strict = strict;
  const extra = rest(value, knownTool);
  if (extra !== undefined) tool.extra = extra;
  return tool;
}

function readToolChoice(choice: JsonObject): ToolChoice {
  switch (choice.type) {
    case 'auto':
    case 'none':
      return { type: choice.type };
    case 'any':
      return { type: 'required' };
    case 'tool':
      if (typeof choice.name !== 'string') fail('tool_choice.name', 'must name the tool to call');
      return { type: 'tool', name: choice.name };
    default:
      return { type: 'opaque', value: choice };
  }
}

function readSampling(body: JsonObject, request: ChatRequest): void {
  const temperature = readNumber(body.temperature, 'temperature');
  const topP = readNumber(body.top_p, 'top_p');
  const topK = readNumber(body.top_k, 'top_k');
  if (temperature !== undefined) request.temperature = temperature;
  if (topP !== undefined) request.topP = topP;
  if (topK !== undefined) request.topK = topK;
  const stop = body.stop_sequences;
  if (stop === undefined || stop === null) return;
  if (!Array.isArray(stop)) fail('stop_sequences', 'must be a list of strings');
  const words = stop.filter((word, i): word is string =>
    typeof word === 'string' ? word !== '' : fail(`stop_sequences[${i}]`, 'must be a string'),
  );
  if (words.length > 0) request.stop = words;
}

function readThinking(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const { thinking } = body;
  if (thinking === undefined || thinking === null) return;
  if (!isObject(thinking)) fail('thinking', 'must be an object such as {"type":"adaptive"}');
  const wish: ReasoningWish = {};
  switch (thinking.type) {
    case 'disabled':
      wish.enabled = false;
      break;
    case 'adaptive':
      wish.enabled = true;
      wish.adaptive = true;
      break;
    case 'enabled': {
      const budget = readNumber(thinking.budget_tokens, 'thinking.budget_tokens');
      if (budget === undefined) fail('thinking.budget_tokens', 'must be a whole number of at least 1024');
      wish.enabled = true;
      wish.budgetTokens = budget;
      break;
    }
    default:
      extra.thinking = thinking;
      return;
  }
  if (typeof thinking.display === 'string') wish.display = thinking.display;
  request.reasoning = wish;
}

/** `output_config.format`, and `output_format`, as it was called in beta. */
function readOutput(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const config = body.output_config ?? {};
  if (!isObject(config)) fail('output_config', 'must be an object');
  const effort = readString(config.effort, 'output_config.effort');
  const known = effortLadder.find((word) => word === effort);
  if (known !== undefined) request.reasoning = { ...request.reasoning, effort: known };
  const format = config.format ?? body.output_format;
  if (isObject(format) && format.type === 'json_schema' && format.schema !== undefined) {
    request.format = { type: 'schema', schema: format.schema };
  } else if (format !== undefined && format !== null) {
    fail('output_config.format', 'must be {"type":"json_schema","schema":{…}}');
  }
  const others = rest(config, knownConfig);
  // A word yet to be invented is between the client and its model.
  if (effort !== undefined && known === undefined) extra.output_config = { ...others, effort };
  else if (others !== undefined) extra.output_config = others;
}

function readNumber(value: Json | undefined, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'number' ? value : fail(path, 'must be a number');
}

function readString(value: Json | undefined, path: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : fail(path, 'must be a string');
}

function readBoolean(value: Json | undefined, path: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'boolean' ? value : fail(path, 'must be true or false');
}
