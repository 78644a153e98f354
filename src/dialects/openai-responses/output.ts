/**
 * Writes the items of an answer and, for a stream, the events that tell how they grow. Several may be open at once,
 * each under its own `output_index`.
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
import { createHash } from 'node:crypto';
import { isAnswerId } from '../../core/answers.ts';
import type { Block, ChatEvent, MediaBlock, RefusalBlock, StopReason, TextBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { dialectName } from './content.ts';
import { EventWriter } from './events.ts';
import { MessageItem } from './message-item.ts';
import { CallItem, ReasoningItem } from './solo-item.ts';
import { isOwn, madeUp, showState } from './state.ts';

type Delta = Extract<ChatEvent, { type: 'delta' }>;

/** A block of the hub on its way out. */
interface Slot {
  block: Block;
  /** The item it is, or is part of; undefined while nothing of it has to be said. */
  item: MessageItem | ReasoningItem | CallItem | undefined;
  /** Its place in a message. */
  part: number;
  closed: boolean;
}

export class OutputWriter {
  readonly events: EventWriter;
  private readonly base: string;
  /** Items in their final form, by `output_index`. */
  private readonly items: JsonObject[] = [];
  private count = 0;
  private readonly slots = new Map<number, Slot>();
  /** The message that a text joins when it comes next. */
  private message: MessageItem | undefined;
  private logprobs: Json[] = [];
  private refused = false;

  /** @param answerId ids of items are made from it, where they have none. */
  constructor(answerId: string, emit?: (text: string) => void) {
    this.events = new EventWriter(emit);
    // An answer that the gateway keeps can be found by the ids of its items.
    const kept = isAnswerId(answerId) ? answerId.slice(answerId.indexOf('_') + 1) : undefined;
    this.base = kept ?? createHash('sha256').update(answerId).digest('hex').slice(0, 24);
  }

  open(number: number, block: Block): void {
    const slot: Slot = { block: { ...block }, item: undefined, part: 0, closed: false };
    this.slots.set(number, slot);
    switch (block.type) {
      case 'text':
      case 'refusal':
        this.openText(slot, block);
        return;
      case 'reasoning':
        if (isOwn(block) || block.text !== '') this.enterReasoning(slot);
        return;
      case 'tool-call':
        this.leaveMessage();
        this.writeState(block);
        slot.item = new CallItem(this.events, this.count, this.newId(block.custom ? 'ctc' : 'fc'), block);
        this.count += 1;
        return;
      case 'opaque':
        if (block.dialect === dialectName) this.writeWhole(block.value);
        return;
      case 'media':
        this.writeImage(block);
    }
  }

  push(event: Delta): void {
    const slot = this.slots.get(event.block);
    if (event.logprobs !== undefined) this.addLogprobs(event.logprobs);
    if (slot === undefined || slot.closed) return;
    const { block } = slot;
    switch (block.type) {
      case 'text':
      case 'refusal':
        if (event.text || (slot.item !== undefined && event.logprobs !== undefined))
          this.enterMessage(slot, block).addText(event.text ?? '', this.takeLogprobs());
        if (event.citation !== undefined) this.enterMessage(slot, block).addCitation(event.citation);
        if (event.state !== undefined && block.type === 'text') block.state = event.state;
        return;
      case 'reasoning':
        if (event.text) this.enterReasoning(slot)?.addText(event.text);
        if (event.signature !== undefined) block.signature = (block.signature ?? '') + event.signature;
        if (event.redacted !== undefined) block.redacted = event.redacted;
        return;
      case 'tool-call':
        if (event.input && slot.item instanceof CallItem) slot.item.addInput(event.input);
        if (event.state !== undefined) block.state = event.state;
    }
  }

  /** @param extra see ChatEvent. */
  close(number: number, extra?: JsonObject): void {
    const slot = this.slots.get(number);
    if (slot === undefined || slot.closed) return;
    slot.closed = true;
    const { block } = slot;
    if (extra !== undefined && block.type !== 'opaque') block.extra = extra;
    if (block.type === 'text' || block.type === 'refusal') {
      this.closeText(slot, block);
    } else if (block.type === 'reasoning') {
      this.enterReasoning(slot)?.finish(block, this.items);
    } else if (block.type === 'tool-call' && slot.item instanceof CallItem) {
      slot.item.finish(block.extra, this.items);
      if (!slot.item.hadState) this.writeState(block);
    }
  }

  /** Log-probabilities of the next piece of text. */
  addLogprobs(value: Json | undefined): void {
    if (isObject(value) && Array.isArray(value.content)) this.logprobs.push(...value.content.map(withBytes));
  }

  /** @returns all items in their final form, and why the answer is not complete, if it is not. */
  finish(stop: StopReason): { items: JsonObject[]; reason: string | undefined } {
    for (const number of this.slots.keys()) this.close(number);
    const reason = incompleteReason(stop, this.refused);
    this.leaveMessage(
      reason === undefined || this.message?.index !== this.count - 1 ? 'completed' : 'incomplete',
    );
    return { items: this.items, reason };
  }

  private newId(prefix: string): string {
    return `${prefix}${madeUp}${this.base}_${this.count}`;
  }

  private takeLogprobs(): Json[] {
    if (this.logprobs.length === 0) return this.logprobs;
    const taken = this.logprobs;
    this.logprobs = [];
    return taken;
  }

  // Messages

  private openText(slot: Slot, block: TextBlock | RefusalBlock): void {
    // Other dialects open texts of which nothing comes.
    const own = isObject(block.extra?.item) || this.message?.own === true;
    const citations = block.type === 'text' ? (block.citations ?? []) : [];
    if (!own && block.text === '' && citations.length === 0) return;
    const message = this.enterMessage(slot, block);
    if (block.text !== '') message.addText(block.text, this.takeLogprobs());
    for (const citation of citations) message.addCitation(citation);
  }

  /** Texts in a row are one message, and, but for those of this dialect, one text. */
  private enterMessage(slot: Slot, block: TextBlock | RefusalBlock): MessageItem {
    if (slot.item instanceof MessageItem) return slot.item;
    const about = isObject(block.extra?.item) ? block.extra.item : undefined;
    if (about !== undefined) this.leaveMessage();
    this.message ??= new MessageItem(this.events, this.count, this.newId('msg'), about);
    if (this.message.index === this.count) this.count += 1;
    slot.part = this.message.enter(block.type === 'refusal' ? 'refusal' : 'output_text');
    if (block.type === 'refusal') this.refused = true;
    slot.item = this.message;
    return this.message;
  }

  private closeText(slot: Slot, block: TextBlock | RefusalBlock): void {
    if (slot.item instanceof MessageItem) slot.item.closeBlock(slot.part, block.extra, this.items);
    if (block.type !== 'text' || block.state === undefined || isOwn(block.state)) return;
    this.leaveMessage();
    this.writeState(block);
  }

  private leaveMessage(status = 'completed'): void {
    this.message?.leave(status, this.items);
    this.message = undefined;
  }

  // What stands by itself

  /** @returns undefined where there is nothing to show, and no state to carry. */
  private enterReasoning(slot: Slot): ReasoningItem | undefined {
    if (slot.item instanceof ReasoningItem) return slot.item;
    const { block } = slot;
    if (block.type !== 'reasoning') return undefined;
    const silent = !isOwn(block) && block.redacted === undefined && block.signature === undefined;
    if (slot.closed && silent) return undefined;
    this.leaveMessage();
    slot.item = new ReasoningItem(this.events, this.count, this.newId('rs'), block);
    this.count += 1;
    return slot.item;
  }

  private writeState(block: Block): void {
    if ((block.type !== 'text' && block.type !== 'tool-call') || block.state === undefined) return;
    const item = isOwn(block.state) ? undefined : showState(block, this.newId('rs'));
    if (item !== undefined) this.writeWhole(item);
  }

  /** Pictures that a model paints itself are, in this dialect, results of a tool of the provider's. */
  private writeImage({ media, source }: MediaBlock): void {
    if (media !== 'image' || source.type !== 'base64') return;
    const id = this.newId('ig');
    this.writeWhole({ id, type: 'image_generation_call', status: 'completed', result: source.data });
  }

  private writeWhole(item: JsonObject): void {
    this.leaveMessage();
    const index = this.count++;
    this.events.write('response.output_item.added', { output_index: index, item });
    this.events.write('response.output_item.done', { output_index: index, item });
    this.items[index] = item;
  }
}

/** Undefined for an answer that came to its end; a refusal in words is one. */
function incompleteReason(stop: StopReason, refused: boolean): string | undefined {
  if (stop === 'length' || stop === 'context_length') return 'max_output_tokens';
  return stop === 'content_filter' || (stop === 'refusal' && !refused) ? 'content_filter' : undefined;
}

/** A token's bytes are null in Chat Completions where nobody told them; here they always stand. */
function withBytes(logprob: Json): Json {
  if (!isObject(logprob) || typeof logprob.token !== 'string') return logprob;
  const { token, bytes, top_logprobs: top } = logprob;
  return {
    ...logprob,
    bytes: bytes ?? [...Buffer.from(token)],
    ...(Array.isArray(top) && { top_logprobs: top.map(withBytes) }),
  };
}
