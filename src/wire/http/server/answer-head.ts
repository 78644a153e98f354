/** The head of an answer, as text of one character per byte. */
import { STATUS_CODES } from 'node:http';

/** Lines of headers, and nothing but lines: what no header may hold is not written. */
export function headerLines(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const name in headers) lines += headerLine(name, headers[name]!);
  return lines;
}

/** Those of a web answer, but for what is the connection's. */
export function webHeaderLines(headers: Headers): string {
  let lines = '';
  for (const [name, value] of headers) if (!own.has(name)) lines += headerLine(name, value);
  return lines;
}

const own = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'date']);

/** @param name one that a header may have. */
function headerLine(name: string, value: string): string {
  return `${name}: ${unfit.test(value) ? value.replace(unfits, '?') : value}\r\n`;
}

/** A line's end would begin another header; beyond a byte, a character would become another one. */
const unfit = /[^\t\x20-\x7e\x80-\xff]/;
const unfits = /[^\t\x20-\x7e\x80-\xff]/g;

const statusLines: string[] = [];

/** With the date. */
export function headStart(status: number): string {
  let line = statusLines[status];
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    statusLines[status] = line;
  }
  return line + dateLine();
}

let dateSecond = 0;
let date = '';

/** Made once a second. https://www.rfc-editor.org/rfc/rfc9110#name-date */
function dateLine(): string {
  const nowMs = Date.now();
  const second = Math.floor(nowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = `date: ${new Date(nowMs).toUTCString()}\r\n`;
  }
  return date;
}
