/** The kinds of failure the mock can play; each voice has its own words for them. */
import type { Refusal } from './ask.ts';
import type { Voice } from './wire.ts';

export const errorKinds = [
  'bad_request',
  'context_length',
  'content_filter',
  'auth',
  'billing',
  'permission',
  'not_found',
  'method',
  'timeout',
  'too_large',
  'rate_limit',
  'server',
  'overloaded',
] as const;
export type ErrorKind = (typeof errorKinds)[number];

/** What a voice says of a kind: with its word for it, and a machine-readable code, where it has them. */
export type Failing = readonly [status: number, message: string, type?: string, code?: string];

const kindOfStatus: Record<number, ErrorKind> = {
  400: 'bad_request',
  401: 'auth',
  403: 'permission',
  404: 'not_found',
  405: 'method',
  408: 'timeout',
  413: 'too_large',
  429: 'rate_limit',
  503: 'overloaded',
  504: 'timeout',
  529: 'overloaded',
};

/** The kind a bare status stands for. */
export function kindOf(status: number): ErrorKind {
  return kindOfStatus[status] ?? (status < 500 ? 'bad_request' : 'server');
}

/** @param status 0: the one the voice uses for this kind. */
export function failure(voice: Voice, kind: ErrorKind, status = 0): Refusal {
  const [usual, message, , code] = voice.failures[kind];
  return { kind, message, code, status: status === 0 ? usual : status };
}

/** When to try again, in the header most providers use. */
export function retryAfter({ retryAfterS }: Refusal): Record<string, string> {
  return retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) };
}
