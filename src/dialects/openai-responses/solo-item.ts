/** Items of an answer that are one block each, while they are being written: reasoning and calls of tools. */
import type { ReasoningBlock, ToolCallBlock } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { type EventWriter, makeStem, type Stem } from './events.ts';
import { writeCall, writeReasoning } from './item.ts';
import { isOwn, showReasoning } from './state.ts';

const summaryPart = (text: string): JsonObject => ({ type: 'summary_text', text });

/** What is readable of it streams as a summary of one part, whatever parts it has in the end. */
export class ReasoningItem {
  private readonly id: string;
  private readonly place: JsonObject;
  private text = '';
  private stem: Stem | undefined;

  constructor(
    private readonly events: EventWriter,
    private readonly index: number,
    madeUpId: string,
    block: ReasoningBlock,
  ) {
    this.id = (isOwn(block) ? block.id : undefined) ?? madeUpId;
    this.place = { item_id: this.id, output_index: index, summary_index: 0 };
    const about = isOwn(block) && isObject(block.extra?.item) ? block.extra.item : {};
    const item = { ...about, id: this.id, type: 'reasoning', summary: [] };
    events.write('response.output_item.added', { output_index: index, item });
    if (block.text !== '') this.addText(block.text);
  }

  addText(text: string): void {
    if (this.stem === undefined) {
      this.stem = makeStem('response.reasoning_summary_text.delta', this.place, 'delta');
      this.events.write('response.reasoning_summary_part.added', { ...this.place, part: summaryPart('') });
    }
    this.text += text;
    this.events.writePiece(this.stem, text);
  }

  /** @param block with the state it has in the end. @param items gets the item. */
  finish(block: ReasoningBlock, items: JsonObject[]): void {
    if (this.stem !== undefined) {
      this.events.write('response.reasoning_summary_text.done', { ...this.place, text: this.text });
      this.events.write('response.reasoning_summary_part.done', {
        ...this.place,
        part: summaryPart(this.text),
      });
    }
    const whole = { ...block, text: this.text };
    const about = isObject(block.extra?.item) ? block.extra.item : undefined;
    items[this.index] = isOwn(block)
      ? writeReasoning({ ...whole, id: this.id }, about)
      : showReasoning(whole, this.id);
    this.events.write('response.output_item.done', { output_index: this.index, item: items[this.index] });
  }
}

export class CallItem {
  /** The state of the call stands before it already. */
  readonly hadState: boolean;
  private readonly id: string;
  private readonly stem: Stem;
  private input = '';

  constructor(
    private readonly events: EventWriter,
    private readonly index: number,
    madeUpId: string,
    private readonly block: ToolCallBlock,
  ) {
    this.hadState = block.state !== undefined;
    const about = isObject(block.extra?.item) ? block.extra.item : {};
    this.id = typeof about.id === 'string' ? about.id : madeUpId;
    this.stem = makeStem(`${this.type}.delta`, this.place, 'delta');
    const item = writeCall({ ...block, input: '' }, { status: 'in_progress', ...about, id: this.id });
    item[this.member] = '';
    events.write('response.output_item.added', { output_index: index, item });
    if (block.input !== '') this.addInput(block.input);
  }

  private get type(): string {
    return this.block.custom ? 'response.custom_tool_call_input' : 'response.function_call_arguments';
  }

  private get member(): 'input' | 'arguments' {
    return this.block.custom ? 'input' : 'arguments';
  }

  private get place(): JsonObject {
    return { item_id: this.id, output_index: this.index };
  }

  addInput(text: string): void {
    this.input += text;
    this.events.writePiece(this.stem, text);
  }

  /** @param extra the block's, as it is in the end. @param items gets the item. */
  finish(extra: JsonObject | undefined, items: JsonObject[]): void {
    if (this.input === '' && !this.block.custom) this.addInput('{}');
    const { member, block } = this;
    const about = isObject(extra?.item)
      ? extra.item
      : { status: this.block.custom || isWhole(this.input) ? 'completed' : 'incomplete' };
    const named = block.custom ? {} : { name: block.name };
    this.events.write(`${this.type}.done`, { ...this.place, ...named, [member]: this.input });
    items[this.index] = writeCall({ ...block, input: this.input }, { ...about, id: this.id });
    this.events.write('response.output_item.done', { output_index: this.index, item: items[this.index] });
  }
}

/** Arguments that a token limit cut short are no JSON. */
function isWhole(input: string): boolean {
  try {
    JSON.parse(input);
    return true;
  } catch {
    return false;
  }
}
