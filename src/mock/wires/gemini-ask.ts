/** Reads a Gemini generateContent request as Google does, in camel and in snake case, and refuses in Google's words. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, hear, nameError, namePart, newAsk, refuse, textsOf } from '../ask.ts';
import type { Given } from '../wire.ts';

/** Any other member is refused: https://ai.google.dev/api/generate-content#request-body */
const members = {
  request: [
    'cachedContent', 'contents', 'generationConfig', 'labels', 'model', 'safetySettings', 'serviceTier', 'store',
    'systemInstruction', 'toolConfig', 'tools',
  ],
  generationConfig: [
    'audioTimestamp', 'audioTranscriptionConfig', 'candidateCount', 'enableAffectiveDialog',
    'enableEnhancedCivicAnswers', 'frequencyPenalty', 'imageConfig', 'logprobs', 'maxOutputTokens',
    'mediaResolution', 'modelConfig', 'modelSelectionConfig', 'presencePenalty', 'responseFormat',
    'responseJsonSchema', 'responseLogprobs', 'responseMimeType', 'responseModalities', 'responseSchema',
    'routingConfig', 'seed', 'speechConfig', 'stopSequences', 'temperature', 'thinkingConfig', 'topK', 'topP',
    'translationConfig',
  ],
  thinkingConfig: ['includeThoughts', 'thinkingBudget', 'thinkingLevel'],
  part: [
    'audioTranscription', 'codeExecutionResult', 'executableCode', 'fileData', 'functionCall', 'functionResponse',
    'inlineData', 'mediaProcessing', 'mediaResolution', 'partMetadata', 'speechMetadata', 'text', 'thought',
    'thoughtSignature', 'toolCall', 'toolResponse', 'videoMetadata',
  ],
  functionDeclaration: [
    'behavior', 'description', 'name', 'parameters', 'parametersJsonSchema', 'response', 'responseJsonSchema',
  ],
  schema: [
    'anyOf', 'default', 'description', 'enum', 'example', 'format', 'items', 'maxItems', 'maxLength',
    'maxProperties', 'maximum', 'minItems', 'minLength', 'minProperties', 'minimum', 'nullable', 'pattern',
    'properties', 'propertyOrdering', 'required', 'title', 'type',
  ],
} as const; // biome-ignore format: lists

/** @throws Refused */
export function readGemini(body: JsonObject, given: Given): Ask {
  // A count takes the same request, bare or wrapped.
  const inner = given.counts ? member(body, 'generateContentRequest') : undefined;
  const request = isObject(inner) ? inner : body;
  check(request, 'request', '');
  const { contents } = request;
  if (!Array.isArray(contents) || contents.length === 0) {
    refuse('* GenerateContentRequest.contents: contents is not specified\n');
  }
  const config = objectAt(request, 'generationConfig', '');
  const ask = newAsk(body, given.model ?? '', given.stream === true);
  const instruction = member(request, 'systemInstruction');
  if (isObject(instruction)) hear(ask, 'system', textsIn(instruction).join('\n'));
  readTools(ask, member(request, 'tools'));
  readChoice(ask, member(request, 'toolConfig'));
  readConfig(ask, config);
  readContents(ask, contents);
  return ask;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function member(object: JsonObject, name: string): Json | undefined {
  return object[name] ?? object[snake(name)];
}

function check(object: JsonObject, kind: keyof typeof members, at: string): void {
  const known: readonly string[] = members[kind];
  for (const name in object) {
    if (known.includes(name) || known.some((each) => snake(each) === name)) continue;
    const place = at === '' ? '' : ` at '${at}'`;
    refuse(`Invalid JSON payload received. Unknown name "${name}"${place}: Cannot find field.`);
  }
}

function objectAt(object: JsonObject, name: keyof typeof members, at: string): JsonObject {
  const value = member(object, name);
  if (!isObject(value)) return {};
  check(value, name, at === '' ? snake(name) : `${at}.${snake(name)}`);
  return value;
}

function readConfig(ask: Ask, config: JsonObject): void {
  const thinking = objectAt(config, 'thinkingConfig', 'generation_config');
  ask.showsReasoning = member(thinking, 'includeThoughts') === true;
  ask.stop = textsOf(member(config, 'stopSequences'));
  const limit = member(config, 'maxOutputTokens');
  if (typeof limit === 'number') {
    if (limit < 1) refuse('max_output_tokens must be positive.');
    ask.maxTokens = limit;
  }
  const count = member(config, 'candidateCount');
  if (typeof count === 'number') ask.n = Math.min(Math.max(1, count), 8);
  const schema = member(config, 'responseJsonSchema');
  const plain = member(config, 'responseSchema');
  if (isObject(plain)) checkSchema(plain, 'generation_config.response_schema');
  const isJson = member(config, 'responseMimeType') === 'application/json';
  if (!isJson && (schema ?? plain) !== undefined) {
    refuse('Response schema is only supported with response_mime_type application/json.');
  }
  if (isJson) ask.format = schema ?? lowerTypes(plain ?? true);
}

function readTools(ask: Ask, tools: Json | undefined): void {
  if (!Array.isArray(tools)) return;
  tools.forEach((tool, at) => {
    const declarations = isObject(tool) ? member(tool, 'functionDeclarations') : undefined;
    if (!Array.isArray(declarations)) return;
    declarations.forEach((each, index) => {
      const place = `tools[${at}].function_declarations[${index}]`;
      if (!isObject(each)) refuse(`Invalid value at '${place}'`);
      check(each, 'functionDeclaration', place);
      if (typeof each.name !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/.test(each.name)) {
        refuse(
          `* GenerateContentRequest.${place}.name: Invalid function name. Must start with a letter or an underscore.`,
        );
      }
      const { parameters } = each;
      if (isObject(parameters)) checkSchema(parameters, `${place}.parameters`);
      ask.tools.push({
        name: each.name,
        schema: member(each, 'parametersJsonSchema') ?? lowerTypes(parameters ?? {}),
      });
    });
  });
}

/** `parameters` and `responseSchema` are a part of OpenAPI, not JSON Schema. */
function checkSchema(schema: JsonObject, at: string): void {
  check(schema, 'schema', at);
  if (isObject(schema.properties)) {
    for (const [name, property] of Object.entries(schema.properties)) {
      if (isObject(property)) checkSchema(property, `${at}.properties[${name}]`);
    }
  }
  if (isObject(schema.items)) checkSchema(schema.items, `${at}.items`);
}

/** Types are in capitals there. */
function lowerTypes(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(lowerTypes);
  if (!isObject(schema)) return schema;
  const lowered: JsonObject = {};
  for (const [name, value] of Object.entries(schema)) {
    const isType = name === 'type' && typeof value === 'string';
    lowered[name] = isType ? value.toLowerCase() : lowerTypes(value as Json);
  }
  return lowered;
}

function readChoice(ask: Ask, config: Json | undefined): void {
  const calling = isObject(config) ? member(config, 'functionCallingConfig') : undefined;
  if (!isObject(calling)) return;
  const names = textsOf(member(calling, 'allowedFunctionNames'));
  const { mode } = calling;
  if (names.length > 0) {
    if (mode !== 'ANY' && mode !== 'VALIDATED') {
      refuse('Function calling config is set without ANY mode; allowed_function_names should be empty.');
    }
    ask.tools = ask.tools.filter(({ name }) => names.includes(name));
  }
  if (mode === 'ANY') ask.choice = 'required';
  if (mode === 'NONE') ask.choice = 'none';
}

function readContents(ask: Ask, contents: Json[]): void {
  /** Calls of the turn before that wait for what they gave back. */
  let calls = 0;
  contents.forEach((content, index) => {
    if (!isObject(content)) refuse(`Invalid value at 'contents[${index}]'`);
    const { role = 'user' } = content;
    if (role !== 'user' && role !== 'model') refuse('Please use a valid role: user, model.');
    const parts = partsOf(content, `contents[${index}]`);
    const results = parts.filter((part) => isObject(member(part, 'functionResponse'))).length;
    if (results !== calls && (results > 0 || role === 'user')) {
      refuse(
        'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.',
      );
    }
    hear(ask, role === 'model' ? 'assistant' : results > 0 ? 'tool' : 'user', textsIn(content).join('\n'));
    calls = role === 'model' ? parts.filter((part) => isObject(member(part, 'functionCall'))).length : 0;
  });
}

function partsOf(content: JsonObject, at: string): JsonObject[] {
  const { parts } = content;
  if (!Array.isArray(parts) || parts.length === 0) {
    refuse(`* GenerateContentRequest.${at}.parts: contents.parts must not be empty.\n`);
  }
  return parts.map((part, index) => {
    if (!isObject(part)) refuse(`Invalid value at '${at}.parts[${index}]'`);
    check(part, 'part', `${at}.parts[${index}]`);
    return part;
  });
}

function textsIn(content: JsonObject): string[] {
  const parts = Array.isArray(content.parts) ? content.parts.filter(isObject) : [];
  return parts.map(textOf).filter((text) => text !== undefined);
}

/** What a part says; undefined for parts that are no part of what was said. */
function textOf(part: JsonObject): string | undefined {
  if (part.thought === true) return undefined;
  const inline = member(part, 'inlineData');
  if (isObject(inline)) return nameInline(inline);
  const file = member(part, 'fileData');
  if (isObject(file)) {
    return `[${mediaOf(String(member(file, 'mimeType') ?? 'image/'))} ${member(file, 'fileUri')}]`;
  }
  const result = member(part, 'functionResponse');
  if (isObject(result)) return textOfResult(result);
  return typeof part.text === 'string' ? part.text : undefined;
}

function nameInline(inline: JsonObject): string {
  const mimeType = String(member(inline, 'mimeType'));
  return namePart(mediaOf(mimeType), mimeType, String(inline.data));
}

function mediaOf(mimeType: string): string {
  const [kind = ''] = mimeType.split('/');
  return ['image', 'audio', 'video'].includes(kind) ? kind : 'document';
}

/** By convention a function gives back `output` or `error`; media stand in parts of their own. */
function textOfResult(result: JsonObject): string {
  const { name, response } = result;
  if (typeof name !== 'string' || name === '') {
    refuse('* GenerateContentRequest.contents.parts.function_response.name: Name cannot be empty.\n');
  }
  if (!isObject(response)) refuse("Invalid value at 'contents.parts.function_response.response'");
  const said = response.error ?? response.output ?? response.result ?? response;
  const text = typeof said === 'string' ? said : JSON.stringify(said);
  const media = textsIn(result);
  return [response.error === undefined ? text : nameError(text), ...media].join('\n');
}
