/** Reads recorded exchanges from one directory, and never from outside it. */
import { readFileSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { Refused } from './ask.ts';
import { type Bytes, type Framing, framings } from './framing.ts';

export interface Recorded {
  status: number;
  headers: Record<string, string>;
  body: string | Bytes;
  /** How it lies in the body, where a stream was recorded. */
  framing?: Framing;
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
 * A stream (`sse`, `ndjson`, `eventstream_base64`) is given back byte for byte; a body that was recorded as JSON is
 * written anew.
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

function readBody(response: JsonObject): { body: string | Bytes; framing?: Framing } {
  const { sse, ndjson, eventstream_base64: frames, body } = response;
  if (typeof sse === 'string') return { body: sse, framing: framings.sse };
  if (typeof ndjson === 'string') return { body: ndjson, framing: framings.ndjson };
  if (typeof frames === 'string') return { body: decode(frames), framing: framings.awsEvents };
  if (typeof body !== 'string') return { body: JSON.stringify(body ?? null) };
  return { body: body.startsWith('base64:') ? decode(body.slice(7)) : body };
}

function decode(base64: string): Bytes {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

function notFound(message: string): never {
  throw new Refused({ status: 404, kind: 'not_found', message, code: 'model_not_found' });
}
