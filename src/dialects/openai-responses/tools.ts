/** Tools and the choice among them: flat here, where Chat Completions nests them. */
import { emptySchema, type Tool, type ToolChoice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, others } from '../openai-chat/content.ts';

const functionMembers = new Set(['type', 'name', 'description', 'parameters', 'strict']);

/** Tools of free text and those the provider runs itself are known to this dialect only. */
export function readTool(value: Json, path: string): Tool {
  if (!isObject(value) || typeof value.type !== 'string') {
    throw badRequest(
      path,
      `${path} must be an object like {"type": "function", "name": "…", "parameters": {…}}.`,
    );
  }
  if (value.type !== 'function') return { name: String(value.name ?? value.type), opaque: value };
  if (typeof value.name !== 'string') {
    throw badRequest(
      `${path}.name`,
      `${path}.name must be a string: tools are {"type": "function", "name", "parameters"} here, without a "function" inside.`,
    );
  }
  const tool: Tool = { name: value.name };
  if (typeof value.description === 'string') tool.description = value.description;
  if (value.parameters !== undefined && value.parameters !== null) tool.schema = value.parameters;
  if (typeof value.strict === 'boolean') tool.strict = value.strict;
  const extra = others(value, functionMembers);
  if (extra !== undefined) tool.extra = extra;
  return tool;
}

export function readToolChoice(choice: Json | undefined): ToolChoice | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { type: choice };
  if (!isObject(choice)) {
    throw badRequest(
      'tool_choice',
      'tool_choice must be "auto", "none", "required" or {"type": "function", "name": "…"}.',
    );
  }
  if (choice.type === 'function' && typeof choice.name === 'string')
    return { type: 'tool', name: choice.name };
  if (choice.type === 'allowed_tools' && Array.isArray(choice.tools)) {
    const names = choice.tools.map(functionName);
    if (names.every((name) => typeof name === 'string')) {
      return { type: 'allowed', mode: choice.mode === 'required' ? 'required' : 'auto', names };
    }
  }
  return { type: 'opaque', value: choice };
}

function functionName(tool: Json): Json | undefined {
  return isObject(tool) && tool.type === 'function' ? tool.name : undefined;
}

// Writing

/** @throws GatewayError `unsupported` for a tool that only another dialect knows. */
export function writeTool(tool: Tool, own: boolean): JsonObject {
  if (tool.opaque !== undefined) {
    if (own) return tool.opaque;
    throw new GatewayError('unsupported', `The tool ${tool.name} is known to its own provider only.`, {
      param: 'tools',
    });
  }
  const written: JsonObject = { type: 'function', name: tool.name };
  if (tool.description !== undefined) written.description = tool.description;
  if (tool.schema !== undefined) written.parameters = tool.schema;
  else if (!own) written.parameters = emptySchema;
  // Strict is the default here and nowhere else: https://platform.openai.com/docs/guides/function-calling#strict-mode
  const strict = tool.strict ?? (own ? undefined : false);
  if (strict !== undefined) written.strict = strict;
  return own ? Object.assign(written, tool.extra) : written;
}

/** @throws GatewayError `unsupported` for a choice that only another dialect knows. */
export function writeToolChoice(choice: ToolChoice, own: boolean): Json {
  switch (choice.type) {
    case 'tool':
      return { type: 'function', name: choice.name };
    case 'allowed': {
      const tools = choice.names.map((name) => ({ type: 'function', name }));
      return { type: 'allowed_tools', mode: choice.mode, tools };
    }
    case 'opaque':
      if (own) return choice.value;
      throw new GatewayError('unsupported', 'tool_choice is known to its own provider only.', {
        param: 'tool_choice',
      });
    default:
      return choice.type;
  }
}
