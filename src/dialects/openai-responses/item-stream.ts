/** Items of a streamed answer as they grow, told in the hub's blocks. */
import type { Block, ChatEvent, ReasoningBlock } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { readCitation } from './content.ts';
import { beginItem, partBreak, readItem, reasoningText, takeLogprobs } from './item.ts';
import { textOf } from './response.ts';

type Kind = 'content' | 'summary';
type Known = Exclude<Block, { type: 'opaque' }>;

/** A block whose pieces have begun to come. */
interface Slot {
  block: number;
  type: Block['type'];
  /** How much of its text or input has come. */
  length: number;
  citations: number;
  logprobs: number;
}

interface Item {
  type: string;
  id: Json | undefined;
  /** What only this dialect knows of it from its start. */
  about: JsonObject | undefined;
  /** Its blocks, by the place of their part. */
  slots: Map<number, Slot>;
  /** Of reasoning: what is shown of it, and which part came last. */
  kind: Kind | undefined;
  part: number;
  done: boolean;
}

/**
 * Blocks stay open until their item is done: only then is known what the dialect says of it beside its content. What
 * the pieces left out is taken from the item in its final form.
 */
export class ItemStream {
  /** Some of the items are calls that the client has to carry out. */
  called = false;
  private readonly items = new Map<number, Item>();
  private readonly ids = new Set<Json>();
  private begun = 0;
  private last = 0;
  private blocks = 0;

  constructor(private readonly emit: (event: ChatEvent) => void) {}

  /** An item has begun of which no block is told yet. */
  get pending(): boolean {
    for (const { done, slots } of this.items.values()) if (!done && slots.size === 0) return true;
    return false;
  }

  /** `response.output_item.added`; one that is repeated is the same. */
  begin(place: Json | undefined, value: JsonObject): void {
    const index = typeof place === 'number' ? place : this.begun;
    const before = this.items.get(index);
    // Hosts that give every item the same place begin the next when the last is done.
    if (before !== undefined && (!before.done || isSame(before, value))) return;
    this.open(index, value);
  }

  addText(event: JsonObject, type: 'text' | 'refusal'): void {
    const slot = this.partOf(event, type);
    const text = textOf(event.delta);
    if (slot === undefined || text === '') return;
    this.emitText(slot, text, Array.isArray(event.logprobs) ? event.logprobs : []);
  }

  addCitation(event: JsonObject): void {
    const [citation] = readCitation(event.annotation);
    const slot = citation === undefined ? undefined : this.partOf(event, 'text');
    if (slot === undefined || citation === undefined) return;
    slot.citations += 1;
    this.emit({ type: 'delta', choice: 0, block: slot.block, citation });
  }

  addInput(event: JsonObject): void {
    const slot = this.openItemAt(event)?.slots.get(0);
    const input = textOf(event.delta);
    if (slot?.type === 'tool-call' && input !== '') this.emitInput(slot, input);
  }

  /** Hosts show what the model thought or a summary of it; of both, only the one that came first. */
  addReasoning(event: JsonObject, kind: Kind, place: Json | undefined): void {
    const item = this.openItemAt(event) ?? this.openMissing(event, 'reasoning');
    const slot = item?.slots.get(0);
    const text = textOf(event.delta);
    if (item === undefined || slot?.type !== 'reasoning' || text === '') return;
    item.kind ??= kind;
    if (item.kind !== kind) return;
    const part = typeof place === 'number' ? place : 0;
    const next = part !== item.part && slot.length > 0;
    item.part = part;
    this.emitText(slot, next ? partBreak + text : text, []);
  }

  /** `response.output_item.done`. */
  finish(place: Json | undefined, value: JsonObject): void {
    const index = typeof place === 'number' ? place : this.last;
    let item = this.items.get(index);
    if (item?.done && isSame(item, value)) return;
    if (item === undefined || item.done) item = this.open(index, value);
    this.complete(item, value);
  }

  /** @param output the items of the last event; hosts leave some out here, or have sent none before. */
  finishAll(output: readonly Json[]): void {
    const missing = this.begun < output.length;
    output.forEach((value, i) => {
      if (!isObject(value)) return;
      const item = this.items.get(i);
      if (item !== undefined && !item.done) this.complete(item, value);
      else if (item === undefined && missing && !this.ids.has(value.id ?? null)) this.finish(i, value);
    });
    for (const item of this.items.values()) if (!item.done) this.complete(item, undefined);
  }

  // Items

  private open(index: number, value: JsonObject): Item {
    const item: Item = {
      type: textOf(value.type),
      id: value.id,
      about: beginItem(value),
      slots: new Map(),
      kind: undefined,
      part: -1,
      done: false,
    };
    this.items.set(index, item);
    this.begun += 1;
    this.last = index;
    if (typeof value.id === 'string') this.ids.add(value.id);
    const [block] = item.type === 'message' ? [] : readItem(value);
    if (block?.type === 'reasoning') this.openReasoning(item, block);
    // A call cannot be told before its name is known.
    else if (block?.type === 'tool-call' && block.name !== '') {
      const slot = this.openSlot(item, 0, withItem({ ...block, input: '' }, item.about));
      const input = textOf(value.arguments ?? value.input);
      if (input !== '') this.emitInput(slot, input);
    }
    return item;
  }

  private openReasoning(item: Item, { type, id, vendor }: ReasoningBlock): void {
    const block: ReasoningBlock = { type, text: '' };
    if (id !== undefined) block.id = id;
    if (vendor !== undefined) block.vendor = vendor;
    this.openSlot(item, 0, withItem(block, item.about));
  }

  private openItemAt({ output_index: place }: JsonObject): Item | undefined {
    const item = this.items.get(typeof place === 'number' ? place : this.last);
    return item?.done ? undefined : item;
  }

  /** An item whose beginning was left out; undefined when its place is that of one that is over. */
  private openMissing({ output_index: place, item_id: id }: JsonObject, type: string): Item | undefined {
    const index = typeof place === 'number' ? place : this.begun;
    return this.items.has(index) ? undefined : this.open(index, { type, id });
  }

  private partOf(event: JsonObject, type: 'text' | 'refusal'): Slot | undefined {
    const item = this.openItemAt(event) ?? this.openMissing(event, 'message');
    if (item?.type !== 'message') return undefined;
    const place = typeof event.content_index === 'number' ? event.content_index : 0;
    const slot = item.slots.get(place);
    if (slot !== undefined) return slot.type === type ? slot : undefined;
    const about = item.slots.size === 0 ? item.about : undefined;
    return this.openSlot(item, place, withItem({ type, text: '' }, about));
  }

  private complete(item: Item, value: JsonObject | undefined): void {
    item.done = true;
    const blocks = value === undefined || value.type !== item.type ? [] : readItem(value);
    blocks.forEach((block, i) => {
      const logprobs = takeLogprobs(block);
      const known = item.slots.get(i);
      item.slots.delete(i);
      if (known === undefined) this.emitWhole(block, logprobs);
      else if (block.type !== known.type || block.type === 'opaque') this.close(known);
      else {
        const text =
          block.type === 'reasoning' && value !== undefined ? reasoningText(value, item.kind) : undefined;
        this.completeBlock(known, text === undefined ? block : ({ ...block, text } as Known), logprobs);
      }
    });
    for (const slot of item.slots.values()) this.close(slot);
  }

  // Blocks

  private openSlot(item: Item, place: number, value: Block): Slot {
    const slot = this.openBlock(value);
    item.slots.set(place, slot);
    return slot;
  }

  private openBlock(value: Block): Slot {
    const slot: Slot = { block: this.blocks++, type: value.type, length: 0, citations: 0, logprobs: 0 };
    if (value.type === 'tool-call') this.called = true;
    this.emit({ type: 'block', choice: 0, block: slot.block, value });
    return slot;
  }

  private emitText(slot: Slot, text: string, logprobs: Json[]): void {
    slot.length += text.length;
    slot.logprobs += logprobs.length;
    const delta: ChatEvent = { type: 'delta', choice: 0, block: slot.block, text };
    this.emit(logprobs.length === 0 ? delta : { ...delta, logprobs: { content: logprobs, refusal: null } });
  }

  private emitInput(slot: Slot, input: string): void {
    slot.length += input.length;
    this.emit({ type: 'delta', choice: 0, block: slot.block, input });
  }

  private emitWhole(block: Block, logprobs: Json[]): void {
    if (block.type === 'opaque') {
      this.close(this.openBlock(block));
      return;
    }
    this.completeBlock(this.openBlock(emptied(block)), block, logprobs);
  }

  /** Tells what has not come of it yet, and closes it. */
  private completeBlock(slot: Slot, block: Known, logprobs: Json[]): void {
    if (block.type === 'tool-call') {
      if (block.input.length > slot.length) this.emitInput(slot, block.input.slice(slot.length));
    } else if (block.type === 'text' || block.type === 'refusal' || block.type === 'reasoning') {
      const fresh = logprobs.slice(slot.logprobs);
      if (block.text.length > slot.length) this.emitText(slot, block.text.slice(slot.length), fresh);
      else if (fresh.length > 0) this.emitText(slot, '', fresh);
    }
    const place = { type: 'delta', choice: 0, block: slot.block } as const;
    if (block.type === 'text') {
      for (const citation of (block.citations ?? []).slice(slot.citations)) this.emit({ ...place, citation });
    }
    if (block.type === 'reasoning' && block.redacted !== undefined) {
      this.emit({ ...place, redacted: block.redacted });
    }
    this.close(slot, block.extra);
  }

  private close({ block }: Slot, extra?: JsonObject): void {
    this.emit(
      extra === undefined ? { type: 'close', choice: 0, block } : { type: 'close', choice: 0, block, extra },
    );
  }
}

function isSame(item: Item, { id, type }: JsonObject): boolean {
  return item.type === type && item.id === id;
}

/** The block as it is opened, before any piece of it. */
function emptied(block: Known): Block {
  switch (block.type) {
    case 'text': {
      const { citations: _, ...bare } = block;
      return { ...bare, text: '' };
    }
    case 'reasoning': {
      const { redacted: _, ...bare } = block;
      return { ...bare, text: '' };
    }
    case 'refusal':
      return { ...block, text: '' };
    case 'tool-call':
      return { ...block, input: '' };
    default:
      return block;
  }
}

function withItem<B extends Known>(block: B, item: JsonObject | undefined): B {
  if (item === undefined) {
    const { extra: _, ...bare } = block;
    return bare as B;
  }
  return { ...block, extra: { item } };
}
