/** Reads a client's request body as bytes, bounded and inflated, and peeks at the members a gateway acts on. */
import { gunzip } from 'node:zlib';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json } from '../core/json.ts';
import type { Asked, ClientDialect, TurnsMember } from '../dialects/dialect.ts';
import type { ClientRequest } from '../wire/http/server/messages.ts';
import { JsonSyntaxError, type Member, scanMembers, valueText } from '../wire/splice.ts';
import { estimateTokens } from './estimate-tokens.ts';

export interface Peek {
  body: Uint8Array;
  members: Member[];
  model: string;
  stream: boolean;
  /** The output limit the client set; undefined when it set none. */
  maxTokens: number | undefined;
  /** Estimated, of its text: see `estimateTokens`. */
  tokens: number;
  /** How many answers it wants. */
  answers: number;
  /** The stream is wanted as one JSON array. */
  array: boolean;
  /** The model stands in the path, not in the body. */
  modelInPath: boolean;
  /** Id of the answer to go on from. */
  previous: string | undefined;
}

/** Rejects as the request does when the client goes away. @throws GatewayError `too_large`, `bad_request`. */
export function readBody(request: ClientRequest, limitBytes: number): Uint8Array | Promise<Uint8Array> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > limitBytes) throw tooLarge(limitBytes);
  const encoding = request.headers.get('content-encoding');
  const packed = encoding !== null && encoding !== 'identity';
  if (packed && encoding !== 'gzip') {
    throw new GatewayError(
      'bad_request',
      `Content encoding "${encoding}" is not accepted: send gzip or none.`,
      {
        status: 415,
      },
    );
  }
  const body = declared === null ? readChunked(request, limitBytes) : request.bytes();
  return packed ? inflateAll(body, limitBytes) : body;
}

async function readChunked(request: ClientRequest, limitBytes: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function inflateAll(body: Uint8Array | Promise<Uint8Array>, limitBytes: number): Promise<Uint8Array> {
  return inflate(await body, limitBytes);
}

function inflate(body: Uint8Array, limitBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    gunzip(body, { maxOutputLength: limitBytes }, (error, inflated) => {
      if (error === null) resolve(inflated);
      else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') reject(tooLarge(limitBytes));
      else reject(new GatewayError('bad_request', 'The body says it is gzip, but it does not inflate.'));
    });
  });
}

function tooLarge(limitBytes: number): GatewayError {
  return new GatewayError(
    'too_large',
    `The request body is larger than ${limitBytes} bytes. Send less, or raise body_limit in the gateway's configuration.`,
  );
}

/** Looks at the top level only. @throws GatewayError `bad_request` naming the member that is wrong. */
export function peekBody(body: Uint8Array, dialect: ClientDialect, asked: Asked): Peek {
  const members = scan(body);
  const { turns } = dialect;
  let model = asked.model;
  let stream = asked.stream ?? false;
  const said: Limits = { maxTokens: undefined, answers: undefined };
  let questions = 1;
  let previous: string | undefined;
  let hasTurns = turns.optional === true;
  for (const member of members) {
    const { name } = member;
    if (name === 'model' && asked.model === undefined) {
      // Parsers differ in which of two they believe; a gateway that decides by model must not guess.
      if (model !== undefined) throw wrong('model', 'is given twice; give it once');
      model = readModel(body, member);
    } else if (isModelMisspelt(name)) {
      throw wrong(name, 'is no member of this API; write "model"');
    } else if (name === 'stream' && asked.stream === undefined) stream = readStream(body, member);
    else if (name === turns.name) {
      hasTurns = true;
      requireTurns(body, member, turns);
      if (turns.several === true) questions = countQuestions(body, member);
    } else if (name === dialect.keeping?.member) previous = readPrevious(body, member);
    else readLimits(body, member, dialect, said);
  }
  if (model === undefined) throw wrong('model', 'is missing: name a model, for example "mock/echo"');
  if (!hasTurns) throw wrong(turns.name, 'is missing: send an array of messages');
  return {
    body,
    members,
    model: checkModel(model),
    stream,
    array: asked.array ?? false,
    modelInPath: asked.model !== undefined,
    maxTokens: said.maxTokens,
    tokens: estimateTokens(body),
    answers: (said.answers ?? 1) * questions,
    previous,
  };
}

/** Hosts written in Go take a member in any case, the last of them all: such a one could name another model. */
function isModelMisspelt(name: string): boolean {
  return name.length === 5 && name !== 'model' && name.toLowerCase() === 'model';
}

interface Limits {
  maxTokens: number | undefined;
  answers: number | undefined;
}

function requireTurns(body: Uint8Array, member: Member, turns: TurnsMember): void {
  const first = body[member.start];
  if (first === 0x5b || (turns.orText === true && first === 0x22)) return;
  if (turns.optional === true && valueText(body, member) === 'null') return;
  throw wrong(turns.name, turns.orText ? 'must be a text or an array' : 'must be an array of messages');
}

/** How many texts, or lists of tokens, are each to be answered by themselves. */
function countQuestions(body: Uint8Array, member: Member): number {
  if (body[member.start] !== 0x5b) return 1;
  const list = parseMember(body, member);
  if (!Array.isArray(list) || list.length === 0 || typeof list[0] === 'number') return 1;
  if (list.length > maxAnswers) throw wrong(member.name, `holds more than ${maxAnswers} texts`);
  return list.length;
}

/** What bears on the cost of the call: how long answers may be, and how many are wanted. */
function readLimits(body: Uint8Array, member: Member, dialect: ClientDialect, said: Limits): void {
  const { limitMembers } = dialect;
  // Of two limits hosts differ in which one they obey: the larger one is what the call may cost.
  if (limitMembers.includes(member.name)) {
    said.maxTokens = larger(said.maxTokens, readWhole(member.name, valueText(body, member), maxLimit));
  } else if (counts(member.name, dialect)) {
    said.answers = larger(said.answers, readWhole(member.name, valueText(body, member), maxAnswers));
  } else if (isHolder(member.name, dialect)) {
    for (const [inner, value] of Object.entries(parseHolder(body, member))) {
      const path = `${member.name}.${inner}`;
      if (limitMembers.includes(path)) {
        said.maxTokens = larger(said.maxTokens, readWhole(path, String(value), maxLimit));
      } else if (counts(path, dialect)) {
        said.answers = larger(said.answers, readWhole(path, String(value), maxAnswers));
      }
    }
  }
}

function counts(name: string, { countMember }: ClientDialect): boolean {
  return typeof countMember === 'string' ? name === countMember : countMember?.includes(name) === true;
}

/** Members with limits one level down. */
function isHolder(name: string, { limitMembers }: ClientDialect): boolean {
  for (const path of limitMembers) {
    if (path.length > name.length && path[name.length] === '.' && path.startsWith(name)) return true;
  }
  return false;
}

function parseHolder(body: Uint8Array, member: Member): Record<string, Json | undefined> {
  const value = parseMember(body, member);
  return isObject(value) ? value : {};
}

function parseMember(body: Uint8Array, member: Member): Json {
  try {
    return JSON.parse(valueText(body, member)) as Json;
  } catch {
    throw wrong(member.name, 'is not valid JSON');
  }
}

export function scan(body: Uint8Array): Member[] {
  try {
    return scanMembers(body);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const what = body.length === 0 ? 'it is empty' : `${error.message} (byte ${error.offset})`;
    throw new GatewayError('bad_request', `The request body must be a JSON object: ${what}.`);
  }
}

export function readModel(body: Uint8Array, member: Member): string {
  if (body[member.start] !== 0x22) throw wrong('model', 'must be a string');
  let model: string;
  try {
    model = JSON.parse(valueText(body, member)) as string;
  } catch {
    throw wrong('model', 'is not a valid JSON string');
  }
  return model;
}

/** @throws GatewayError `bad_request` for what cannot be a model's name. */
export function checkModel(model: string): string {
  if (model === '') throw wrong('model', 'must not be empty');
  if (model.length > 256) throw wrong('model', 'is longer than 256 characters');
  return model;
}

function readPrevious(body: Uint8Array, member: Member): string | undefined {
  const id = parseMember(body, member);
  if (id === null) return undefined;
  if (typeof id === 'string' && id !== '') return id;
  throw wrong(member.name, 'must be the id of an answer');
}

function readStream(body: Uint8Array, member: Member): boolean {
  const text = valueText(body, member);
  if (text === 'true') return true;
  if (text === 'false' || text === 'null') return false;
  throw wrong('stream', 'must be true or false');
}

/** No model writes more in one answer, no host gives more answers. */
const maxLimit = 100_000_000;
const maxAnswers = 1024;

/** @throws GatewayError `bad_request`. Undefined for null. */
function readWhole(name: string, text: string, most: number): number | undefined {
  if (text === 'null') return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw wrong(name, `must be a whole number up to ${most}`);
  }
  return value;
}

function larger(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || (other !== undefined && other > one) ? other : one;
}

export function wrong(param: string, what: string): GatewayError {
  return new GatewayError('bad_request', `"${param}" ${what}.`, { param });
}
