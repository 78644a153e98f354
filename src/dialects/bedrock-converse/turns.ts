/** Messages of any dialect as turns Bedrock accepts, and the instructions before them. */
import type { Message } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import { lacksThinking } from '../claude.ts';
import { arrangeTurns, type Placed, placeBlocks, type Turn } from '../turns.ts';
import { isSayable, type Manner, writeContent } from './content.ts';

interface Turns {
  messages: JsonObject[];
  /** The last assistant turn lacks the reasoning that a thinking budget asks of it. */
  lostThinking: boolean;
}

/**
 * All messages from `first` on (the ones before are the instructions). Those of this dialect keep their turns as they
 * are, but for reasoning nobody signed.
 * @throws GatewayError `bad_request` for arguments that are no JSON object, `unsupported` for media nobody reads.
 */
export function writeTurns(messages: readonly Message[], first: number, manner: Manner): Turns {
  if (manner.own) return { messages: writeVerbatim(messages, first, manner), lostThinking: false };
  const keeps = (placed: Placed): boolean => isSayable(placed, manner);
  const turns = arrangeTurns(messages, { first, foldsSystem: true, keeps });
  return { messages: turns.map((turn) => writeTurn(turn, manner)), lostThinking: lacksThinking(turns) };
}

/** Blocks of the instructions. @throws GatewayError `unsupported` for anything but text. */
export function writeSystem(messages: readonly Message[], manner: Manner): JsonObject[] {
  const placed = messages.flatMap(({ blocks }, i) => placeBlocks(blocks, `messages[${i}].content`));
  const sayable = placed.filter((each) => isSayable(each, manner));
  const stray = sayable.find(({ block }) => block.type !== 'text');
  if (stray !== undefined && !manner.own) {
    throw new GatewayError(
      'unsupported',
      `${stray.path}: instructions must be text; put images and documents into a user message.`,
      { param: stray.path },
    );
  }
  return writeContent(sayable, 'system', manner);
}

function writeVerbatim(messages: readonly Message[], first: number, manner: Manner): JsonObject[] {
  const written: JsonObject[] = [];
  for (let i = first; i < messages.length; i++) {
    const { role, blocks, extra } = messages[i]!;
    const placed = placeBlocks(blocks, `messages[${i}].content`).filter((each) => isSayable(each, manner));
    if (placed.length === 0 && blocks.length > 0) continue;
    written.push({ role, content: writeContent(placed, 'messages', manner), ...extra });
  }
  return written;
}

function writeTurn({ role, content }: Turn, manner: Manner): JsonObject {
  const file = content.find(({ block }) => block.type === 'media');
  if (file !== undefined && role === 'assistant') {
    throw new GatewayError(
      'unsupported',
      `${file.path}: for the model behind this route only the user can show files. Move it to a user message.`,
      { param: file.path },
    );
  }
  const written = writeContent(content, 'messages', manner);
  // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html: no document without a text.
  if (
    written.some((block) => block.document !== undefined) &&
    written.every(({ text }) => text === undefined)
  ) {
    written.push({ text: 'The document is attached.' });
  }
  return { role, content: written };
}
