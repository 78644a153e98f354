/** Writes the hub's messages as items; what stands together there (a turn's text, reasoning and calls) is apart here. */
import type { Block, Message, ReasoningBlock, TextBlock, ToolResultBlock } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { markFailure } from '../failed-result.ts';
import { plainText } from '../openai-chat/content.ts';
import type { Quirks } from '../quirks.ts';
import { cannotSay, dialectName, writeContent } from './content.ts';
import { writeCall, writeReasoning } from './item.ts';
import { isOwn } from './state.ts';

interface Writing {
  /** The request was read from this dialect: its `extra` members are written again. */
  own: boolean;
  quirks: Quirks;
  lost: string[];
  /** Ids of the calls of free-form tools: their outputs are of another kind. */
  customCalls: Set<string>;
}

/**
 * @param first how many messages at the beginning stand elsewhere: the instructions.
 * @throws GatewayError `unsupported` for a block that has no form here.
 */
export function writeInput(
  messages: readonly Message[],
  first: number,
  own: boolean,
  quirks: Quirks,
  lost: string[],
): JsonObject[] {
  const writing: Writing = { own, quirks, lost, customCalls: new Set() };
  const pairs = own ? undefined : new Pairs(messages);
  return messages.flatMap((message, i) => {
    if (i < first) return [];
    const path = `messages[${i}]`;
    const items =
      message.role === 'assistant'
        ? writeAnswer(message, path, writing)
        : writeTurn(message, path, writing, pairs);
    if (pairs !== undefined) items.push(...pairs.missing(message));
    return items;
  });
}

/** Instructions and user turns; each tool result is an item of its own. */
function writeTurn(message: Message, path: string, writing: Writing, pairs: Pairs | undefined): JsonObject[] {
  const items: JsonObject[] = [];
  let run: Block[] = [];
  const flush = (): void => {
    const sayable = writing.own ? run : run.filter((block) => block.type !== 'text' || block.text !== '');
    if (sayable.length > 0) items.push(writeMessage(message, sayable, path, writing));
    run = [];
  };
  for (const block of message.blocks) {
    if (block.type !== 'tool-result') run.push(block);
    else if (pairs?.isOrphan(block)) {
      run.push({ type: 'text', text: 'The result of an earlier tool call:' }, ...block.blocks);
    } else {
      flush();
      items.push(writeToolResult(block, path, writing));
    }
  }
  if (message.blocks.length === 0 && writing.own) items.push(writeMessage(message, [], path, writing));
  flush();
  return items;
}

function writeMessage(message: Message, blocks: Block[], path: string, writing: Writing): JsonObject {
  const { own, quirks } = writing;
  const item: JsonObject = {
    role: message.role,
    content: writeWords(blocks, path, writing),
  };
  if (own) Object.assign(item, message.extra);
  else if (message.extra?.role === 'developer') item.role = 'developer';
  if (quirks.noDeveloperRole && item.role === 'developer') item.role = 'system';
  return item;
}

function writeToolResult(result: ToolResultBlock, path: string, writing: Writing): JsonObject {
  const { own } = writing;
  const custom = writing.customCalls.has(result.callId);
  const item: JsonObject = {
    type: custom ? 'custom_tool_call_output' : 'function_call_output',
    call_id: result.callId,
    output: writeWords(result.isError && !own ? markFailure(result.blocks) : result.blocks, path, writing),
  };
  return own ? Object.assign(item, result.extra) : item;
}

function writeWords(blocks: Block[], path: string, { own, quirks, lost }: Writing): string | JsonObject[] {
  return quirks.textOnly ? plainText(blocks, path, own, lost) : writeContent(blocks, `${path}.content`, own);
}

function writeAnswer(message: Message, path: string, writing: Writing): JsonObject[] {
  const items: JsonObject[] = [];
  // The message item that further texts are parts of.
  let parts: JsonObject[] | undefined;
  let about = writing.own ? message.extra : undefined;
  message.blocks.forEach((block, i) => {
    const at = `${path}.content[${i}]`;
    if (writing.own && 'state' in block) writing.lost.push(`${at}.signature`);
    if (block.type === 'text' || block.type === 'refusal') {
      if (block.text === '' && !writing.own) return;
      const { item, ...extra } = (writing.own && block.extra) || {};
      if (block.type === 'text' && block.citations !== undefined && !writing.own)
        writing.lost.push(`${at}.citations`);
      if (parts === undefined || isObject(item)) {
        parts = [];
        items.push({ role: 'assistant', content: parts, ...complete(isObject(item) ? item : about) });
        about = undefined;
      }
      parts.push(writePart(block, extra, writing.own));
      return;
    }
    parts = undefined;
    const item = writeItem(block, at, writing);
    if (item !== undefined) items.push(item);
  });
  return items.map((item) => shorten(item, writing.quirks.textOnly === true));
}

/** An answer with an id is one as it came: to be that, it needs a status, too. */
function complete(about: JsonObject | undefined): JsonObject {
  return about?.id === undefined ? { ...about } : { type: 'message', status: 'completed', ...about };
}

function writePart(block: Block & { text: string }, extra: JsonObject, own: boolean): JsonObject {
  if (block.type === 'refusal' && own) return { type: 'refusal', refusal: block.text, ...extra };
  const citations = own ? ((block as TextBlock).citations ?? []) : [];
  const annotations = citations.flatMap(({ dialect, value }) => (dialect === dialectName ? [value] : []));
  return { type: 'output_text', text: block.text, annotations, ...extra };
}

/** One plain text is written as the string it is, unless it is an answer as it came: that has a list of parts. */
function shorten(item: JsonObject, textOnly: boolean): JsonObject {
  if (item.role !== 'assistant' || !Array.isArray(item.content)) return item;
  const parts = item.content.filter(isObject);
  if (textOnly) return { ...item, content: parts.map(({ text, refusal }) => text ?? refusal).join('\n') };
  const [part] = parts;
  if (part === undefined || parts.length > 1 || item.id !== undefined) return item;
  const { type, text, annotations, ...more } = part;
  const plain = type === 'output_text' && Array.isArray(annotations) && annotations.length === 0;
  return plain && Object.keys(more).length === 0 ? { ...item, content: text } : item;
}

/** @returns undefined for what no provider may see: it is in `lost` then. */
function writeItem(block: Block, path: string, writing: Writing): JsonObject | undefined {
  const { own } = writing;
  switch (block.type) {
    case 'reasoning':
      return writeReplay(block, path, writing);
    case 'tool-call':
      if (block.custom) writing.customCalls.add(block.id);
      return writeCall(block, own ? block.extra : undefined);
    case 'opaque':
      if (block.dialect === dialectName) return block.value;
      throw cannotSay(path, block.type);
    default:
      throw cannotSay(path, block.type);
  }
}

/**
 * Reasoning goes back to the vendor it came from. From other clients it comes without what the provider may have kept:
 * only what is encrypted can be replayed then.
 */
function writeReplay(block: ReasoningBlock, path: string, { own, lost }: Writing): JsonObject | undefined {
  if (isOwn(block) && (own || block.redacted !== undefined)) {
    return writeReasoning(block, own ? block.extra : undefined);
  }
  if (block.text !== '' || own) lost.push(path);
  return undefined;
}

/**
 * Which calls and results belong together: the API refuses one without the other. Clients that shorten their history
 * leave such.
 */
class Pairs {
  private readonly calls = new Set<string>();
  private readonly results = new Set<string>();

  constructor(messages: readonly Message[]) {
    for (const { blocks } of messages) {
      for (const block of blocks) {
        if (block.type === 'tool-call') this.calls.add(block.id);
        else if (block.type === 'tool-result') this.results.add(block.callId);
      }
    }
  }

  isOrphan({ callId }: ToolResultBlock): boolean {
    return !this.calls.has(callId);
  }

  /** Outputs for the calls of `message` that have none. */
  missing({ blocks }: Message): JsonObject[] {
    return blocks.flatMap((block) =>
      block.type !== 'tool-call' || this.results.has(block.id)
        ? []
        : [
            {
              type: block.custom ? 'custom_tool_call_output' : 'function_call_output',
              call_id: block.id,
              output: 'There is no result: the tool call was not carried out.',
            },
          ],
    );
  }
}
