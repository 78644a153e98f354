/** Tools and the choice among them, for a provider. https://ai.google.dev/api/caching#Tool */
import type { ChatRequest, Tool, ToolChoice } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { offerTools } from '../offered-tools.ts';
import { dialectName } from './read-part.ts';
import { openApiOf } from './schema.ts';

/**
 * `tools` and `toolConfig`, each undefined where there is nothing to say.
 * @throws GatewayError `bad_request` when the choice allows none of the tools.
 */
export function writeTools(
  request: ChatRequest,
  lost: string[],
): { tools: JsonObject[] | undefined; toolConfig: JsonObject | undefined } {
  const own = request.dialect === dialectName;
  const { toolChoice, tools: all = [] } = request;
  // Names are taken where one of them must be called, not where the model may also answer.
  const filtered = !own && toolChoice?.type === 'allowed' && toolChoice.mode === 'auto';
  const offered = filtered ? offerTools(request, {}).tools.map(({ tool }) => tool) : all;
  const tools = groupTools(offered, own, lost);
  // Without functions there is nothing to choose among.
  const chosen = own || offered.length > 0 ? writeChoice(toolChoice, own) : undefined;
  return {
    tools: tools.length > 0 ? tools : undefined,
    toolConfig: chosen === undefined ? undefined : { functionCallingConfig: chosen },
  };
}

/** Functions that follow one another stand in one tool. */
function groupTools(offered: readonly Tool[], own: boolean, lost: string[]): JsonObject[] {
  const tools: JsonObject[] = [];
  let functions: JsonObject[] | undefined;
  offered.forEach((tool, i) => {
    if (tool.opaque !== undefined) {
      tools.push(tool.opaque);
      functions = undefined;
      return;
    }
    if (functions === undefined) {
      functions = [];
      tools.push({ functionDeclarations: functions });
    }
    functions.push(writeFunction(tool, own));
    if (tool.strict === true) lost.push(`tools[${i}].strict`);
  });
  return tools;
}

/** JSON Schema is understood whole, where the OpenAPI form refuses references, constants and more. */
function writeFunction({ name, description, schema, extra }: Tool, own: boolean): JsonObject {
  const written: JsonObject = { name };
  if (description !== undefined) written.description = description;
  const original = openApiOf(schema);
  if (original !== undefined) written.parameters = original;
  else if (own && schema !== undefined) written.parametersJsonSchema = schema;
  else if (isObject(schema)) written.parametersJsonSchema = fitSchema(schema);
  return own ? { ...written, ...extra } : written;
}

/** Arguments are an object; what is no schema object takes none. */
function fitSchema(schema: JsonObject): JsonObject {
  if (schema.type === 'object') return schema;
  return { ...schema, type: 'object', properties: schema.properties ?? {} };
}

function writeChoice(choice: ToolChoice | undefined, own: boolean): JsonObject | undefined {
  switch (choice?.type) {
    case 'auto':
      return { mode: 'AUTO' };
    case 'none':
      return { mode: 'NONE' };
    case 'required':
      return { mode: 'ANY' };
    case 'tool':
      return { mode: 'ANY', allowedFunctionNames: [choice.name] };
    case 'allowed':
      if (choice.mode === 'required') return { mode: 'ANY', allowedFunctionNames: choice.names };
      return own ? { mode: 'AUTO', allowedFunctionNames: choice.names } : { mode: 'AUTO' };
    default:
      return undefined;
  }
}
