/** Members only this dialect knows that stand inside others: carried flat, under their path, so that each has a name. */
import type { Json, JsonObject } from '../../core/json.ts';
import { isObject } from '../../core/json.ts';

/** The deepest first: a path belongs to the longest of them. */
const holders = [
  'toolConfig.functionCallingConfig',
  'generationConfig.thinkingConfig',
  'generationConfig',
  'toolConfig',
] as const;

/** Adds the members of `object` that are not in `known` to `extra`, as `holder.member`. */
export function addExtras(
  extra: JsonObject,
  holder: (typeof holders)[number],
  object: JsonObject,
  known: ReadonlySet<string>,
): void {
  for (const name in object) {
    if (!known.has(name) && object[name] !== undefined) extra[`${holder}.${name}`] = object[name];
  }
}

/** Puts what addExtras has taken apart back into `body`; other names are members of the top level. */
export function writeExtras(body: JsonObject, extra: JsonObject): void {
  for (const path in extra) {
    const holder = holders.find((each) => path.startsWith(`${each}.`));
    if (holder === undefined) body[path] = extra[path];
    else enter(body, holder.split('.'))[path.slice(holder.length + 1)] = extra[path];
  }
}

/** The object at a path, made where it is missing. */
function enter(body: JsonObject, path: readonly string[]): JsonObject {
  let at = body;
  for (const name of path) {
    const next = at[name];
    const object: JsonObject = isObject(next) ? next : {};
    at[name] = object;
    at = object;
  }
  return at;
}

/** Those without which the answer is another one: content kept by the provider, answers that are no text. */
export const meaning = {
  has(name: string, value: Json | undefined): boolean {
    switch (name) {
      case 'cachedContent':
      case 'generationConfig.responseFormat':
      case 'generationConfig.responseSchema':
      case 'generationConfig.responseJsonSchema':
        return true;
      case 'generationConfig.responseMimeType':
        return value !== 'text/plain';
      case 'generationConfig.responseModalities':
        return !Array.isArray(value) || value.some((each) => each !== 'TEXT');
      default:
        return false;
    }
  },
};
