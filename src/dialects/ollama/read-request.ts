/** Reads a request of Ollama's chat API: https://docs.ollama.com/api/chat */
import type { Block, ChatRequest, Effort, Message, ReasoningWish } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, others } from '../openai-chat/content.ts';
import { booleanOf, numberOf, objectOf, readTool, set } from '../openai-chat/read-request.ts';
import { dialectName, readCall, readImages } from './message.ts';

const known = new Set([
  'model', 'messages', 'tools', 'format', 'think', 'options', 'stream', 'logprobs', 'top_logprobs',
]); // biome-ignore format: one list

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string' || body.model === '') {
    throw badRequest('model', 'model must name a model, for example "llama3.2".');
  }
  const request: ChatRequest = {
    dialect: dialectName,
    model: body.model,
    messages: readMessages(body.messages),
    // Streams are the default here.
    stream: booleanOf(body, 'stream') ?? true,
  };
  const extra = others(body, known) ?? {};
  readTools(body.tools, request);
  readOptions(objectOf(body, 'options'), request, extra);
  readLogprobs(body, request, extra);
  readFormat(body.format, request, extra);
  readThink(body.think, request, extra);
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function readTools(tools: Json | undefined, request: ChatRequest): void {
  if (tools === undefined || tools === null) return;
  if (!Array.isArray(tools)) {
    throw badRequest('tools', 'tools must be a list of {"type": "function", "function": {…}}.');
  }
  if (tools.length > 0) request.tools = tools.map((tool, i) => readTool(tool, `tools[${i}]`));
}

/** Options by their hub name; all others (`num_ctx`, `min_p`…) only Ollama knows. */
const numbers = [
  ['temperature', 'temperature'],
  ['topP', 'top_p'],
  ['topK', 'top_k'],
  ['seed', 'seed'],
  ['presencePenalty', 'presence_penalty'],
  ['frequencyPenalty', 'frequency_penalty'],
] as const;

function readOptions(options: JsonObject | undefined, request: ChatRequest, extra: JsonObject): void {
  if (options === undefined) return;
  const rest = { ...options };
  for (const [name, option] of numbers) {
    set(request, name, numberOf(options, option));
    delete rest[option];
  }
  // -1 is no limit, -2 the rest of the window.
  const { num_predict: limit } = options;
  if (typeof limit === 'number' && Number.isInteger(limit) && limit > 0) {
    request.maxTokens = limit;
    delete rest.num_predict;
  }
  const stop = options.stop ?? [];
  if (!Array.isArray(stop) || !stop.every((each) => typeof each === 'string')) {
    throw badRequest('options.stop', 'options.stop must be a list of strings.');
  }
  const told = stop.filter((each) => each !== '');
  if (told.length > 0) request.stop = told;
  delete rest.stop;
  if (Object.keys(rest).length > 0 || Object.keys(options).length === 0) extra.options = rest;
}

function readLogprobs(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const top = numberOf(body, 'top_logprobs');
  if (booleanOf(body, 'logprobs')) request.logprobs = top ?? 0;
  else if (top !== undefined) extra.top_logprobs = top;
}

function readFormat(format: Json | undefined, request: ChatRequest, extra: JsonObject): void {
  if (format === undefined || format === null || format === '') return;
  if (format === 'json') request.format = { type: 'json' };
  else if (isObject(format)) request.format = { type: 'schema', schema: format };
  else extra.format = format;
}

const efforts: ReadonlySet<unknown> = new Set(['low', 'medium', 'high', 'max']);

function readThink(think: Json | undefined, request: ChatRequest, extra: JsonObject): void {
  if (think === undefined || think === null) return;
  const wish: ReasoningWish | undefined =
    typeof think === 'boolean'
      ? { enabled: think }
      : efforts.has(think)
        ? { effort: think as Effort }
        : undefined;
  if (wish === undefined) extra.think = think;
  else request.reasoning = wish;
}

// Messages

const members = new Set([
  'role', 'content', 'thinking', 'images', 'tool_calls', 'tool_name', 'tool_call_id',
]); // biome-ignore format: one list

/** None is fine: it loads the model. */
function readMessages(messages: Json | undefined): Message[] {
  if (messages === undefined || messages === null) return [];
  if (!Array.isArray(messages)) {
    throw badRequest('messages', 'messages must be a list such as [{"role": "user", "content": "…"}].');
  }
  return messages.map((message, i) => readMessage(message, `messages[${i}]`));
}

function readMessage(value: Json, path: string): Message {
  if (!isObject(value)) throw badRequest(path, `${path} must be an object with role and content.`);
  const { content } = value;
  if (content !== undefined && content !== null && typeof content !== 'string') {
    throw badRequest(`${path}.content`, `${path}.content must be a string; images go into ${path}.images.`);
  }
  const blocks: Block[] = [];
  if (typeof value.thinking === 'string' && value.thinking !== '') {
    blocks.push({ type: 'reasoning', text: value.thinking });
  }
  if (content) blocks.push({ type: 'text', text: content });
  blocks.push(...readImages(value.images));
  const message: Message = { role: 'user', blocks };
  const extra = others(value, members);
  if (extra !== undefined) message.extra = extra;
  const role = typeof value.role === 'string' ? value.role.toLowerCase() : '';
  switch (role) {
    case 'system':
    case 'user':
      message.role = role;
      return message;
    case 'assistant':
      message.role = role;
      blocks.push(...readCalls(value.tool_calls, path));
      return message;
    case 'tool':
      message.blocks = [readToolResult(value, blocks)];
      return message;
    default:
      throw badRequest(`${path}.role`, `${path}.role must be "system", "user", "assistant" or "tool".`);
  }
}

function readCalls(calls: Json | undefined, path: string): Block[] {
  if (calls === undefined || calls === null) return [];
  if (!Array.isArray(calls)) throw badRequest(`${path}.tool_calls`, `${path}.tool_calls must be a list.`);
  return calls.map((value, i) => {
    const call = readCall(value);
    if (call !== undefined) return call;
    const at = `${path}.tool_calls[${i}]`;
    throw badRequest(at, `${at} must have a function with a name and arguments (an object).`);
  });
}

/** Results are told apart by the names of their tools; newer servers know ids, too. */
function readToolResult({ tool_call_id: id, tool_name: name }: JsonObject, blocks: Block[]): Block {
  const result: Block = { type: 'tool-result', callId: typeof id === 'string' ? id : '', blocks };
  if (typeof name === 'string') result.name = name;
  return result;
}
