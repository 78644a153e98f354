/** The mock provider: answers on two wires as its model names ask, without any network. */
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { type Answer, answerError, answerHtml, answerRecorded, answerStream, answerWhole } from './answer.ts';
import { streamAnthropic, wholeAnthropic } from './anthropic.ts';
import { readAnthropic } from './anthropic-ask.ts';
import { type Ask, type Refusal, Refused, type Wire } from './ask.ts';
import { type Behaviour, leadWords, parseBehaviour } from './behaviour.ts';
import { idMaker, seeded } from './chance.ts';
import { errorKinds, failure, kindOf } from './errors.ts';
import { type Envelope, streamOpenai, wholeOpenai } from './openai.ts';
import { readOpenai } from './openai-ask.ts';
import { countTokens, respond } from './plan.ts';
import { type Counters, isImmediate, joinPieces, playResponse, Visit } from './play.ts';
import { readRecording } from './replay.ts';

export interface MockOptions {
  /** Folder that `replay:FILE` reads below. */
  recordings?: string;
  /** Demanded as bearer token or `x-api-key`. */
  key?: string;
  /** Makes `flaky` and ids repeatable; `flaky` is so by itself. */
  seed?: number;
  /** Keeps every request in `requests`: for tests. */
  capture?: boolean;
  /** The behaviour a model name stands for, asked at every call; the name itself by default. */
  rename?: (model: string) => string;
}

/** A request as the mock sees it, wherever it came from. */
export interface Incoming {
  method: string;
  /** Without the query. */
  path: string;
  header(name: string): string | null | undefined;
  headers(): Record<string, string>;
  body: string;
}

export interface CapturedRequest {
  method: string;
  path: string;
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
}

export function createMock(options: MockOptions = {}): Mock {
  const kitchen: Kitchen = {
    options,
    behaviours: new Map(),
    random: seeded(options.seed ?? 1),
    id: idMaker(options.seed),
    models: leadWords.filter((name) => name !== 'replay'),
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

  return {
    fetch: async (request) => {
      return deliver(
        incomingOf(request.method, request.url, request.headers, await request.text()),
        request.signal,
      );
    },
    transport: async (url, init) => {
      const { body } = init;
      const text = typeof body === 'string' ? body : body ? await new Response(body).text() : '';
      init.signal?.throwIfAborted();
      return deliver(
        incomingOf(init.method ?? 'GET', url, new Headers(init.headers), text),
        init.signal ?? null,
      );
    },
    answer,
    models: kitchen.models,
    requests,
    counters,
  };
}

function incomingOf(method: string, url: string, headers: Headers, body: string): Incoming {
  const path = new URL(url).pathname;
  return {
    method,
    path,
    header: (name) => headers.get(name),
    headers: () => Object.fromEntries(headers),
    body,
  };
}

function capture(incoming: Incoming): CapturedRequest {
  const { method, path, body: text } = incoming;
  return { method, path, headers: incoming.headers(), text, body: parseObject(text) };
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
  const wire: Wire = speaksAnthropic(incoming) ? 'anthropic' : 'openai';
  const requestId = kitchen.id('req_');
  try {
    checkKey(kitchen.options.key, incoming, wire);
    return route(kitchen, incoming, wire, requestId);
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    return answerError(wire, thrown.refusal, { say: 'echo' }, requestId);
  }
}

function speaksAnthropic({ path, header }: Incoming): boolean {
  if (path.endsWith('/messages') || path.endsWith('/messages/count_tokens')) return true;
  return path.endsWith('/models') && header('anthropic-version') != null;
}

function checkKey(key: string | undefined, { header }: Incoming, wire: Wire): void {
  if (key === undefined || key === '') return;
  const given = header('x-api-key') ?? header('authorization')?.replace(/^bearer /i, '');
  if (given !== key) throw new Refused(failure(wire, 'auth'));
}

function route(kitchen: Kitchen, incoming: Incoming, wire: Wire, requestId: string): Answer {
  const { method, path, header, body: text } = incoming;
  const plain: Behaviour = { say: 'echo' };
  if (path.endsWith('/models')) {
    if (method !== 'GET') throw new Refused(failure(wire, 'method'));
    return answerWhole(wire, listModels(wire, kitchen.models), plain, requestId);
  }
  const counts = path.endsWith('/count_tokens');
  if (wire === 'openai' && !path.endsWith('/chat/completions')) {
    throw new Refused({
      ...failure(wire, 'not_found'),
      code: undefined,
      message: `Invalid URL (${method} ${path})`,
    });
  }
  if (method !== 'POST') throw new Refused(failure(wire, 'method'));
  if (wire === 'anthropic' && header('anthropic-version') == null) {
    throw new Refused({ ...failure(wire, 'bad_request'), message: 'anthropic-version: header is required' });
  }
  const body = parseObject(text);
  if (body === undefined) {
    const message =
      wire === 'openai'
        ? 'We could not parse the JSON body of your request. The OpenAI API expects a JSON payload.'
        : 'The request body is not valid JSON';
    throw new Refused({ ...failure(wire, 'bad_request'), message });
  }
  const ask = wire === 'openai' ? readOpenai(body) : readAnthropic(body, counts);
  if (counts) return answerWhole(wire, { input_tokens: countTokens(ask.textLength) }, plain, requestId);
  return answerChat(kitchen, wire, ask, requestId);
}

function answerChat(kitchen: Kitchen, wire: Wire, ask: Ask, requestId: string): Answer {
  const behaviour = behaviourOf(kitchen, wire, ask.model);
  const failed = failureOf(kitchen, wire, behaviour);
  if (failed !== undefined) return answerError(wire, failed, behaviour, requestId);
  if (behaviour.say === 'html') return answerHtml(behaviour);
  if (behaviour.say === 'replay') {
    return answerRecorded(readRecording(kitchen.options.recordings, behaviour.file ?? ''), behaviour);
  }
  const anthropic = wire === 'anthropic';
  const plan = respond(ask, behaviour, () => kitchen.id(anthropic ? 'toolu_' : 'call_'));
  const envelope: Envelope = {
    id: kitchen.id(anthropic ? 'msg_' : 'chatcmpl-'),
    model: ask.model,
    created: Math.floor(Date.now() / 1000),
  };
  if (ask.stream) {
    const events = anthropic ? streamAnthropic(envelope, plan) : streamOpenai(envelope, plan, ask, behaviour);
    return answerStream(wire, events, behaviour, requestId);
  }
  const whole = anthropic ? wholeAnthropic(envelope, plan) : wholeOpenai(envelope, plan, ask, behaviour);
  return answerWhole(wire, whole, behaviour, requestId);
}

function behaviourOf({ options, behaviours }: Kitchen, wire: Wire, model: string): Behaviour {
  const name = options.rename === undefined ? model : options.rename(model);
  let behaviour = behaviours.get(name);
  if (behaviour === undefined) {
    behaviour = parseBehaviour(name);
    if (
      typeof behaviour !== 'string' &&
      behaviour.error !== undefined &&
      !errorKinds.includes(behaviour.error)
    ) {
      behaviour = `an error is one of: ${errorKinds.join(', ')}`;
    }
    if (behaviours.size >= 1000) behaviours.clear();
    behaviours.set(name, behaviour);
  }
  if (typeof behaviour !== 'string') return behaviour;
  const found = failure(wire, 'not_found');
  const message = wire === 'openai' ? `The model \`${model}\` does not exist` : `model: ${model}`;
  throw new Refused({ ...found, message: `${message} (mock: ${behaviour})` });
}

/** The failure this call shall have, if any. */
function failureOf(kitchen: Kitchen, wire: Wire, behaviour: Behaviour): Refusal | undefined {
  const { error, flaky, retryAfterS, say } = behaviour;
  if (flaky !== undefined && kitchen.random() >= flaky) return undefined;
  const status = behaviour.status ?? (flaky === undefined || error !== undefined ? 0 : 503);
  if (say === 'html' || (error === undefined && status < 400)) return undefined;
  return { ...failure(wire, error ?? kindOf(status), status), retryAfterS };
}

function listModels(wire: Wire, models: readonly string[]): object {
  if (wire === 'openai') {
    return {
      object: 'list',
      data: models.map((id) => ({ id, object: 'model', created: 1735689600, owned_by: 'mock' })),
    };
  }
  const data = models.map((id) => ({
    type: 'model',
    id,
    display_name: id,
    created_at: '2025-01-01T00:00:00Z',
  }));
  return { data, has_more: false, first_id: models[0], last_id: models.at(-1) };
}
