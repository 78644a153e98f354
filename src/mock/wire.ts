/** What a wire language of the mock is: it understands a request, answers whole or in events, and fails in its own words. */
import type { JsonObject } from '../core/json.ts';
import type { Ask, Refusal } from './ask.ts';
import type { Behaviour } from './behaviour.ts';
import type { ErrorKind, Failing } from './errors.ts';
import type { Plan } from './plan.ts';

export interface Wire {
  /**
   * Headers in which a key may come, in lower case. `authorization` is a bearer token, or a signature by the key with
   * this id; `?key` stands in the query.
   */
  readonly keys: readonly string[];
  /** What ids of its answers and of its tool calls begin with. */
  readonly ids: { readonly answer: string; readonly call: string };
  readonly voice: Voice;
  /** @throws Refused */
  ask(body: JsonObject, given: Given): Ask;
  /** The body of a whole answer. */
  whole(turn: Turn): object;
  /** A streamed answer, its last word included. */
  events(turn: Turn): Event[];
  /** The body that tells how many tokens a request has, where that can be asked. */
  counted?(tokens: number): object;
  /** The body that lists models, where they can be listed. */
  listed?(models: readonly string[]): object;
}

/** What is known of a request before its body is read. */
export interface Given {
  /** Where the path names it. */
  model?: string;
  /** Where the path says so. */
  stream?: boolean;
  /** Only its tokens are to be counted. */
  counts: boolean;
  /** The `anthropic_version` a host demands in the body. */
  version?: string;
  header(name: string): string | null | undefined;
  /** Ids of the tool calls in an answer that was kept; undefined where none is under this id. */
  kept(answer: string): readonly string[] | undefined;
}

/** One call: what was asked, what is said, and what every answer carries, whatever it says. */
export interface Turn {
  id: string;
  model: string;
  /** Seconds since 1970. */
  created: number;
  ask: Ask;
  plan: Plan;
  behaviour: Behaviour;
  /** Further ids, each its own. */
  newId(prefix: string): string;
}

/** One event of a stream, before it is framed. */
export interface Event {
  /** '' where it has none; `exception:…` for one of Amazon's exceptions. */
  name: string;
  /** JSON text, or the wire's last word. */
  data: string;
}

/** How failures are worded: by the wire, or by the host in front of it. */
export interface Voice {
  readonly failures: Readonly<Record<ErrorKind, Failing>>;
  /** What it reports once a stream has begun. */
  readonly amid: ErrorKind;
  /** Header that carries the request's id. */
  readonly idHeader?: string;
  body(refusal: Refusal, requestId: string): object;
  headers?(refusal: Refusal): Record<string, string>;
  /** The same inside a stream, after so many events of it. */
  events(refusal: Refusal, requestId: string, turn: Turn, after: number): Event[];
  unknownModel(model: string): string;
  readonly notJson: string;
  notThere(method: string, path: string): string;
}

/** An event whose name stands in its data too. */
export function typed(type: string, members: object): Event {
  return { name: type, data: JSON.stringify({ type, ...members }) };
}

/** An event without a name. */
export function unnamed(data: object): Event {
  return { name: '', data: JSON.stringify(data) };
}
