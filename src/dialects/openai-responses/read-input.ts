/** Reads the conversation of a request: a text, or items in a row, of which assistants' turns are put together. */
import { type CarriedState, restoreStates } from '../../core/carry.ts';
import type { Block, Message, ReasoningBlock, ToolResultBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { badRequest, others } from '../openai-chat/content.ts';
import { dialectName, readContent } from './content.ts';
import { readItem } from './item.ts';
import { isMadeUp, readCarried, reclaim } from './state.ts';

/**
 * Consecutive items of the assistant (text, reasoning, calls, what only this dialect knows) are one message: other
 * dialects want its text and calls together. The members of its first message item are the message's own.
 * @throws GatewayError `bad_request` whose `param` names the item that is wrong.
 */
export function readInput(input: Json | undefined): Message[] {
  if (input === undefined || input === null) return [];
  if (typeof input === 'string') return [{ role: 'user', blocks: [{ type: 'text', text: input }] }];
  if (!Array.isArray(input)) {
    throw badRequest('input', 'input must be a text or a list of items: [{"role": "user", "content": "…"}].');
  }
  const reader = new InputReader();
  input.forEach((item, i) => {
    reader.push(item, `input[${i}]`);
  });
  return reader.end();
}

const turnMembers = new Set(['type', 'role', 'content']);
const outputMembers = new Set(['type', 'call_id', 'output']);

class InputReader {
  private readonly messages: Message[] = [];
  /** The assistant's turn that further items belong to. */
  private turn: Message | undefined;
  private hasText = false;
  private states: CarriedState[] = [];
  private readonly customCalls = new Set<string>();

  push(item: Json, path: string): void {
    if (!isObject(item)) throw badRequest(path, `${path} must be an object with a type or a role.`);
    switch (item.type ?? (item.role === undefined ? undefined : 'message')) {
      case 'message':
        this.pushMessage(item, path);
        return;
      case 'function_call':
      case 'custom_tool_call':
        this.pushCall(item, path);
        return;
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.pushOutput(item, path);
        return;
      case 'reasoning':
        this.pushReasoning(item);
        return;
      case undefined:
        throw badRequest(
          `${path}.type`,
          `${path} must have a type, such as "message" or "function_call_output".`,
        );
      default:
        this.add([{ type: 'opaque', dialect: dialectName, value: item }]);
    }
  }

  end(): Message[] {
    this.endTurn();
    return this.messages;
  }

  private endTurn(): void {
    if (this.turn !== undefined) restoreStates(this.turn.blocks, this.states);
    this.turn = undefined;
    this.hasText = false;
    this.states = [];
  }

  private openTurn(): Message {
    if (this.turn === undefined) {
      this.turn = { role: 'assistant', blocks: [] };
      this.messages.push(this.turn);
    }
    return this.turn;
  }

  private add(blocks: Block[]): void {
    this.openTurn().blocks.push(...blocks);
  }

  private pushMessage(item: JsonObject, path: string): void {
    const { role } = item;
    if (role === 'assistant') {
      this.pushAnswer(item, path);
      return;
    }
    if (role !== 'user' && role !== 'system' && role !== 'developer') {
      throw badRequest(`${path}.role`, `${path}.role must be "user", "assistant", "system" or "developer".`);
    }
    this.endTurn();
    const blocks = readContent(item.content, `${path}.content`);
    const message: Message = { role: role === 'developer' ? 'system' : role, blocks };
    const extra = ownMembers(others(item, turnMembers));
    if (role === 'developer') message.extra = { role, ...extra };
    else if (extra !== undefined) message.extra = extra;
    this.messages.push(message);
  }

  private pushAnswer(item: JsonObject, path: string): void {
    if (typeof item.content !== 'string' && !Array.isArray(item.content)) {
      throw badRequest(`${path}.content`, `${path}.content must be a string or a list of parts.`);
    }
    const turn = this.openTurn();
    const blocks = readItem({ ...item, type: 'message' });
    const [first] = blocks;
    if (first !== undefined && first.type !== 'opaque') {
      const { item: about, ...extra } = first.extra ?? {};
      const told = ownMembers(isObject(about) ? about : undefined);
      delete first.extra;
      if (this.hasText) first.extra = { ...extra, item: told ?? {} };
      else {
        if (told !== undefined) turn.extra = told;
        if (Object.keys(extra).length > 0) first.extra = extra;
      }
      this.hasText = true;
    }
    turn.blocks.push(...blocks);
  }

  private pushCall(item: JsonObject, path: string): void {
    for (const name of ['call_id', 'name']) {
      if (typeof item[name] !== 'string' || item[name] === '')
        throw badRequest(`${path}.${name}`, `${path}.${name} must be a string.`);
    }
    if (item.type === 'custom_tool_call') this.customCalls.add(String(item.call_id));
    this.add(readItem(item).map(withFlatExtra));
  }

  private pushOutput(item: JsonObject, path: string): void {
    if (typeof item.call_id !== 'string' || item.call_id === '') {
      throw badRequest(
        `${path}.call_id`,
        `${path}.call_id must be the call_id of the tool call this item is the output of.`,
      );
    }
    this.endTurn();
    const { output } = item;
    const empty = output === undefined || output === null || output === '';
    const block: ToolResultBlock = {
      type: 'tool-result',
      callId: item.call_id,
      blocks: empty ? [] : readContent(output, `${path}.output`),
    };
    const extra = ownMembers(others(item, outputMembers));
    if (extra !== undefined) block.extra = extra;
    // Elsewhere the call tells what kind of output it has.
    const custom = item.type === 'custom_tool_call_output';
    if (custom !== this.customCalls.has(item.call_id)) block.extra = { ...extra, type: String(item.type) };
    this.messages.push({ role: 'user', blocks: [block] });
  }

  private pushReasoning(item: JsonObject): void {
    const [block] = readItem(item).map(withFlatExtra) as [ReasoningBlock];
    const carried = readCarried(block);
    if (carried?.type === 'state') this.states.push({ ...carried, after: this.turn?.blocks.length ?? 0 });
    else this.add([reclaim(block, carried)]);
  }
}

/** In requests what only this dialect knows of an item stands beside the block, where a loss is named by its name. */
function withFlatExtra<B extends Block>(block: B): B {
  if (block.type === 'opaque' || block.extra === undefined) return block;
  const { item } = block.extra;
  delete block.extra;
  const extra = ownMembers(isObject(item) ? item : undefined);
  if (extra !== undefined) block.extra = extra;
  return block;
}

/**
 * Without what says nothing to anybody: that something past is complete, and an id that this gateway made up.
 */
function ownMembers(members: JsonObject | undefined): JsonObject | undefined {
  if (members === undefined) return undefined;
  const { id, status, ...own } = members;
  if (id !== undefined && !isMadeUp(id)) own.id = id;
  if (status !== undefined && status !== 'completed') own.status = status;
  return Object.keys(own).length > 0 ? own : undefined;
}
