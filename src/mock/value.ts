/** Builds a value that satisfies a JSON Schema, always the same for the same schema. */
import { isObject, type Json, type JsonObject } from '../core/json.ts';

/** Deeper than this only required members are built, so that recursive schemas end. */
const depthOfOptional = 4;
const depthLimit = 40;
/** A schema that refers to itself twice doubles at every depth; past this many values there are no more. */
const valueLimit = 10_000;

interface Building {
  root: Json;
  text: string;
  /** Values that may still be built. */
  left: number;
}

const formats: Record<string, string> = {
  date: '2025-01-01',
  'date-time': '2025-01-01T00:00:00Z',
  time: '00:00:00Z',
  duration: 'PT1S',
  email: 'mock@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
};

/** @param text what strings say, where the schema leaves it open. */
export function buildValue(schema: Json, text: string): Json {
  return build(schema, { root: schema, text, left: valueLimit }, 0);
}

function build(schema: Json, building: Building, depth: number): Json {
  if (!isObject(schema) || depth > depthLimit || --building.left < 0) return schema === false ? null : {};
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0] as Json;
  if (typeof schema.$ref === 'string') return build(follow(building.root, schema.$ref), building, depth + 1);
  const branches = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(branches) && branches.length > 0) {
    // From some depth on, the plainest branch (null, a scalar) ends a recursion.
    const branch = depth < depthOfOptional ? branches[0] : (branches.find(isPlain) ?? branches[0]);
    return build(branch as Json, building, depth + 1);
  }
  if (Array.isArray(schema.allOf))
    return build(merge(schema, schema.allOf, building.root), building, depth + 1);
  if (schema.default !== undefined) return schema.default;
  return buildType(schema, building, depth);
}

function isPlain(schema: Json): boolean {
  return isObject(schema) && schema.$ref === undefined && schema.type !== 'object' && schema.type !== 'array';
}

function buildType(schema: JsonObject, building: Building, depth: number): Json {
  const types = [schema.type].flat();
  const type = types.find((name) => name !== 'null') ?? types[0];
  switch (type) {
    case 'null':
      return null;
    case 'boolean':
      return true;
    case 'string':
      return buildString(schema, building.text);
    case 'integer':
    case 'number':
      return buildNumber(schema, type);
    case 'array':
      return buildArray(schema, building, depth);
    default:
      return buildObject(schema, building, depth);
  }
}

function buildObject(schema: JsonObject, building: Building, depth: number): JsonObject {
  const required = Array.isArray(schema.required) ? schema.required : [];
  const value: JsonObject = {};
  for (const [name, member] of Object.entries(isObject(schema.properties) ? schema.properties : {})) {
    if (depth >= depthOfOptional && !required.includes(name)) continue;
    value[name] = build(member as Json, building, depth + 1);
  }
  return value;
}

function buildArray(schema: JsonObject, building: Building, depth: number): Json[] {
  if (Array.isArray(schema.prefixItems)) {
    return schema.prefixItems.map((item) => build(item, building, depth + 1));
  }
  const fewest = typeof schema.minItems === 'number' ? schema.minItems : 0;
  const wanted = depth < depthOfOptional && schema.maxItems !== 0 ? Math.max(1, fewest) : fewest;
  const items = schema.items ?? { type: 'string' };
  const value: Json[] = [];
  while (value.length < wanted && building.left > 0) value.push(build(items, building, depth + 1));
  return value;
}

function buildString(schema: JsonObject, text: string): string {
  if (typeof schema.format === 'string' && Object.hasOwn(formats, schema.format)) {
    return formats[schema.format] as string;
  }
  const least = typeof schema.minLength === 'number' ? Math.min(schema.minLength, 100_000) : 0;
  const long = text.length < least ? text.padEnd(least, '.') : text;
  return typeof schema.maxLength === 'number' ? long.slice(0, schema.maxLength) : long;
}

function buildNumber(schema: JsonObject, type: 'integer' | 'number'): number {
  const step = typeof schema.multipleOf === 'number' ? schema.multipleOf : 1;
  const above = schema.exclusiveMinimum;
  const least =
    typeof schema.minimum === 'number' ? schema.minimum : typeof above === 'number' ? above : undefined;
  let value = least === undefined ? step : Math.ceil(least / step) * step;
  if (typeof above === 'number' && value <= above) value += step;
  const below = schema.exclusiveMaximum;
  const greatest =
    typeof schema.maximum === 'number' ? schema.maximum : typeof below === 'number' ? below : undefined;
  if (greatest === undefined || value < greatest || value === schema.maximum) return value;
  // Between tight bounds a fraction fits; without a lower bound anything below the upper one does.
  if (least === undefined) return Math.floor((greatest - step) / step) * step;
  return type === 'number' ? (least + greatest) / 2 : value;
}

/** A local reference: `#/$defs/node`, with JSON Pointer's escapes (RFC 6901). */
function follow(root: Json, reference: string): Json {
  if (!reference.startsWith('#')) return {};
  let found: Json | undefined = root;
  for (const step of reference.slice(1).split('/').slice(1)) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    found = isObject(found) ? found[name] : Array.isArray(found) ? found[Number(name)] : undefined;
  }
  return found ?? {};
}

function merge(schema: JsonObject, parts: Json[], root: Json): JsonObject {
  const { allOf: _, ...own } = schema;
  const merged: JsonObject = { ...own };
  for (const part of parts) {
    const resolved = isObject(part) && typeof part.$ref === 'string' ? follow(root, part.$ref) : part;
    if (!isObject(resolved)) continue;
    const properties = {
      ...(isObject(merged.properties) ? merged.properties : {}),
      ...(isObject(resolved.properties) ? resolved.properties : {}),
    };
    const required = [merged.required ?? [], resolved.required ?? []].flat();
    Object.assign(merged, resolved, { properties, required });
  }
  return merged;
}
