/** The head of an HTTP/1.1 request: checked to the letter once, its headers looked up in its text when asked for. */
import { latin1 } from '../../bytes.ts';
import { RequestError, type RequestHeaders } from './messages.ts';

const tab = 0x09;
const newline = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;
const colon = 0x3a;
const del = 0x7f;

/** Bytes of names. https://www.rfc-editor.org/rfc/rfc9110#name-tokens */
const tokens = new Uint8Array(256);
for (const byte of Buffer.from(
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
)) {
  tokens[byte] = 1;
}

export class RequestHead implements RequestHeaders {
  readonly method: string;
  /** Path and query, or `*`. */
  readonly url: string;
  /** It came with HTTP/1.0, whose clients know no chunks and close connections. */
  readonly old: boolean;
  /** The connection may carry another request after this one. */
  readonly keepAlive: boolean;
  private readonly text: string;
  private readonly lower: string;

  /**
   * @param from where the request line begins. @param end where the blank line's first break is.
   * @throws RequestError for what another reader could take for something else.
   */
  constructor(bytes: Uint8Array, from: number, end: number) {
    checkLines(bytes, from, end);
    const text = latin1(bytes, from, end);
    const lineEnd = text.indexOf('\r\n');
    const line = lineEnd < 0 ? text : text.slice(0, lineEnd);
    const first = line.indexOf(' ');
    const last = line.length - versionChars;
    const method = line.slice(0, Math.max(0, first));
    if (first <= 0 || first >= last || line.indexOf(' ', first + 1) !== last || !isToken(method)) {
      throw new RequestError(400, 'The request line is not well-formed.');
    }
    this.method = method;
    this.old = !line.endsWith('HTTP/1.1');
    if (this.old && !line.endsWith('HTTP/1.0')) throw unknownVersion(line.slice(last + 1));
    this.url = readTarget(line.slice(first + 1, last), method);
    this.text = text;
    this.lower = text.toLowerCase();
    this.keepAlive = this.old ? this.lists('connection', 'keep-alive') : !this.lists('connection', 'close');
    const host = this.count('host');
    if (host > 1 || (host === 0 && !this.old)) {
      throw new RequestError(400, 'A request names its host, once.');
    }
  }

  get(name: string): string | null {
    const line = lineStart(name);
    const first = this.lower.indexOf(line);
    if (first < 0) return null;
    const value = this.valueAt(first + line.length);
    const next = this.lower.indexOf(line, first + line.length);
    return next < 0 ? value : this.joinFrom(next, line, value);
  }

  has(name: string): boolean {
    return this.lower.includes(lineStart(name));
  }

  /** Names in lower case. */
  *[Symbol.iterator](): Iterator<[string, string]> {
    for (const line of this.text.split('\r\n').slice(1)) {
      const at = line.indexOf(':');
      yield [line.slice(0, at).toLowerCase(), trimBlanks(line, at + 1, line.length)];
    }
  }

  private joinFrom(next: number, line: string, first: string): string {
    let value = first;
    for (let at = next; at >= 0; at = this.lower.indexOf(line, at + line.length)) {
      value += `, ${this.valueAt(at + line.length)}`;
    }
    return value;
  }

  /** How many lines a header has. */
  count(name: string): number {
    const line = lineStart(name);
    let lines = 0;
    for (let at = this.lower.indexOf(line); at >= 0; at = this.lower.indexOf(line, at + line.length)) lines++;
    return lines;
  }

  /** Whether a header that is a list of words has this one among them. */
  lists(name: string, word: string): boolean {
    const value = this.get(name)?.toLowerCase();
    if (value === undefined || !value.includes(word)) return false;
    return value.split(',').some((each) => each.trim() === word);
  }

  private valueAt(from: number): string {
    const end = this.lower.indexOf('\r\n', from);
    return trimBlanks(this.text, from, end < 0 ? this.text.length : end);
  }
}

/** ` HTTP/1.1` */
const versionChars = 9;

function unknownVersion(version: string): RequestError {
  return /^HTTP\/\d\.\d$/.test(version)
    ? new RequestError(505, 'This server speaks HTTP/1.1.')
    : new RequestError(400, 'This is not HTTP.');
}

/**
 * No line is folded or ends in anything but CRLF, no name is followed by a space, nothing is invisible: where readers
 * differ in what they make of such, requests are smuggled. https://www.rfc-editor.org/rfc/rfc9112#name-request-smuggling
 */
function checkLines(bytes: Uint8Array, from: number, end: number): void {
  let at = skipValue(bytes, from, end);
  while (at < end) {
    if (bytes[at] !== carriageReturn || bytes[at + 1] !== newline) {
      throw new RequestError(400, 'The head holds a control character.');
    }
    at += 2;
    const name = at;
    while (tokens[bytes[at]!] === 1) at++;
    if (at === name || bytes[at] !== colon) throw new RequestError(400, 'A header has no proper name.');
    at = skipValue(bytes, at + 1, end);
  }
}

function skipValue(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte < space ? byte !== tab : byte === del) break;
    at++;
  }
  return at;
}

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (tokens[text.charCodeAt(i)] !== 1) return false;
  return true;
}

/** https://www.rfc-editor.org/rfc/rfc9112#name-request-target */
function readTarget(target: string, method: string): string {
  if (target.startsWith('/')) return target;
  if (target === '*' && method === 'OPTIONS') return target;
  const absolute = /^https?:\/\/[^/?#]+([/?]?.*)$/i.exec(target);
  if (absolute === null) throw new RequestError(400, 'The request line names no path.');
  const path = absolute[1]!;
  return path.startsWith('/') ? path : `/${path}`;
}

/** What stands between the blanks and tabs around a value. */
function trimBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === space || code === tab;
}

const lineStarts = new Map<string, string>();

/** How a header's line begins, made once for each of the names that are asked for. */
function lineStart(name: string): string {
  let line = lineStarts.get(name);
  if (line === undefined) {
    line = `\r\n${name.toLowerCase()}:`;
    lineStarts.set(name, line);
  }
  return line;
}
