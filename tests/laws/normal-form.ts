/** Two requests mean the same when their normal forms are equal: the spellings that their dialect leaves free. */
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { type Dialect, isClientDialect } from '../../src/dialects/dialect.ts';
import { isVerbatim } from './verbatim.ts';

/** What one dialect leaves free, beyond what all do. Paths have no positions: `contents.parts.thought`. */
interface Freedom {
  /** Names in snake_case are the same as in camelCase. */
  anyCase?: boolean;
  /** Members whose value is a word in capitals or not. */
  words?: RegExp;
  /** Members that say nothing. */
  spare?: RegExp;
  /** Members that say what holds without them. */
  usual?: readonly [RegExp, Json][];
}

const freedoms: Partial<Record<Dialect['name'], Freedom>> = {
  // The place in the list says what `index` says (clients copy it from a stream); some hosts send the words of
  // `reasoning_content` a second time.
  'openai-chat': { spare: /^messages\..*(index|reasoning)$/ },
  'openai-completions': { usual: [[/^(best_of|n)$/, 1]] },
  // Items of a list are messages when they have a role; what is past is complete.
  'openai-responses': {
    usual: [
      [/^input\.status$/, 'completed'],
      [/^input\.type$/, 'message'],
    ],
  },
  gemini: {
    anyCase: true,
    words: /\.thinkingLevel$/,
    spare: /^systemInstruction\.role$/,
    usual: [[/\.thought$/, false]],
  },
};

/** Parts that are nothing but text, by the word each dialect has for them. */
const texts: ReadonlySet<Json | undefined> = new Set(['text', 'input_text', 'output_text']);

/**
 * null, absent, an empty list and (at the top level) false and an empty object are the same; a string is the same as a
 * list of it, or of one text part with it; the order of members means nothing; of the output limit's names any will do.
 * Where a conversation may be a text, that is the same as one turn of the user's.
 */
export function normalForm(body: JsonObject, dialect: Dialect): Json {
  const freedom = freedoms[dialect.name] ?? {};
  const limits = isClientDialect(dialect) ? dialect.limitMembers : [];
  const limit = limits.find((name) => typeof body[name] === 'number');
  const rest: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    if (limits.includes(name) || value === false) continue;
    rest[name] = turnsOf(value, name, dialect);
  }
  const normal = shortenObject(rest, '', freedom);
  for (const [name, value] of Object.entries(normal)) if (isEmpty(value)) delete normal[name];
  if (limit !== undefined) normal.limit = body[limit];
  return sorted(normal);
}

function turnsOf(value: Json | undefined, name: string, dialect: Dialect): Json | undefined {
  const turns = isClientDialect(dialect) ? dialect.turns : undefined;
  if (typeof value !== 'string' || name !== turns?.name || !turns.orText || turns.several) return value;
  return [{ role: 'user', content: value }];
}

function isEmpty(value: Json | undefined): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}

function shorten(value: Json | undefined, path: string, freedom: Freedom): Json | undefined {
  if (value === null || value === '') return undefined;
  if (Array.isArray(value)) return shortenList(value, path, freedom);
  return isObject(value) ? shortenObject(value, path, freedom) : value;
}

function shortenObject(value: JsonObject, path: string, freedom: Freedom): JsonObject {
  const short: JsonObject = {};
  for (const [spelt, member] of Object.entries(value)) {
    const name = freedom.anyCase ? camel(spelt) : spelt;
    const here = path === '' ? name : `${path}.${name}`;
    if (freedom.spare?.test(here)) continue;
    if (freedom.usual?.some(([where, usual]) => where.test(here) && member === usual)) continue;
    const theirs = isVerbatim(name, path === '' ? 0 : 1) || name === 'metadata';
    const less = theirs ? (member ?? undefined) : shorten(member, here, freedom);
    if (less === undefined) continue;
    short[name] = typeof less === 'string' && freedom.words?.test(here) ? less.toUpperCase() : less;
  }
  return short;
}

function shortenList(list: Json[], path: string, freedom: Freedom): Json | undefined {
  const parts = list.map((each) =>
    typeof each === 'string' ? each : (shorten(each, path, freedom) ?? null),
  );
  if (parts.length === 0) return undefined;
  const [only] = parts;
  if (parts.length > 1 || only === undefined) {
    return parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part));
  }
  if (typeof only === 'string') return only;
  if (
    !isObject(only) ||
    !texts.has(only.type) ||
    Object.keys(only).some((name) => name !== 'type' && name !== 'text')
  ) {
    return parts;
  }
  return only.text ?? undefined;
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
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
