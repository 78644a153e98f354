/** Writes the hub's messages as Cohere has them: instructions first, each tool result a message of its own. */
import type { Block, Message, ToolCallBlock, ToolResultBlock } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { writeToolCall } from '../openai-chat/write-messages.ts';
import { arrangeTurns, type Placed, type Turn } from '../turns.ts';
import { cannotSay, isPlan, writeContent } from './content.ts';

/** Messages of Cohere's own, as they were read. */
export function writeOwnMessages(messages: readonly Message[]): JsonObject[] {
  return messages.map((message, i) => {
    const path = `messages[${i}].content`;
    const [first] = message.blocks;
    if (first?.type === 'tool-result') {
      const content = writeContent(first.blocks, path, true);
      return { role: 'tool', tool_call_id: first.callId, content, ...message.extra };
    }
    if (message.role === 'assistant') return { ...writeOwnAssistant(message.blocks, path), ...message.extra };
    return { role: message.role, content: writeContent(message.blocks, path, true), ...message.extra };
  });
}

function writeOwnAssistant(blocks: readonly Block[], path: string): JsonObject {
  const turn: JsonObject = { role: 'assistant' };
  const calls: JsonObject[] = [];
  const said: Block[] = [];
  for (const block of blocks) {
    if (block.type === 'tool-call') calls.push(writeToolCall(block, true));
    else if (block.type === 'reasoning' && isPlan(block)) turn.tool_plan = block.text;
    else said.push(block);
  }
  if (said.length > 0) turn.content = writeContent(said, path, true);
  if (calls.length > 0) turn.tool_calls = calls;
  return turn;
}

/**
 * Messages of another dialect. Instructions at the beginning become one message, later ones words of the user; calls
 * and results are brought together, for the API refuses what is unanswered, unasked, repeated or empty.
 * https://docs.cohere.com/reference/errors
 * @param lost gets the paths of reasoning and citations that cannot be sent.
 * @throws GatewayError `unsupported` for a block that has no form here.
 */
export function writeMessages(messages: readonly Message[], lost: string[]): JsonObject[] {
  const first = messages.findIndex(({ role }) => role !== 'system');
  const instructions = first < 0 ? messages.length : first;
  const written = writeInstructions(messages.slice(0, instructions));
  const turns = arrangeTurns(messages, { first: instructions, foldsSystem: true, keeps: isTold });
  for (const turn of turns) {
    if (turn.role === 'assistant') written.push(...writeAssistant(turn, lost));
    else written.push(...writeUser(turn));
  }
  return written;
}

function isTold({ block }: Placed): boolean {
  return (block.type !== 'text' && block.type !== 'refusal') || block.text.trim() !== '';
}

function writeInstructions(messages: readonly Message[]): JsonObject[] {
  const texts = messages.flatMap(({ blocks }, i) =>
    blocks.map((block, j) => {
      if (block.type === 'text') return block.text;
      throw cannotSay(`messages[${i}].content[${j}]`, `a ${block.type} block among instructions`);
    }),
  );
  return texts.length === 0 ? [] : [{ role: 'system', content: texts.join('\n\n') }];
}

/**
 * What a model thought before it called a tool is its plan; other thoughts have no place in earlier turns, for most
 * models do not think. A turn of nothing else is left out.
 */
function writeAssistant({ content }: Turn, lost: string[]): JsonObject[] {
  const said: Placed[] = [];
  const thoughts: Placed[] = [];
  const calls: JsonObject[] = [];
  for (const placed of content) {
    const { block, path } = placed;
    if (block.type === 'reasoning') thoughts.push(placed);
    else if (block.type === 'tool-call') calls.push(writeCall(block));
    else if (block.type === 'media') throw cannotSay(path, `${block.media} in an answer`);
    else {
      if (block.type === 'text' && block.citations !== undefined) lost.push(`${path}.citations`);
      said.push(placed);
    }
  }
  const plan = thoughts.map(({ block }) => (block.type === 'reasoning' ? block.text : '')).join('');
  const planned = calls.length > 0 && plan !== '';
  if (!planned) lost.push(...thoughts.map(({ path }) => path));
  if (said.length === 0 && calls.length === 0) return [];
  const turn: JsonObject = { role: 'assistant' };
  if (said.length > 0) turn.content = writePlaced(said);
  if (planned) turn.tool_plan = plan;
  if (calls.length > 0) turn.tool_calls = calls;
  return [turn];
}

/** Free text is an argument of a name where tools take objects only. */
function writeCall(block: ToolCallBlock): JsonObject {
  const input = block.custom ? JSON.stringify({ input: block.input }) : block.input;
  return writeToolCall({ ...block, input, custom: false }, false);
}

function writePlaced(blocks: readonly Placed[]): string | JsonObject[] {
  return writeContent(
    blocks.map(({ block }) => block),
    blocks[0]?.path ?? 'messages',
    false,
  );
}

function writeUser({ content }: Turn): JsonObject[] {
  const written: JsonObject[] = [];
  const shown: Placed[] = [];
  for (const placed of content) {
    if (placed.block.type === 'tool-result') {
      written.push(writeToolResult(placed.block, placed.path, shown));
    } else shown.push(placed);
  }
  if (shown.length > 0) written.push({ role: 'user', content: writePlaced(shown) });
  return written;
}

/** @param shown gets the images, which a result cannot hold, under a line that says whose they are. */
function writeToolResult(result: ToolResultBlock, path: string, shown: Placed[]): JsonObject {
  const parts: JsonObject[] = [];
  // There is no mark for failure: the words have to say it.
  const failed = result.isError === true;
  for (const block of result.blocks) {
    if (block.type === 'text') {
      const unsaid = failed && parts.length === 0 && !/^\W*error/i.test(block.text);
      parts.push({ type: 'text', text: unsaid ? `Error: ${block.text}` : block.text });
    } else if (block.type === 'media' && block.source.type === 'text') {
      const title = block.name === undefined ? {} : { title: block.name };
      parts.push({ type: 'document', document: { data: { ...title, text: block.source.text } } });
    } else if (block.type === 'media') {
      const told: Block = { type: 'text', text: `Result of tool call ${result.callId}:` };
      shown.push({ block: told, path }, { block, path });
    } else throw cannotSay(path, `a ${block.type} block`);
  }
  if (parts.length === 0) parts.push({ type: 'text', text: emptyResult(result) });
  const plain = parts.every(({ type }) => type === 'text');
  const content = plain ? parts.map(({ text }) => text).join('\n') : parts;
  return { role: 'tool', tool_call_id: result.callId, content };
}

function emptyResult({ blocks, isError }: ToolResultBlock): string {
  if (blocks.length > 0) return 'The result is in the next user message.';
  return isError ? 'Error: the tool failed without a word.' : 'The tool returned nothing.';
}
