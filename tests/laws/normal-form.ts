/** Two JSON values mean the same when their normal forms are equal: the spellings that every dialect leaves free. */
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';

/** Members whose value is not the dialect's own but the application's: nothing in them is free. */
const verbatim = new Set(['parameters', 'input_schema', 'schema', 'input', 'metadata', 'logit_bias']);

/**
 * Members that say nothing: `index` of a call in a list (its place says it; clients copy it from a stream) and
 * `reasoning` of hosts that send the same words as `reasoning_content`.
 */
const spare = new Set(['index', 'reasoning']);

/**
 * null, absent, an empty list and (at the top level) false are the same; a string is the same as a list of it, or of one
 * text part with it; the order of members means nothing; of the output limit's names any will do.
 */
export function normalForm(body: JsonObject, dialect: Dialect): Json {
  const normal: JsonObject = {};
  const limit = dialect.limitMembers.find((name) => typeof body[name] === 'number');
  for (const [name, value] of Object.entries(body)) {
    if (dialect.limitMembers.includes(name) || value === false) continue;
    const member = verbatim.has(name) ? (value ?? undefined) : shorten(value);
    if (member !== undefined) normal[name] = member;
  }
  if (limit !== undefined) normal.limit = body[limit];
  return sorted(normal);
}

function shorten(value: Json | undefined): Json | undefined {
  if (value === null || value === '') return undefined;
  if (Array.isArray(value)) return shortenList(value);
  if (!isObject(value)) return value;
  const short: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    if (spare.has(name)) continue;
    const less = verbatim.has(name) ? (member ?? undefined) : shorten(member);
    if (less !== undefined) short[name] = less;
  }
  return short;
}

function shortenList(list: Json[]): Json | undefined {
  const parts = list.map((each) => (typeof each === 'string' ? each : (shorten(each) ?? null)));
  if (parts.length === 0) return undefined;
  const [only] = parts;
  if (parts.length > 1 || only === undefined) {
    return parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part));
  }
  if (typeof only === 'string') return only;
  if (
    !isObject(only) ||
    only.type !== 'text' ||
    Object.keys(only).some((name) => name !== 'type' && name !== 'text')
  ) {
    return parts;
  }
  return only.text ?? undefined;
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member ?? null)]),
  );
}
