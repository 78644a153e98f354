/** Reads a generateContent request into the hub, refusing what is not one with a word on what to write. */
import type { ChatRequest, Message } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { CallLog } from './calls.ts';
import { readConfig } from './read-config.ts';
import { dialectName, readPart } from './read-part.ts';
import { readToolConfig, readTools } from './read-tools.ts';
import { respell } from './spelling.ts';
import { joinThoughts } from './thoughts.ts';

/** `model` and `stream` are said by the path; some clients say the former here too. */
const known = new Set(['model', 'contents', 'systemInstruction', 'tools', 'toolConfig', 'generationConfig']);

/** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
export function readRequest(raw: JsonObject): ChatRequest {
  const body = respell(raw);
  const request: ChatRequest = {
    dialect: dialectName,
    model: '',
    messages: joinThoughts(readMessages(body)),
    stream: false,
    // Every stream of this dialect tells its usage.
    streamUsage: true,
  };
  const extra: JsonObject = rest(body, known) ?? {};
  readTools(body.tools, request, fail);
  readToolConfig(body.toolConfig, request, extra, fail);
  readConfig(body.generationConfig, request, extra, fail);
  if (Object.keys(extra).length > 0) request.extra = extra;
  return request;
}

function fail(path: string, expected: string): never {
  throw new GatewayError('bad_request', `${path} ${expected}.`, { param: path });
}

function readMessages(body: JsonObject): Message[] {
  const messages: Message[] = [];
  const calls = new CallLog();
  if (body.systemInstruction !== undefined) {
    const path = 'systemInstruction';
    if (!isObject(body.systemInstruction)) fail(path, 'must be an object such as {"parts":[{"text":"…"}]}');
    const blocks = readParts(body.systemInstruction.parts, path, calls);
    if (blocks.length > 0) messages.push({ role: 'system', blocks });
  }
  if (!Array.isArray(body.contents) || body.contents.length === 0) {
    fail(
      'contents',
      'must be a list with at least one content, such as {"role":"user","parts":[{"text":"Hello"}]}',
    );
  }
  return messages.concat(body.contents.map((value, i) => readContent(value, `contents[${i}]`, calls)));
}

const knownContent = new Set(['role', 'parts']);
/** Results of functions were once said by a role of their own. */
const users: ReadonlySet<Json | undefined> = new Set([undefined, '', 'user', 'function', 'tool']);

function readContent(value: Json, path: string, calls: CallLog): Message {
  if (!isObject(value)) return fail(path, 'must be an object with `role` and `parts`');
  const { role } = value;
  if (role !== 'model' && !users.has(role)) fail(`${path}.role`, "must be 'user' or 'model'");
  const blocks = readParts(value.parts, path, calls);
  const extra = rest(value, knownContent);
  // Results are the user's words everywhere else, whoever is said to have spoken them.
  const results = blocks.length > 0 && blocks.every(({ type }) => type === 'tool-result');
  const message: Message = { role: role === 'model' && !results ? 'assistant' : 'user', blocks };
  if (role === 'model' && results) message.extra = { role, ...extra };
  else if (extra !== undefined) message.extra = extra;
  return message;
}

/** A single part may stand without a list around it, as in Google's own examples. */
function readParts(parts: Json | undefined, path: string, calls: CallLog): Message['blocks'] {
  if (parts === undefined) return [];
  if (isObject(parts)) return readPart(parts, `${path}.parts`, calls, fail);
  if (!Array.isArray(parts))
    return fail(`${path}.parts`, 'must be a list of parts, such as [{"text":"Hello"}]');
  return parts.flatMap((part, i) => readPart(part, `${path}.parts[${i}]`, calls, fail));
}
