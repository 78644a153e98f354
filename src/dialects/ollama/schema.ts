/** Schemas of tool arguments as Ollama can read them: it has a fixed form in mind, and refuses a request of another. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { toolSchema } from '../closed-schema.ts';

/** https://github.com/ollama/ollama/blob/main/api/types.go (`ToolFunctionParameters`, `ToolProperty`) */
export function plainSchema(schema: Json | undefined): JsonObject {
  return withObjects(toolSchema(schema));
}

/** `true`, which any value fits, is spelled `{}`, and so is `false`: properties have to be objects. */
function withObjects(schema: JsonObject): JsonObject {
  const { properties, anyOf } = schema;
  const plain = { ...schema };
  if (isObject(properties)) {
    plain.properties = Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [name, withObjects(isObject(value) ? value : {})]),
    );
  }
  if (Array.isArray(anyOf)) plain.anyOf = anyOf.map((value) => withObjects(isObject(value) ? value : {}));
  return plain;
}
