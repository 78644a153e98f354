/** Schemas in OpenAPI's form (`parameters`, `responseSchema`) as JSON Schema, which is what the hub and others speak. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';

/**
 * The form a schema came in, so that it goes back in the same: a provider that took the one may not take the other.
 * Kept beside the hub, where it would look like something that other dialects lose.
 */
const originals = new WeakMap<JsonObject, JsonObject>();

/** https://ai.google.dev/api/caching#Schema */
export function readOpenApi(schema: JsonObject): JsonObject {
  const converted = convert(schema);
  originals.set(converted, schema);
  return converted;
}

/** The OpenAPI form that `schema` was read from; undefined when it was JSON Schema from the beginning. */
export function openApiOf(schema: Json | undefined): JsonObject | undefined {
  return isObject(schema) ? originals.get(schema) : undefined;
}

/** Counts are 64-bit integers there, which JSON spells as text. */
const counts = new Set(['minItems', 'maxItems', 'minLength', 'maxLength', 'minProperties', 'maxProperties']);

function convert(schema: JsonObject): JsonObject {
  const converted: JsonObject = {};
  for (const name in schema) {
    const value = schema[name];
    if (value === undefined || value === null) continue;
    if (name === 'type') {
      if (value !== 'TYPE_UNSPECIFIED')
        converted.type = typeof value === 'string' ? value.toLowerCase() : value;
    } else if (name === 'example') converted.examples = [value];
    else if (name === 'nullable' || name === 'propertyOrdering' || (name === 'format' && value === 'enum')) {
      // Said in another way below, or nothing that JSON Schema has a word for.
    } else if (counts.has(name)) converted[name] = typeof value === 'string' ? Number(value) : value;
    else converted[name] = convertMember(name, value);
  }
  return schema.nullable === true ? allowNull(converted) : converted;
}

function convertMember(name: string, value: Json): Json {
  switch (name) {
    case 'properties':
    case '$defs':
    case 'defs':
      return isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, convertAny(each ?? {})]))
        : value;
    case 'anyOf':
    case 'prefixItems':
      return Array.isArray(value) ? value.map(convertAny) : value;
    case 'items':
    case 'additionalProperties':
      return convertAny(value);
    default:
      return value;
  }
}

function convertAny(value: Json): Json {
  return isObject(value) ? convert(value) : value;
}

function allowNull(schema: JsonObject): JsonObject {
  if (typeof schema.type === 'string') {
    const type = schema.type === 'null' ? 'null' : [schema.type, 'null'];
    return Array.isArray(schema.enum)
      ? { ...schema, type, enum: [...schema.enum, null] }
      : { ...schema, type };
  }
  return Array.isArray(schema.anyOf) ? { ...schema, anyOf: [...schema.anyOf, { type: 'null' }] } : schema;
}
