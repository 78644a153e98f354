/** Reads a request of Cohere Chat: https://docs.cohere.com/reference/chat */
import type { Block, ChatRequest, Message, ReasoningWish, ToolChoice } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, others } from '../openai-chat/content.ts';
import {
  booleanOf,
  limitOf,
  numberOf,
  objectOf,
  readTool,
  readToolCalls,
  set,
} from '../openai-chat/read-request.ts';
import { dialectName, planBlock, readContent } from './content.ts';

const known = new Set([
  'model', 'messages', 'tools', 'tool_choice', 'response_format', 'thinking', 'max_tokens', 'temperature', 'p', 'k',
  'stop_sequences', 'seed', 'presence_penalty', 'frequency_penalty', 'logprobs', 'stream',
]); // biome-ignore format: one list

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(body: JsonObject): ChatRequest {
  if (typeof body.model !== 'string' || body.model === '') {
    throw badRequest('model', 'model must name a model, for example "command-a-03-2025".');
  }
  const request: ChatRequest = {
    dialect: dialectName,
    model: body.model,
    messages: readMessages(body.messages),
    stream: booleanOf(body, 'stream') ?? false,
  };
  const extra = others(body, known) ?? {};
  readTools(body, request);
  readSampling(body, request, extra);
  readFormat(body, request, extra);
  set(request, 'reasoning', readThinking(objectOf(body, 'thinking'), extra));
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function readTools({ tools, tool_choice: choice }: JsonObject, request: ChatRequest): void {
  if (tools !== undefined && tools !== null) {
    if (!Array.isArray(tools)) {
      throw badRequest('tools', 'tools must be a list of {"type": "function", "function": {…}}.');
    }
    if (tools.length > 0) request.tools = tools.map((tool, i) => readTool(tool, `tools[${i}]`));
  }
  if (choice !== undefined && choice !== null) request.toolChoice = readToolChoice(choice);
}

function readToolChoice(choice: Json): ToolChoice {
  if (choice === 'REQUIRED') return { type: 'required' };
  if (choice === 'NONE') return { type: 'none' };
  return { type: 'opaque', value: choice };
}

function readSampling(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  set(request, 'maxTokens', limitOf(body, 'max_tokens'));
  set(request, 'temperature', numberOf(body, 'temperature'));
  set(request, 'topP', numberOf(body, 'p'));
  set(request, 'topK', numberOf(body, 'k'));
  set(request, 'seed', numberOf(body, 'seed'));
  set(request, 'presencePenalty', numberOf(body, 'presence_penalty'));
  set(request, 'frequencyPenalty', numberOf(body, 'frequency_penalty'));
  const logprobs = booleanOf(body, 'logprobs');
  if (logprobs) request.logprobs = 0;
  else if (logprobs === false) extra.logprobs = false;
  const stop = body.stop_sequences ?? [];
  if (!Array.isArray(stop) || !stop.every((each) => typeof each === 'string')) {
    throw badRequest('stop_sequences', 'stop_sequences must be a list of strings.');
  }
  const told = stop.filter((each) => each !== '');
  if (told.length > 0) request.stop = told;
}

function readFormat(body: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const format = objectOf(body, 'response_format');
  if (format === undefined) return;
  const { type, json_schema: schema, ...more } = format;
  if (type !== 'json_object' || Object.keys(more).length > 0) extra.response_format = format;
  else if (schema === undefined || schema === null) request.format = { type: 'json' };
  else request.format = { type: 'schema', schema };
}

function readThinking(thinking: JsonObject | undefined, extra: JsonObject): ReasoningWish | undefined {
  if (thinking === undefined) return undefined;
  const { type, token_budget: budget, ...more } = thinking;
  const wish: ReasoningWish = {};
  if (type === 'enabled' || type === 'disabled') wish.enabled = type === 'enabled';
  if (typeof budget === 'number') wish.budgetTokens = budget;
  const understood = Object.keys(more).length === 0 && (type === undefined || wish.enabled !== undefined);
  if (understood && Object.keys(wish).length > 0) return wish;
  extra.thinking = thinking;
  return undefined;
}

// Messages

const plainMembers = new Set(['role', 'content']);
const toolMembers = new Set(['role', 'content', 'tool_call_id']);
const assistantMembers = new Set(['role', 'content', 'tool_plan', 'tool_calls']);

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
    case 'user':
      return withExtra(
        { role: message.role, blocks: readContent(message.content, `${path}.content`) },
        others(message, plainMembers),
      );
    case 'assistant':
      return withExtra(
        { role: 'assistant', blocks: readAssistant(message, path) },
        others(message, assistantMembers),
      );
    case 'tool':
      return withExtra(
        { role: 'user', blocks: [readToolResult(message, path)] },
        others(message, toolMembers),
      );
    default:
      throw badRequest(`${path}.role`, `${path}.role must be "system", "user", "assistant" or "tool".`);
  }
}

function withExtra(message: Message, extra: JsonObject | undefined): Message {
  if (extra !== undefined) message.extra = extra;
  return message;
}

function readAssistant({ content, tool_plan: plan, tool_calls: calls }: JsonObject, path: string): Block[] {
  const said = content === undefined || content === null ? [] : readContent(content, `${path}.content`);
  const rest = readToolCalls(calls, path);
  if (typeof plan === 'string' && plan !== '') rest.unshift(planBlock(plan));
  // SDKs write an empty text where there is nothing but calls.
  const [only] = said;
  const silent = said.length === 1 && only?.type === 'text' && only.text === '';
  return silent && rest.length > 0 ? rest : [...said, ...rest];
}

function readToolResult(message: JsonObject, path: string): Block {
  if (typeof message.tool_call_id !== 'string') {
    throw badRequest(
      `${path}.tool_call_id`,
      `${path}.tool_call_id must be the id of the tool call this message answers.`,
    );
  }
  const { content = '' } = message;
  const blocks = content === '' || content === null ? [] : readContent(content, `${path}.content`);
  return { type: 'tool-result', callId: message.tool_call_id, blocks };
}
