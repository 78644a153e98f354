/** Tools and the choice among them, in the two words there are for it: https://docs.cohere.com/docs/tool-use-overview */
import type { ChatRequest, Tool, ToolChoice } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { toolSchema } from '../closed-schema.ts';
import { offerTools } from '../offered-tools.ts';
import { writeTool } from '../openai-chat/write-request.ts';

/** There is no word for one tool: the others are left out, and some tool has to be called. */
export function writeTools(request: ChatRequest, body: JsonObject, lost: string[]): void {
  const { tools, choice } = offerTools(onlyNamed(request, lost), {});
  const word = choiceWord(choice);
  if (word !== undefined && (tools.length > 0 || word !== 'NONE')) body.tool_choice = word;
  if (tools.length === 0) return;
  // Strictness is said of all tools at once, and only where each requires something.
  if (tools.every(({ tool }) => isStrict(tool))) body.strict_tools = true;
  else for (const { tool, path } of tools) if (tool.strict === true) lost.push(`${path}.strict`);
  body.tools = tools.map(({ tool }) =>
    writeTool({ ...tool, schema: toolSchema(tool.schema), strict: undefined }, false),
  );
}

function onlyNamed(request: ChatRequest, lost: string[]): ChatRequest {
  const { toolChoice, tools = [] } = request;
  if (toolChoice?.type !== 'tool') return request;
  const { name } = toolChoice;
  tools.forEach((tool, i) => {
    if (tool.name !== name) lost.push(`tools[${i}]`);
  });
  return { ...request, toolChoice: { type: 'allowed', mode: 'required', names: [name] } };
}

/** https://docs.cohere.com/v2/docs/structured-outputs#important-notes-on-using-strict_tools */
function isStrict({ strict, schema }: Tool): boolean {
  return strict === true && isObject(schema) && Array.isArray(schema.required) && schema.required.length > 0;
}

/** Undefined: the model chooses, which goes without saying. */
export function choiceWord(choice: ToolChoice | undefined): Json | undefined {
  switch (choice?.type) {
    case 'none':
      return 'NONE';
    case 'required':
      return 'REQUIRED';
    case 'opaque':
      return choice.value;
    default:
      return undefined;
  }
}
