/**
 * The tools a model is offered where its API knows no choice among some of them, and no answer by a schema but the
 * input of a tool.
 */
import type { ChatRequest, OutputFormat, Tool, ToolCallBlock, ToolChoice } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject } from '../core/json.ts';
import type { Quirks } from './quirks.ts';

/** The reserved name of the tool whose input is the structured answer; answers turn its call back into text. */
const jsonToolName = 'structured_json_output';

interface Offer {
  /** `path` is the tool's place in the request: `tools[2]`. */
  tools: { tool: Tool; path: string }[];
  /** Never `allowed`: then only those tools are offered. */
  choice: Exclude<ToolChoice, { type: 'allowed' }> | undefined;
}

/**
 * @throws GatewayError `bad_request` when the choice allows none of the tools, `unsupported` for a schema that no tool
 * can have.
 */
export function offerTools(request: ChatRequest, quirks: Quirks): Offer {
  const { format, toolChoice } = request;
  const tools = (request.tools ?? []).map((tool, i) => ({ tool, path: `tools[${i}]` }));
  const offer: Offer =
    toolChoice?.type === 'allowed' ? allow(tools, toolChoice) : { tools, choice: toolChoice };
  if (!quirks.schemaByTool || format?.type !== 'schema') return offer;
  return {
    tools: [...offer.tools, { tool: jsonTool(format), path: 'response_format' }],
    choice: forceJson(offer.choice, offer.tools.length),
  };
}

function allow(tools: Offer['tools'], { names, mode }: Extract<ToolChoice, { type: 'allowed' }>): Offer {
  const allowed = tools.filter(({ tool }) => names.includes(tool.name));
  if (allowed.length === 0) {
    throw new GatewayError('bad_request', 'tool_choice allows only tools that are not among `tools`.', {
      param: 'tool_choice',
    });
  }
  return { tools: allowed, choice: { type: mode } };
}

function jsonTool({ schema, description }: Extract<OutputFormat, { type: 'schema' }>): Tool {
  if (!isObject(schema) || schema.type !== 'object') {
    throw new GatewayError(
      'unsupported',
      'The model behind this route answers by a schema only when that describes an object: ' +
        'give the schema `"type": "object"` at its root.',
      { param: 'response_format' },
    );
  }
  const words = `Gives the final answer: the input of this tool is the answer. ${description ?? ''}`;
  return { name: jsonToolName, description: words.trimEnd(), schema };
}

/** With other tools on offer the model may call those first; a tool that the client itself forces goes before. */
function forceJson(choice: Offer['choice'], others: number): Offer['choice'] {
  if (choice?.type === 'tool') return choice;
  return others > 0 && choice?.type !== 'none' ? { type: 'required' } : { type: 'tool', name: jsonToolName };
}

/** The call of the tool by which the answer was made to follow a schema: to the client it is the answer's text. */
export function isJsonTool(call: Pick<ToolCallBlock, 'name'>, quirks: Quirks): boolean {
  return quirks.schemaByTool === true && call.name === jsonToolName;
}
