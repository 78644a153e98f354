/** Tools and the choice among them. */
import type { ChatRequest, Tool, ToolChoice } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { closeSchema, toolSchema } from '../closed-schema.ts';
import { offerTools } from '../offered-tools.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './block.ts';

interface ToolUse {
  tools: JsonObject[];
  choice: JsonObject | undefined;
  /** The model has to call a tool. */
  forced: boolean;
}

/** @throws GatewayError `bad_request` when the choice allows none of the tools, `unsupported` for some schemas. */
export function writeTools(request: ChatRequest, quirks: Quirks, lost: string[]): ToolUse {
  const own = request.dialect === dialectName;
  const { tools: offered, choice } = offerTools(request, quirks);
  const tools = offered.map(({ tool, path }) =>
    writeTool(tool, own, quirks, () => lost.push(`${path}.strict`)),
  );
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
