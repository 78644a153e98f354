/** JSON as values: what a body is after parsing and before anybody has understood it. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [member: string]: Json | undefined };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The name that is no member: assigned to an object, it gives that object members nobody has looked at. Nothing that is
 * meant is called so.
 */
export const prototypeName = '__proto__';

/** The members of `object` that are not in `known`: what only its dialect knows. Undefined when there are none. */
export function rest(object: JsonObject, known: ReadonlySet<string>): JsonObject | undefined {
  let extra: JsonObject | undefined;
  for (const name in object) {
    if (known.has(name) || object[name] === undefined || name === prototypeName) continue;
    extra ??= {};
    extra[name] = object[name];
  }
  return extra;
}

/** What a table says of a word from the wire. Those that every object knows (`constructor`) are none of its words. */
export function wordIn<Meaning>(
  table: Readonly<Record<string, Meaning>>,
  word: Json | undefined,
): Meaning | undefined {
  return typeof word === 'string' && Object.hasOwn(table, word) ? table[word] : undefined;
}
