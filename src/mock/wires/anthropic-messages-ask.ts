/** Reads an Anthropic Messages request as loosely as Anthropic does, and refuses in Anthropic's words. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, nameError, namePart, newAsk, refuse, textsOf } from '../ask.ts';
import type { Given } from '../wire.ts';

const blockTypes = new Set([
  'text',
  'image',
  'document',
  'search_result',
  'thinking',
  'redacted_thinking',
  'tool_use',
  'tool_result',
  'server_tool_use',
  'web_search_tool_result',
  'container_upload',
]);

/** @throws Refused */
export function readMessages(body: JsonObject, given: Given): Ask {
  const model = readModel(body, given);
  const limit = body.max_tokens;
  if (!given.counts && limit === undefined) refuse('max_tokens: Field required');
  if (!given.counts && (typeof limit !== 'number' || limit < 0)) {
    refuse('max_tokens: Input should be a valid integer');
  }
  const messages = body.messages;
  if (messages === undefined) refuse('messages: Field required');
  if (!Array.isArray(messages)) refuse('messages: Input should be a valid list');
  if (messages.length === 0) refuse('messages: at least one message is required');
  const choice = isObject(body.tool_choice) ? body.tool_choice : undefined;
  if (choice !== undefined && body.tools === undefined)
    refuse('tool_choice: may only be specified while providing tools');
  const ask = newAsk(body, model, given.stream ?? body.stream === true);
  hear(ask, 'system', readContent(body.system, 'system'));
  ask.tools = readTools(body.tools);
  ask.choice = readChoice(choice);
  ask.parallel = choice?.disable_parallel_tool_use !== true;
  ask.stop = textsOf(body.stop_sequences);
  ask.showsReasoning = !isObject(body.thinking) || body.thinking.display !== 'omitted';
  if (typeof limit === 'number') ask.maxTokens = limit;
  // The same schema under its present and its beta name.
  const format = isObject(body.output_config) ? body.output_config.format : body.output_format;
  if (isObject(format) && format.type === 'json_schema') ask.format = format.schema ?? true;
  readTurns(ask, messages);
  return ask;
}

/** Hosts name the model in the path and the version in the body; Anthropic itself does it the other way round. */
function readModel(body: JsonObject, { model, version, header }: Given): string {
  if (version === undefined) {
    if (header('anthropic-version') == null) refuse('anthropic-version: header is required');
  } else if (body.anthropic_version !== version) {
    refuse(`anthropic_version: Input should be '${version}'`);
  }
  if (version?.startsWith('bedrock') && body.stream !== undefined) {
    refuse(
      'Malformed input request: extraneous key [stream] is not permitted, please reformat your input and try again.',
    );
  }
  if (model !== undefined && body.model !== undefined) refuse('model: Extra inputs are not permitted');
  const named = model ?? body.model;
  if (typeof named !== 'string' || named === '') refuse('model: Field required');
  return named;
}

function readTools(tools: Json | undefined): Ask['tools'] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) refuse('tools: Input should be a valid list');
  return tools.map((tool, index) => {
    if (!isObject(tool) || typeof tool.name !== 'string')
      refuse(`tools.${index}.custom.name: Field required`);
    // Server tools carry a versioned type and no schema.
    const custom = tool.type === undefined || tool.type === 'custom';
    if (custom && (!isObject(tool.input_schema) || tool.input_schema.type !== 'object')) {
      refuse(`tools.${index}.custom.input_schema.type: Field required`);
    }
    return { name: tool.name, schema: tool.input_schema ?? {} };
  });
}

function readChoice(choice: JsonObject | undefined): Ask['choice'] {
  if (choice === undefined || choice.type === 'auto') return 'auto';
  if (choice.type === 'any') return 'required';
  if (choice.type === 'none') return 'none';
  if (choice.type === 'tool' && typeof choice.name === 'string') return { name: choice.name };
  refuse("tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'");
}

function readTurns(ask: Ask, messages: Json[]): void {
  /** Ids of the tool calls in the assistant message just before. */
  let called: string[] = [];
  messages.forEach((message, index) => {
    const at = `messages.${index}`;
    if (!isObject(message)) refuse(`${at}: Input should be an object`);
    const role = message.role;
    if (role !== 'user' && role !== 'assistant' && role !== 'system') {
      refuse(`${at}.role: Input should be 'user', 'assistant' or 'system'`);
    }
    const text = readContent(message.content, `${at}.content`);
    const answered = idsOf(message.content, 'tool_result', 'tool_use_id');
    if (role === 'user') matchResults(called, answered, index);
    hear(ask, role === 'user' && answered.length > 0 ? 'tool' : role, text);
    called = role === 'assistant' ? idsOf(message.content, 'tool_use', 'id') : [];
  });
  if (called.length > 0) matchResults(called, [], messages.length);
}

function matchResults(called: string[], answered: string[], index: number): void {
  const stray = answered.filter((id) => !called.includes(id));
  if (stray.length > 0) {
    refuse(
      `messages.${index}.content.0: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray.join(', ')}. ` +
        'Each `tool_result` block must have a corresponding `tool_use` block in the previous message.',
    );
  }
  const missing = called.filter((id) => !answered.includes(id));
  if (missing.length > 0) {
    refuse(
      `messages.${index - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ` +
        `${missing.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
    );
  }
}

function idsOf(content: Json | undefined, type: string, member: string): string[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((block) => (isObject(block) && block.type === type ? [String(block[member])] : []));
}

function readContent(content: Json | undefined, at: string): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) refuse(`${at}: Input should be a valid list`);
  return content
    .map((block, index) => readBlock(block, `${at}.${index}`))
    .filter((text) => text !== undefined)
    .join('\n');
}

/** What a block says; undefined for blocks that are no part of what was said. */
function readBlock(block: Json, at: string): string | undefined {
  if (!isObject(block) || typeof block.type !== 'string' || !blockTypes.has(block.type)) {
    const found = isObject(block) ? String(block.type) : typeof block;
    const tags = [...blockTypes].map((type) => `'${type}'`).join(', ');
    refuse(`${at}: Input tag '${found}' found using 'type' does not match any of the expected tags: ${tags}`);
  }
  if (block.type === 'text') {
    if (typeof block.text !== 'string') refuse(`${at}.text.text: Field required`);
    if (block.text === '') refuse('messages: text content blocks must be non-empty');
    return block.text;
  }
  if (block.type === 'image' || block.type === 'document') return nameSource(block.type, block.source, at);
  if (block.type === 'tool_result') {
    const text = readContent(block.content, `${at}.tool_result.content`);
    return block.is_error === true ? nameError(text) : text;
  }
  if (block.type === 'tool_use' && !isObject(block.input)) {
    refuse(`${at}.tool_use.input: Input should be a valid dictionary`);
  }
  if (block.type === 'thinking' && typeof block.signature !== 'string') {
    refuse(`${at}.thinking.signature: Field required`);
  }
  return undefined;
}

function nameSource(media: string, source: Json | undefined, at: string): string {
  if (!isObject(source)) refuse(`${at}.${media}.source: Field required`);
  if (source.type === 'base64') return namePart(media, String(source.media_type), String(source.data));
  return `[${media} ${source.url ?? source.file_id ?? source.data ?? source.type}]`;
}
