/** Writes a request of any dialect as Anthropic Messages. */
import type { ChatRequest, OutputFormat } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { fitSampling, writeThinking } from '../claude.ts';
import { closeSchema } from '../closed-schema.ts';
import { fitMembers } from '../members.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './block.ts';
import { shorten } from './content.ts';
import { writeTools } from './tools.ts';
import { writeSystem, writeTurns } from './turns.ts';

type SchemaFormat = Extract<OutputFormat, { type: 'schema' }>;

/**
 * @param lost gets hub names of hints that were left out or changed.
 * @throws GatewayError `unsupported` or `bad_request` for what cannot be said, naming its path.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const instructions = countInstructions(request, own);
  const system = writeSystem(request.messages.slice(0, instructions), { own, lost });
  const { messages, lostThinking } = writeTurns(request, instructions, quirks, lost);
  const tools = writeTools(request, quirks, lost);
  const thought = writeThinking(request, quirks, { own, forcedTool: tools.forced, lostThinking }, lost);

  const body: JsonObject = { model: request.model, max_tokens: thought.maxTokens, messages };
  if (system.length > 0) body.system = shorten(system);
  if (tools.tools.length > 0) body.tools = tools.tools;
  if (tools.choice !== undefined) body.tool_choice = tools.choice;
  if (thought.thinking !== undefined) body.thinking = thought.thinking;
  const config = writeOutputConfig(request, quirks, thought.effort, lost);
  if (config !== undefined) body.output_config = config;
  writeSampling(request, body, thought.thinking, quirks, lost);
  writeIdentity(request, body);
  if (request.stream) body.stream = true;
  if (own) {
    for (const name in request.extra) if (name !== 'output_config') body[name] = request.extra[name];
  }
  fitMembers(body, quirks, lost);
  return body;
}

/** How many messages at the start are the top-level instructions. Of this dialect's own only the first can be. */
function countInstructions(request: ChatRequest, own: boolean): number {
  const first = request.messages.findIndex(({ role }) => role !== 'system');
  const leading = first < 0 ? request.messages.length : first;
  return own ? Math.min(leading, 1) : leading;
}

function writeOutputConfig(
  request: ChatRequest,
  quirks: Quirks,
  effort: string | undefined,
  lost: string[],
): JsonObject | undefined {
  const own = request.dialect === dialectName;
  const extra = own ? request.extra?.output_config : undefined;
  const config: JsonObject = isObject(extra) ? { ...extra } : {};
  if (effort !== undefined) config.effort = effort;
  if (request.format?.type === 'schema' && !quirks.schemaByTool) {
    config.format = {
      type: 'json_schema',
      schema: own ? request.format.schema : fitSchema(request.format, lost),
    };
  }
  return Object.keys(config).length > 0 ? config : undefined;
}

/** The format's description stands in the schema, unless that has one of its own. */
function fitSchema({ schema, description }: SchemaFormat, lost: string[]): Json {
  const closed = closeSchema(schema);
  if (description === undefined || !isObject(closed)) return closed;
  if (closed.description !== undefined) lost.push('format.description');
  return { description, ...closed };
}

/** Names of the sampling parameters in the hub and on the wire. */
const sampling = [
  ['temperature', 'temperature'],
  ['topP', 'top_p'],
  ['topK', 'top_k'],
] as const;

function writeSampling(
  request: ChatRequest,
  body: JsonObject,
  thinking: JsonObject | undefined,
  quirks: Quirks,
  lost: string[],
): void {
  const own = request.dialect === dialectName;
  for (const [name, member] of sampling) {
    const value = request[name];
    if (value === undefined) continue;
    const fitting = quirks.noSampling ? undefined : own ? value : fitSampling(request, thinking, name, value);
    if (fitting !== undefined) body[member] = fitting;
    // 1 is what temperature and top_p are without being said.
    if (fitting !== value && !(value === 1 && name !== 'topK')) lost.push(name);
  }
  if (request.stop === undefined) return;
  // The API refuses stop sequences of white space only.
  const stop = own ? request.stop : request.stop.filter((word) => word.trim() !== '');
  if (stop.length > 0) body.stop_sequences = stop;
  if (stop.length < request.stop.length) lost.push('stop');
}

function writeIdentity(request: ChatRequest, body: JsonObject): void {
  const own = request.dialect === dialectName;
  const metadata: JsonObject = own ? { ...request.metadata } : {};
  if (request.user !== undefined) metadata.user_id = request.user;
  if (Object.keys(metadata).length > 0) body.metadata = metadata;
  // The tiers of other vendors have the same names for other things.
  if (own && request.serviceTier !== undefined) body.service_tier = request.serviceTier;
}
