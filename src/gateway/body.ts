/** Reads a client's request body as bytes, bounded and inflated, and peeks at the members a gateway acts on. */
import { gunzip } from 'node:zlib';
import { GatewayError } from '../core/error.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { JsonSyntaxError, type Member, scanMembers, valueText } from '../wire/splice.ts';

export interface Peek {
  body: Uint8Array;
  members: Member[];
  model: string;
  stream: boolean;
  /** The output limit the client set; undefined when it set none. */
  maxTokens: number | undefined;
  /** How many answers it wants. */
  answers: number;
}

/** Rejects as the request does when the client goes away. @throws GatewayError `too_large`, `bad_request`. */
export function readBody(request: Request, limitBytes: number): Promise<Uint8Array> {
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
  return packed ? body.then((bytes) => inflate(bytes, limitBytes)) : body;
}

async function readChunked(request: Request, limitBytes: number): Promise<Uint8Array> {
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
export function peekBody(body: Uint8Array, dialect: Dialect): Peek {
  const members = scan(body);
  let model: string | undefined;
  let stream = false;
  let limit: number | undefined;
  let answers = 1;
  let hasMessages = false;
  for (const member of members) {
    switch (member.name) {
      case 'model':
        // Parsers differ in which of two they believe; a gateway that decides by model must not guess.
        if (model !== undefined) throw wrong('model', 'is given twice; give it once');
        model = readModel(body, member);
        break;
      case 'stream':
        stream = readStream(body, member);
        break;
      case 'messages':
        if (body[member.start] !== 0x5b) throw wrong('messages', 'must be an array of messages');
        hasMessages = true;
        break;
      default:
        // Of two limits hosts differ in which one they obey: the larger one is what the call may cost.
        if (dialect.limitMembers.includes(member.name))
          limit = larger(limit, readWhole(body, member, maxLimit));
        else if (member.name === dialect.countMember)
          answers = readWhole(body, member, maxAnswers) ?? answers;
    }
  }
  if (model === undefined) throw wrong('model', 'is missing: name a model, for example "mock/echo"');
  if (!hasMessages) throw wrong('messages', 'is missing: send an array of messages');
  return { body, members, model, stream, maxTokens: limit, answers };
}

function scan(body: Uint8Array): Member[] {
  try {
    return scanMembers(body);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const what = body.length === 0 ? 'it is empty' : `${error.message} (byte ${error.offset})`;
    throw new GatewayError('bad_request', `The request body must be a JSON object: ${what}.`);
  }
}

function readModel(body: Uint8Array, member: Member): string {
  if (body[member.start] !== 0x22) throw wrong('model', 'must be a string');
  let model: string;
  try {
    model = JSON.parse(valueText(body, member)) as string;
  } catch {
    throw wrong('model', 'is not a valid JSON string');
  }
  if (model === '') throw wrong('model', 'must not be empty');
  if (model.length > 256) throw wrong('model', 'is longer than 256 characters');
  return model;
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
function readWhole(body: Uint8Array, member: Member, most: number): number | undefined {
  const text = valueText(body, member);
  if (text === 'null') return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw wrong(member.name, `must be a whole number up to ${most}`);
  }
  return value;
}

function larger(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || (other !== undefined && other > one) ? other : one;
}

function wrong(param: string, what: string): GatewayError {
  return new GatewayError('bad_request', `"${param}" ${what}.`, { param });
}
