/**
 * Arguments of a call that arrive value by value, as Vertex AI streams them.
 * https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
 */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';

type Key = string | number;
type Holder = JsonObject | Json[];

/** No list of arguments is longer. */
const mostItems = 10_000;

export class PartialArgs {
  private readonly args: JsonObject = {};
  /** Text that stands for all arguments (`$`): what this gateway writes for those that a token limit cut short. */
  private raw: string | undefined;

  /** Takes `{jsonPath, stringValue|numberValue|boolValue|nullValue}`; text that comes in pieces grows. */
  push(piece: Json): void {
    if (!isObject(piece) || typeof piece.jsonPath !== 'string') return;
    const value = readValue(piece);
    const keys = readPath(piece.jsonPath);
    const last = keys.pop();
    if (last === undefined) {
      if (typeof value === 'string') this.raw = (this.raw ?? '') + value;
      return;
    }
    let holder: Holder = this.args;
    for (let i = 0; i < keys.length; i++) {
      const inner = enter(holder, keys[i]!, typeof (keys[i + 1] ?? last) === 'number');
      if (inner === undefined) return;
      holder = inner;
    }
    const before = get(holder, last);
    set(holder, last, typeof before === 'string' && typeof value === 'string' ? before + value : value);
  }

  /** Arguments that came whole beside the pieces. */
  merge(args: JsonObject): void {
    Object.assign(this.args, args);
  }

  /** The arguments as JSON text; text that is no JSON where they are not `whole`. */
  text(whole: boolean): string {
    if (this.raw !== undefined) return this.raw;
    const text = JSON.stringify(this.args);
    return whole ? text : text.slice(0, -1);
  }
}

function readValue({ stringValue, numberValue, boolValue }: JsonObject): Json {
  return stringValue ?? numberValue ?? boolValue ?? null;
}

/** `$.places[0].name`, `$['odd name']` as keys. None for `$`, and for paths that lead out of the arguments. */
function readPath(path: string): Key[] {
  const keys: Key[] = [];
  for (const [, name, index, quoted] of path.matchAll(/\.([^.[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|"[^"]*")\]/g)) {
    keys.push(index === undefined ? (name ?? quoted ?? '') : Number(index));
  }
  return keys;
}

/** What is at `key`, made where it is missing; undefined where it cannot be entered. */
function enter(holder: Holder, key: Key, list: boolean): Holder | undefined {
  const found = get(holder, key);
  if (isObject(found) || Array.isArray(found)) return found;
  const made: Holder = list ? [] : {};
  return set(holder, key, made) ? made : undefined;
}

function get(holder: Holder, key: Key): Json | undefined {
  return Object.hasOwn(holder, key) ? (holder as JsonObject)[key] : undefined;
}

function set(holder: Holder, key: Key, value: Json): boolean {
  if (Array.isArray(holder) ? typeof key !== 'number' || key > mostItems : key === '__proto__') return false;
  (holder as JsonObject)[key] = value;
  return true;
}
