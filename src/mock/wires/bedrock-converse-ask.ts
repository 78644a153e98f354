/** Reads an Amazon Bedrock Converse request as Amazon does, and refuses in Amazon's words. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, nameError, namePart, newAsk, refuse, textsOf } from '../ask.ts';
import type { Given } from '../wire.ts';

const blockTypes = [
  'audio', 'cachePoint', 'citationsContent', 'document', 'guardContent', 'image', 'reasoningContent', 'searchResult',
  'text', 'toolResult', 'toolUse', 'video',
] as const; // biome-ignore format: one list

/** @throws Refused */
export function readConverse(body: JsonObject, given: Given): Ask {
  const ask = newAsk(body, given.model ?? '', given.stream === true);
  const { system, messages, inferenceConfig: inference } = body;
  if (Array.isArray(system)) hear(ask, 'system', system.map(textOfSystem).join('\n'));
  if (!Array.isArray(messages) || messages.length === 0) {
    refuse(
      'A conversation must start with a user message. Try again with a conversation that starts with a user message.',
    );
  }
  if (isObject(inference)) {
    if (typeof inference.maxTokens === 'number') ask.maxTokens = readLimit(inference.maxTokens);
    ask.stop = textsOf(inference.stopSequences);
  }
  readToolConfig(ask, body.toolConfig);
  // What the service has no word for goes to the model as it is: this is Claude's.
  const more = isObject(body.additionalModelRequestFields)
    ? body.additionalModelRequestFields.tool_choice
    : undefined;
  ask.parallel = !isObject(more) || more.disable_parallel_tool_use !== true;
  readFormat(ask, body.outputConfig);
  readMessages(ask, messages, body.toolConfig !== undefined);
  return ask;
}

/** What the service itself checks before any model is asked. */
function refuseConstraint(value: string, at: string, constraint: string): never {
  refuse(
    `1 validation error detected: Value '${value}' at '${at}' failed to satisfy constraint: ${constraint}`,
  );
}

function readLimit(limit: number): number {
  if (limit >= 1) return limit;
  refuseConstraint(
    String(limit),
    'inferenceConfig.maxTokens',
    'Member must have value greater than or equal to 1',
  );
}

function textOfSystem(block: Json, index: number): string {
  if (!isObject(block)) refuse(`The format of the value at system.${index} is invalid.`);
  if (typeof block.text === 'string') return said(block.text, 'SystemContentBlock', `system.${index}`);
  return '';
}

function said(text: string, object: string, at: string): string {
  if (text.trim() !== '') return text;
  refuse(
    `The text field in the ${object} object at ${at} is blank. Add text to the text field, and try again.`,
  );
}

function readToolConfig(ask: Ask, config: Json | undefined): void {
  if (config === undefined) return;
  if (!isObject(config) || !Array.isArray(config.tools) || config.tools.length === 0) {
    refuseConstraint('[]', 'toolConfig.tools', 'Member must have length greater than or equal to 1');
  }
  config.tools.forEach((tool, index) => {
    const spec = isObject(tool) ? tool.toolSpec : undefined;
    if (!isObject(spec)) return;
    const at = `toolConfig.tools.${index + 1}.member.toolSpec`;
    const name = String(spec.name);
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(name)) {
      const pattern = 'Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+';
      refuseConstraint(name, `${at}.name`, pattern);
    }
    if (spec.description === '') {
      refuseConstraint('', `${at}.description`, 'Member must have length greater than or equal to 1');
    }
    const schema = isObject(spec.inputSchema) ? spec.inputSchema.json : undefined;
    if (!isObject(schema) || schema.type !== 'object') {
      refuse(`The value at ${at}.inputSchema.json.type must be one of the following: object.`);
    }
    ask.tools.push({ name, schema });
  });
  const { toolChoice: choice } = config;
  if (!isObject(choice)) return;
  if (isObject(choice.any)) ask.choice = 'required';
  else if (isObject(choice.tool)) ask.choice = { name: String(choice.tool.name) };
  else if (!isObject(choice.auto)) refuse('The format of the value at toolConfig.toolChoice is invalid.');
}

/** The schema is JSON text. */
function readFormat(ask: Ask, config: Json | undefined): void {
  const format = isObject(config) ? config.textFormat : undefined;
  const structure = isObject(format) ? format.structure : undefined;
  const schema = isObject(structure) ? structure.jsonSchema : undefined;
  if (!isObject(schema)) return;
  if (typeof schema.schema !== 'string')
    refuse('The value at outputConfig.textFormat.structure.jsonSchema.schema must be a string.');
  try {
    ask.format = JSON.parse(schema.schema) as Json;
  } catch {
    refuse('The value at outputConfig.textFormat.structure.jsonSchema.schema is not valid JSON.');
  }
}

function readMessages(ask: Ask, messages: Json[], hasTools: boolean): void {
  let before: string | undefined;
  /** Ids of the calls in the message before. */
  let called: string[] = [];
  messages.forEach((message, index) => {
    const at = `messages.${index}`;
    if (!isObject(message)) refuse(`The format of the value at ${at} is invalid.`);
    const { role, content } = message;
    if (role !== 'user' && role !== 'assistant') {
      refuseConstraint(
        String(role),
        `messages.${index + 1}.member.role`,
        'Member must satisfy enum value set: [user, assistant]',
      );
    }
    if (index === 0 && role !== 'user') {
      refuse(
        'A conversation must start with a user message. Try again with a conversation that starts with a user message.',
      );
    }
    if (role === before) {
      refuse(
        'A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.',
      );
    }
    before = role;
    if (!Array.isArray(content) || content.length === 0) {
      refuse(
        `The content field in the Message object at ${at} is empty. Add a ContentBlock object to the content field and try again.`,
      );
    }
    const results = idsOf(content, 'toolResult');
    const calls = idsOf(content, 'toolUse');
    if (results.length + calls.length > 0 && !hasTools) {
      refuse('The toolConfig field must be defined when using toolUse and toolResult content blocks.');
    }
    matchResults(called, results, at);
    const texts = content.map((block, i) => textOfBlock(block, `${at}.content.${i}`));
    const text = texts.filter((each) => each !== undefined).join('\n');
    hear(ask, role === 'user' && results.length > 0 ? 'tool' : role, text);
    called = calls;
  });
}

function idsOf(content: Json[], type: 'toolUse' | 'toolResult'): string[] {
  return content.flatMap((block) => {
    const inner = isObject(block) ? block[type] : undefined;
    if (!isObject(inner)) return [];
    const id = String(inner.toolUseId);
    if (/^[a-zA-Z0-9_.:-]{1,64}$/.test(id)) return [id];
    const pattern = 'Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+';
    return refuseConstraint(id, `messages.content.${type}.toolUseId`, pattern);
  });
}

function matchResults(called: string[], results: string[], at: string): void {
  const missing = called.filter((id) => !results.includes(id));
  if (missing.length > 0) {
    refuse(`Expected toolResult blocks at ${at}.content for the following Ids: ${missing.join(', ')}`);
  }
  if (results.length > called.length) {
    refuse(
      `The number of toolResult blocks at ${at}.content exceeds the number of toolUse blocks of previous turn.`,
    );
  }
}

/** What a block says; undefined for blocks that are no part of what was said. */
function textOfBlock(block: Json, at: string): string | undefined {
  const present = isObject(block) ? blockTypes.filter((type) => block[type] !== undefined) : [];
  if (!isObject(block) || present.length !== 1) {
    refuse(`The ContentBlock object at ${at} must set one of the following keys: ${blockTypes.join(', ')}.`);
  }
  if (typeof block.text === 'string') return said(block.text, 'ContentBlock', at);
  if (isObject(block.image)) return nameMedia('image', block.image, at);
  if (isObject(block.video)) return nameMedia('video', block.video, at);
  if (isObject(block.audio)) return nameMedia('audio', block.audio, at);
  if (isObject(block.document)) return nameDocument(block.document, at);
  if (isObject(block.toolResult)) return textOfResult(block.toolResult, at);
  if (isObject(block.toolUse) && !isObject(block.toolUse.input)) {
    refuse(
      `The format of the value at ${at}.toolUse.input is invalid. Provide a json object for the field and try again.`,
    );
  }
  return undefined;
}

function nameMedia(media: string, block: JsonObject, at: string): string {
  const { format, source } = block;
  if (!isObject(source)) refuse(`The source field at ${at}.${media} is missing.`);
  if (typeof source.bytes === 'string') return namePart(media, `${media}/${format}`, source.bytes);
  const location = source.s3Location;
  return `[${media} ${isObject(location) ? location.uri : '?'}]`;
}

const documentTypes: Record<string, string> = {
  pdf: 'application/pdf',
  csv: 'text/csv',
  html: 'text/html',
  txt: 'text/plain',
  md: 'text/markdown',
};

function nameDocument(document: JsonObject, at: string): string {
  const { name, format, source } = document;
  if (typeof name !== 'string' || !/^[A-Za-z0-9\s\-()[\]]{1,200}$/.test(name) || /\s\s/.test(name)) {
    refuse(
      `The value at ${at}.document.name is invalid: it can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets, and no more than one consecutive whitespace character.`,
    );
  }
  if (isObject(source) && typeof source.text === 'string') return `[document ${source.text}]`;
  const bytes = isObject(source) ? source.bytes : undefined;
  if (typeof bytes !== 'string') return nameMedia('document', document, at);
  return namePart('document', documentTypes[String(format)] ?? `application/${format}`, bytes);
}

function textOfResult(result: JsonObject, at: string): string {
  const blocks = Array.isArray(result.content) ? result.content : [];
  const text = blocks
    .map((block, index) => {
      if (isObject(block) && block.json !== undefined) return JSON.stringify(block.json);
      return textOfBlock(block, `${at}.toolResult.content.${index}`);
    })
    .filter((each) => each !== undefined)
    .join('\n');
  return result.status === 'error' ? nameError(text) : text;
}
