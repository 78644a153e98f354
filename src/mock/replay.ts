/** Reads recorded exchanges from one directory, and never from outside it. */
import { readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import type { Bytes } from './answer.ts';
import { Refused } from './ask.ts';

export interface Recorded {
  status: number;
  headers: Record<string, string>;
  body: string | Bytes;
  stream: boolean;
}

/** These describe the connection it was recorded on; the body is stored decoded. */
const ofTheConnection = new Set([
  'content-length',
  'transfer-encoding',
  'content-encoding',
  'connection',
  'date',
]);

/**
 * Text (`sse`, `ndjson`) is given back byte for byte; a body that was recorded as JSON is written anew.
 * @param directory undefined: nothing can be replayed.
 * @throws Refused 404 when there is no such recording.
 */
export function readRecording(directory: string | undefined, file: string): Recorded {
  if (directory === undefined) notFound('The mock was started without a folder of recordings.');
  if (file.split(/[/\\]/).includes('..')) notFound('A recording lies below the folder of recordings.');
  let text: string;
  try {
    const root = realpathSync(directory);
    const path = realpathSync(join(root, file));
    if (!path.startsWith(root + sep)) notFound('A recording lies below the folder of recordings.');
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Refused) throw thrown;
    notFound(`There is no recording ${file}.`);
  }
  const response = parseExchange(text)?.response;
  if (!isObject(response)) notFound(`${file} is not a recorded exchange.`);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(isObject(response.headers) ? response.headers : {})) {
    if (!ofTheConnection.has(name.toLowerCase())) headers[name] = String(value);
  }
  const status = typeof response.status === 'number' ? response.status : 200;
  return { status, headers, ...readBody(response) };
}

function parseExchange(text: string): JsonObject | undefined {
  try {
    const exchange = JSON.parse(text) as Json;
    return isObject(exchange) ? exchange : undefined;
  } catch {
    return undefined;
  }
}

function readBody(response: JsonObject): { body: string | Bytes; stream: boolean } {
  if (typeof response.sse === 'string') return { body: response.sse, stream: true };
  if (typeof response.ndjson === 'string') return { body: response.ndjson, stream: true };
  if (typeof response.eventstream_base64 === 'string') {
    return { body: decode(response.eventstream_base64), stream: true };
  }
  const { body } = response;
  if (typeof body !== 'string') return { body: JSON.stringify(body ?? null), stream: false };
  return { body: body.startsWith('base64:') ? decode(body.slice(7)) : body, stream: false };
}

function decode(base64: string): Bytes {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

function notFound(message: string): never {
  throw new Refused({ status: 404, kind: 'not_found', message, code: 'model_not_found' });
}
