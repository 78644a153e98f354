/** Reads an OpenAI Responses request as OpenAI does, and refuses in OpenAI's words. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, namePart, nameUrl, newAsk, refuse } from '../ask.ts';
import type { Given } from '../wire.ts';

/** Any other is refused: https://platform.openai.com/docs/api-reference/responses/create */
const parameters = new Set([
  'background', 'context_management', 'conversation', 'include', 'input', 'instructions', 'max_output_tokens',
  'max_tool_calls', 'metadata', 'model', 'moderation', 'parallel_tool_calls', 'previous_response_id', 'prompt',
  'prompt_cache_key', 'prompt_cache_options', 'prompt_cache_retention', 'reasoning', 'safety_identifier',
  'service_tier', 'store', 'stream', 'stream_options', 'temperature', 'text', 'tool_choice', 'tools',
  'top_logprobs', 'top_p', 'truncation', 'user',
]); // biome-ignore format: one list

const leastOutput = 16;

/** @throws Refused */
export function readResponses(body: JsonObject, given: Given): Ask {
  for (const name in body) {
    if (!parameters.has(name)) refuse(`Unknown parameter: '${name}'.`, name, 'unknown_parameter');
  }
  const model = given.model ?? body.model;
  if (typeof model !== 'string' || model === '') refuseMissing('model');
  const ask = newAsk(body, model, body.stream === true);
  if (typeof body.instructions === 'string') hear(ask, 'system', body.instructions);
  ask.keeps = body.store !== false;
  ask.tools = readTools(body.tools);
  ask.choice = readChoice(body.tool_choice);
  ask.parallel = body.parallel_tool_calls !== false;
  ask.maxTokens = readLimit(body.max_output_tokens);
  ask.showsReasoning = isObject(body.reasoning) && typeof body.reasoning.summary === 'string';
  readFormat(ask, body.text);
  const waiting = callsBefore(body, given);
  if (typeof body.input === 'string') hear(ask, 'user', body.input);
  else if (Array.isArray(body.input)) readItems(ask, body.input, waiting);
  else refuseMissing('input');
  return ask;
}

/** Calls of the kept answer this request goes on from: their output is here. */
function callsBefore({ previous_response_id: id }: JsonObject, { kept }: Given): Set<string> {
  if (id === undefined || id === null) return new Set();
  const calls = kept(String(id));
  if (calls !== undefined) return new Set(calls);
  const param = 'previous_response_id';
  refuse(`Previous response with id '${id}' not found.`, param, 'previous_response_not_found');
}

function refuseMissing(param: string): never {
  refuse(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
}

function refuseValue(found: Json | undefined, param: string, supported: string): never {
  refuse(`Invalid value: '${found}'. Supported values are: ${supported}.`, param, 'invalid_value');
}

function readLimit(limit: Json | undefined): number | undefined {
  if (limit === undefined || limit === null) return undefined;
  const param = 'max_output_tokens';
  if (typeof limit !== 'number') refuse(`Invalid type for '${param}': expected an integer.`, param);
  if (limit >= leastOutput) return limit;
  refuse(
    `Invalid '${param}': integer below minimum value. Expected a value >= ${leastOutput}, but got ${limit} instead.`,
    param,
    'integer_below_min_value',
  );
}

function readFormat(ask: Ask, text: Json | undefined): void {
  const format = isObject(text) ? text.format : undefined;
  if (!isObject(format)) return;
  if (format.type === 'json_object') ask.format = true;
  if (format.type !== 'json_schema') return;
  if (typeof format.name !== 'string') refuseMissing('text.format.name');
  ask.format = format.schema ?? true;
}

/** Tools OpenAI runs itself are accepted, and never used. */
function readTools(tools: Json | undefined): Ask['tools'] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) refuse("Invalid type for 'tools': expected an array of objects.", 'tools');
  return tools.flatMap((tool, index) => {
    const param = `tools[${index}]`;
    if (!isObject(tool) || typeof tool.type !== 'string') refuseMissing(`${param}.type`);
    if (tool.type !== 'function') return [];
    if (typeof tool.name !== 'string') refuseMissing(`${param}.name`);
    return [{ name: tool.name, schema: tool.parameters ?? {} }];
  });
}

function readChoice(choice: Json | undefined): Ask['choice'] {
  if (choice === undefined || choice === null) return 'auto';
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  if (isObject(choice)) {
    if (choice.type === 'function' && typeof choice.name === 'string') return { name: choice.name };
    if (choice.type === 'allowed_tools') return choice.mode === 'required' ? 'required' : 'auto';
  }
  refuseValue(JSON.stringify(choice), 'tool_choice', "'none', 'auto', and 'required'");
}

/** @param waiting ids of calls that wait for their output. */
function readItems(ask: Ask, items: Json[], waiting: Set<string>): void {
  items.forEach((item, index) => {
    const param = `input[${index}]`;
    if (!isObject(item)) refuse(`Invalid type for '${param}': expected an object.`, param, 'invalid_type');
    readItem(ask, item, param, waiting);
  });
  const [first] = waiting;
  if (first !== undefined) refuse(`No tool output found for function call ${first}.`, 'input');
}

function readItem(ask: Ask, item: JsonObject, param: string, waiting: Set<string>): void {
  const { type = 'message', call_id: id } = item;
  if (type === 'message') {
    readMessage(ask, item, param);
  } else if (type === 'function_call') {
    waiting.add(readCall(ask, item, param));
  } else if (type === 'function_call_output') {
    if (!waiting.delete(String(id))) {
      refuse(`No tool call found for function call output with call_id ${id}.`, 'input');
    }
    hear(ask, 'tool', readContent(item.output, `${param}.output`, inputTypes));
  } else if (type === 'reasoning') {
    if (!Array.isArray(item.summary)) refuseMissing(`${param}.summary`);
  } else if (typeof type !== 'string' || !otherItems.test(type)) {
    refuseValue(type, `${param}.type`, "'message', 'function_call', 'function_call_output'…");
  }
}

/** What other tools called and gave back, and references to kept items. */
const otherItems =
  /_(call|call_output|output|reference|request|response|list_tools|search)$|^(compaction|program)/;

const roles = new Set(['user', 'assistant', 'system', 'developer']);
const inputTypes = new Set(['input_text', 'input_image', 'input_file', 'input_audio']);
const outputTypes = new Set(['output_text', 'refusal']);

function readMessage(ask: Ask, item: JsonObject, param: string): void {
  const { role } = item;
  if (typeof role !== 'string' || !roles.has(role)) {
    refuseValue(role, `${param}.role`, "'assistant', 'system', 'developer', and 'user'");
  }
  const types = role === 'assistant' ? outputTypes : inputTypes;
  const text = readContent(item.content, `${param}.content`, types);
  hear(ask, role === 'user' || role === 'assistant' ? role : 'system', text);
}

function readCall(ask: Ask, item: JsonObject, param: string): string {
  if (typeof item.call_id !== 'string') refuseMissing(`${param}.call_id`);
  if (typeof item.arguments !== 'string') refuseMissing(`${param}.arguments`);
  if (typeof item.id === 'string' && !item.id.startsWith('fc')) {
    refuse(
      `Invalid '${param}.id': '${item.id}'. Expected an ID that begins with 'fc'.`,
      `${param}.id`,
      'invalid_value',
    );
  }
  hear(ask, 'assistant', item.arguments);
  return item.call_id;
}

function readContent(content: Json | undefined, param: string, types: ReadonlySet<string>): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content))
    refuse(`Invalid type for '${param}': expected an array or a string.`, param, 'invalid_type');
  return content.map((part, index) => readPart(part, `${param}[${index}]`, types)).join('\n');
}

function readPart(part: Json, param: string, types: ReadonlySet<string>): string {
  if (!isObject(part) || typeof part.type !== 'string' || !types.has(part.type)) {
    const found = isObject(part) ? String(part.type) : typeof part;
    refuseValue(found, `${param}.type`, [...types].map((type) => `'${type}'`).join(', '));
  }
  switch (part.type) {
    case 'input_image':
      return typeof part.image_url === 'string'
        ? nameUrl('image', part.image_url)
        : `[image ${part.file_id}]`;
    case 'input_file': {
      const { file_data: data, file_url: url, file_id: id } = part;
      return typeof data === 'string' ? nameUrl('document', data) : `[document ${url ?? id}]`;
    }
    case 'input_audio':
      if (!isObject(part.input_audio)) refuseMissing(`${param}.input_audio`);
      return namePart('audio', `audio/${part.input_audio.format}`, String(part.input_audio.data));
    default:
      if (part.type === 'refusal') return String(part.refusal ?? '');
      if (typeof part.text !== 'string') refuseMissing(`${param}.text`);
      return part.text;
  }
}
