/**
 * OpenAI's Realtime API: sessions of JSON events over a WebSocket. Both sides speak it, so events are passed on as they
 * are; this says what of them a gateway has to understand. https://platform.openai.com/docs/api-reference/realtime
 */
import type { GatewayError } from '../core/error.ts';
import { randomId } from '../core/id.ts';
import type { JsonObject } from '../core/json.ts';
import type { RealtimeAt } from './dialect.ts';
import { writeError } from './openai-chat/error.ts';

/** Where clients ask for a session. */
export const realtimePath = '/v1/realtime';

/** Where providers hold them, unless their host says otherwise. */
export const realtimeAt: RealtimeAt = { path: '/realtime', model: 'model' };

/** Request headers of a client that a provider is to see. */
const forwarded = ['openai-beta', 'openai-safety-identifier'];

const keyProtocol = 'openai-insecure-api-key.';
const betaProtocol = 'openai-beta.realtime-v1';
const ownProtocol = 'realtime';

/** What a client says with the protocols it offers: browsers can send no headers. */
export interface RealtimeOffer {
  /** Its key. */
  secret: string | undefined;
  /** The protocol to agree on; undefined: none of those that were offered. */
  protocol: string | undefined;
  /** Headers for the provider. */
  headers: Record<string, string>;
}

export function readOffer(headers: Pick<Headers, 'get'>): RealtimeOffer {
  const offered = (headers.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim());
  const named = offered.find((name) => name.startsWith(keyProtocol));
  const offer: RealtimeOffer = {
    secret: named?.slice(keyProtocol.length),
    protocol: offered.includes(ownProtocol) ? ownProtocol : undefined,
    headers: {},
  };
  if (offered.includes(betaProtocol)) offer.headers['openai-beta'] = 'realtime=v1';
  for (const name of forwarded) {
    const value = headers.get(name);
    if (value !== null) offer.headers[name] = value;
  }
  return offer;
}

/** What a client asks for in the query. */
export interface RealtimeWish {
  /** '' where it names none. */
  model: string;
  /** Nothing is answered: what is heard is written down. Then the provider is told the model in an event, by the client. */
  transcribes: boolean;
}

export function readWish(query: string): RealtimeWish {
  const asked = new URLSearchParams(query);
  return { model: asked.get('model') ?? '', transcribes: asked.get('intent') === 'transcription' };
}

/** The path of a session below the provider's base URL: nothing else of the client's query gets there. */
export function sessionPath(at: RealtimeAt, model: string, { transcribes }: RealtimeWish): string {
  const mark = at.path.includes('?') ? '&' : '?';
  if (transcribes) return `${at.path}${mark}intent=transcription`;
  return `${at.path}${mark}${at.model}=${encodeURIComponent(model.toWellFormed())}`;
}

/** An error as an event: https://platform.openai.com/docs/api-reference/realtime-server-events/error */
export function writeErrorEvent(failure: GatewayError, requestId: string): string {
  const { error } = writeError(failure, requestId).body as { error: JsonObject };
  const code = failure.kind === 'budget_exceeded' ? failure.kind : error.code;
  return JSON.stringify({
    type: 'error',
    event_id: randomId('event_'),
    error: { ...error, code, event_id: null },
  });
}
