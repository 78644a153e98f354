/** Reads a Chat Completions request: https://platform.openai.com/docs/api-reference/chat/create */
import type { Block, ChatRequest, Effort, Message, OutputFormat, Tool, ToolChoice } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, others, readContent } from './content.ts';
import { takeState } from './state.ts';

const known = new Set([
  'model', 'messages', 'tools', 'tool_choice', 'parallel_tool_calls', 'max_tokens', 'max_completion_tokens',
  'temperature', 'top_p', 'top_k', 'stop', 'seed', 'presence_penalty', 'frequency_penalty', 'logit_bias', 'n',
  'logprobs', 'top_logprobs', 'response_format', 'reasoning_effort', 'stream', 'stream_options', 'user', 'metadata',
  'service_tier',
]); // biome-ignore format: one list

const efforts: ReadonlySet<unknown> = new Set(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string' || body.model === '') {
    throw badRequest('model', 'model must name a model, for example "gpt-5".');
  }
  const request: ChatRequest = {
    dialect: 'openai-chat',
    model: body.model,
    messages: readMessages(body.messages),
    stream: booleanOf(body, 'stream') ?? false,
  };
  const extra = others(body, known) ?? {};
  readTools(body, request);
  readSampling(body, request, extra);
  readFormat(body, request, extra);
  readReasoning(body, request, extra);
  readStreamOptions(body, request, extra);
  set(request, 'user', stringOf(body, 'user'));
  set(request, 'serviceTier', stringOf(body, 'service_tier'));
  set(request, 'metadata', objectOf(body, 'metadata'));
  // Text is what every model answers in: not worth a loss.
  if (Array.isArray(extra.modalities) && extra.modalities.length === 1 && extra.modalities[0] === 'text') {
    delete extra.modalities;
  }
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

export function set<K extends keyof ChatRequest>(
  request: ChatRequest,
  name: K,
  value: ChatRequest[K] | undefined,
): void {
  if (value !== undefined) request[name] = value;
}

export function numberOf(body: JsonObject, name: string): number | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || typeof value === 'number') return value;
  throw badRequest(name, `${name} must be a number, not ${JSON.stringify(value)?.slice(0, 40)}.`);
}

export function booleanOf(body: JsonObject, name: string): boolean | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  throw badRequest(name, `${name} must be true or false.`);
}

export function stringOf(body: JsonObject, name: string): string | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw badRequest(name, `${name} must be a string.`);
}

export function objectOf(body: JsonObject, name: string): JsonObject | undefined {
  const value = body[name] ?? undefined;
  if (value === undefined || isObject(value)) return value;
  throw badRequest(name, `${name} must be an object.`);
}

export function limitOf(body: JsonObject, name: string): number | undefined {
  const value = numberOf(body, name);
  if (value === undefined || (Number.isInteger(value) && value > 0)) return value;
  throw badRequest(name, `${name} must be a whole number of tokens, at least 1.`);
}

// Members

function readSampling(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  // The newer word wins: https://platform.openai.com/docs/api-reference/chat/create#chat_create-max_tokens
  const older = limitOf(body, 'max_tokens');
  set(request, 'maxTokens', limitOf(body, 'max_completion_tokens') ?? older);
  set(request, 'temperature', numberOf(body, 'temperature'));
  set(request, 'topP', numberOf(body, 'top_p'));
  set(request, 'topK', numberOf(body, 'top_k'));
  set(request, 'seed', numberOf(body, 'seed'));
  set(request, 'presencePenalty', numberOf(body, 'presence_penalty'));
  set(request, 'frequencyPenalty', numberOf(body, 'frequency_penalty'));
  set(request, 'logitBias', objectOf(body, 'logit_bias'));
  set(request, 'n', limitOf(body, 'n'));
  const top = numberOf(body, 'top_logprobs');
  if (booleanOf(body, 'logprobs')) request.logprobs = top ?? 0;
  else if (top !== undefined) extra.top_logprobs = top;
  set(request, 'stop', readStop(body.stop));
}

export function readStop(stop: Json | undefined): string[] | undefined {
  if (stop === undefined || stop === null) return undefined;
  const list = typeof stop === 'string' ? [stop] : stop;
  if (!Array.isArray(list) || !list.every((each) => typeof each === 'string')) {
    throw badRequest('stop', 'stop must be a string or a list of strings.');
  }
  const told = list.filter((each) => each !== '');
  return told.length > 0 ? told : undefined;
}

function readReasoning(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const effort = body.reasoning_effort ?? undefined;
  if (effort === undefined) return;
  // Words and numbers of single hosts (Groq's `default`, Fireworks' token counts) stay with them.
  if (!efforts.has(effort)) extra.reasoning_effort = effort;
  else request.reasoning = effort === 'none' ? { enabled: false, effort } : { effort: effort as Effort };
}

export function readStreamOptions(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const options = objectOf(body, 'stream_options');
  if (options === undefined) return;
  const { include_usage, ...more } = options;
  if (include_usage === true) request.streamUsage = true;
  if (Object.keys(more).length > 0) extra.stream_options = more;
}

function readFormat(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const format = objectOf(body, 'response_format');
  if (format === undefined || format.type === 'text') return;
  const { json_schema: spec } = format;
  if (format.type === 'json_object' && Object.keys(format).length === 1) {
    request.format = { type: 'json' };
  } else if (format.type === 'json_schema' && isObject(spec)) {
    const wanted: OutputFormat = { type: 'schema', schema: spec.schema ?? spec.schema_definition ?? {} };
    if (typeof spec.name === 'string') wanted.name = spec.name;
    if (typeof spec.description === 'string') wanted.description = spec.description;
    if (typeof spec.strict === 'boolean' || spec.strict === null) wanted.strict = spec.strict;
    request.format = wanted;
  } else if (typeof format.type === 'string' && format.type !== 'json_schema') {
    extra.response_format = format;
  } else {
    throw badRequest(
      'response_format',
      'response_format must be {"type": "json_schema", "json_schema": {"name", "schema"}}, {"type": "json_object"} or {"type": "text"}.',
    );
  }
}

// Tools

const toolMembers = new Set(['type', 'function']);
const functionMembers = new Set(['name', 'description', 'parameters', 'strict']);

function readTools(body: JsonObject, request: ChatRequest): void {
  const { tools } = body;
  if (tools !== undefined && tools !== null) {
    if (!Array.isArray(tools))
      throw badRequest('tools', 'tools must be a list of {"type": "function", "function": {…}}.');
    if (tools.length > 0) request.tools = tools.map((tool, i) => readTool(tool, `tools[${i}]`));
  }
  set(request, 'toolChoice', readToolChoice(body.tool_choice));
  set(request, 'parallelTools', booleanOf(body, 'parallel_tool_calls'));
}

export function readTool(value: Json, path: string): Tool {
  if (!isObject(value))
    throw badRequest(path, `${path} must be {"type": "function", "function": {"name", "parameters"}}.`);
  const { function: spec } = value;
  if (value.type !== 'function' && value.type !== undefined) {
    const named = isObject(value.custom) ? value.custom.name : value.type;
    return { name: String(named ?? ''), opaque: value };
  }
  if (!isObject(spec) || typeof spec.name !== 'string') {
    throw badRequest(`${path}.function.name`, `${path}.function must have a name.`);
  }
  const tool: Tool = { name: spec.name };
  if (typeof spec.description === 'string') tool.description = spec.description;
  if (spec.parameters !== undefined && spec.parameters !== null) tool.schema = spec.parameters;
  if (typeof spec.strict === 'boolean' || spec.strict === null) tool.strict = spec.strict;
  const inside = others(spec, functionMembers);
  const beside = others(value, toolMembers);
  if (inside !== undefined) tool.extra = { ...beside, function: inside };
  else if (beside !== undefined) tool.extra = beside;
  return tool;
}

function readToolChoice(choice: Json | undefined): ToolChoice | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { type: choice };
  // Mistral's word for it.
  if (choice === 'any') return { type: 'required' };
  if (!isObject(choice)) {
    throw badRequest(
      'tool_choice',
      'tool_choice must be "auto", "none", "required" or {"type": "function", "function": {"name"}}.',
    );
  }
  if (choice.type === 'function' && isObject(choice.function) && typeof choice.function.name === 'string') {
    return { type: 'tool', name: choice.function.name };
  }
  const allowed = isObject(choice.allowed_tools) ? choice.allowed_tools : undefined;
  if (choice.type === 'allowed_tools' && Array.isArray(allowed?.tools)) {
    const names = allowed.tools.map((tool) =>
      isObject(tool) && isObject(tool.function) ? tool.function.name : undefined,
    );
    if (names.every((name) => typeof name === 'string')) {
      return { type: 'allowed', mode: allowed.mode === 'required' ? 'required' : 'auto', names };
    }
  }
  return { type: 'opaque', value: choice };
}

// Messages

const instructionMembers = new Set(['role', 'content']);
const toolMessageMembers = new Set(['role', 'content', 'tool_call_id', 'name']);
const assistantMembers = new Set([
  'role', 'content', 'refusal', 'tool_calls', 'reasoning_content', 'reasoning', 'audio', 'function_call', 'images',
]); // biome-ignore format: one list

function readMessages(messages: Json | undefined): Message[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw badRequest(
      'messages',
      'messages must be a list with at least one message: [{"role": "user", "content": "…"}].',
    );
  }
  return messages.map((message, i) => readMessage(message, `messages[${i}]`));
}

function readMessage(message: Json, path: string): Message {
  if (!isObject(message)) throw badRequest(path, `${path} must be an object with role and content.`);
  switch (message.role) {
    case 'system':
    case 'developer': {
      const extra = others(message, instructionMembers);
      const read: Message = { role: 'system', blocks: readContent(message.content, `${path}.content`) };
      if (message.role === 'developer') read.extra = { role: 'developer', ...extra };
      else if (extra !== undefined) read.extra = extra;
      return read;
    }
    case 'user': {
      const read: Message = { role: 'user', blocks: readContent(message.content, `${path}.content`) };
      const extra = others(message, instructionMembers);
      if (extra !== undefined) read.extra = extra;
      return read;
    }
    case 'assistant':
      return readAssistant(message, path);
    case 'tool':
      return readToolMessage(message, path);
    case 'function':
      // The form before tools: nobody else has it, carried whole.
      return { role: 'user', blocks: [{ type: 'opaque', dialect: 'openai-chat', value: message }] };
    default:
      throw badRequest(
        `${path}.role`,
        `${path}.role must be "system", "developer", "user", "assistant" or "tool".`,
      );
  }
}

function readToolMessage(message: JsonObject, path: string): Message {
  if (typeof message.tool_call_id !== 'string') {
    throw badRequest(
      `${path}.tool_call_id`,
      `${path}.tool_call_id must be the id of the tool call this message answers.`,
    );
  }
  // An empty result is a result: SDKs write it as "", null or [].
  const empty = message.content === '' || message.content === null || message.content === undefined;
  const blocks = empty ? [] : readContent(message.content, `${path}.content`);
  const result: Block = { type: 'tool-result', callId: message.tool_call_id, blocks };
  if (typeof message.name === 'string') result.name = message.name;
  const read: Message = { role: 'user', blocks: [result] };
  const extra = others(message, toolMessageMembers);
  if (extra !== undefined) read.extra = extra;
  return read;
}

function readAssistant(message: JsonObject, path: string): Message {
  const { content } = message;
  const blocks: Block[] = [];
  const thought = message.reasoning_content ?? message.reasoning;
  if (typeof thought === 'string' && thought !== '') blocks.push({ type: 'reasoning', text: thought });
  const calls = readToolCalls(message.tool_calls, path);
  const said = typeof message.refusal === 'string' && message.refusal !== '' ? message.refusal : undefined;
  const members = ['audio', 'function_call', 'images'].filter(
    (name) => (message[name] ?? undefined) !== undefined,
  );
  if (content !== undefined && content !== null && content !== '')
    blocks.push(...readContent(content, `${path}.content`));
  else if (content === '' && calls.length + members.length === 0 && said === undefined)
    blocks.push({ type: 'text', text: '' });
  if (said !== undefined) blocks.push({ type: 'refusal', text: said });
  for (const name of members) {
    blocks.push({ type: 'opaque', dialect: 'openai-chat', value: { [name]: message[name] } });
  }
  blocks.push(...calls);
  const read: Message = { role: 'assistant', blocks };
  const extra = others(message, assistantMembers);
  if (extra !== undefined) read.extra = extra;
  return read;
}

const callMembers = new Set(['id', 'type', 'index', 'function', 'custom']);

export function readToolCalls(calls: Json | undefined, path: string): Block[] {
  if (calls === undefined || calls === null) return [];
  if (!Array.isArray(calls)) throw badRequest(`${path}.tool_calls`, `${path}.tool_calls must be a list.`);
  return calls.map((call, i) => {
    const block = readToolCall(call);
    if (block === undefined) {
      const at = `${path}.tool_calls[${i}]`;
      throw badRequest(at, `${at} must have an id and a function with a name and arguments (JSON text).`);
    }
    return block;
  });
}

/** A whole tool call as requests and answers hold it; undefined when it is none. Its id may be empty. */
export function readToolCall(call: Json): Extract<Block, { type: 'tool-call' }> | undefined {
  if (!isObject(call)) return undefined;
  const custom = call.type === 'custom' || (call.function === undefined && isObject(call.custom));
  const spec = custom ? call.custom : call.function;
  if (!isObject(spec) || typeof spec.name !== 'string') return undefined;
  const id = typeof call.id === 'string' ? call.id : '';
  const input = custom ? String(spec.input ?? '') : readArguments(spec.arguments) || '{}';
  const block: Extract<Block, { type: 'tool-call' }> = { type: 'tool-call', id, name: spec.name, input };
  if (custom) block.custom = true;
  const extra = others(call, callMembers);
  if (extra !== undefined) block.extra = extra;
  return takeState(block);
}

/** Arguments as JSON text, whether sent as text or (Mistral, Ollama) as an object; '' for none. */
export function readArguments(value: Json | undefined): string {
  // Groq writes `null` for no arguments.
  if (typeof value === 'string') return value === 'null' ? '' : value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}
