/**
 * What the laws are tried on: every request, answer and stream below fixtures/ and in the recordings, of every dialect
 * in the registry. A new dialect, or a new folder of fixtures, is found without being named here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DialectName } from '../../src/core/chat.ts';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { loadRecordings, type Recording } from '../recordings.ts';

export interface Sample<Content> {
  /** Says where it comes from; the last word of a test's failure. */
  name: string;
  dialect: Dialect;
  quirks: Quirks;
  content: Content;
  /** Written for this project; others are recordings of real traffic. */
  fixture: boolean;
  /** The provider (or the fixture) refused it: then the reader may do so, too. */
  refused: boolean;
}

/** A fixture that holds one answer both ways. */
export interface Pair {
  name: string;
  dialect: Dialect;
  quirks: Quirks;
  response: JsonObject;
  stream: string;
}

export const requests: Sample<JsonObject>[] = [];
export const responses: Sample<JsonObject>[] = [];
/** Streams as the text on the wire. */
export const streams: Sample<string>[] = [];
export const pairs: Pair[] = [];

/** Hosts of a dialect whose recordings are filed under a name of their own. */
const spokenBy: Readonly<Record<string, DialectName>> = {
  'deepseek-chat': 'openai-chat',
  'mistral-chat': 'openai-chat',
};

const fixtures = join(import.meta.dir, '../../fixtures');

function readJson(file: string): JsonObject | undefined {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

function addFixture(dialect: Dialect, name: string, folder: string): void {
  const quirks = (readJson(join(folder, 'quirks.json')) ?? {}) as Quirks;
  const error = existsSync(join(folder, 'error.json'));
  const sample = { name, dialect, quirks, fixture: true, refused: false };
  const request = readJson(join(folder, 'request.json'));
  const response = readJson(join(folder, 'response.json'));
  const file = join(folder, 'stream.sse');
  const stream = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  if (request !== undefined) requests.push({ ...sample, content: request, refused: error });
  if (response !== undefined) responses.push({ ...sample, content: response });
  if (stream !== undefined) streams.push({ ...sample, content: stream });
  if (response !== undefined && stream !== undefined) pairs.push({ name, dialect, quirks, response, stream });
}

function addRecording(dialect: Dialect, { file: name, request, response }: Recording): void {
  const sample = { name, dialect, quirks: {}, fixture: false, refused: response.status >= 400 };
  // Completions before chat are recorded under the same dialect here and there.
  if (isObject(request?.body) && request.body.messages !== undefined) {
    requests.push({ ...sample, content: request.body });
  }
  if (response.status >= 400) return;
  if (response.sse !== undefined) streams.push({ ...sample, content: response.sse });
  else if (isObject(response.body)) responses.push({ ...sample, content: response.body });
}

if (existsSync(fixtures)) {
  for (const dialect of dialects.values()) {
    const folder = join(fixtures, dialect.name);
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder).sort()) {
      addFixture(dialect, `fixtures/${dialect.name}/${name}`, join(folder, name));
    }
  }
}
for (const recording of loadRecordings(() => true)) {
  const dialect = dialects.get(spokenBy[recording.dialect] ?? (recording.dialect as DialectName));
  if (dialect !== undefined) addRecording(dialect, recording);
}

/** Every ordered pair of two dialects. */
export const translations: [Dialect, Dialect][] = [...dialects.values()].flatMap((from) =>
  [...dialects.values()].filter((to) => to !== from).map((to): [Dialect, Dialect] => [from, to]),
);
