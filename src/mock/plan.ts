/** The core of the mock: a pure function from what was asked and how to behave to what is said. */
import type { Ask } from './ask.ts';
import type { Behaviour } from './behaviour.ts';
import { buildValue } from './value.ts';

export type Part =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string; signature: string; redacted: boolean }
  | { type: 'tool-call'; id: string; name: string; input: string }
  | { type: 'refusal'; text: string };

type Stop = 'end' | 'length' | 'stop-sequence' | 'tool' | 'refusal';

/** Whole tokens; `input` includes `cached` and `written`, `output` includes `reasoning`. */
export interface Tokens {
  input: number;
  cached: number;
  written: number;
  output: number;
  reasoning: number;
}

export interface Plan {
  parts: Part[];
  stop: Stop;
  stopSequence?: string;
  /** Absent: the answer tells no usage. */
  usage?: Tokens;
  /** How long the pieces of a stream are, in UTF-16 units. */
  pieceLength: number;
}

const filler = 'The quick brown fox jumps over the lazy dog. ';
const refusalText = 'I cannot help with that.';
const reasoningText = 'The user wrote something. I will answer with their own words.';
const usualPieceLength = 16;
/** A long text streams in longer pieces rather than in more of them. */
const mostPieces = 100_000;
/** Without a limit from the request, `length` stops here. */
const usualMaxTokens = 16;

/** Tokens of a text: a fourth of its UTF-16 units, rounded up. */
export function countTokens(length: number): number {
  return Math.ceil(length / 4);
}

/** @param newId makes an id of its own for each tool call. */
export function respond(ask: Ask, behaviour: Behaviour, newId: () => string): Plan {
  const plan: Plan = { parts: [], stop: 'end', pieceLength: behaviour.chunkLength || usualPieceLength };
  if (behaviour.thinks) plan.parts.push(reason(behaviour.redacted === true));
  switch (behaviour.say) {
    case 'empty':
      break;
    case 'refuse':
      plan.parts.push({ type: 'refusal', text: refusalText });
      plan.stop = 'refusal';
      break;
    case 'tool':
      if (callsTools(ask)) {
        plan.parts.push(...callTools(ask, behaviour.calls ?? 1, newId));
        plan.stop = 'tool';
      } else {
        sayText(plan, ask, behaviour, ask.text);
      }
      break;
    case 'json':
      // Some are asked for structured output by a tool they must call.
      if (ask.format === undefined && ask.choice !== 'auto' && callsTools(ask)) {
        plan.parts.push(...callTools(ask, 1, newId));
        plan.stop = 'tool';
      } else {
        plan.parts.push({ type: 'text', text: JSON.stringify(structured(ask)) });
      }
      break;
    case 'length':
      sayLength(plan, ask, behaviour);
      break;
    default:
      sayText(plan, ask, behaviour, ask.text);
  }
  if (behaviour.usage !== 'none') plan.usage = countUsage(plan, ask, behaviour);
  return plan;
}

function reason(redacted: boolean): Part {
  return { type: 'reasoning', text: reasoningText, signature: sign(reasoningText), redacted };
}

function sayText(plan: Plan, ask: Ask, behaviour: Behaviour, echo: string): void {
  let text = stretch(echo === '' ? '(nothing to echo)' : echo, behaviour);
  if (behaviour.chunks && !behaviour.chunkLength)
    plan.pieceLength = Math.ceil(text.length / behaviour.chunks);
  plan.pieceLength = Math.max(plan.pieceLength, Math.ceil(text.length / mostPieces));
  const stop = ask.stop
    .map((sequence) => ({ sequence, at: sequence === '' ? -1 : text.indexOf(sequence) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at)[0];
  if (stop !== undefined) {
    text = text.slice(0, stop.at);
    plan.stop = 'stop-sequence';
    plan.stopSequence = stop.sequence;
  }
  if (ask.maxTokens !== undefined && countTokens(text.length) > ask.maxTokens) {
    text = take(text, ask.maxTokens * 4);
    plan.stop = 'length';
    plan.stopSequence = undefined;
  }
  // An answer that was begun is gone on with.
  if (text.length > ask.begun.length && text.startsWith(ask.begun)) text = text.slice(ask.begun.length);
  plan.parts.push({ type: 'text', text });
}

function sayLength(plan: Plan, ask: Ask, behaviour: Behaviour): void {
  const tokens = Math.min(ask.maxTokens ?? usualMaxTokens, behaviour.tokens ?? 100_000);
  sayText(plan, { ...ask, stop: [], maxTokens: tokens }, { ...behaviour, tokens: tokens + 1 }, filler);
}

/** A text as long as the options want it, by repetition. */
function stretch(text: string, { tokens, bytes, chunks, chunkLength }: Behaviour): string {
  if (bytes !== undefined) return filler.repeat(Math.ceil(bytes / filler.length)).slice(0, bytes);
  const wanted = tokens !== undefined ? tokens * 4 : chunks !== undefined ? chunks * (chunkLength || 0) : 0;
  const length = wanted === 0 && chunks !== undefined && chunks > text.length ? chunks : wanted;
  if (length === 0) return text;
  return take(length > text.length ? `${text} `.repeat(Math.ceil(length / text.length)) : text, length);
}

function callsTools(ask: Ask): boolean {
  if (ask.tools.length === 0 || ask.choice === 'none') return false;
  // Results end the loop, unless a call is demanded.
  return !ask.afterTool || ask.choice !== 'auto';
}

function callTools(ask: Ask, wanted: number, newId: () => string): Part[] {
  const { choice } = ask;
  const forced = typeof choice === 'object' ? ask.tools.filter((tool) => tool.name === choice.name) : [];
  const tools = forced.length > 0 ? forced : ask.tools;
  const text = take(ask.text, 40);
  return Array.from({ length: ask.parallel ? Math.max(1, wanted) : 1 }, (_, index) => {
    const tool = tools[index % tools.length] as Ask['tools'][number];
    const input = JSON.stringify(buildValue(tool.schema, text));
    return { type: 'tool-call', id: newId(), name: tool.name, input };
  });
}

function structured(ask: Ask): unknown {
  if (ask.format === undefined || ask.format === true) return { echo: ask.text };
  return buildValue(ask.format, ask.text);
}

function countUsage(plan: Plan, ask: Ask, behaviour: Behaviour): Tokens {
  let said = 0;
  let thought = 0;
  for (const part of plan.parts) {
    if (part.type === 'reasoning') thought += countTokens(part.text.length);
    else
      said += countTokens(
        part.type === 'tool-call' ? part.name.length + part.input.length : part.text.length,
      );
  }
  const reasoning = behaviour.reasoning ?? thought;
  return {
    input: behaviour.input ?? countTokens(ask.textLength),
    cached: behaviour.cached ?? 0,
    written: behaviour.written ?? 0,
    output: behaviour.output ?? said * ask.n + reasoning,
    reasoning,
  };
}

/** An opaque signature that depends on the text: whoever changes either is found out. */
export function sign(text: string): string {
  return Buffer.from(`mock-signature:${Bun.hash.crc32(text).toString(16)}`).toString('base64');
}

/** The first `length` units of a text, without half a surrogate pair at its end. */
function take(text: string, length: number): string {
  const end = isHighSurrogate(text.charCodeAt(length - 1)) ? length - 1 : length;
  return text.slice(0, end);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** Cuts a text into pieces of about `length` units, never through a surrogate pair. */
export function cutText(text: string, length: number): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (start < text.length) {
    let end = start + length;
    if (isHighSurrogate(text.charCodeAt(end - 1))) end++;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}
