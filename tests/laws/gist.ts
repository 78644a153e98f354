/** What of an answer every dialect can say, whatever it is written in. */
import type { ChatResponse, Choice, DialectName, StopReason } from '../../src/core/chat.ts';
import type { Json } from '../../src/core/json.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';

export interface Gist {
  choices: {
    /** Words for the user; a refusal's are such words too. */
    text: string;
    calls: { name: string; input: Json }[];
    stop: 'stop' | 'length' | 'tool_calls' | 'refused';
  }[];
  usage: { input: number; output: number; cacheRead: number };
}

const classes: Readonly<Record<StopReason, Gist['choices'][number]['stop']>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  pause: 'stop',
  length: 'length',
  context_length: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'refused',
  refusal: 'refused',
};

/**
 * Whether what clients of `to` hear can be the same: calls are made to those only who can ask for them, and what only
 * one dialect knows (an opaque call) to those who speak it; they read it in their own way.
 */
export function isAnswerTo(to: Dialect, { dialect, choices }: ChatResponse): boolean {
  return choices.every(({ blocks, stop }) => {
    const calls = blocks.some(({ type }) => type === 'tool-call');
    const opaque = blocks.some(({ type }) => type === 'opaque');
    if (opaque && (dialect === to.name || (stop === 'tool_calls' && !calls))) return false;
    return to.can.params.has('tools') || !calls;
  });
}

/** Dialects whose answers cite nothing but what they were given. */
const linkless: ReadonlySet<DialectName> = new Set(['anthropic-messages', 'openai-completions']);

/** The pages that an answer cites, as far as clients of `to` can be told. */
export function linksFor(to: Dialect, { choices }: ChatResponse): string[] {
  if (linkless.has(to.name)) return [];
  const citations = choices
    .slice(0, roomFor(to))
    .flatMap(({ blocks }) =>
      blocks.flatMap((block) => (block.type === 'text' ? (block.citations ?? []) : [])),
    );
  return [...new Set(citations.flatMap(({ url }) => url ?? []))].sort();
}

/** How many choices clients of a dialect have room for. */
export function roomFor(dialect: Dialect, most = Number.POSITIVE_INFINITY): number {
  return dialect.can.params.has('n') ? most : 1;
}

/** @param most how many choices count: not every dialect has room for more than one. */
export function gistOf({ choices, usage }: ChatResponse, most = Number.POSITIVE_INFINITY): Gist {
  const { input = 0, output = 0, cacheRead = 0 } = usage ?? {};
  return { choices: choices.slice(0, most).map(gistOfChoice), usage: { input, output, cacheRead } };
}

function gistOfChoice({ blocks, stop }: Choice): Gist['choices'][number] {
  let text = '';
  let refusal = '';
  const calls: { name: string; input: Json }[] = [];
  for (const block of blocks) {
    if (block.type === 'text') text += block.text;
    else if (block.type === 'refusal') refusal += block.text;
    else if (block.type === 'tool-call') {
      // Free text is an argument of that name where tools take objects only.
      calls.push({ name: block.name, input: block.custom ? { input: block.input } : parse(block.input) });
    }
  }
  // Some say that it is a refusal by a word at the end, others by where the words stand.
  return { text: text + refusal, calls, stop: refusal === '' ? classes[stop] : 'refused' };
}

/** Arguments as a value; as the text they are where a token limit cut them short. */
export function parse(input: string): Json {
  try {
    return JSON.parse(input);
  } catch {
    return input;
  }
}
