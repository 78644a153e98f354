/** Reads a request of Cohere's chat, second version, as Cohere does, and refuses in Cohere's words. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, nameUrl, newAsk, refuse, textsOf } from '../ask.ts';

/** @throws Refused */
export function readCohere(body: JsonObject): Ask {
  const { model, messages, response_format: format, tool_choice: choice, max_tokens: limit } = body;
  if (typeof model !== 'string' || model === '') refuse('invalid request: model is required');
  if (!Array.isArray(messages) || messages.length === 0)
    refuse('invalid request: messages must not be empty');
  const ask = newAsk(body, model, body.stream === true);
  ask.tools = readTools(body.tools);
  ask.stop = textsOf(body.stop_sequences);
  if (ask.stop.length > 5) refuse('invalid request: at most 5 stop_sequences are allowed');
  if (choice !== undefined) {
    if (choice !== 'REQUIRED' && choice !== 'NONE') {
      refuse("invalid request: tool_choice must be one of 'REQUIRED' or 'NONE'");
    }
    if (ask.tools.length === 0) refuse('invalid request: tool_choice requires tools');
    ask.choice = choice === 'NONE' ? 'none' : 'required';
  }
  if (typeof limit === 'number') ask.maxTokens = limit;
  if (isObject(format) && format.type === 'json_object')
    ask.format = format.json_schema ?? format.schema ?? true;
  readMessages(ask, messages);
  return ask;
}

function readTools(tools: Json | undefined): Ask['tools'] {
  if (!Array.isArray(tools)) return [];
  return tools.map((tool, index) => {
    const called = isObject(tool) && tool.type === 'function' ? tool.function : undefined;
    if (!isObject(called) || typeof called.name !== 'string') {
      refuse(`invalid request: tools[${index}] must be a function with a name`);
    }
    return { name: called.name, schema: called.parameters ?? {} };
  });
}

function readMessages(ask: Ask, messages: Json[]): void {
  /** Ids of calls that wait for their result. */
  let waiting = new Set<string>();
  messages.forEach((message, index) => {
    const at = `messages[${index}]`;
    if (!isObject(message)) refuse(`invalid request: ${at} must be an object`);
    const { role, content, tool_calls: calls } = message;
    if (role !== 'system' && role !== 'user' && role !== 'assistant' && role !== 'tool') {
      refuse(`invalid request: ${at}.role must be one of 'system', 'user', 'assistant' or 'tool'`);
    }
    if (role === 'tool') {
      if (!waiting.delete(String(message.tool_call_id))) {
        refuse(`invalid request: ${at}.tool_call_id not found in previous tool calls`);
      }
    } else if (waiting.size > 0) {
      refuse('invalid request: all tool calls must be followed by a tool message with their result');
    }
    hear(ask, role, readContent(content, at, role));
    if (role === 'assistant' && Array.isArray(calls))
      waiting = new Set(calls.map((call) => readCall(call, at)));
    else if (role !== 'tool' && (content === undefined || content === null)) {
      refuse(`invalid request: ${at} must have content`);
    }
  });
  if (waiting.size > 0) {
    refuse('invalid request: all tool calls must be followed by a tool message with their result');
  }
}

function readCall(call: Json, at: string): string {
  if (!isObject(call) || typeof call.id !== 'string' || !isObject(call.function)) {
    refuse(`invalid request: ${at}.tool_calls must have an id and a function`);
  }
  if (typeof call.function.arguments !== 'string') {
    refuse(`invalid request: ${at}.tool_calls.function.arguments must be a string`);
  }
  return call.id;
}

const partTypes: Record<string, readonly string[]> = {
  system: ['text'],
  user: ['text', 'image_url'],
  assistant: ['text', 'thinking'],
  tool: ['text', 'document'],
};

function readContent(content: Json | undefined, at: string, role: string): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) refuse(`invalid request: ${at}.content must be a string or a list`);
  return content
    .filter((part) => !isObject(part) || part.type !== 'thinking')
    .map((part) => {
      if (!isObject(part) || !partTypes[role]?.includes(String(part.type))) {
        const found = isObject(part) ? part.type : typeof part;
        refuse(`invalid request: ${at}.content: invalid type '${found}' in a message with the role ${role}`);
      }
      if (part.type === 'image_url') {
        return nameUrl('image', isObject(part.image_url) ? String(part.image_url.url) : '');
      }
      if (part.type === 'document') return textOfDocument(part.document);
      if (typeof part.text !== 'string') refuse(`invalid request: ${at}.content: text is required`);
      return part.text;
    })
    .join('\n');
}

/** A document is a text, or data with members of any name. */
function textOfDocument(document: Json | undefined): string {
  const data = isObject(document) ? document.data : document;
  if (isObject(data) && typeof data.text === 'string') return data.text;
  return typeof data === 'string' ? data : JSON.stringify(data ?? null);
}
