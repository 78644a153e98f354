/** Tools and the choice among them. https://ai.google.dev/api/caching#Tool */
import type { ChatRequest, Tool, ToolChoice } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { addExtras } from './extras.ts';
import type { Fail } from './read-part.ts';
import { readOpenApi } from './schema.ts';

/** A tool holds functions, tools that the provider runs, or both: each becomes a tool of its own. */
export function readTools(value: Json | undefined, request: ChatRequest, fail: Fail): void {
  if (value === undefined) return;
  if (!Array.isArray(value)) fail('tools', 'must be a list of tools');
  const tools = value.flatMap((tool, i) => readTool(tool, `tools[${i}]`, fail));
  if (tools.length > 0) request.tools = tools;
}

function readTool(value: Json, path: string, fail: Fail): Tool[] {
  if (!isObject(value)) return fail(path, 'must be an object such as {"functionDeclarations":[…]}');
  return Object.entries(value).flatMap(([name, each]): Tool[] => {
    if (name !== 'functionDeclarations') return [{ name, opaque: { [name]: each } }];
    if (!Array.isArray(each)) return fail(`${path}.${name}`, 'must be a list of functions');
    return each.map((declaration, i) => readFunction(declaration, `${path}.${name}[${i}]`, fail));
  });
}

const knownFunction = new Set(['name', 'description', 'parameters', 'parametersJsonSchema']);

function readFunction(value: Json, path: string, fail: Fail): Tool {
  if (!isObject(value)) return fail(path, 'must be an object with `name` and `parametersJsonSchema`');
  if (typeof value.name !== 'string' || value.name === '') return fail(`${path}.name`, 'must be a string');
  const tool: Tool = { name: value.name };
  if (typeof value.description === 'string') tool.description = value.description;
  if (value.parametersJsonSchema !== undefined) tool.schema = value.parametersJsonSchema;
  else if (isObject(value.parameters)) tool.schema = readOpenApi(value.parameters);
  const extra = rest(value, knownFunction);
  if (extra !== undefined) tool.extra = extra;
  return tool;
}

const knownConfig = new Set(['functionCallingConfig']);

export function readToolConfig(
  value: Json | undefined,
  request: ChatRequest,
  extra: JsonObject,
  fail: Fail,
): void {
  if (value === undefined) return;
  if (!isObject(value)) fail('toolConfig', 'must be an object such as {"functionCallingConfig":{…}}');
  const calling = value.functionCallingConfig;
  if (isObject(calling)) readCalling(calling, request, extra);
  addExtras(extra, 'toolConfig', value, knownConfig);
}

/**
 * VALIDATED lets the model choose, too, and holds it to the schemas: a hint. Modes yet to be invented are the model's
 * choice as far as others are concerned.
 * https://ai.google.dev/api/caching#FunctionCallingConfig
 */
function readCalling(config: JsonObject, request: ChatRequest, extra: JsonObject): void {
  const { mode, allowedFunctionNames: allowed } = config;
  const said = new Set<string>();
  const names = Array.isArray(allowed) ? allowed.filter((name) => typeof name === 'string') : [];
  if (names.length > 0 && mode !== 'NONE') said.add('allowedFunctionNames');
  const choice = readChoice(mode, names);
  if (choice !== undefined) request.toolChoice = choice;
  if (mode === 'AUTO' || mode === 'ANY' || mode === 'NONE') said.add('mode');
  addExtras(extra, 'toolConfig.functionCallingConfig', config, said);
}

function readChoice(mode: Json | undefined, names: string[]): ToolChoice | undefined {
  const [only = ''] = names;
  switch (mode) {
    case 'NONE':
      return { type: 'none' };
    case 'ANY':
      if (names.length === 0) return { type: 'required' };
      return names.length === 1 ? { type: 'tool', name: only } : { type: 'allowed', mode: 'required', names };
    default:
      if (names.length > 0) return { type: 'allowed', mode: 'auto', names };
      return mode === undefined ? undefined : { type: 'auto' };
  }
}
