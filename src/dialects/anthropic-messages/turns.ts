/** Messages of any dialect as turns the API accepts: alternating, no blank text, every tool call answered at once. */
import type { ChatRequest, Message } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './block.ts';
import { type Manner, shorten, writeBlocks } from './content.ts';
import { answerCalls } from './tool-results.ts';

/** Consecutive messages of one role, in wire form. */
export interface Turn {
  role: Message['role'];
  content: JsonObject[];
}

interface Turns {
  messages: JsonObject[];
  /** The last assistant turn lacks the thinking that a thinking budget asks of it. */
  lostThinking: boolean;
}

/** What the user says where a conversation has no user turn to begin with: the API wants one. */
const opening: JsonObject = { type: 'text', text: 'Begin.' };

/**
 * All messages from `first` on (the ones before are the top-level instructions).
 *
 * Requests of this dialect keep their turns as they are, but for thinking nobody signed. Others are repaired: turns of
 * one role are joined, blank text is left out, tool calls stand last in their turn and their results first in the
 * next. A call without a result gets one that says so; a result without a call becomes plain text.
 * @throws GatewayError `bad_request` for arguments that are no JSON object, `unsupported` for media nobody reads.
 */
export function writeTurns(request: ChatRequest, first: number, quirks: Quirks, lost: string[]): Turns {
  const own = request.dialect === dialectName;
  const manner: Manner = { own, lost };
  const foldsSystem = own ? quirks.systemInMessages === false : quirks.systemInMessages !== true;
  const hasSystem = request.messages.some(({ role }, i) => i >= first && role === 'system');
  if (own && !(foldsSystem && hasSystem)) {
    return { messages: writeVerbatim(request.messages, first, manner), lostThinking: false };
  }
  const turns: Turn[] = [];
  for (let i = first; i < request.messages.length; i++) {
    append(turns, writeTurn(request.messages[i]!, `messages[${i}].content`, manner, foldsSystem));
  }
  const repaired: Turn[] = [];
  for (const turn of answerCalls(turns)) append(repaired, turn);
  if (repaired[0]?.role !== 'user') repaired.unshift({ role: 'user', content: [opening] });
  trimPrefill(repaired);
  return {
    messages: repaired.map(({ role, content }) => ({ role, content: shorten(content) })),
    lostThinking: hasLostThinking(repaired),
  };
}

/** Blocks of the top-level instructions. @throws GatewayError `unsupported` for anything but text. */
export function writeSystem(messages: Message[], manner: Manner): JsonObject[] {
  return messages.flatMap((message, i) => {
    const path = `messages[${i}].content`;
    const content = writeBlocks(message.blocks, path, manner);
    if (manner.own || content.every(({ type }) => type === 'text')) return content;
    throw new GatewayError(
      'unsupported',
      `${path}: instructions must be text; put images and documents into a user message.`,
      { param: path },
    );
  });
}

function writeVerbatim(messages: Message[], first: number, manner: Manner): JsonObject[] {
  const written: JsonObject[] = [];
  for (let i = first; i < messages.length; i++) {
    const message = messages[i]!;
    const content = writeBlocks(message.blocks, `messages[${i}].content`, manner);
    if (content.length === 0 && message.blocks.length > 0) continue;
    written.push({ role: message.role, content: shorten(content), ...message.extra });
  }
  return written;
}

function writeTurn(message: Message, path: string, manner: Manner, foldsSystem: boolean): Turn {
  const content = writeBlocks(message.blocks, path, manner);
  if (message.role !== 'system' || !foldsSystem) return { role: message.role, content };
  // An instruction in the middle keeps its place; hoisted to the top it would speak of what has not happened yet.
  for (const block of content) {
    if (block.type === 'text') block.text = `<system>\n${block.text}\n</system>`;
  }
  return { role: 'user', content };
}

/** Adds a turn, joined with the one before when that has the same role; nothing when it is empty. */
function append(turns: Turn[], turn: Turn): void {
  if (turn.content.length === 0) return;
  const last = turns.at(-1);
  if (last?.role === turn.role) last.content.push(...turn.content);
  else turns.push({ role: turn.role, content: [...turn.content] });
}

/** An answer that the model shall continue must not end in white space. */
function trimPrefill(turns: Turn[]): void {
  const last = turns.at(-1);
  const block = last?.content.at(-1);
  if (last?.role === 'assistant' && block?.type === 'text' && typeof block.text === 'string') {
    block.text = block.text.trimEnd();
  }
}

/**
 * With a thinking budget the last assistant turn has to begin with its thinking when it calls tools, and an answer
 * cannot be begun for the model.
 * https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks
 */
function hasLostThinking(turns: Turn[]): boolean {
  const last = turns.findLast(({ role }) => role === 'assistant');
  if (last === undefined) return false;
  const begins = last.content[0]?.type;
  if (begins === 'thinking' || begins === 'redacted_thinking') return false;
  return last === turns.at(-1) || last.content.some(({ type }) => type === 'tool_use');
}
