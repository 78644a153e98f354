/**
 * Reads and edits the top-level members of a JSON object on its bytes, without parsing the rest: values keep their
 * exact digits, order and spelling, and a body of megabytes costs one pass.
 */

import { copyRange, find, latin1, utf8 } from './bytes.ts';

/** One top-level member; offsets are bytes into the body, `end` exclusive. */
export interface Member {
  name: string;
  /** The opening quote of the name. */
  at: number;
  /** The value's first byte. */
  start: number;
  end: number;
}

/** The body is not one JSON object; `offset` is the byte where that shows. */
export class JsonSyntaxError extends Error {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/**
 * The members of the object that is the whole of `body`, in order, duplicates included. Nested values are only
 * skipped: brackets must balance and strings must end, the rest is for whoever parses them.
 * @throws JsonSyntaxError
 */
export function scanMembers(body: Uint8Array): Member[] {
  const members: Member[] = [];
  let at = skipSpace(body, startOf(body));
  if (body[at] !== openBrace) throw new JsonSyntaxError('expected a JSON object', at);
  at = skipSpace(body, at + 1);
  if (body[at] === closeBrace) {
    expectEnd(body, at + 1);
    return members;
  }
  for (;;) {
    if (body[at] !== quote) throw new JsonSyntaxError('expected a member name in double quotes', at);
    const nameAt = at;
    at = skipString(body, at);
    const name = readName(body, nameAt, at);
    at = skipSpace(body, at);
    if (body[at] !== colon) throw new JsonSyntaxError(`expected ":" after "${name}"`, at);
    const start = skipSpace(body, at + 1);
    const end = skipValue(body, start);
    members.push({ name, at: nameAt, start, end });
    at = skipSpace(body, end);
    const next = body[at];
    if (next === closeBrace) {
      expectEnd(body, at + 1);
      return members;
    }
    if (next !== comma) throw new JsonSyntaxError(`expected "," or "}" after the value of "${name}"`, at);
    at = skipSpace(body, at + 1);
  }
}

/**
 * The elements of the array that is the whole of `list`, in order, as they stand.
 * @throws JsonSyntaxError
 */
export function scanElements(list: Uint8Array): Uint8Array[] {
  const elements: Uint8Array[] = [];
  let at = skipSpace(list, 0);
  if (list[at] !== openBracket) throw new JsonSyntaxError('expected a JSON array', at);
  at = skipSpace(list, at + 1);
  while (list[at] !== closeBracket || elements.length > 0) {
    const end = skipValue(list, at);
    elements.push(list.subarray(at, end));
    at = skipSpace(list, end);
    if (list[at] === closeBracket) break;
    if (list[at] !== comma) throw new JsonSyntaxError('expected "," or "]" after a value', at);
    at = skipSpace(list, at + 1);
  }
  expectEnd(list, at + 1);
  return elements;
}

/** The text of a member's value. */
export function valueText(body: Uint8Array, member: Member): string {
  return decode(body, member.start, member.end);
}

/** Offset of an ASCII `text` at or after `from` inside a member's value; -1 when it is not there. */
export function findInside(body: Uint8Array, member: Member, text: string, from: number): number {
  const at = find(body, text, from);
  return at < 0 || at + text.length > member.end ? -1 : at;
}

/**
 * A copy of `body` with top-level members set (JSON text) or removed (undefined). Members it did not have are added
 * at the end; untouched bytes are copied as they are. Of duplicated names only the first is kept when edited.
 */
export function splice(
  body: Uint8Array,
  members: readonly Member[],
  edits: Readonly<Record<string, string | undefined>>,
): Uint8Array {
  // Text to write, or two numbers: a range of the body to copy.
  const pieces: (string | number)[] = [];
  let kept = 0;
  for (let i = 0; i < members.length; i++) {
    const member = members[i]!;
    if (Object.hasOwn(edits, member.name)) {
      const value = edits[member.name];
      if (value === undefined || isRepeated(members, i)) continue;
      pieces.push(kept++ === 0 ? '{' : ',', member.at, member.start, value);
      continue;
    }
    // A run of untouched members is one range, commas and white space included.
    let last = i;
    while (last + 1 < members.length && !Object.hasOwn(edits, members[last + 1]!.name)) last++;
    pieces.push(kept === 0 ? '{' : ',', member.at, members[last]!.end);
    kept += last - i + 1;
    i = last;
  }
  for (const name in edits) {
    const value = edits[name];
    if (value === undefined || hasMember(members, name)) continue;
    pieces.push(kept++ === 0 ? '{' : ',', `${JSON.stringify(name)}:${value}`);
  }
  pieces.push(kept === 0 ? '{}' : '}');
  return join(body, pieces);
}

function isRepeated(members: readonly Member[], at: number): boolean {
  for (let i = 0; i < at; i++) if (members[i]!.name === members[at]!.name) return true;
  return false;
}

function hasMember(members: readonly Member[], name: string): boolean {
  for (const member of members) if (member.name === name) return true;
  return false;
}

function join(body: Uint8Array, pieces: readonly (string | number)[]): Uint8Array {
  let size = 0;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    size += typeof piece === 'string' ? Buffer.byteLength(piece) : (pieces[++i] as number) - piece;
  }
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    at +=
      typeof piece === 'string'
        ? out.write(piece, at)
        : copyRange(body, piece, pieces[++i] as number, out, at);
  }
  return out;
}

/** A byte order mark before JSON is tolerated, as most parsers do. */
function startOf(body: Uint8Array): number {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
}

function skipSpace(body: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const byte = body[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at++;
  }
}

function expectEnd(body: Uint8Array, from: number): void {
  const at = skipSpace(body, from);
  if (at !== body.length) throw new JsonSyntaxError('unexpected text after the JSON object', at);
}

/** From an opening quote to just past the closing one. Long strings (base64) are searched natively. */
function skipString(body: Uint8Array, from: number): number {
  let at = from + 1;
  const near = Math.min(body.length, at + 48);
  while (at < near) {
    const byte = body[at];
    if (byte === quote) return at + 1;
    at += byte === backslash ? 2 : 1;
  }
  for (;;) {
    const end = body.indexOf(quote, at);
    if (end < 0) throw new JsonSyntaxError('a string is not closed', from);
    let slashes = 0;
    while (end - 1 - slashes >= at && body[end - 1 - slashes] === backslash) slashes++;
    at = end + 1;
    if (slashes % 2 === 0) return at;
  }
}

function skipValue(body: Uint8Array, from: number): number {
  const first = body[from];
  if (first === quote) return skipString(body, from);
  if (first === openBrace || first === openBracket) return skipNested(body, from);
  let at = from;
  for (;;) {
    const byte = body[at];
    if (byte === undefined || byte === comma || byte === closeBrace || byte === closeBracket || byte <= 0x20)
      break;
    at++;
  }
  if (!isDigits(body, from, at)) {
    const word = decode(body, from, Math.min(at, from + 40));
    if (!scalar.test(word)) {
      throw new JsonSyntaxError(word === '' ? 'a value is missing' : `"${word}" is not a JSON value`, from);
    }
  }
  return at;
}

/** A whole number without sign, as most are; anything else is looked at more closely. */
function isDigits(body: Uint8Array, from: number, to: number): boolean {
  if (from === to || (body[from] === 0x30 && to > from + 1)) return false;
  for (let at = from; at < to; at++) if (body[at]! < 0x30 || body[at]! > 0x39) return false;
  return true;
}

const scalar = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

/** Whoever parses it recurses: nothing that is meant needs more. */
const maxDepth = 512;

function skipNested(body: Uint8Array, from: number): number {
  let depth = 0;
  let at = from;
  while (at < body.length) {
    const byte = body[at]!;
    if (byte === quote) {
      at = skipString(body, at);
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at + 1;
    if (depth > maxDepth) throw new JsonSyntaxError(`the JSON is nested deeper than ${maxDepth} levels`, at);
    at++;
  }
  throw new JsonSyntaxError('the JSON ends before all brackets are closed', body.length);
}

function readName(body: Uint8Array, from: number, to: number): string {
  const text = decode(body, from + 1, to - 1);
  if (!text.includes('\\')) return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    throw new JsonSyntaxError(`"${text}" is not a JSON string`, from);
  }
}

/** Most names and words are ASCII, for which the cheaper decoding is right. */
function decode(body: Uint8Array, from: number, to: number): string {
  for (let at = from; at < to; at++) if (body[at]! >= 0x80) return utf8(body, from, to);
  return latin1(body, from, to);
}
