/** Forms with files, on their bytes: where each part lies, and the same form with one field's text exchanged. */
import { find, latin1At, utf8 } from './bytes.ts';

/** One part; offsets of its content are bytes into the body, `end` exclusive. */
export interface Part {
  name: string;
  /** Undefined: a field, not a file. */
  filename: string | undefined;
  /** Media type; '' when it has none. */
  type: string;
  start: number;
  end: number;
}

/** The body is no form with this boundary. */
export class MultipartError extends Error {}

/** No form that is meant has more. */
const maxParts = 1000;
const maxHeadBytes = 16 * 1024;

/** What separates the parts of a form; undefined where `contentType` is of something else. */
export function boundaryOf(contentType: string): string | undefined {
  if (!/^multipart\/form-data\b/i.test(contentType)) return undefined;
  const found = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  return found?.[1] ?? found?.[2];
}

/**
 * The parts of a form in order. https://www.rfc-editor.org/rfc/rfc7578
 * @throws MultipartError
 */
export function scanParts(body: Uint8Array, boundary: string): Part[] {
  const delimiter = `--${boundary}`;
  const parts: Part[] = [];
  // What stands before the first delimiter means nothing.
  let at = findDelimiter(body, delimiter, 0);
  if (at < 0) throw new MultipartError('its boundary does not occur in it');
  for (;;) {
    at += delimiter.length;
    if (latin1At(body, at, 2) === '--') return parts;
    const lineEnd = find(body, '\r\n', at);
    const headEnd = find(body, '\r\n\r\n', at);
    if (lineEnd < 0 || headEnd < 0 || headEnd - at > maxHeadBytes) {
      throw new MultipartError('a part has no proper headers');
    }
    const start = headEnd + 4;
    const end = findDelimiter(body, `\r\n${delimiter}`, start - 2);
    if (end < 0) throw new MultipartError('it ends before its last boundary');
    parts.push({ ...readHead(utf8(body, lineEnd, headEnd)), start, end: Math.max(start, end) });
    if (parts.length > maxParts) throw new MultipartError(`it has more than ${maxParts} parts`);
    at = end + 2;
  }
}

/** Followed by a line's end or the last dashes; anything else begins like it and is content. */
function findDelimiter(body: Uint8Array, delimiter: string, from: number): number {
  for (let at = find(body, delimiter, from); at >= 0; at = find(body, delimiter, at + 1)) {
    if (/^(--|[ \t]*\r\n)/.test(latin1At(body, at + delimiter.length, 32))) return at;
  }
  return -1;
}

function readHead(head: string): Pick<Part, 'name' | 'filename' | 'type'> {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  const name = parameter(disposition, 'name');
  if (name === undefined) throw new MultipartError('a part has no name');
  const type = /^content-type:\s*([^;\s]*)/im.exec(head)?.[1] ?? '';
  return { name, filename: parameter(disposition, 'filename'), type: type.toLowerCase() };
}

function parameter(disposition: string, name: string): string | undefined {
  const found = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]*))`, 'i').exec(disposition);
  return found?.[1] ?? found?.[2];
}

/** A copy of `body` in which `text` is the content of `part`; all other bytes are as they were. */
export function replacePart(body: Uint8Array, part: Part, text: string): Uint8Array {
  return Buffer.concat([body.subarray(0, part.start), Buffer.from(text), body.subarray(part.end)]);
}
