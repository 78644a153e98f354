/** Writes the hub's messages as Ollama has them: text as one string, files beside it, results by their tool's name. */
import type { Block, Message, ToolResultBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import { plainText } from '../openai-chat/content.ts';
import { writeCall } from './message.ts';

interface Writing {
  /** The request is Ollama's own: `extra` members are written again. */
  own: boolean;
  /** Gets the paths of what is left out. */
  lost: string[];
  /** Names of the tools called so far, by the id of the call. */
  names: Map<string, string>;
}

/** @throws GatewayError `unsupported` for a block that has no form here. */
export function writeMessages(messages: readonly Message[], own: boolean, lost: string[]): JsonObject[] {
  const writing: Writing = { own, lost, names: new Map() };
  return messages.flatMap((message, i) => writeMessage(message, `messages[${i}]`, writing));
}

/** A message for each tool result, and one for the rest. */
function writeMessage({ role, blocks, extra }: Message, path: string, writing: Writing): JsonObject[] {
  const written: JsonObject[] = [];
  const rest: Block[] = [];
  for (const block of blocks) {
    if (block.type === 'tool-result') written.push(writeToolResult(block, path, writing));
    else rest.push(block);
  }
  if (rest.length > 0 || (written.length === 0 && writing.own)) {
    written.push({ role, ...writeBlocks(rest, path, writing) });
  }
  return writing.own ? written.map((message) => ({ ...message, ...extra })) : written;
}

function writeToolResult(result: ToolResultBlock, path: string, writing: Writing): JsonObject {
  const message: JsonObject = { role: 'tool', ...writeBlocks(result.blocks, path, writing) };
  // There is no mark for failure: the words have to say it.
  if (result.isError && !/^\W*error/i.test(String(message.content)))
    message.content = `Error: ${message.content}`;
  const name = result.name ?? (writing.own ? undefined : writing.names.get(result.callId));
  if (name !== undefined) message.tool_name = name;
  if (result.callId !== '') message.tool_call_id = result.callId;
  return message;
}

/** Thoughts of other vendors' models are words like any: nobody here asks who signed them. */
function writeBlocks(blocks: readonly Block[], path: string, { own, lost, names }: Writing): JsonObject {
  const texts: Block[] = [];
  const images: string[] = [];
  const calls: JsonObject[] = [];
  let thinking = '';
  blocks.forEach((block, i) => {
    if (block.type === 'reasoning') thinking += block.text;
    else if (block.type === 'tool-call') {
      names.set(block.id, block.name);
      calls.push(writeCall(block, own));
    } else if (block.type === 'media' && block.source.type === 'base64') {
      if (block.media !== 'image' && block.media !== 'audio') throw cannotSay(path, block.media);
      images.push(block.source.data);
    } else {
      if (block.type === 'text' && block.citations !== undefined)
        lost.push(`${path}.content[${i}].citations`);
      texts.push(block);
    }
  });
  const written: JsonObject = { content: plainText(texts, path, own, lost) };
  if (thinking !== '') written.thinking = thinking;
  if (images.length > 0) written.images = images;
  if (calls.length > 0) written.tool_calls = calls;
  return written;
}

function cannotSay(path: string, what: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `${path} holds a ${what} file, which the model behind this route cannot be shown. ` +
      'Send its text, or route the call to another model.',
    { param: path },
  );
}
