/** Turns what is said into what is sent: status, headers and writes, with the fault that was asked for. */
import type { Refusal, Wire } from './ask.ts';
import type { Behaviour } from './behaviour.ts';
import { errorBody, failure } from './errors.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** The writes, in order. */
  pieces: (string | Bytes)[];
  /** After the last write: a proper end, silence for ever, or a connection torn down. */
  ending: 'end' | 'stall' | 'reset';
  /** The length announced, where less than it is sent. */
  announced?: number;
  beforeMs: number;
  firstMs: number;
  delayMs: number;
  /** The pieces are written one by one, even without delay. */
  apart: boolean;
}

/** Events that pass before a fault, where the model name does not say. */
const usualAfter = 3;

const brokenEvents: Record<Wire, string> = {
  openai:
    'data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"con\n\n',
  anthropic:
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_d\n\n',
};

function answerOf(
  behaviour: Behaviour,
  status: number,
  headers: Record<string, string>,
  pieces: Answer['pieces'],
): Answer {
  const { beforeMs = 0, firstMs = 0, delayMs = 0 } = behaviour;
  return { status, headers, pieces, ending: 'end', beforeMs, firstMs, delayMs, apart: false };
}

/** The header both wires use for the request's id, each by its own name. */
function requestIdHeader(wire: Wire, requestId: string): Record<string, string> {
  return { [wire === 'openai' ? 'x-request-id' : 'request-id']: requestId };
}

/** A whole JSON body; faults take effect in its middle. */
export function answerWhole(wire: Wire, body: object, behaviour: Behaviour, requestId: string): Answer {
  if (behaviour.fault === 'error-event')
    return answerError(wire, failure(wire, 'server'), behaviour, requestId);
  const headers = { 'content-type': 'application/json', ...requestIdHeader(wire, requestId) };
  return finishWhole(
    answerOf(behaviour, behaviour.status ?? 200, headers, [JSON.stringify(body)]),
    behaviour,
  );
}

export function answerError(wire: Wire, refusal: Refusal, behaviour: Behaviour, requestId: string): Answer {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    ...requestIdHeader(wire, requestId),
  };
  if (refusal.retryAfterS !== undefined) headers['retry-after'] = String(refusal.retryAfterS);
  const body = JSON.stringify(errorBody(wire, refusal, requestId));
  return answerOf(behaviour, refusal.status, headers, [body]);
}

/** The page a proxy in front of a provider shows. */
export function answerHtml(behaviour: Behaviour): Answer {
  const title = `${behaviour.status} Bad Gateway`;
  const page = `<html>\r\n<head><title>${title}</title></head>\r\n<body><center><h1>${title}</h1></center></body>\r\n</html>\r\n`;
  return answerOf(behaviour, behaviour.status ?? 502, { 'content-type': 'text/html' }, [page]);
}

/** A stream of framed events; faults take effect between them. */
export function answerStream(wire: Wire, events: string[], behaviour: Behaviour, requestId: string): Answer {
  const headers = {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...requestIdHeader(wire, requestId),
  };
  const answer = answerOf(behaviour, 200, headers, events);
  const after = behaviour.after ?? usualAfter;
  if (behaviour.fault === 'malformed') {
    events.splice(Math.min(after, events.length - 1), 0, brokenEvents[wire]);
  } else if (behaviour.fault === 'error-event') {
    const error = errorBody(wire, failure(wire, wire === 'openai' ? 'server' : 'overloaded'), requestId);
    const name = wire === 'anthropic' ? 'event: error\n' : '';
    events.splice(after, events.length, `${name}data: ${JSON.stringify(error)}\n\n`);
  }
  return finishStream(answer, behaviour);
}

/** A recorded exchange: events where they were recorded as such, else the body. */
export function answerRecorded(
  recorded: { status: number; headers: Record<string, string>; body: string | Bytes; stream: boolean },
  behaviour: Behaviour,
): Answer {
  const { status, headers, body, stream } = recorded;
  const pieces =
    stream && typeof body === 'string' ? (body.match(/[\s\S]+?(?:\r?\n\r?\n|$)/g) ?? []) : [body];
  const answer = answerOf(behaviour, status, headers, pieces);
  return stream ? finishStream(answer, behaviour) : finishWhole(answer, behaviour);
}

function finishWhole(answer: Answer, behaviour: Behaviour): Answer {
  const { fault } = behaviour;
  if (fault === undefined || fault === 'error-event') return splitPieces(answer, behaviour);
  const bytes = bytesOf(answer.pieces);
  answer.pieces = fault === 'reset' && behaviour.after === 0 ? [] : [bytes.slice(0, bytes.length >> 1)];
  if (fault !== 'malformed') {
    answer.ending = fault === 'stall' ? 'stall' : 'reset';
    answer.announced = fault === 'cut' ? bytes.length : undefined;
  }
  return splitPieces(answer, behaviour);
}

function finishStream(answer: Answer, behaviour: Behaviour): Answer {
  const { fault, after = usualAfter } = behaviour;
  if (fault === 'cut' || fault === 'stall' || fault === 'reset') {
    answer.pieces = answer.pieces.slice(0, after);
    answer.ending = fault === 'cut' ? 'end' : fault;
  }
  return splitPieces(answer, behaviour);
}

function splitPieces(answer: Answer, { split }: Behaviour): Answer {
  if (split === undefined) return answer;
  answer.apart = true;
  if (split === 'event') return answer;
  const bytes = bytesOf(answer.pieces);
  answer.pieces = [];
  for (let at = 0; at < bytes.length; at += split) answer.pieces.push(bytes.subarray(at, at + split));
  return answer;
}

const encoder = new TextEncoder();

function bytesOf(pieces: Answer['pieces']): Bytes {
  const parts = pieces.map((piece) => (typeof piece === 'string' ? encoder.encode(piece) : piece));
  const only = parts[0];
  return parts.length === 1 && only !== undefined ? only : new Uint8Array(Buffer.concat(parts));
}
