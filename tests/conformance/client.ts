/** A client, as far as conformance asks of it: an answer is wanted, and what the client understood of it. */
import type { DialectName } from '../../src/core/chat.ts';
import type { Understood } from './understood.ts';

/** What is asked for; an answer comes from a recording, whatever the words. */
export interface Wish {
  model: string;
  stream: boolean;
  /** Names of the tools that the answer may call. */
  tools: readonly string[];
}

export type Ask = (wish: Wish) => Promise<Understood>;

export interface Client {
  /** As it stands in tests and tables. */
  name: string;
  dialect: DialectName;
  ask: Ask;
  /** How many answers to one request it has room for. */
  choices: number;
  /** No tools: it is from before them. */
  textOnly?: boolean;
  /** It does not show what a model thought. */
  thoughtless?: boolean;
  /** What it throws when a provider refuses. */
  error: new (
    ...args: never[]
  ) => Error;
}

/** What every client says; it is answered from a recording. */
export const hello = 'Hello';

/** Arguments of every tool that is offered. */
export const anything = { type: 'object' as const, properties: {} };
