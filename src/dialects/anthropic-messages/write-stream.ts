/** Writes a streamed answer as Anthropic Messages: named events, one block at a time, indexes counting up. */
import { carryReasoning } from '../../core/carry.ts';
import type { Block, ChatEvent, ReasoningBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { StreamWriter } from '../dialect.ts';
import { dialectName, directCaller } from './block.ts';
import { hasOwnDetails, messageId, writeFile, writeReasoning, writeState } from './response.ts';
import { writeStop } from './stop.ts';
import { writeUsage } from './usage.ts';

type Delta = Extract<ChatEvent, { type: 'delta' }>;

/** A block of the hub on its way out. */
interface Slot {
  value: Block;
  /** Pieces that wait until the blocks before are closed. */
  waiting: Delta[];
  /** The hub has closed it: nothing more will come. */
  closed: boolean;
  /** Its stop has been written. */
  done: boolean;
  /** It has no place in the content: nothing of it is written. */
  silent: boolean;
  index: number;
  /** Everything of a text, thinking or input delta up to the piece itself. */
  prefix: string;
  /** Arguments have been written. */
  begun: boolean;
  /** Reasoning of another vendor, gathered for its state. */
  state?: ReasoningBlock;
}

/** Members of `finish.extra` that are this dialect's own and stand beside the stop reason. */
const besideStop = ['stop_details', 'container'];

export class MessagesWriter implements StreamWriter {
  private started = false;
  private slots = new Map<number, Slot>();
  /** The one block that is open on the wire. */
  private live: Slot | undefined;
  private queue: Slot[] = [];
  private index = 0;
  private called = false;
  private refused = false;
  private details: JsonObject = {};
  private finish: Extract<ChatEvent, { type: 'finish' }> | undefined;
  private usage: Usage | undefined;

  constructor(private readonly emit: (text: string) => void) {}

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'delta':
        if (event.choice === 0) this.writeDelta(event);
        return;
      case 'block':
        if (event.choice === 0) this.enter(event.block, event.value);
        return;
      case 'close':
        if (event.choice === 0) this.close(event.block);
        return;
      case 'start':
        this.start(event.id, event.model, event.usage);
        return;
      case 'finish':
        if (event.choice === 0) this.finish = event;
        return;
      case 'usage':
        this.usage = event.usage;
        return;
      case 'end':
        this.end();
        return;
      case 'error':
        // Written by writeStreamError, which knows the request's id.
        return;
    }
  }

  private frame(type: string, members: JsonObject): void {
    this.emit(`event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`);
  }

  private start(id: string, model: string, usage: Usage | undefined): void {
    if (this.started) return;
    this.started = true;
    this.usage = usage;
    this.frame('message_start', {
      message: {
        id: messageId(id),
        type: 'message',
        role: 'assistant',
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: writeUsage(usage, undefined),
      },
    });
  }

  private end(): void {
    this.start('', '', undefined);
    for (const slot of this.slots.values()) slot.closed = true;
    this.advance();
    const extra = this.finish?.extra;
    const delta: JsonObject = {
      stop_reason: writeStop(this.finish?.stop ?? 'stop', this.called, this.refused),
      stop_sequence: this.finish?.stopSequence ?? null,
      ...this.details,
    };
    for (const name of besideStop) if (isObject(extra?.[name])) delta[name] = extra[name];
    this.frame('message_delta', {
      delta,
      ...(isObject(extra?.context_management) && { context_management: extra.context_management }),
      usage: writeUsage(this.usage, extra?.usage),
    });
    this.frame('message_stop', {});
  }

  // Which block is open

  /** A tool call may still get arguments while the next block is open in the hub: that one waits. Text does not. */
  private enter(block: number, value: Block): Slot {
    this.start('', '', undefined);
    const slot: Slot = {
      // A state that comes later is added to a copy: events belong to whoever emits them.
      value: { ...value },
      waiting: [],
      closed: false,
      done: false,
      silent: false,
      index: -1,
      prefix: '',
      begun: false,
    };
    this.slots.set(block, slot);
    if (this.live !== undefined && this.live.value.type !== 'tool-call') this.writeStop(this.live);
    if (this.live === undefined) this.open(slot);
    else this.queue.push(slot);
    return slot;
  }

  private writeDelta(event: Delta): void {
    let slot = this.slots.get(event.block);
    if (slot === undefined) return;
    if (slot.done) {
      // Its block had to make room for another: the rest goes into a block of its own.
      if (!event.text) return;
      const { value } = slot;
      slot = this.enter(
        event.block,
        value.type === 'reasoning' ? { ...value, text: '' } : { type: 'text', text: '' },
      );
    }
    if (slot === this.live) this.writePiece(slot, event);
    else slot.waiting.push(event);
  }

  private close(block: number): void {
    const slot = this.slots.get(block);
    if (slot === undefined) return;
    slot.closed = true;
    if (slot === this.live) this.advance();
  }

  /** Closes what is finished and lets the next ones follow. */
  private advance(): void {
    for (;;) {
      if (this.live !== undefined) {
        if (!this.live.closed) return;
        this.writeStop(this.live);
      }
      const next = this.queue.shift();
      if (next === undefined) return;
      this.open(next);
      for (const piece of next.waiting) this.writePiece(next, piece);
      next.waiting = [];
    }
  }

  // What is written

  private open(slot: Slot): void {
    this.live = slot;
    const { value } = slot;
    switch (value.type) {
      case 'text':
        this.openText(slot, value.text);
        return;
      case 'refusal':
        this.refused = true;
        if (!hasOwnDetails(value)) {
          this.openText(slot, value.text);
          return;
        }
        this.details = { stop_details: value.extra?.stop_details };
        break;
      case 'reasoning':
        this.openReasoning(slot, value);
        return;
      case 'tool-call': {
        this.called = true;
        const caller = isObject(value.extra?.caller) ? value.extra.caller : directCaller;
        const call = { type: 'tool_use', id: value.id, caller, name: value.name, input: {} };
        this.writeStart(slot, call, 'input_json_delta', 'partial_json');
        if (value.input !== '') this.writeInput(slot, value.input);
        return;
      }
      case 'media': {
        const file = writeFile(value);
        if (file === undefined) break;
        this.writeStart(slot, file, '', '');
        return;
      }
      case 'opaque':
        if (value.dialect === dialectName) {
          this.openOpaque(slot, value.value);
          return;
        }
        break;
    }
    slot.silent = true;
  }

  private openText(slot: Slot, text: string): void {
    this.writeStart(slot, { type: 'text', text: '' }, 'text_delta', 'text');
    if (text !== '') this.emit(`${slot.prefix}${JSON.stringify(text)}}}\n\n`);
    if (slot.value.type !== 'text') return;
    for (const { dialect, value } of slot.value.citations ?? []) {
      if (dialect === dialectName) this.writeOther(slot, { type: 'citations_delta', citation: value });
    }
  }

  /** The state of other vendors follows at the end, when all of it is known. */
  private openReasoning(slot: Slot, value: ReasoningBlock): void {
    if (value.redacted !== undefined && (value.vendor === dialectName || value.text === '')) {
      const redacted = writeReasoning(value);
      if (redacted === undefined) slot.silent = true;
      else this.writeStart(slot, redacted, '', '');
      return;
    }
    this.writeStart(slot, { type: 'thinking', thinking: '', signature: '' }, 'thinking_delta', 'thinking');
    if (value.text !== '') this.emit(`${slot.prefix}${JSON.stringify(value.text)}}}\n\n`);
    if (value.vendor === dialectName && value.signature) {
      this.writeOther(slot, { type: 'signature_delta', signature: value.signature });
    } else if (value.vendor !== dialectName) slot.state = { ...value };
  }

  /** Server tools stream their input; everything else stands whole in the start. */
  private openOpaque(slot: Slot, value: JsonObject): void {
    const streams = isObject(value.input);
    this.writeStart(slot, streams ? { ...value, input: {} } : value, 'input_json_delta', 'partial_json');
    if (streams) this.writeInput(slot, JSON.stringify(value.input));
  }

  private writeStart(slot: Slot, block: JsonObject, deltaType: string, member: string): void {
    slot.index = this.index++;
    slot.prefix =
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":${slot.index},` +
      `"delta":{"type":"${deltaType}","${member}":`;
    this.frame('content_block_start', { index: slot.index, content_block: block });
  }

  private writePiece(slot: Slot, event: Delta): void {
    if (slot.silent) return;
    if (event.text !== undefined) {
      if (event.text !== '') this.emit(`${slot.prefix}${JSON.stringify(event.text)}}}\n\n`);
      return;
    }
    if (event.input !== undefined) {
      if (event.input !== '') this.writeInput(slot, event.input);
    } else if (event.signature !== undefined && slot.state === undefined) {
      if (slot.value.type === 'reasoning' && slot.value.vendor === dialectName) {
        this.writeOther(slot, { type: 'signature_delta', signature: event.signature });
      }
    } else if (slot.state !== undefined) {
      if (event.signature !== undefined)
        slot.state.signature = (slot.state.signature ?? '') + event.signature;
      if (event.redacted !== undefined) slot.state.redacted = event.redacted;
    } else if (event.state !== undefined) {
      if (slot.value.type === 'text' || slot.value.type === 'tool-call') slot.value.state = event.state;
    } else if (event.citation?.dialect === dialectName) {
      this.writeOther(slot, { type: 'citations_delta', citation: event.citation.value });
    }
  }

  /** Input of a free-form tool is text; here it becomes the only member of an object, as in whole answers. */
  private writeInput(slot: Slot, piece: string): void {
    let input = piece;
    if (slot.value.type === 'tool-call' && slot.value.custom) {
      input = (slot.begun ? '' : '{"input":"') + JSON.stringify(piece).slice(1, -1);
    }
    slot.begun = true;
    this.emit(`${slot.prefix}${JSON.stringify(input)}}}\n\n`);
  }

  private writeInputEnd(slot: Slot, custom: boolean): void {
    if (custom) {
      if (!slot.begun) this.writeInput(slot, '');
      this.emit(`${slot.prefix}"\\"}"}}\n\n`);
    } else if (!slot.begun) this.writeInput(slot, '{}');
  }

  private writeOther(slot: Slot, delta: { [member: string]: Json }): void {
    this.frame('content_block_delta', { index: slot.index, delta });
  }

  private writeStop(slot: Slot): void {
    if (slot.value.type === 'tool-call') this.writeInputEnd(slot, slot.value.custom === true);
    const carried = slot.state === undefined ? undefined : carryReasoning(slot.state);
    if (carried !== undefined) this.writeOther(slot, { type: 'signature_delta', signature: carried });
    if (!slot.silent) this.frame('content_block_stop', { index: slot.index });
    slot.done = true;
    this.live = undefined;
    const state = writeState(slot.value);
    if (state === undefined) return;
    this.frame('content_block_start', { index: this.index, content_block: state });
    this.frame('content_block_stop', { index: this.index++ });
  }
}
