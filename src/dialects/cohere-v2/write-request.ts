/** Writes a request of any dialect for Cohere Chat: https://docs.cohere.com/reference/chat */
import type { ChatRequest, OutputFormat, ReasoningWish } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { fitMembers } from '../members.ts';
import { writeTool } from '../openai-chat/write-request.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './content.ts';
import { writeThinking } from './thinking.ts';
import { choiceWord, writeTools } from './tools.ts';
import { writeMessages, writeOwnMessages } from './write-messages.ts';

const mostStops = 5;

/**
 * @param lost gets the paths of hints that are left out or changed, beyond what the dialect's `can` tells.
 * @throws GatewayError `unsupported` for meaning that cannot be said, `bad_request` for a choice among no tools.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const body: JsonObject = { model: request.model, messages: [] };
  if (request.dialect === dialectName) writeOwn(request, body);
  else translate(request, quirks, body, lost);
  if (request.stream) body.stream = true;
  fitMembers(body, quirks, lost);
  return body;
}

/** Members whose values mean the same in the hub. */
const members = [
  ['maxTokens', 'max_tokens'],
  ['temperature', 'temperature'],
  ['topP', 'p'],
  ['topK', 'k'],
  ['stop', 'stop_sequences'],
  ['seed', 'seed'],
  ['presencePenalty', 'presence_penalty'],
  ['frequencyPenalty', 'frequency_penalty'],
] as const;

function writeOwn(request: ChatRequest, body: JsonObject): void {
  body.messages = writeOwnMessages(request.messages);
  if (request.tools !== undefined) body.tools = request.tools.map((tool) => writeTool(tool, true));
  if (request.toolChoice !== undefined) body.tool_choice = choiceWord(request.toolChoice);
  for (const [name, member] of members) if (request[name] !== undefined) body[member] = request[name];
  if (request.logprobs !== undefined) body.logprobs = true;
  if (request.format !== undefined) body.response_format = writeFormat(request.format);
  if (request.reasoning !== undefined) body.thinking = writeOwnThinking(request.reasoning);
  Object.assign(body, request.extra);
}

function writeOwnThinking({ enabled, budgetTokens }: ReasoningWish): JsonObject {
  const thinking: JsonObject = {};
  if (enabled !== undefined) thinking.type = enabled ? 'enabled' : 'disabled';
  if (budgetTokens !== undefined) thinking.token_budget = budgetTokens;
  return thinking;
}

function translate(request: ChatRequest, quirks: Quirks, body: JsonObject, lost: string[]): void {
  refuseUnsayable(request);
  body.messages = writeMessages(request.messages, lost);
  writeTools(request, body, lost);
  for (const [name, member] of members) {
    const value = request[name];
    if (value !== undefined) body[member] = Array.isArray(value) ? value : fit(name, value, lost);
  }
  if (request.stop !== undefined && request.stop.length > mostStops) {
    body.stop_sequences = request.stop.slice(0, mostStops);
    lost.push('stop');
  }
  // "cannot specify both frequency_penalty and presence_penalty"
  if (request.frequencyPenalty !== undefined && request.presencePenalty !== undefined) {
    delete body.presence_penalty;
    lost.push('presencePenalty');
  }
  if (request.logprobs !== undefined) body.logprobs = true;
  if (request.format !== undefined) body.response_format = writeFormat(request.format);
  const thinking = writeThinking(request, quirks, lost);
  if (thinking !== undefined) body.thinking = thinking;
}

function refuseUnsayable({ logprobs, format, tools }: ChatRequest): void {
  if (logprobs !== undefined && logprobs > 0) {
    throw unsupported(
      'logprobs',
      'tells the log-probabilities of the chosen tokens only, without alternatives',
    );
  }
  // https://docs.cohere.com/reference/chat#request.body.response_format
  if (format !== undefined && tools !== undefined) {
    throw unsupported('format', 'does not take structured output together with tools');
  }
}

function unsupported(param: string, what: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `The model behind this route ${what}. Change it, or route the call to another model.`,
    { param },
  );
}

// Sampling

/** What the API accepts: https://docs.cohere.com/reference/chat and …/reference/errors */
const bounds: Readonly<Record<string, readonly [least: number, most: number]>> = {
  temperature: [0, 1],
  topP: [0.01, 0.99],
  topK: [0, 500],
  presencePenalty: [0, 1],
  frequencyPenalty: [0, 1],
};

function fit(name: string, value: number, lost: string[]): number {
  const [least, most] = bounds[name] ?? [value, value];
  const fitting = Math.min(most, Math.max(least, value));
  // All tokens and nearly all tokens are the same wish.
  if (fitting !== value && !(name === 'topP' && value === 1)) lost.push(name);
  return fitting;
}

// Structured output

function writeFormat(format: OutputFormat): JsonObject {
  if (format.type === 'json') return { type: 'json_object' };
  return { type: 'json_object', json_schema: describe(format.schema, format.description) };
}

/** The format's description stands in the schema, unless that has one of its own. */
function describe(schema: Json, description: string | undefined): Json {
  if (description === undefined || !isObject(schema) || schema.description !== undefined) return schema;
  return { ...schema, description };
}
