/** Messages of any dialect as turns the API accepts. */
import type { ChatRequest, Message } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import { lacksThinking } from '../claude.ts';
import type { Quirks } from '../quirks.ts';
import { arrangeTurns, type Placed } from '../turns.ts';
import { dialectName } from './block.ts';
import { isSayable, type Manner, shorten, writeBlocks, writePlaced } from './content.ts';

interface Turns {
  messages: JsonObject[];
  /** The last assistant turn lacks the thinking that a thinking budget asks of it. */
  lostThinking: boolean;
}

/**
 * All messages from `first` on (the ones before are the top-level instructions).
 *
 * Requests of this dialect keep their turns as they are, but for thinking nobody signed. Others are arranged anew.
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
  const keeps = (placed: Placed): boolean => isSayable(placed, manner);
  const turns = arrangeTurns(request.messages, { first, foldsSystem, keeps });
  return {
    messages: turns.map(({ role, content }) => ({ role, content: shorten(writePlaced(content, manner)) })),
    lostThinking: lacksThinking(turns),
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
