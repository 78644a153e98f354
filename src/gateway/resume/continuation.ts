/** Tells the answer of one model as what goes on with that of another: one answer, to the client. */
import type { ChatEvent, ToolCallBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import type { Usage } from '../../core/usage.ts';
import type { Teller } from '../stages.ts';
import type { ClientStream } from './client-stream.ts';
import { Seam } from './seam.ts';
import { isSameCall, type ShownCall } from './shown.ts';
import type { Way } from './way.ts';

type Event<Type> = Extract<ChatEvent, { type: Type }>;

/** A call that may turn out to have been made already. */
interface Held {
  value: ToolCallBlock;
  input: string;
  events: Event<'delta'>[];
}

export class Continuation implements Teller {
  /** Nothing is passed on before it is certain that this attempt has something to say. */
  begun = false;
  /** It has said anything but thoughts. */
  private spoke = false;
  /** The client's number of each block that is told. */
  private readonly places = new Map<number, number>();
  /** The text that comes, not yet closed. */
  private text: number | undefined;
  private readonly held = new Map<number, Held>();
  private readonly seam: Seam;
  /** Calls that stand. */
  private readonly calls: readonly ShownCall[];
  /** The block of the client's that the first text goes on in. */
  private flowing: number | undefined;
  /** Blocks that were open when the answer broke off. */
  private left: readonly number[];
  private next: number;

  /** @param before what the attempts before have used, as the client is told. */
  constructor(
    private readonly stream: ClientStream,
    private readonly way: Way,
    private readonly before: Usage,
  ) {
    const { shown } = stream;
    this.seam = new Seam(shown.text, way.repeats);
    this.calls = shown.calls;
    this.flowing = shown.flowing;
    this.left = shown.openBlocks;
    this.next = shown.nextBlock;
  }

  take(): string | undefined {
    return this.begun ? this.stream.take() : undefined;
  }

  writeError(error: GatewayError, requestId: string): string {
    return this.stream.writeError(error, requestId);
  }

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'block':
        this.open(event);
        break;
      case 'delta':
        this.add(event);
        break;
      case 'close':
        this.close(event);
        break;
      case 'finish':
        this.finish(event);
        break;
      case 'usage':
        this.stream.push({ type: 'usage', usage: addOutput(this.before, event.usage) });
        break;
      case 'end':
        this.stream.push(event);
    }
  }

  private open({ block, value }: Event<'block'>): void {
    // Thoughts on how to go on would stand in the middle of a text.
    if (value.type === 'reasoning' && this.way.how !== 'anew') return;
    this.endText();
    this.spoke ||= value.type !== 'text' || value.text !== '';
    if (value.type === 'text') {
      this.text = block;
      this.say(this.seam.push(value.text));
    } else if (value.type === 'tool-call' && this.calls.length > 0) {
      this.held.set(block, { value, input: value.input, events: [] });
    } else this.tellBlock(block, value);
  }

  private add(event: Event<'delta'>): void {
    const { block, text } = event;
    const held = this.held.get(block);
    if (held !== undefined) {
      held.input += event.input ?? '';
      held.events.push(event);
    } else if (block === this.text && text !== undefined) {
      this.spoke ||= text !== '';
      const fresh = this.seam.push(text);
      // What is told of a text that is only partly shown would speak of the wrong words.
      this.say(fresh, fresh === text ? event : undefined);
    } else {
      const place = this.places.get(block);
      if (place !== undefined) this.stream.push({ ...event, block: place });
    }
  }

  private close(event: Event<'close'>): void {
    const { block } = event;
    const held = this.held.get(block);
    if (held !== undefined) this.tellHeld(block, held);
    if (block === this.text) this.endText();
    const place = this.places.get(block);
    if (place !== undefined) this.stream.push({ ...event, block: place });
  }

  /** @throws GatewayError where whoever was asked to repeat the last words has not said even them. */
  private finish({ stop, stopSequence }: Event<'finish'>): void {
    if (!this.spoke && this.way.repeats === 'anchor' && this.calls.length === 0)
      throw new GatewayError('upstream_invalid', 'The model did not go on with the answer.');
    this.endText();
    for (const [block, held] of this.held) this.tellHeld(block, held);
    this.closeLeft();
    const called = stop === 'stop' && this.calls.length > 0;
    const finish: ChatEvent = { type: 'finish', choice: 0, stop: called ? 'tool_calls' : stop };
    if (stopSequence !== undefined) finish.stopSequence = stopSequence;
    this.stream.push(finish);
  }

  // Texts

  /** More of the text, in a block of its own where there is none it goes on in. */
  private say(text: string, event?: Event<'delta'>): void {
    const { text: block } = this;
    if (text === '' || block === undefined) return;
    let place = this.places.get(block);
    if (place === undefined) {
      place = this.flowing ?? this.tellBlock(block, { type: 'text', text: '' });
      this.places.set(block, place);
      this.left = this.left.filter((number) => number !== place);
    }
    this.flowing = undefined;
    this.stream.push({ ...event, type: 'delta', choice: 0, block: place, text });
  }

  private endText(): void {
    if (this.text !== undefined) this.say(this.seam.end());
    this.text = undefined;
  }

  // Blocks of their own

  private tellBlock(block: number, value: Event<'block'>['value']): number {
    this.flowing = undefined;
    this.closeLeft();
    const place = this.next++;
    this.places.set(block, place);
    this.stream.push({ type: 'block', choice: 0, block: place, value });
    return place;
  }

  private closeLeft(): void {
    for (const block of this.left) this.stream.push({ type: 'close', choice: 0, block });
    this.left = [];
  }

  /** Models make calls again though they are told not to. */
  private tellHeld(block: number, { value, input, events }: Held): void {
    this.held.delete(block);
    if (this.calls.some((call) => isSameCall(call, { ...value, input }))) return;
    const taken = this.calls.some(({ id }) => id === value.id);
    const place = this.tellBlock(block, taken ? { ...value, id: randomId('call_') } : value);
    for (const event of events) this.stream.push({ ...event, block: place });
  }
}

/** What an answer has used that several attempts have made: the first has read the request, all have written. */
export function addOutput(before: Usage, then: Usage): Usage {
  const { billed: _, ...sum } = before;
  return {
    ...sum,
    output: before.output + then.output,
    reasoning: before.reasoning + then.reasoning,
    audioOutput: before.audioOutput + then.audioOutput,
  };
}
