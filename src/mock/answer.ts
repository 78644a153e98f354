/** Turns what is said into what is sent: status, headers and writes, with the fault that was asked for. */
import type { Refusal } from './ask.ts';
import type { Behaviour } from './behaviour.ts';
import { failure } from './errors.ts';
import type { Bytes, Framing } from './framing.ts';
import type { Event, Turn, Voice } from './wire.ts';

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

function answerOf(
  behaviour: Behaviour,
  status: number,
  headers: Record<string, string>,
  pieces: Answer['pieces'],
): Answer {
  const { beforeMs = 0, firstMs = 0, delayMs = 0 } = behaviour;
  return { status, headers, pieces, ending: 'end', beforeMs, firstMs, delayMs, apart: false };
}

function idHeader({ idHeader }: Voice, requestId: string): Record<string, string> {
  return idHeader === undefined ? {} : { [idHeader]: requestId };
}

/** A whole JSON body; faults take effect in its middle. */
export function answerWhole(voice: Voice, body: object, behaviour: Behaviour, requestId: string): Answer {
  if (behaviour.fault === 'error-event')
    return answerError(voice, failure(voice, 'server'), behaviour, requestId);
  const headers = { 'content-type': 'application/json', ...idHeader(voice, requestId) };
  return finishWhole(
    answerOf(behaviour, behaviour.status ?? 200, headers, [JSON.stringify(body)]),
    behaviour,
  );
}

export function answerError(voice: Voice, refusal: Refusal, behaviour: Behaviour, requestId: string): Answer {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    ...idHeader(voice, requestId),
    ...voice.headers?.(refusal),
  };
  const body = JSON.stringify(voice.body(refusal, requestId));
  return answerOf(behaviour, refusal.status, headers, [body]);
}

/** The page a proxy in front of a provider shows. */
export function answerHtml(behaviour: Behaviour): Answer {
  const title = `${behaviour.status} Bad Gateway`;
  const page = `<html>\r\n<head><title>${title}</title></head>\r\n<body><center><h1>${title}</h1></center></body>\r\n</html>\r\n`;
  return answerOf(behaviour, behaviour.status ?? 502, { 'content-type': 'text/html' }, [page]);
}

/** A stream of events; faults take effect between them. */
export function answerStream(
  voice: Voice,
  framing: Framing,
  events: Event[],
  turn: Turn,
  requestId: string,
): Answer {
  const { behaviour } = turn;
  const after = Math.min(behaviour.after ?? usualAfter, events.length - 1);
  if (behaviour.fault === 'malformed') {
    const { name, data } = events[after] as Event;
    events.splice(after, 0, { name, data: data.slice(0, data.length >> 1) });
  } else if (behaviour.fault === 'error-event') {
    const refusal = failure(voice, voice.amid);
    events.splice(after, events.length, ...voice.events(refusal, requestId, turn, after));
  }
  const headers = { ...framing.headers, ...idHeader(voice, requestId) };
  return finishStream(answerOf(behaviour, 200, headers, framing.frame(events)), behaviour);
}

/** A recorded exchange: its frames where a stream was recorded, else the body. */
export function answerRecorded(
  recorded: { status: number; headers: Record<string, string>; body: string | Bytes; framing?: Framing },
  behaviour: Behaviour,
): Answer {
  const { status, headers, body, framing } = recorded;
  const pieces = framing === undefined ? [body] : framing.split(body);
  const answer = answerOf(behaviour, status, headers, pieces);
  return framing === undefined ? finishWhole(answer, behaviour) : finishStream(answer, behaviour);
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

/** The whole body, where nothing stands between its pieces. */
export function joinPieces({ pieces }: Answer): string | Bytes {
  return pieces.every((piece) => typeof piece === 'string') ? pieces.join('') : bytesOf(pieces);
}
