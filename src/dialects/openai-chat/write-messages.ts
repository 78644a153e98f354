/** Writes the hub's messages as Chat Completions has them: each tool result a message of its own, text only. */
import type { Block, Message, ToolCallBlock, ToolResultBlock } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Quirks } from '../quirks.ts';
import { cannotSay, plainText, writeContent } from './content.ts';

interface Writing {
  /** The request was read from this dialect: its `extra` members are written again. */
  own: boolean;
  quirks: Quirks;
  lost: string[];
}

/** @throws GatewayError `unsupported` for a block that has no form here. */
export function writeMessages(messages: readonly Message[], writing: Writing): JsonObject[] {
  const written: JsonObject[] = [];
  // Media of tool results, which `role: tool` cannot hold: shown in the user message after the run of results.
  let shown: Block[] = [];
  const flush = (): void => {
    if (shown.length > 0) written.push({ role: 'user', content: writeContent(shown, 'messages', false) });
    shown = [];
  };

  messages.forEach((message, i) => {
    const path = `messages[${i}]`;
    const results = message.blocks.filter((block) => block.type === 'tool-result');
    if (results.length === 0 || message.role !== 'user') flush();
    for (const result of results) written.push(writeToolResult(result, message, path, writing, shown));
    if (message.role === 'assistant') {
      written.push(writeAssistant(message, path, writing));
      return;
    }
    const others =
      results.length === 0 ? message.blocks : message.blocks.filter((block) => block.type !== 'tool-result');
    if (others.length === 0 && (results.length > 0 || !writing.own)) return;
    if (message.role === 'user' && results.length > 0 && !writing.quirks.textOnly) {
      shown.push(...others);
      flush();
      return;
    }
    flush();
    written.push(writeTurn(message, others, path, writing));
  });
  flush();
  return written;
}

/** Instructions and user turns. */
function writeTurn(message: Message, blocks: Block[], path: string, writing: Writing): JsonObject {
  const { own, quirks } = writing;
  const [first] = blocks;
  // A message of the form before tools (`role: function`), carried whole.
  if (first?.type === 'opaque' && first.value.role !== undefined && first.dialect === 'openai-chat')
    return first.value;
  const content = quirks.textOnly
    ? plainText(blocks, path, own, writing.lost)
    : writeContent(blocks, `${path}.content`, own);
  const turn: JsonObject = { role: message.role, content };
  if (own) Object.assign(turn, message.extra);
  if (quirks.noDeveloperRole && turn.role === 'developer') turn.role = 'system';
  return turn;
}

function writeToolResult(
  result: ToolResultBlock,
  message: Message,
  path: string,
  writing: Writing,
  shown: Block[],
): JsonObject {
  const { own, quirks } = writing;
  const turn: JsonObject = { role: 'tool', tool_call_id: result.callId };
  if (own) {
    turn.content = quirks.textOnly
      ? plainText(result.blocks, path, true, writing.lost)
      : writeContent(result.blocks, `${path}.content`, true);
    if (result.name !== undefined) turn.name = result.name;
    return Object.assign(turn, message.extra);
  }
  const texts: string[] = [];
  for (const block of result.blocks) {
    if (block.type === 'text') texts.push(block.text);
    else if (block.type !== 'media') throw cannotSay(`${path}.content`, block.type);
    else if (block.source.type === 'text' || quirks.textOnly)
      texts.push(plainText([block], path, false, writing.lost));
    else shown.push({ type: 'text', text: `Result of tool call ${result.callId}:` }, block);
  }
  if (texts.length === 0 && result.blocks.length > 0) texts.push('The result is in the next user message.');
  const text = texts.join('\n');
  // There is no mark for failure: the words have to say it.
  turn.content = result.isError && !/^\W*error/i.test(text) ? `Error: ${text}` : text;
  return turn;
}

function writeAssistant(message: Message, path: string, writing: Writing): JsonObject {
  const { own, quirks, lost } = writing;
  const turn: JsonObject = { role: 'assistant', content: null };
  const replay = quirks.replayReasoning ?? (own ? 'reasoning_content' : undefined);
  const parts: Block[] = [];
  const calls: JsonObject[] = [];
  let thought: string | undefined;
  let refusal: string | undefined;
  message.blocks.forEach((block, i) => {
    if (block.type === 'reasoning') {
      thought = (thought ?? '') + block.text;
      // That of other vendors is named with their state.
      if (replay === undefined && block.vendor === undefined) lost.push(`${path}.content[${i}]`);
    } else if (block.type === 'refusal') refusal = (refusal ?? '') + block.text;
    else if (block.type === 'tool-call') calls.push(writeToolCall(block, own));
    else if (block.type === 'opaque' && block.dialect === 'openai-chat' && block.value.type === undefined) {
      Object.assign(turn, block.value);
    } else {
      if (block.type === 'text' && block.citations !== undefined && !own)
        lost.push(`${path}.content[${i}].citations`);
      parts.push(block);
    }
  });
  // Assistant turns hold no media, save with hosts that make something of what their own client sends.
  const odd = own ? undefined : parts.find((part) => part.type === 'media');
  if (odd !== undefined) throw cannotSay(`${path}.content`, odd.type);
  const silent = calls.length === 0 && refusal === undefined && Object.keys(turn).length === 2;
  if (parts.length > 0 || silent) {
    turn.content = quirks.textOnly
      ? plainText(parts, path, own, lost)
      : writeContent(parts, `${path}.content`, own);
  }
  // Hosts that want it back want it on every turn, empty where unknown:
  // https://api-docs.deepseek.com/guides/thinking_mode
  if (replay !== undefined && thought !== undefined) turn[replay] = thought;
  else if (quirks.replayReasoning === 'reasoning_content') turn.reasoning_content = '';
  if (refusal !== undefined) turn.refusal = refusal;
  if (calls.length > 0) turn.tool_calls = calls;
  if (own) Object.assign(turn, message.extra);
  return turn;
}

/** A tool call as requests and whole answers hold it. */
export function writeToolCall(block: ToolCallBlock, own: boolean): JsonObject {
  const call: JsonObject = block.custom
    ? { id: block.id, type: 'custom', custom: { name: block.name, input: block.input } }
    : {
        id: block.id,
        type: 'function',
        function: { name: block.name, arguments: block.input === '' ? '{}' : block.input },
      };
  return own && block.extra !== undefined ? Object.assign(call, block.extra) : call;
}
