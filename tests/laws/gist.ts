/** What of an answer every dialect can say, whatever it is written in. */
import type { ChatResponse, Choice, StopReason } from '../../src/core/chat.ts';
import type { Json } from '../../src/core/json.ts';

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
