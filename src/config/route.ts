/** Routes as trees: what the name of a model stands for. Compiled from the configuration, walked by `src/routing`. */
import type { ErrorKind } from '../core/error.ts';
import type { Facts } from './condition.ts';
import type { Limit, Target, Timeouts } from './snapshot.ts';

export type Route = Leaf | Strategy;

export interface Leaf {
  type: 'target';
  target: Target;
}

/** A choice among routes. `src/routing/strategies` has a function for each. */
export type Strategy = Fallback | Split | Cheapest | Fastest | LeastBusy | Sticky | When | Hedge | Mirror;

/** What holds for all targets below, unless a strategy further down says otherwise. */
export interface RouteOptions {
  timeouts?: Partial<Timeouts> | undefined;
  /** What becomes of a stream that breaks off after its beginning has reached the client. */
  resume?: 'never' | 'continue' | 'restart' | undefined;
  /** How often all targets are gone through again when every one of them has failed for the moment. */
  retries?: number | undefined;
}

interface Node {
  options?: RouteOptions | undefined;
}

/** In the order in which they are written. */
export interface Fallback extends Node {
  type: 'fallback';
  children: readonly Route[];
  /** Only after these failures the next one is tried; absent: after all that another target may mend. */
  on?: ReadonlySet<ErrorKind> | undefined;
  /** After these failures the next one is not tried. */
  off?: ReadonlySet<ErrorKind> | undefined;
}

/** Drawn by lot; the same for the whole of a session that the client names, where `steady`. */
export interface Split extends Node {
  type: 'split';
  children: readonly { weight: number; route: Route }[];
  steady: boolean;
}

interface Free extends Node {
  children: readonly Route[];
  /** A conversation stays with the target whose prompt cache knows it, unless another is much better. */
  steady: boolean;
}

/** By what this very request is expected to cost. */
export interface Cheapest extends Free {
  type: 'cheapest';
}

/** By first token and tokens a second, as they were lately. */
export interface Fastest extends Free {
  type: 'fastest';
  /** Share of calls, 0 to 1, that find out how fast the others are. */
  explore: number;
}

/** By calls that are running. */
export interface LeastBusy extends Free {
  type: 'least_busy';
}

/** All calls of a session, a user or a beginning of a prompt to one target, for as long as it does well. */
export interface Sticky extends Node {
  type: 'sticky';
  /** `conversation`: the session the client names, else the beginning of the prompt. */
  by: 'conversation' | 'session' | 'user' | 'prompt';
  children: readonly Route[];
}

/** The first whose condition holds. */
export interface When extends Node {
  type: 'when';
  cases: readonly { source: string; test: Condition; route: Route }[];
  otherwise: Route | undefined;
}

/** Whether a condition holds of a call. Never throws: what cannot be evaluated does not hold. */
export type Condition = (facts: Facts) => boolean;

/** Like `fallback`; and where the first is late with its first token, the next is asked as well. */
export interface Hedge extends Node {
  type: 'hedge';
  children: readonly Route[];
  /** How long the first may take, in ms; undefined: as long as 95 of 100 of its calls took lately. */
  afterMs: number | undefined;
  /** Largest share of calls, 0 to 1, for which another is asked. */
  share: number;
}

/** Asks a second target the same, whose answer nobody sees. */
export interface Mirror extends Node {
  type: 'mirror';
  /** The configured model in whose route it stands: under its name shadows are recorded, and have their budget. */
  model: string;
  children: readonly [Route];
  shadow: Route;
  /** Share of calls, 0 to 1. */
  share: number;
  /** What shadows may cost; undefined: whatever they do. */
  budget: Limit | undefined;
}
