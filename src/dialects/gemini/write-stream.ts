/** Writes a streamed answer as Gemini does: pieces in the form of a whole answer, the last of which tells how it ended. */
import type { Block, ChatEvent, Choice } from '../../core/chat.ts';
import type { GatewayError } from '../../core/error.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerWish, StreamWriter } from '../dialect.ts';
import { writeError, writeStreamError } from './error.ts';
import { writeLogprobs } from './logprobs.ts';
import {
  textPart,
  thoughtPart,
  writeAnswerPart,
  writeSignature,
  writeThoughtSignature,
} from './write-answer.ts';
import { writeCandidate, writeEnvelope, writeNames } from './write-candidate.ts';

type Delta = Extract<ChatEvent, { type: 'delta' }>;

/** A block between its opening and its close. What streams is written at once and kept for its citations only. */
interface Slot {
  value: Block;
  closed: boolean;
}

interface State {
  choice: Choice;
  slots: Map<number, Slot>;
  /** Calls that are not written yet, in order: each is whole only when it is closed. */
  calls: Slot[];
  finished: boolean;
}

export class GeminiWriter implements StreamWriter {
  private readonly states: State[] = [];
  private answer: { id: string; model: string; created?: number } = { id: '', model: '' };
  private names = '';
  private usage: Usage | undefined;
  private begun = false;

  constructor(
    private readonly emit: (text: string) => void,
    private readonly wish: AnswerWish,
  ) {}

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'delta':
        this.writeDelta(event);
        return;
      case 'block':
        this.open(event.choice, event.block, event.value);
        return;
      case 'close':
        this.close(event.choice, event.block);
        return;
      case 'start':
        this.answer = event;
        this.usage = event.usage;
        return;
      case 'finish': {
        const { choice } = this.stateAt(event.choice);
        choice.stop = event.stop;
        if (event.extra !== undefined) choice.extra = event.extra;
        return;
      }
      case 'usage':
        this.usage = event.usage;
        return;
      case 'end':
        this.end();
        return;
      case 'error':
        // Written by writeError, which is told the request's id.
        return;
    }
  }

  /** Also an array that breaks off is one: the error is its last element. */
  writeError(error: GatewayError, requestId: string): string {
    if (!this.wish.array) return writeStreamError(error, requestId);
    const body = JSON.stringify(writeError(error, requestId).body);
    return `${this.begun ? ',\n' : '['}${body}\n]`;
  }

  /** Most clients of this dialect take every line for data: it is a member of a piece that says nothing. */
  remark(name: string, value: string): void {
    const candidates = [{ content: silence, index: 0 }];
    this.frame(JSON.stringify({ candidates, ...writeNames(this.answer), [name]: value }));
  }

  private stateAt(index: number): State {
    for (const state of this.states) if (state.choice.index === index) return state;
    const state: State = {
      choice: { index, blocks: [], stop: 'stop' },
      slots: new Map(),
      calls: [],
      finished: false,
    };
    this.states.push(state);
    return state;
  }

  private open(choice: number, block: number, value: Block): void {
    const state = this.stateAt(choice);
    // A copy: what streams in is added to it, and events belong to whoever emits them.
    const slot: Slot = { value: { ...value }, closed: false };
    state.slots.set(block, slot);
    state.choice.blocks.push(slot.value);
    if (value.type === 'tool-call') state.calls.push(slot);
    else if (!isFlowing(value)) this.writeBlock(choice, value);
    else if (value.text !== '') this.writeText(choice, value, value.text);
  }

  private writeDelta(event: Delta): void {
    const state = this.stateAt(event.choice);
    const value = state.slots.get(event.block)?.value;
    if (event.logprobs !== undefined) this.writeLogprobs(event.choice, event.logprobs);
    if (value === undefined) return;
    if (event.text !== undefined && event.text !== '' && isFlowing(value)) {
      value.text += event.text;
      this.writeText(event.choice, value, event.text);
    }
    if (event.input !== undefined && value.type === 'tool-call') value.input += event.input;
    if (value.type === 'reasoning') {
      if (event.signature !== undefined) value.signature = (value.signature ?? '') + event.signature;
      if (event.redacted !== undefined) value.redacted = event.redacted;
    }
    if (event.state !== undefined && (value.type === 'text' || value.type === 'tool-call'))
      value.state = event.state;
    if (event.citation !== undefined && value.type === 'text') {
      value.citations = [...(value.citations ?? []), event.citation];
    }
  }

  private close(choice: number, block: number): void {
    const state = this.stateAt(choice);
    const slot = state.slots.get(block);
    if (slot === undefined || slot.closed) return;
    slot.closed = true;
    const { value } = slot;
    if (value.type === 'tool-call') this.writeCalls(state);
    else if (isFlowing(value)) this.writeState(choice, value);
  }

  private writeCalls(state: State): void {
    while (state.calls[0]?.closed) {
      const { value } = state.calls.shift()!;
      this.writeBlock(state.choice.index, value);
    }
  }

  private writeBlock(choice: number, value: Block): void {
    const part = writeAnswerPart(value);
    if (part !== undefined) this.writePiece(choice, part);
  }

  private writeText(choice: number, value: Block, text: string): void {
    this.writePiece(
      choice,
      value.type === 'reasoning' ? thoughtPart(text, undefined) : textPart(text, undefined),
    );
  }

  /** A signature is known only after its text: it follows with none of its own. */
  private writeState(choice: number, value: Block): void {
    if (value.type === 'reasoning') {
      const signature = writeThoughtSignature(value);
      if (signature !== undefined) this.writePiece(choice, thoughtPart('', signature));
    } else if (value.type === 'text') {
      const signature = writeSignature(value.state, undefined);
      if (signature !== undefined) this.writePiece(choice, textPart('', signature));
    }
  }

  private writeLogprobs(index: number, logprobs: Json): void {
    const logprobsResult = writeLogprobs(logprobs);
    if (logprobsResult === undefined) return;
    this.writeChunk(index, JSON.stringify({ content: silence, index, logprobsResult }));
  }

  private writePiece(index: number, part: JsonObject): void {
    this.writeChunk(index, `{"content":{"parts":[${JSON.stringify(part)}],"role":"model"},"index":${index}}`);
  }

  /** The first place in every chunk is the first candidate's: clients that want only one do not look at the index. */
  private writeChunk(index: number, candidate: string): void {
    if (this.names === '') this.names = JSON.stringify(writeNames(this.answer)).slice(1);
    let before = '';
    if (index !== 0) {
      this.stateAt(0);
      before = `${JSON.stringify({ content: silence, index: 0 })},`;
    }
    this.frame(`{"candidates":[${before}${candidate}],${this.names}`);
  }

  private frame(json: string): void {
    if (this.wish.array) this.emit(`${this.begun ? ',\n' : '['}${json}\n`);
    else this.emit(`data: ${json}\r\n\r\n`);
    this.begun = true;
  }

  private end(): void {
    if (this.states.length === 0) this.stateAt(0);
    this.states.sort((a, b) => a.choice.index - b.choice.index);
    const candidates = this.states.flatMap((state): JsonObject | [] => {
      for (const slot of state.slots.values()) slot.closed = true;
      this.writeCalls(state);
      return writeCandidate(state.choice, []) ?? [];
    });
    this.frame(
      JSON.stringify({
        ...(candidates.length > 0 && { candidates }),
        ...writeEnvelope(this.answer, this.usage, this.states[0]?.choice.extra),
      }),
    );
    if (this.wish.array) this.emit(']');
  }
}

/** Clients take a content without parts for a broken one. */
const silence: JsonObject = { parts: [{ text: '' }], role: 'model' };

function isFlowing(block: Block): block is Extract<Block, { type: 'text' | 'reasoning' | 'refusal' }> {
  return block.type === 'text' || block.type === 'reasoning' || block.type === 'refusal';
}
