/** Reads an OpenAI Chat Completions request as loosely as OpenAI does, and refuses in OpenAI's words. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, namePart, nameUrl, newAsk, refuse, textsOf } from '../ask.ts';
import type { Given } from '../wire.ts';

const roles = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function']);
const partTypes = new Set(['text', 'image_url', 'input_audio', 'refusal', 'audio', 'file']);

/** @throws Refused */
export function readChat(body: JsonObject, given: Given): Ask {
  const model = given.model ?? body.model;
  if (typeof model !== 'string' || model === '') refuse('you must provide a model parameter');
  const messages = body.messages;
  if (messages === undefined) {
    refuse("Missing required parameter: 'messages'.", 'messages', 'missing_required_parameter');
  }
  if (!Array.isArray(messages)) {
    refuse("Invalid type for 'messages': expected an array of objects.", 'messages', 'invalid_type');
  }
  if (messages.length === 0) {
    refuse(
      "Invalid 'messages': empty array. Expected an array with minimum length 1.",
      'messages',
      'empty_array',
    );
  }
  const ask = newAsk(body, model, body.stream === true);
  ask.tools = readTools(body.tools);
  ask.choice = readChoice(body);
  ask.parallel = body.parallel_tool_calls !== false;
  ask.stop = textsOf(body.stop);
  ask.n = readCount(body.n);
  ask.streamUsage = isObject(body.stream_options) && body.stream_options.include_usage === true;
  ask.maxTokens = readLimit(body.max_completion_tokens ?? body.max_tokens);
  readFormat(ask, body.response_format);
  readMessages(ask, messages);
  return ask;
}

/** How many answers. */
export function readCount(n: Json | undefined): number {
  return typeof n === 'number' ? Math.min(Math.max(1, Math.floor(n)), 8) : 1;
}

export function readLimit(limit: Json | undefined): number | undefined {
  if (limit === undefined || limit === null) return undefined;
  if (typeof limit === 'number' && limit >= 1) return limit;
  refuse("Invalid 'max_tokens': expected an integer of at least 1.", 'max_tokens', 'invalid_type');
}

function readFormat(ask: Ask, format: Json | undefined): void {
  if (!isObject(format)) return;
  if (format.type === 'json_object') ask.format = true;
  if (format.type !== 'json_schema') return;
  if (!isObject(format.json_schema)) {
    refuse("Missing required parameter: 'response_format.json_schema'.", 'response_format.json_schema');
  }
  ask.format = format.json_schema.schema ?? true;
}

function readTools(tools: Json | undefined): Ask['tools'] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) refuse("Invalid type for 'tools': expected an array of objects.", 'tools');
  return tools.map((tool, index) => {
    const called = isObject(tool) ? (tool.function ?? tool.custom) : undefined;
    if (!isObject(called) || typeof called.name !== 'string') {
      const param = `tools[${index}].function`;
      refuse(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
    }
    return { name: called.name, schema: called.parameters ?? {} };
  });
}

function readChoice(body: JsonObject): Ask['choice'] {
  const choice = body.tool_choice;
  if (choice === undefined || choice === null) return 'auto';
  if (body.tools === undefined) {
    refuse(
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
      'tool_choice',
    );
  }
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  if (isObject(choice)) {
    if (isObject(choice.function) && typeof choice.function.name === 'string')
      return { name: choice.function.name };
    if (isObject(choice.allowed_tools)) return choice.allowed_tools.mode === 'required' ? 'required' : 'auto';
  }
  refuse(`Invalid value: ${JSON.stringify(choice)}.`, 'tool_choice', 'invalid_value');
}

function readMessages(ask: Ask, messages: Json[]): void {
  /** Ids of tool calls that still wait for their result. */
  let waiting = new Set<string>();
  messages.forEach((message, index) => {
    const param = `messages[${index}]`;
    if (!isObject(message)) refuse(`Invalid type for '${param}': expected an object.`, param, 'invalid_type');
    const role = message.role;
    if (typeof role !== 'string' || !roles.has(role)) {
      const supported = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
      refuse(
        `Invalid value: '${role}'. Supported values are: ${supported}.`,
        `${param}.role`,
        'invalid_value',
      );
    }
    if (role === 'tool') {
      if (!waiting.delete(String(message.tool_call_id))) {
        refuse(
          "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
          `${param}.role`,
        );
      }
    } else if (waiting.size > 0) {
      refuseUnanswered(waiting, param);
    }
    const text = readContent(message.content, param);
    hear(ask, role === 'user' || role === 'tool' || role === 'assistant' ? role : 'system', text);
    if (role === 'assistant' && Array.isArray(message.tool_calls))
      waiting = readCalls(message.tool_calls, param);
  });
  if (waiting.size > 0) refuseUnanswered(waiting, 'messages');
}

function refuseUnanswered(waiting: Set<string>, param: string): never {
  refuse(
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. " +
      `The following tool_call_ids did not have response messages: ${[...waiting].join(', ')}`,
    param,
  );
}

function readCalls(calls: Json[], param: string): Set<string> {
  const ids = new Set<string>();
  calls.forEach((call, index) => {
    const at = `${param}.tool_calls[${index}]`;
    if (!isObject(call) || typeof call.id !== 'string') {
      refuse(`Missing required parameter: '${at}.id'.`, `${at}.id`, 'missing_required_parameter');
    }
    if (isObject(call.function) && typeof call.function.arguments !== 'string') {
      const argumentsAt = `${at}.function.arguments`;
      refuse(`Invalid type for '${argumentsAt}': expected a string.`, argumentsAt, 'invalid_type');
    }
    ids.add(call.id);
  });
  return ids;
}

function readContent(content: Json | undefined, param: string): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) {
    refuse(
      `Invalid type for '${param}.content': expected a string or an array.`,
      `${param}.content`,
      'invalid_type',
    );
  }
  return content.map((part, index) => readPart(part, `${param}.content[${index}]`)).join('\n');
}

function readPart(part: Json, param: string): string {
  if (!isObject(part) || typeof part.type !== 'string' || !partTypes.has(part.type)) {
    const found = isObject(part) ? String(part.type) : typeof part;
    const supported = "'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'";
    refuse(
      `Invalid value: '${found}'. Supported values are: ${supported}.`,
      `${param}.type`,
      'invalid_value',
    );
  }
  if (part.type === 'text') return String(part.text ?? '');
  if (part.type === 'refusal') return String(part.refusal ?? '');
  if (part.type === 'image_url') {
    return nameUrl('image', isObject(part.image_url) ? String(part.image_url.url) : '');
  }
  if (part.type === 'input_audio' && isObject(part.input_audio)) {
    return namePart('audio', `audio/${part.input_audio.format}`, String(part.input_audio.data));
  }
  if (part.type === 'file' && isObject(part.file)) {
    const { file_data: data, file_id: id } = part.file;
    return typeof data === 'string' ? nameUrl('document', data) : `[document ${id}]`;
  }
  return `[${part.type}]`;
}
