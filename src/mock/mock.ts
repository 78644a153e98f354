/** The mock provider: answers on every wire as its model names ask, without any network. */
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import type { Switched } from '../wire/tunnel.ts';
import {
  type Answer,
  answerError,
  answerHtml,
  answerRecorded,
  answerStream,
  answerWhole,
  joinPieces,
} from './answer.ts';
import { type Ask, type Refusal, Refused } from './ask.ts';
import { type Behaviour, leadWords, parseBehaviour } from './behaviour.ts';
import { idMaker, seeded } from './chance.ts';
import { failure, kindOf } from './errors.ts';
import {
  answerOperation,
  decodeBody,
  type Make,
  matchOperation,
  modelInForm,
  readOperation,
} from './operations.ts';
import { countTokens, respond } from './plan.ts';
import { type Counters, isImmediate, playResponse, Visit } from './play.ts';
import {
  type Accepted,
  asksForRealtime,
  openRealtime,
  type RealtimeHost,
  switchInProcess,
} from './realtime/open.ts';
import { readRecording } from './replay.ts';
import { type Asked, type Incoming, matchPath, splitPath } from './routes.ts';
import { openai } from './voices/openai.ts';
import type { Turn, Voice } from './wire.ts';
import { openaiChat } from './wires/openai-chat.ts';

export interface MockOptions {
  /** Folder that `replay:FILE` reads below. */
  recordings?: string;
  /** Demanded in the headers each wire has for it. */
  key?: string;
  /** Makes `flaky` and ids repeatable; `flaky` is so by itself. */
  seed?: number;
  /** Keeps every request in `requests`: for tests. */
  capture?: boolean;
  /** The behaviour a model name stands for, asked at every call; the name itself by default. */
  rename?: (model: string) => string;
}

export interface CapturedRequest {
  method: string;
  /** With the query. */
  path: string;
  /** The model that was asked for, by the name that was sent, in the path or in the body. */
  model: string | undefined;
  headers: Record<string, string>;
  /** The body as it came. */
  text: string;
  /** The body as JSON; undefined when it is none. */
  body: JsonObject | undefined;
}

export interface Mock {
  fetch(request: Request): Promise<Response>;
  /** The same for a provider's `transport`: no socket, no network. */
  transport(url: string, init: RequestInit): Promise<Response>;
  /** The same for requests to go on in another protocol. */
  switching(url: string, headers: Readonly<Record<string, string>>): Promise<Switched>;
  /** How such a request is answered, for a server that talks itself. */
  open(incoming: Incoming): Answer | Accepted;
  /** What is to be sent, for a server that sends it itself (with a Visit on `counters`). */
  answer(incoming: Incoming): Answer;
  models: readonly string[];
  /** Filled when `capture` is on. */
  requests: CapturedRequest[];
  counters: Counters;
}

interface Kitchen {
  options: MockOptions;
  behaviours: Map<string, Behaviour | string>;
  random(): number;
  id(prefix: string): string;
  models: readonly string[];
  /** Ids of the tool calls in answers that were kept, by the answer's id; the latest of them. */
  kept: Map<string, string[]>;
}

const mostKept = 1000;

export function createMock(options: MockOptions = {}): Mock {
  const kitchen: Kitchen = {
    options,
    behaviours: new Map(),
    random: seeded(options.seed ?? 1),
    id: idMaker(options.seed),
    models: leadWords.filter((name) => name !== 'replay'),
    kept: new Map(),
  };
  const counters: Counters = { calls: 0, open: 0, finished: 0, aborted: 0 };
  const requests: CapturedRequest[] = [];

  const answer = (incoming: Incoming): Answer => {
    counters.calls++;
    if (options.capture === true) requests.push(capture(incoming));
    return serve(kitchen, incoming);
  };
  const deliver = (incoming: Incoming, signal: AbortSignal | null): Promise<Response> | Response => {
    const given = answer(incoming);
    if (!isImmediate(given)) return playResponse(given, new Visit(counters), signal);
    counters.finished++;
    return new Response(joinPieces(given), { status: given.status, headers: given.headers });
  };

  const open = (incoming: Incoming): Answer | Accepted => {
    if (!asksForRealtime(incoming)) return answer(incoming);
    counters.calls++;
    if (options.capture === true) requests.push(capture(incoming));
    return openRealtime(hostOf(kitchen, counters), incoming);
  };

  return {
    fetch: async (request) => {
      return deliver(
        incomingOf(
          request.method,
          request.url,
          request.headers,
          decodeBody(await request.bytes(), request.headers.get('content-type')),
        ),
        request.signal,
      );
    },
    transport: async (url, init) => {
      const { body } = init;
      const headers = new Headers(init.headers);
      const bytes = typeof body === 'string' || !body ? undefined : await new Response(body).bytes();
      const text = bytes === undefined ? String(body ?? '') : decodeBody(bytes, headers.get('content-type'));
      init.signal?.throwIfAborted();
      return deliver(incomingOf(init.method ?? 'GET', url, headers, text), init.signal ?? null);
    },
    switching: async (url, headers) =>
      switchInProcess(open(incomingOf('GET', url, new Headers(headers), ''))),
    open,
    answer,
    models: kitchen.models,
    requests,
    counters,
  };
}

function hostOf(kitchen: Kitchen, counters: Counters): RealtimeHost {
  return {
    checkKey: (incoming) => checkKey(kitchen.options.key, incoming, openaiChat.keys, openai),
    behaviourOf: (model) => behaviourOf(kitchen, openai, model),
    failureOf: (behaviour) => failureOf(kitchen, openai, behaviour),
    newId: kitchen.id,
    counters,
  };
}

function incomingOf(method: string, url: string, headers: Headers, body: string): Incoming {
  const { pathname, search } = new URL(url);
  return {
    method,
    path: pathname + search,
    header: (name) => headers.get(name),
    headers: () => Object.fromEntries(headers),
    body,
  };
}

function capture(incoming: Incoming): CapturedRequest {
  const { method, path, body: text } = incoming;
  const body = parseObject(text);
  const asked = asksForRealtime(incoming) ? splitPath(path)[1].get('model') : undefined;
  const model = matchPath(incoming)?.given.model ?? body?.model ?? asked ?? modelInForm(incoming);
  return {
    method,
    path,
    model: typeof model === 'string' ? model : undefined,
    headers: incoming.headers(),
    text,
    body,
  };
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const body = JSON.parse(text) as Json;
    return isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

function serve(kitchen: Kitchen, incoming: Incoming): Answer {
  const asked = matchPath(incoming);
  const voice = asked?.voice ?? openai;
  const requestId = kitchen.id('req_');
  try {
    const make = matchOperation(incoming);
    if (make !== undefined) return operate(kitchen, incoming, make, requestId);
    if (asked === undefined)
      throw refusal(openai, 'not_found', openai.notThere(incoming.method, incoming.path));
    checkKey(kitchen.options.key, incoming, asked.wire.keys, asked.voice);
    return answerAsked(kitchen, incoming, asked, requestId);
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    return answerError(voice, thrown.refusal, { say: 'echo' }, requestId);
  }
}

/** Whatever is asked for beside chat. */
function operate(kitchen: Kitchen, incoming: Incoming, make: Make, requestId: string): Answer {
  checkKey(kitchen.options.key, incoming, openaiChat.keys, openai);
  if (incoming.method !== 'POST') throw new Refused(failure(openai, 'method'));
  const ask = readOperation(incoming);
  const behaviour = behaviourOf(kitchen, openai, ask.model);
  const failed = failureOf(kitchen, openai, behaviour);
  if (failed !== undefined) return answerError(openai, failed, behaviour, requestId);
  return answerOperation(make(ask, behaviour), behaviour, requestId);
}

/** A failure of this kind in other words, without the code of the usual ones. */
function refusal(voice: Voice, kind: Refusal['kind'], message: string): Refused {
  return new Refused({ ...failure(voice, kind), code: undefined, message });
}

function checkKey(
  key: string | undefined,
  { path, header }: Incoming,
  places: readonly string[],
  voice: Voice,
): void {
  if (key === undefined || key === '') return;
  const given = places.map((place) =>
    place === '?key' ? splitPath(path)[1].get('key') : keyOf(header(place)),
  );
  if (!given.includes(key)) throw new Refused(failure(voice, 'auth'));
}

/** The token of `authorization`, the key id of an AWS signature, or the header as it is. */
function keyOf(header: string | null | undefined): string | undefined {
  if (header == null) return undefined;
  return /^AWS4-HMAC-SHA256 Credential=([^/]+)\//.exec(header)?.[1] ?? header.replace(/^bearer /i, '');
}

function answerAsked(kitchen: Kitchen, incoming: Incoming, asked: Asked, requestId: string): Answer {
  const { wire, voice, act, given } = asked;
  const plain: Behaviour = { say: 'echo' };
  const { method } = incoming;
  if (method !== (act === 'list' ? 'GET' : 'POST')) throw new Refused(failure(voice, 'method'));
  if (act === 'list') return answerWhole(voice, wire.listed?.(kitchen.models) ?? {}, plain, requestId);
  const body = parseObject(incoming.body);
  if (body === undefined) throw refusal(voice, 'bad_request', voice.notJson);
  const ask = wire.ask(body, { ...given, kept: (answer) => kitchen.kept.get(answer) });
  if (act === 'count') {
    return answerWhole(voice, wire.counted?.(countTokens(ask.textLength)) ?? {}, plain, requestId);
  }
  return answerChat(kitchen, asked, ask, requestId);
}

function answerChat(kitchen: Kitchen, { wire, voice, framing }: Asked, ask: Ask, requestId: string): Answer {
  const behaviour = behaviourOf(kitchen, voice, ask.model);
  const failed = failureOf(kitchen, voice, behaviour);
  if (failed !== undefined) return answerError(voice, failed, behaviour, requestId);
  if (behaviour.say === 'html') return answerHtml(behaviour);
  if (behaviour.say === 'replay') {
    return answerRecorded(readRecording(kitchen.options.recordings, behaviour.file ?? ''), behaviour);
  }
  const turn: Turn = {
    id: kitchen.id(wire.ids.answer),
    model: ask.model,
    created: Math.floor(Date.now() / 1000),
    ask,
    plan: respond(ask, behaviour, () => kitchen.id(wire.ids.call)),
    behaviour,
    newId: kitchen.id,
  };
  if (ask.keeps) keep(kitchen.kept, turn);
  return ask.stream
    ? answerStream(voice, framing, wire.events(turn), turn, requestId)
    : answerWhole(voice, wire.whole(turn), behaviour, requestId);
}

function keep(kept: Kitchen['kept'], { id, plan }: Turn): void {
  const [oldest] = kept.keys();
  if (oldest !== undefined && kept.size >= mostKept) kept.delete(oldest);
  kept.set(
    id,
    plan.parts.flatMap((part) => (part.type === 'tool-call' ? [part.id] : [])),
  );
}

function behaviourOf({ options, behaviours }: Kitchen, voice: Voice, model: string): Behaviour {
  const name = options.rename === undefined ? model : options.rename(model);
  let behaviour = behaviours.get(name);
  if (behaviour === undefined) {
    behaviour = parseBehaviour(name);
    if (behaviours.size >= 1000) behaviours.clear();
    behaviours.set(name, behaviour);
  }
  if (typeof behaviour !== 'string') return behaviour;
  const message = `${voice.unknownModel(model)} (mock: ${behaviour})`;
  throw new Refused({ ...failure(voice, 'not_found'), message });
}

/** The failure this call shall have, if any. */
function failureOf(kitchen: Kitchen, voice: Voice, behaviour: Behaviour): Refusal | undefined {
  const { error, flaky, retryAfterS, say } = behaviour;
  if (flaky !== undefined && kitchen.random() >= flaky) return undefined;
  const status = behaviour.status ?? (flaky === undefined || error !== undefined ? 0 : 503);
  if (say === 'html' || (error === undefined && status < 400)) return undefined;
  return { ...failure(voice, error ?? kindOf(status), status), retryAfterS };
}
