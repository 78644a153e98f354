/** One spelling of members: Google takes camelCase and snake_case alike. https://protobuf.dev/programming-guides/json/ */
import { isObject, type Json, type JsonObject, prototypeName } from '../../core/json.ts';

/** Their value is the application's own: nothing in it is renamed. */
const verbatim = new Set([
  'args', 'response', 'parametersJsonSchema', 'responseJsonSchema', 'labels', 'partMetadata', 'headers', 'default',
  'example', 'enum',
]); // biome-ignore format: one list

/** Their members are named by the application, what these hold is not. */
const named = new Set(['properties', 'defs', '$defs']);

/** A copy in which all members have their camelCase names; null, by which SDKs say "not set", is left out. */
export function respell(body: JsonObject): JsonObject {
  const copy: JsonObject = {};
  for (const name in body) {
    const value = body[name];
    if (value === undefined || value === null || name === prototypeName) continue;
    const camel = toCamelCase(name);
    if (verbatim.has(camel)) copy[camel] = value;
    else copy[camel] = named.has(camel) && isObject(value) ? respellValues(value) : respellValue(value);
  }
  return copy;
}

function respellValues(map: JsonObject): JsonObject {
  const copy: JsonObject = {};
  for (const name in map) if (name !== prototypeName) copy[name] = respellValue(map[name] ?? null);
  return copy;
}

function respellValue(value: Json): Json {
  if (Array.isArray(value)) return value.map(respellValue);
  return isObject(value) ? respell(value) : value;
}

function toCamelCase(name: string): string {
  return name.includes('_')
    ? name.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter) => letter.toUpperCase())
    : name;
}
