/** JSON Schemas as the API takes them: objects for tools, closed and without certain bounds for constrained output. */
import { emptySchema } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';

/** Arguments of a tool: `type: object` is required; anything that is no schema object takes no arguments. */
export function toolSchema(schema: Json | undefined): JsonObject {
  if (!isObject(schema)) return emptySchema;
  if (schema.type === 'object') return schema;
  return { ...schema, type: 'object', properties: schema.properties ?? {} };
}

/** Members that constrained output refuses with a 400; their meaning is kept as words in the description. */
const refused = new Set([
  'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minLength', 'maxLength', 'pattern',
  'maxItems', 'uniqueItems', 'minProperties', 'maxProperties', 'patternProperties', 'propertyNames', 'contains',
  'if', 'then', 'else', 'not', 'dependentRequired', 'dependentSchemas', 'default', 'examples',
]); // biome-ignore format: one list

const formats = new Set([
  'date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid',
]); // biome-ignore format: one list

/**
 * A schema for constrained output (`output_config.format`, strict tools): objects take no other properties, bounds
 * become words.
 * @throws GatewayError `unsupported` for objects with property names of the model's choosing.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
 */
export function closeSchema(schema: Json): Json {
  if (!isObject(schema)) return schema;
  const closed: JsonObject = {};
  const words: string[] = [];
  for (const [name, value] of Object.entries(schema)) {
    if (value === undefined || name === '$schema') continue;
    if (refusedMember(name, value)) words.push(`${name}: ${JSON.stringify(value)}`);
    else closed[name === 'oneOf' ? 'anyOf' : name] = closeMember(name, value);
  }
  if (isObject(schema.additionalProperties)) refuseMap();
  if (isObjectType(schema)) closed.additionalProperties = false;
  if (words.length > 0) {
    const described = typeof schema.description === 'string' ? `${schema.description}\n\n` : '';
    closed.description = `${described}{${words.join(', ')}}`;
  }
  return closed;
}

function refusedMember(name: string, value: Json): boolean {
  if (name === 'format') return typeof value === 'string' && !formats.has(value);
  if (name === 'minItems') return value !== 0 && value !== 1;
  return refused.has(name);
}

/** Only where schemas stand: a property that is called `pattern` or `default` stays what it is. */
function closeMember(name: string, value: Json): Json {
  switch (name) {
    case 'properties':
    case '$defs':
    case 'definitions':
      return isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, closeSchema(each ?? {})]))
        : value;
    case 'anyOf':
    case 'oneOf':
    case 'allOf':
    case 'prefixItems':
      return Array.isArray(value) ? value.map(closeSchema) : value;
    case 'items':
      return closeSchema(value);
    default:
      return value;
  }
}

function isObjectType(schema: JsonObject): boolean {
  const { type } = schema;
  return (
    type === 'object' ||
    (Array.isArray(type) && type.includes('object')) ||
    (type === undefined && isObject(schema.properties))
  );
}

/** Closing such an object would leave the model nothing but `{}` to say. */
function refuseMap(): never {
  throw new GatewayError(
    'unsupported',
    'The model behind this route cannot follow a schema whose `additionalProperties` is a schema: ' +
      'name the properties, use a list of pairs, or route the call to another model.',
    { param: 'response_format' },
  );
}
