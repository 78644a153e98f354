/** Tools and the choice among them. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html */
import type { ChatRequest, Message, Tool, ToolChoice } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { closeSchema, toolSchema } from '../closed-schema.ts';
import { offerTools } from '../offered-tools.ts';
import type { Quirks } from '../quirks.ts';
import type { Manner } from './content.ts';

interface ToolUse {
  /** The `toolConfig` member. */
  config?: JsonObject;
  /** Claude's own `tool_choice`, for what Bedrock has no word for. */
  claudeChoice?: JsonObject;
  /** The model has to call a tool. */
  forced: boolean;
}

/**
 * A conversation in which tools were called needs tools, also where none is to be called any more: they are made up
 * from the names of those calls, if need be.
 * @throws GatewayError `bad_request` when the choice allows none of the tools, `unsupported` for some schemas.
 */
export function writeTools(request: ChatRequest, quirks: Quirks, manner: Manner): ToolUse {
  const { tools: offered, choice } = offerTools(request, quirks);
  const called = calledTools(request.messages);
  const none = choice?.type === 'none';
  if (none && called.size > 0) manner.lost.push('toolChoice');
  else if (none && offered.length > 0) manner.lost.push('tools');
  const tools: JsonObject[] = [];
  if (!none || called.size > 0) {
    for (const { tool, path } of offered) {
      tools.push(writeTool(tool, path, quirks, manner));
      if (!manner.own) manner.points.mark(tools, tool.extra, path, 'tools');
    }
  }
  if (tools.length === 0) for (const name of called) tools.push(writeSpec({ name }, toolSchema(undefined)));
  const written = writeChoice(choice);
  const { parallelTools } = request;
  if (tools.length === 0) {
    if (written !== undefined) manner.lost.push('toolChoice');
    if (parallelTools === false) manner.lost.push('parallelTools');
    return { forced: false };
  }
  const forced = choice?.type === 'required' || choice?.type === 'tool';
  // Two choices that differ are refused, so Claude's takes the place of Bedrock's; only `auto` is known to work.
  if (parallelTools === false && manner.family === 'claude' && !forced && !none) {
    return { config: { tools }, claudeChoice: { type: 'auto', disable_parallel_tool_use: true }, forced };
  }
  if (parallelTools === false) manner.lost.push('parallelTools');
  return { config: { tools, ...(written !== undefined && { toolChoice: written }) }, forced };
}

function calledTools(messages: readonly Message[]): Set<string> {
  const names = new Set<string>();
  for (const { blocks } of messages) {
    for (const block of blocks) if (block.type === 'tool-call') names.add(block.name);
  }
  return names;
}

function writeTool(tool: Tool, path: string, quirks: Quirks, { own, lost }: Manner): JsonObject {
  if (tool.opaque !== undefined) return tool.opaque;
  if (own) return writeSpec(tool, tool.schema ?? toolSchema(undefined), tool.strict, tool.extra);
  const schema = toolSchema(tool.schema);
  if (tool.strict !== true) return writeSpec(tool, schema);
  // Models without constrained output refuse the word.
  if (!quirks.schemaByTool) return writeSpec(tool, closeSchema(schema), true);
  lost.push(`${path}.strict`);
  return writeSpec(tool, schema);
}

function writeSpec(
  { name, description }: Tool,
  json: Tool['schema'],
  strict?: Tool['strict'],
  extra?: JsonObject,
): JsonObject {
  const spec: JsonObject = { name };
  if (description !== undefined && description !== '') spec.description = description;
  spec.inputSchema = { json };
  if (strict !== undefined) spec.strict = strict;
  return { toolSpec: { ...spec, ...extra } };
}

function writeChoice(choice: ToolChoice | undefined): JsonObject | undefined {
  switch (choice?.type) {
    case 'auto':
      return { auto: {} };
    case 'required':
      return { any: {} };
    case 'tool':
      return { tool: { name: choice.name } };
    case 'opaque':
      return isObject(choice.value) ? choice.value : undefined;
    default:
      return undefined;
  }
}
