/** What the mock is asked for beside chat, in OpenAI's shapes: as JSON or as a form. */
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { boundaryOf, MultipartError, scanParts } from '../wire/multipart.ts';
import { type Answer, answerHtml, answerRecorded, answerWhole } from './answer.ts';
import { refuse } from './ask.ts';
import type { Behaviour } from './behaviour.ts';
import { type Bytes, type Framing, framings } from './framing.ts';
import { embed, moderate, rank } from './operations/judge.ts';
import { draw, hear, speak } from './operations/media.ts';
import type { Incoming } from './routes.ts';
import { openai } from './voices/openai.ts';
import { unnamed } from './wire.ts';

/** A request for one of them. */
export interface OperationAsk {
  model: string;
  /** JSON members, or the fields of a form as texts. */
  members: JsonObject;
  files: { name: string; filename: string; bytes: Bytes }[];
}

/** What is said to it: JSON, other bytes, or the data of events. */
export type Said = { json: object } | { type: string; bytes: string | Bytes } | { events: object[] };

export type Make = (ask: OperationAsk, behaviour: Behaviour) => Said;

const makers: readonly [path: RegExp, make: Make][] = [
  [/\/embeddings$/, embed],
  [/\/images\/(generations|edits|variations)$/, draw],
  [/\/audio\/speech$/, speak],
  [/\/audio\/(transcriptions|translations)$/, hear],
  [/\/moderations$/, moderate],
  [/\/rerank$/, rank],
];

/** Undefined: nothing of that kind. */
export function matchOperation({ path }: Incoming): Make | undefined {
  const [pathname = ''] = path.split('?', 1);
  return makers.find(([pattern]) => pattern.test(pathname))?.[1];
}

/** @throws Refused */
export function readOperation(incoming: Incoming): OperationAsk {
  const boundary = boundaryOf(incoming.header('content-type') ?? '');
  const ask = boundary === undefined ? readJson(incoming.body) : readForm(incoming.body, boundary);
  const { model } = ask.members;
  if (typeof model !== 'string' || model === '') refuse('you must provide a model parameter');
  return { ...ask, model };
}

function readJson(text: string): Omit<OperationAsk, 'model'> {
  let members: Json;
  try {
    members = JSON.parse(text);
  } catch {
    refuse(openai.notJson);
  }
  return { members: isObject(members) ? members : {}, files: [] };
}

function readForm(text: string, boundary: string): Omit<OperationAsk, 'model'> {
  const body = Buffer.from(text, 'latin1');
  const members: JsonObject = {};
  const files: OperationAsk['files'] = [];
  try {
    for (const { name, filename, start, end } of scanParts(body, boundary)) {
      const bytes = new Uint8Array(body.subarray(start, end));
      if (filename === undefined) members[name] = Buffer.from(bytes).toString();
      else files.push({ name, filename, bytes });
    }
  } catch (thrown) {
    if (!(thrown instanceof MultipartError)) throw thrown;
    refuse(`Could not parse multipart form: ${thrown.message}.`);
  }
  return { members, files };
}

/** Undefined: it is no form, or names none. */
export function modelInForm({ body, header }: Incoming): Json | undefined {
  const boundary = boundaryOf(header('content-type') ?? '');
  return boundary === undefined ? undefined : readForm(body, boundary).members.model;
}

/** A body as the text it is; that of a form holds bytes, and has a character for each. */
export function decodeBody(bytes: Uint8Array, contentType: string | null | undefined): string {
  return Buffer.from(bytes).toString(boundaryOf(contentType ?? '') === undefined ? 'utf8' : 'latin1');
}

/** Faults take effect in the middle of it, as they do elsewhere. */
export function answerOperation(said: Said, behaviour: Behaviour, requestId: string): Answer {
  if (behaviour.say === 'html') return answerHtml(behaviour);
  if ('json' in said) return answerWhole(openai, said.json, behaviour, requestId);
  if ('events' in said) return answerRecorded(streamOf(said.events), behaviour);
  return answerRecorded({ status: 200, headers: { 'content-type': said.type }, body: said.bytes }, behaviour);
}

function streamOf(events: readonly object[]): Parameters<typeof answerRecorded>[0] {
  const framing: Framing = framings.sse;
  const body = framing.frame(events.map(unnamed)).join('');
  return { status: 200, headers: { ...framing.headers }, body, framing };
}
