/** Reads a Converse request into the hub; its path, not its body, names the model and says whether to stream. */
import type { ChatRequest, Message, Tool, ToolChoice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { dialectName, readContent } from './block.ts';

const known = new Set([
  'messages',
  'system',
  'toolConfig',
  'inferenceConfig',
  'requestMetadata',
  'serviceTier',
]);
const knownMessage = new Set(['role', 'content']);
const knownSpec = new Set(['name', 'description', 'inputSchema', 'strict']);
const knownInference = new Set(['maxTokens', 'temperature', 'topP', 'stopSequences']);
const knownOutput = new Set(['textFormat']);
const knownFields = new Set(['top_k']);

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  const request: ChatRequest = {
    dialect: dialectName,
    model: '',
    messages: [...readSystem(body.system), ...readMessages(body.messages)],
    stream: false,
  };
  const extra = rest(body, known) ?? {};
  readTools(body.toolConfig, request);
  readInference(body.inferenceConfig, request, extra);
  readOutput(body.outputConfig, request, extra);
  readFields(body.additionalModelRequestFields, request, extra);
  if (isObject(body.requestMetadata)) request.metadata = body.requestMetadata;
  if (isObject(body.serviceTier) && typeof body.serviceTier.type === 'string') {
    request.serviceTier = body.serviceTier.type;
  }
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function fail(path: string, expected: string): never {
  throw new GatewayError('bad_request', `${path} ${expected}.`, { param: path });
}

function readSystem(system: Json | undefined): Message[] {
  if (system === undefined || system === null) return [];
  const blocks = readContent(system, 'system', fail);
  return blocks.length > 0 ? [{ role: 'system', blocks, apart: true }] : [];
}

function readMessages(messages: Json | undefined): Message[] {
  if (!Array.isArray(messages)) fail('messages', 'must be a list of messages');
  return messages.map((value, i) => {
    const path = `messages[${i}]`;
    if (!isObject(value)) fail(path, 'must be an object with `role` and `content`');
    const { role } = value;
    if (role !== 'user' && role !== 'assistant' && role !== 'system') {
      fail(`${path}.role`, "must be 'user', 'assistant' or 'system'");
    }
    const message: Message = { role, blocks: readContent(value.content, `${path}.content`, fail) };
    const extra = rest(value, knownMessage);
    if (extra !== undefined) message.extra = extra;
    return message;
  });
}

function readTools(config: Json | undefined, request: ChatRequest): void {
  if (config === undefined || config === null) return;
  if (!isObject(config) || !Array.isArray(config.tools)) fail('toolConfig.tools', 'must be a list of tools');
  request.tools = config.tools.map((tool, i) => readTool(tool, `toolConfig.tools[${i}]`));
  if (isObject(config.toolChoice)) request.toolChoice = readToolChoice(config.toolChoice);
}

/** Cache points and the provider's own tools stand among them. */
function readTool(value: Json, path: string): Tool {
  if (!isObject(value)) fail(path, 'must be an object such as {"toolSpec":{…}}');
  const spec = value.toolSpec;
  if (!isObject(spec)) return { name: '', opaque: value };
  if (typeof spec.name !== 'string') fail(`${path}.toolSpec.name`, 'must be a string');
  const tool: Tool = { name: spec.name };
  if (typeof spec.description === 'string') tool.description = spec.description;
  if (isObject(spec.inputSchema) && spec.inputSchema.json !== undefined) tool.schema = spec.inputSchema.json;
  if (typeof spec.strict === 'boolean') tool.strict = spec.strict;
  const extra = rest(spec, knownSpec);
  if (extra !== undefined) tool.extra = extra;
  return tool;
}

function readToolChoice(choice: JsonObject): ToolChoice {
  if (isObject(choice.auto)) return { type: 'auto' };
  if (isObject(choice.any)) return { type: 'required' };
  if (isObject(choice.tool) && typeof choice.tool.name === 'string') {
    return { type: 'tool', name: choice.tool.name };
  }
  return { type: 'opaque', value: choice };
}

function readInference(config: Json | undefined, request: ChatRequest, extra: JsonObject): void {
  if (config === undefined || config === null) return;
  if (!isObject(config)) fail('inferenceConfig', 'must be an object');
  const path = (name: string): string => `inferenceConfig.${name}`;
  for (const name of ['maxTokens', 'temperature', 'topP'] as const) {
    const value = config[name] ?? undefined;
    if (value === undefined) continue;
    request[name] = typeof value === 'number' ? value : fail(path(name), 'must be a number');
  }
  const stop = config.stopSequences ?? [];
  if (!Array.isArray(stop)) fail(path('stopSequences'), 'must be a list of strings');
  const words = stop.filter((word, i): word is string =>
    typeof word === 'string' ? word !== '' : fail(path(`stopSequences[${i}]`), 'must be a string'),
  );
  if (words.length > 0) request.stop = words;
  const others = rest(config, knownInference);
  // An empty one says nothing, but stays.
  if (others !== undefined || Object.keys(config).length === 0) extra.inferenceConfig = others ?? {};
}

/** The schema is a JSON text. What is not understood stays as it is. */
function readOutput(config: Json | undefined, request: ChatRequest, extra: JsonObject): void {
  if (!isObject(config)) return;
  const structure = isObject(config.textFormat) ? config.textFormat.structure : undefined;
  const spec = isObject(structure) ? structure.jsonSchema : undefined;
  const schema = isObject(spec) ? parse(spec.schema) : undefined;
  if (!isObject(spec) || schema === undefined) return;
  request.format = { type: 'schema', schema };
  if (typeof spec.name === 'string') request.format.name = spec.name;
  if (typeof spec.description === 'string') request.format.description = spec.description;
  const others = rest(config, knownOutput);
  if (others === undefined) delete extra.outputConfig;
  else extra.outputConfig = others;
}

/** Of what only the model itself has words for, the hub knows Claude's `top_k`. */
function readFields(fields: Json | undefined, request: ChatRequest, extra: JsonObject): void {
  if (!isObject(fields) || typeof fields.top_k !== 'number') return;
  request.topK = fields.top_k;
  const others = rest(fields, knownFields);
  if (others === undefined) delete extra.additionalModelRequestFields;
  else extra.additionalModelRequestFields = others;
}

function parse(text: Json | undefined): Json | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
