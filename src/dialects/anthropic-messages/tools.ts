/** Tools, the choice among them, and structured output for models that can only say it by a tool. */
import type { ChatRequest, Tool, ToolChoice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './block.ts';
import { closeSchema, toolSchema } from './schema.ts';

/** The reserved name of the tool whose input is the structured answer; answers turn its call back into text. */
export const jsonToolName = 'structured_json_output';

interface ToolUse {
  tools: JsonObject[];
  choice: JsonObject | undefined;
  /** The model has to call a tool. */
  forced: boolean;
}

/** @throws GatewayError `bad_request` when the choice allows none of the tools. */
export function writeTools(request: ChatRequest, quirks: Quirks, lost: string[]): ToolUse {
  let offered = request.tools ?? [];
  let choice = request.toolChoice;
  if (choice?.type === 'allowed') {
    const { names, mode } = choice;
    offered = offered.filter((tool) => names.includes(tool.name));
    if (offered.length === 0) {
      throw new GatewayError('bad_request', 'tool_choice allows only tools that are not among `tools`.', {
        param: 'tool_choice',
      });
    }
    choice = { type: mode };
  }
  const own = request.dialect === dialectName;
  const tools = offered.map((tool, i) => writeTool(tool, own, quirks, () => lost.push(`tools[${i}].strict`)));
  if (quirks.schemaByTool && request.format?.type === 'schema') {
    tools.push(writeJsonTool(request.format.schema, request.format.description));
    choice = forceJson(choice, offered.length);
  }
  const written = writeChoice(choice, request.parallelTools, tools.length);
  return { tools, choice: written, forced: written?.type === 'any' || written?.type === 'tool' };
}

function writeTool(tool: Tool, own: boolean, quirks: Quirks, loseStrict: () => void): JsonObject {
  if (tool.opaque !== undefined) return tool.opaque;
  const written: JsonObject = { name: tool.name };
  if (tool.description !== undefined && (own || tool.description !== '')) {
    written.description = tool.description;
  }
  if (own) {
    written.input_schema = tool.schema ?? toolSchema(undefined);
    if (tool.strict !== undefined) written.strict = tool.strict;
    return { ...written, ...tool.extra };
  }
  const schema = toolSchema(tool.schema);
  // Models without constrained output refuse the word.
  const strict = tool.strict === true && !quirks.schemaByTool;
  if (tool.strict === true && !strict) loseStrict();
  written.input_schema = strict ? closeSchema(schema) : schema;
  if (strict) written.strict = true;
  return written;
}

function writeJsonTool(schema: Json, description: string | undefined): JsonObject {
  if (!isObject(schema) || schema.type !== 'object') {
    throw new GatewayError(
      'unsupported',
      'The model behind this route answers by a schema only when that describes an object: ' +
        'give the schema `"type": "object"` at its root.',
      { param: 'response_format' },
    );
  }
  return {
    name: jsonToolName,
    description:
      `Gives the final answer: the input of this tool is the answer. ${description ?? ''}`.trimEnd(),
    input_schema: schema,
  };
}

/** With other tools on offer the model may call those first; a tool that the client itself forces goes before. */
function forceJson(choice: ToolChoice | undefined, others: number): ToolChoice {
  if (choice?.type === 'tool') return choice;
  return others > 0 && choice?.type !== 'none' ? { type: 'required' } : { type: 'tool', name: jsonToolName };
}

function writeChoice(
  choice: ToolChoice | undefined,
  parallelTools: boolean | undefined,
  offered: number,
): JsonObject | undefined {
  if (choice?.type === 'opaque') return isObject(choice.value) ? choice.value : undefined;
  // Without tools there is nothing to choose, and the API refuses the member.
  if (offered === 0 && (choice === undefined || choice.type === 'auto' || choice.type === 'none'))
    return undefined;
  const written = choiceWord(choice, parallelTools);
  // `none` does not take the flag.
  if (written !== undefined && parallelTools === false && written.type !== 'none') {
    written.disable_parallel_tool_use = true;
  }
  return written;
}

function choiceWord(
  choice: ToolChoice | undefined,
  parallelTools: boolean | undefined,
): JsonObject | undefined {
  switch (choice?.type) {
    case 'tool':
      return { type: 'tool', name: choice.name };
    case 'required':
      return { type: 'any' };
    case 'none':
      return { type: 'none' };
    case 'auto':
      return { type: 'auto' };
    default:
      return parallelTools === false ? { type: 'auto' } : undefined;
  }
}
