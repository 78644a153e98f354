/** Real provider traffic, read in place from ../shared/recordings where that folder is present. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DialectName } from '../src/core/chat.ts';
import type { Json, JsonObject } from '../src/core/json.ts';
import { dialects } from '../src/dialects/index.ts';

const folder = join(import.meta.dir, '..', '..', 'shared', 'recordings');

/** False where the recordings are absent; the tests that need them then skip. */
export const haveRecordings = existsSync(join(folder, 'index.tsv'));
if (!haveRecordings)
  console.warn('No recordings beside the project: the tests on real provider traffic are skipped.');

/** One HTTP exchange; `file` is its path below the recordings and names it in tests. */
export interface Recording {
  file: string;
  provider: string;
  dialect: string;
  streaming: boolean;
  features: string[];
  stopReason: string;
  model: string;
  /** `wire` text is as the provider sent it; others were re-serialised by their recorder. */
  framing: string;
  request: { method: string; url: string; headers: Record<string, string>; body: JsonObject } | undefined;
  response: {
    status: number;
    headers: Record<string, string>;
    /** A whole answer, parsed; text where it was not JSON. */
    body?: JsonObject | string;
    /** A stream as text. */
    sse?: string;
    ndjson?: string;
    /** A binary event stream, and the frames in it. */
    eventstream_base64?: string;
    events?: { headers: Record<string, string>; payload: Json }[];
  };
}

/** The recordings whose index entry passes `filter`, in the order of the index. */
export function loadRecordings(filter: (entry: IndexEntry) => boolean): Recording[] {
  return haveRecordings ? readIndex().filter(filter).map(load) : [];
}

export interface IndexEntry {
  file: string;
  provider: string;
  dialect: string;
  streaming: boolean;
  features: string[];
  stopReason: string;
  /** 200 where the source kept none. */
  status: number;
  model: string;
  framing: string;
  hasRequest: boolean;
}

function readIndex(): IndexEntry[] {
  const [head = '', ...lines] = readFileSync(join(folder, 'index.tsv'), 'utf8').trimEnd().split('\n');
  const names = head.split('\t');
  return lines.map((line) => {
    const cells = line.split('\t');
    const cell = (name: string): string => cells[names.indexOf(name)] ?? '';
    return {
      file: cell('file'),
      provider: cell('provider'),
      dialect: cell('dialect'),
      streaming: cell('streaming') === 'yes',
      features: cell('features').split(',').filter(Boolean),
      stopReason: cell('stop_reason'),
      status: Number(cell('status')) || 200,
      model: cell('model'),
      framing: cell('framing'),
      hasRequest: cell('has_request') === 'yes',
    };
  });
}

function load(entry: IndexEntry): Recording {
  const { request, response } = JSON.parse(readFileSync(join(folder, entry.file), 'utf8'));
  return {
    ...entry,
    request: typeof request?.body === 'object' && request.body !== null ? request : undefined,
    response: { ...response, status: response.status ?? entry.status, headers: response.headers ?? {} },
  };
}

/** Hosts of a dialect whose recordings are filed under a name of their own. */
const spokenBy: Readonly<Record<string, DialectName>> = {
  'deepseek-chat': 'openai-chat',
  'mistral-chat': 'openai-chat',
  'ollama-chat': 'ollama',
};

/** The name under which calls in a model vendor's own language through another host are filed. */
export const invoked = 'bedrock-invoke';

/** The language of an exchange; undefined: nobody speaks it here. */
export function dialectOf({ dialect, model, request }: Recording): DialectName | undefined {
  if (dialect === invoked) return /\banthropic\b/.test(model) ? 'anthropic-messages' : undefined;
  // Completions before chat are recorded under the same dialect here and there.
  if (dialect === 'openai-chat' && request !== undefined && request.body.messages === undefined) {
    return 'openai-completions';
  }
  const spoken = spokenBy[dialect] ?? dialect;
  return dialects.has(spoken as DialectName) ? (spoken as DialectName) : undefined;
}

/** Splits recorded SSE text into events (the `event:` name and the joined `data:` lines), comments left out. */
export function sseEvents(text: string): { event: string; data: string }[] {
  const events: { event: string; data: string }[] = [];
  for (const frame of text.split(/\r?\n\r?\n/)) {
    let event = '';
    const data: string[] = [];
    for (const line of frame.split(/\r?\n/)) {
      if (line.startsWith('event:')) event = line.slice(6).trim();
      else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
    }
    if (data.length > 0) events.push({ event, data: data.join('\n') });
  }
  return events;
}
