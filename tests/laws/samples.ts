/**
 * What the laws are tried on: every request, answer and stream below fixtures/ and in the recordings, of every dialect
 * in the registry. A new dialect, or a new folder of fixtures, is found without being named here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { type ClientDialect, type Dialect, isClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import type { Framing } from '../../src/wire/framing.ts';
import { dialectOf, invoked, loadRecordings, type Recording } from '../recordings.ts';
import { joinFrames } from './reading.ts';

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

/** A stream as the bytes on the wire. */
export interface StreamSample extends Sample<Uint8Array> {
  framing: Framing;
}

/** A stream that the gateway may pass on as it is. */
export interface RelayedSample extends StreamSample {
  dialect: ClientDialect;
}

/** A fixture that holds one answer both ways. */
export interface Pair {
  response: JsonObject;
  stream: StreamSample;
}

export const requests: Sample<JsonObject>[] = [];
export const responses: Sample<JsonObject>[] = [];
export const streams: StreamSample[] = [];
export const pairs: Pair[] = [];
/** How many recordings no law is tried on, by the language they are filed under: nobody speaks it here. */
export const untried = new Map<string, number>();

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
  const stream = readStreamFixture(folder);
  if (request !== undefined) requests.push({ ...sample, content: request, refused: error });
  if (response !== undefined) responses.push({ ...sample, content: response });
  if (stream === undefined) return;
  streams.push({ ...sample, ...stream });
  if (response !== undefined) pairs.push({ response, stream: { ...sample, ...stream } });
}

function readStreamFixture(folder: string): Pick<StreamSample, 'framing' | 'content'> | undefined {
  for (const framing of ['sse', 'ndjson'] as const) {
    const file = join(folder, `stream.${framing}`);
    if (existsSync(file)) return { framing, content: new Uint8Array(readFileSync(file)) };
  }
  // Binary frames are kept as text: a line for each, its payload as JSON.
  const file = join(folder, 'stream.events.jsonl');
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const frames = lines.map((line) => {
    const { name, data } = JSON.parse(line);
    return { event: name, data: JSON.stringify(data) };
  });
  return { framing: 'aws-events', content: joinFrames('aws-events', frames) };
}

function addRecording(recording: Recording): void {
  const { file: name, request, response, model } = recording;
  const spoken = dialectOf(recording);
  const dialect = spoken && dialects.get(spoken);
  if (dialect === undefined) {
    untried.set(recording.dialect, (untried.get(recording.dialect) ?? 0) + 1);
    return;
  }
  const sample = { name, dialect, quirks: {}, fixture: false, refused: response.status >= 400 };
  if (isObject(request?.body)) {
    // On that host the path names the model, and the body the version of its language.
    const { anthropic_version: _, ...body } = request.body;
    requests.push({ ...sample, content: recording.dialect === invoked ? { model, ...body } : request.body });
  }
  if (response.status >= 400) return;
  const stream = recordedStream(recording);
  if (stream !== undefined) streams.push({ ...sample, ...stream });
  else if (isObject(response.body)) responses.push({ ...sample, content: response.body });
}

function recordedStream({
  dialect,
  response,
}: Recording): Pick<StreamSample, 'framing' | 'content'> | undefined {
  const { sse, ndjson, eventstream_base64: binary } = response;
  const utf8 = new TextEncoder();
  if (sse !== undefined) return { framing: 'sse', content: utf8.encode(sse) };
  if (ndjson !== undefined) return { framing: 'ndjson', content: utf8.encode(ndjson) };
  if (binary === undefined) return undefined;
  const framing = dialect === invoked ? 'aws-chunks' : 'aws-events';
  return { framing, content: new Uint8Array(Buffer.from(binary, 'base64')) };
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
for (const recording of loadRecordings(() => true)) addRecording(recording);

export const relayed: RelayedSample[] = streams.flatMap((sample) =>
  sample.framing === 'sse' && isClientDialect(sample.dialect) ? [{ ...sample, dialect: sample.dialect }] : [],
);

/** The stream as it is and, where its frames are lines, with the other kind of line ends. */
export function textsOf(framing: Framing, content: Uint8Array): Uint8Array[] {
  if (framing !== 'sse' && framing !== 'ndjson') return [content];
  const text = new TextDecoder().decode(content);
  return [content, new TextEncoder().encode(text.replace(/\r?\n/g, '\r\n'))];
}

/** From whose words into whose a request may be written: only clients ask, anybody may be asked. */
export const askings: [ClientDialect, Dialect][] = clientDialects.flatMap((from) =>
  [...dialects.values()].filter((to) => to !== from).map((to): [ClientDialect, Dialect] => [from, to]),
);

/** From whose words into whose an answer may be written: anybody answers, only clients are answered. */
export const answerings: [Dialect, ClientDialect][] = askings.map(([client, provider]) => [provider, client]);
