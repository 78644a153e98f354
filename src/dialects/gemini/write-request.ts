/** Writes a request of any dialect for a provider that speaks Gemini; its path says the model and whether to stream. */
import type { ChatRequest } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { fitMembers } from '../members.ts';
import type { Quirks } from '../quirks.ts';
import { writeExtras } from './extras.ts';
import { dialectName } from './read-part.ts';
import { writeContents, writeInstruction } from './turns.ts';
import { describeFormat, formatByWords, writeConfig } from './write-config.ts';
import type { Manner } from './write-part.ts';
import { writeTools } from './write-tools.ts';

/**
 * @param lost gets hub names of hints that were left out or changed.
 * @throws GatewayError `unsupported` or `bad_request` for what cannot be said, naming its path.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const manner: Manner = { own, quirks, lost };
  const first = countInstructions(request);
  const instruction = writeInstruction(request.messages.slice(0, first), manner);
  if (request.format !== undefined && formatByWords(request, quirks)) {
    instruction.push({ text: describeFormat(request.format) });
  }
  const body: JsonObject = { contents: writeContents(request, first, manner) };
  if (instruction.length > 0) body.systemInstruction = { parts: instruction };
  const { tools, toolConfig } = writeTools(request, lost);
  if (tools !== undefined) body.tools = tools;
  if (toolConfig !== undefined) body.toolConfig = toolConfig;
  const config = writeConfig(request, quirks, lost);
  if (Object.keys(config).length > 0) body.generationConfig = config;
  if (own && request.extra !== undefined) writeExtras(body, request.extra);
  fitMembers(body, quirks, lost);
  return body;
}

/** How many messages at the start are the system instruction. */
function countInstructions({ messages }: ChatRequest): number {
  const first = messages.findIndex(({ role }) => role !== 'system');
  return first < 0 ? messages.length : first;
}
