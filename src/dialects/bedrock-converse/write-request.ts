/** Writes a request of any dialect as Bedrock Converse; its path, not its body, names the model and asks for a stream. */
import type { ChatRequest } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { fitMembers } from '../members.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './block.ts';
import { CachePoints, markLastBlock } from './cache-points.ts';
import type { Manner } from './content.ts';
import { documentNames } from './document-name.ts';
import { familyOf } from './family.ts';
import { think, writeInference } from './inference.ts';
import { writeOutput } from './output.ts';
import { writeOwn } from './own.ts';
import { writeTools } from './tools.ts';
import { writeSystem, writeTurns } from './turns.ts';

/**
 * @param lost gets hub names of hints that were left out or changed.
 * @throws GatewayError `unsupported` or `bad_request` for what cannot be said, naming its path.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const family = familyOf(request.model, quirks);
  const points = new CachePoints(family, lost);
  const manner: Manner = { own, family, points, names: documentNames(), lost };
  const first = countInstructions(request, own);
  // In the order in which the model reads them, which that of cache points has to follow.
  const tools = writeTools(request, quirks, manner);
  const marked = own ? request.messages : request.messages.map(markLastBlock);
  const system = writeSystem(marked.slice(0, first), manner);
  const { messages, lostThinking } = writeTurns(marked, first, manner);
  points.mark(contentOf(messages.at(-1)), own ? undefined : request.extra, '', 'messages');
  points.settle();

  const body: JsonObject = { messages };
  if (system.length > 0) body.system = system;
  if (tools.config !== undefined) body.toolConfig = tools.config;
  if (own) {
    writeOwn(request, body, quirks, lost);
  } else {
    const thought = think(request, quirks, manner, { forcedTool: tools.forced, lostThinking });
    writeOutput(request, body, quirks, thought.effort);
    const fields: JsonObject = {};
    if (thought.thinking !== undefined) fields.thinking = thought.thinking;
    if (tools.claudeChoice !== undefined) fields.tool_choice = tools.claudeChoice;
    writeInference(request, body, fields, thought, quirks, manner);
    if (Object.keys(fields).length > 0) body.additionalModelRequestFields = fields;
    writeMetadata(request, body, lost);
  }
  fitMembers(body, quirks, lost);
  return body;
}

/** How many messages at the start are instructions; this dialect's own may also have some among the messages. */
function countInstructions({ messages }: ChatRequest, own: boolean): number {
  if (own) return messages[0]?.apart ? 1 : 0;
  const first = messages.findIndex(({ role }) => role !== 'system');
  return first < 0 ? messages.length : first;
}

function contentOf(message: JsonObject | undefined): JsonObject[] {
  return Array.isArray(message?.content) ? (message.content as JsonObject[]) : [];
}

const metadataName = /^[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}$/;
const metadataValue = /^[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}$/;
const mostMetadata = 16;

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#bedrock-runtime_Converse-request-requestMetadata */
function writeMetadata({ metadata }: ChatRequest, body: JsonObject, lost: string[]): void {
  const written: JsonObject = {};
  let members = 0;
  for (const [name, value] of Object.entries(metadata ?? {})) {
    const fits = metadataName.test(name) && typeof value === 'string' && metadataValue.test(value);
    if (fits && members++ < mostMetadata) written[name] = value;
    else lost.push(`metadata.${name}`);
  }
  if (Object.keys(written).length > 0) body.requestMetadata = written;
}
