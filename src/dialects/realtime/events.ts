/** The few events of a provider that tell what a session uses; all others are passed on unread. */
import type { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { readUsage } from './usage.ts';

export type RealtimeEvent =
  | { type: 'session'; settings: SessionSettings }
  /** A model begins to answer. */
  | { type: 'begun' }
  /** It is done. */
  | { type: 'done'; usage: Usage | undefined; failure: GatewayError | undefined }
  /** A piece of an answer; `size` in characters, of base64 where it is audio. */
  | { type: 'piece'; audio: boolean; size: number }
  /** What was heard was written down, by the session's transcription model. */
  | { type: 'transcribed'; usage: Usage | undefined; text: string };

export interface SessionSettings {
  /** The model that writes down what is heard; undefined: none does. */
  transcriber: string | undefined;
  /** Bytes of a second of audio, as the client sends it and as it gets it. */
  heardBytesPerS: number;
  saidBytesPerS: number;
}

/** 24,000 samples of 16 bits. */
const usualBytesPerS = 48_000;

export const usualSettings: SessionSettings = {
  transcriber: undefined,
  heardBytesPerS: usualBytesPerS,
  saidBytesPerS: usualBytesPerS,
};

/** The type of an event, where it comes first or right after the event's id, as hosts write them. */
const leadingType = /^\s*\{\s*(?:"event_id"\s*:\s*"[^"\\]*"\s*,\s*)?"type"\s*:\s*"([\w.]+)"/;

const readers: Readonly<Record<string, (event: JsonObject) => RealtimeEvent>> = {
  'session.created': readSession,
  'session.updated': readSession,
  'transcription_session.created': readSession,
  'transcription_session.updated': readSession,
  'response.created': () => ({ type: 'begun' }),
  'response.done': readDone,
  'conversation.item.input_audio_transcription.completed': (event) => ({
    type: 'transcribed',
    usage: readUsage(event.usage),
    text: typeof event.transcript === 'string' ? event.transcript : '',
  }),
};

const typesRead = Object.keys(readers).map((type) => `"${type}"`);

/** What an event tells; undefined where it tells nothing of use, or is no event. Events of no interest are not parsed. */
export function readEvent(text: string): RealtimeEvent | undefined {
  const type = leadingType.exec(text)?.[1];
  if (type === undefined) {
    // The type stands elsewhere: then it is looked for before anything is parsed.
    if (!typesRead.some((name) => text.includes(name))) return undefined;
  } else if (type.endsWith('.delta')) {
    return readPiece(type, text);
  } else if (!Object.hasOwn(readers, type)) {
    return undefined;
  }
  const event = parse(text);
  const named = event?.type;
  if (event === undefined || typeof named !== 'string' || !Object.hasOwn(readers, named)) return undefined;
  return readers[named]?.(event);
}

const delta = /"delta"\s*:\s*"/g;

function readPiece(type: string, text: string): RealtimeEvent | undefined {
  if (!type.startsWith('response.')) return undefined;
  delta.lastIndex = 0;
  if (!delta.test(text)) return undefined;
  const end = text.indexOf('"', delta.lastIndex);
  return { type: 'piece', audio: type.endsWith('audio.delta'), size: Math.max(0, end - delta.lastIndex) };
}

function parse(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readDone(event: JsonObject): RealtimeEvent {
  const response = isObject(event.response) ? event.response : {};
  const details = isObject(response.status_details) ? response.status_details : {};
  return {
    type: 'done',
    usage: readUsage(response.usage),
    failure:
      response.status === 'failed' ? classifyErrorPayload({ error: details.error ?? null }) : undefined,
  };
}

/** The settings stand one level deeper than they did in the beta. */
function readSession({ session }: JsonObject): RealtimeEvent {
  const settings = { ...usualSettings };
  if (isObject(session)) {
    const audio = isObject(session.audio) ? session.audio : {};
    const input = isObject(audio.input) ? audio.input : {};
    const output = isObject(audio.output) ? audio.output : {};
    const transcription = input.transcription ?? session.input_audio_transcription;
    if (isObject(transcription) && typeof transcription.model === 'string') {
      settings.transcriber = transcription.model;
    }
    settings.heardBytesPerS = bytesPerS(input.format ?? session.input_audio_format);
    settings.saidBytesPerS = bytesPerS(output.format ?? session.output_audio_format);
  }
  return { type: 'session', settings };
}

/** `{type:"audio/pcm", rate:24000}`, `{type:"audio/pcmu"}`; in the beta `pcm16`, `g711_ulaw`. */
function bytesPerS(format: Json | undefined): number {
  if (isObject(format)) {
    if (format.type === 'audio/pcmu' || format.type === 'audio/pcma') return 8000;
    return typeof format.rate === 'number' && format.rate > 0 ? format.rate * 2 : usualBytesPerS;
  }
  return typeof format === 'string' && format.startsWith('g711') ? 8000 : usualBytesPerS;
}
