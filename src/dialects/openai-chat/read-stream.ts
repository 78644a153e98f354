/**
 * Reads a streamed answer, with the freedoms that hosts take:
 * https://platform.openai.com/docs/api-reference/chat/streaming
 */
import type { Block, ChatEvent, ToolCallBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Usage, withTier } from '../../core/usage.ts';
import type { StreamReader } from '../dialect.ts';
import type { Quirks } from '../quirks.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import {
  choiceFailure,
  legacyCall,
  opaqueMembers,
  readAnnotation,
  readFinish,
  readMade,
  readThought,
  splitContent,
} from './answer.ts';
import { others } from './content.ts';
import { readArguments } from './read-request.ts';
import { takeState } from './state.ts';
import { readUsage } from './usage.ts';

type Emit = (event: ChatEvent) => void;
type Running = 'text' | 'reasoning' | 'refusal';

/** A tool call that is being streamed. */
interface Slot {
  /** The `index` it came with; -1 without one. */
  index: number;
  /** The id the provider gave; '' when it gave none. */
  id: string;
  name: string;
  /** Block number; -1 until its name is known. */
  block: number;
  /** Arguments so far. */
  input: string;
}

interface ChoiceState {
  index: number;
  nextBlock: number;
  /** The block that text, reasoning or a refusal flows into; -1 when none is open. */
  open: number;
  running: Running;
  slots: Slot[];
  finish: Json | undefined;
  stopReason: Json | undefined;
}

const chunkMembers = new Set([
  'id',
  'object',
  'created',
  'model',
  'choices',
  'usage',
  'error',
  'obfuscation',
  'p',
  'x_groq',
]);

/** The error of an event that reports one; undefined for a chunk. `name` is the SSE event's. */
export function streamFailure(name: string, chunk: JsonObject): GatewayError | undefined {
  if (chunk.error !== undefined && chunk.error !== null) return classifyErrorPayload(chunk);
  // vLLM's older form is {"object":"error","message":…}.
  if (name === 'error' || chunk.object === 'error') return classifyErrorPayload(chunk);
  return undefined;
}

/** @returns the chunk, or the error that it is none. */
export function parseChunk(data: string): JsonObject | GatewayError {
  try {
    const chunk: Json = JSON.parse(data);
    if (isObject(chunk)) return chunk;
  } catch {
    // Said below.
  }
  return new GatewayError('upstream_invalid', 'The provider sent a piece of its stream that is not JSON.');
}

/** Usage a chunk brings, in its own place or Groq's. */
export function chunkUsage(chunk: JsonObject, quirks: Quirks): Usage | undefined {
  const told = isObject(chunk.usage) || !isObject(chunk.x_groq) ? chunk.usage : chunk.x_groq.usage;
  return withTier(readUsage(told, quirks), chunk.service_tier);
}

/**
 * Finishes are held back until the stream ends: hosts repeat them, and send text or report failures after them.
 * Usage is cumulative wherever it comes more than once, so the last one holds.
 */
export class ChatStreamReader implements StreamReader {
  private started = false;
  private ended = false;
  private usage: Usage | undefined;
  private readonly choices: ChoiceState[] = [];

  constructor(
    private readonly emit: Emit,
    private readonly quirks: Quirks,
  ) {}

  push(event: string, data: string): void {
    if (this.ended || data === '') return;
    if (data === '[DONE]') {
      this.finish(true);
      return;
    }
    const chunk = parseChunk(data);
    if (chunk instanceof GatewayError) {
      this.fail(chunk);
      return;
    }
    this.pushChunk(event, chunk);
  }

  /** The same of a chunk that is parsed already. */
  pushChunk(event: string, chunk: JsonObject): void {
    if (this.ended) return;
    const failure = streamFailure(event, chunk);
    if (failure !== undefined) {
      this.fail(failure);
      return;
    }
    const { choices } = chunk;
    if (Array.isArray(choices)) {
      for (let i = 0; i < choices.length && !this.ended; i++) {
        const choice = choices[i];
        if (isObject(choice)) this.pushChoice(choice, i, chunk);
      }
    }
    this.usage = chunkUsage(chunk, this.quirks) ?? this.usage;
  }

  get pending(): boolean {
    return this.choices.some(({ slots }) => slots.some(({ block }) => block === -1));
  }

  end(): void {
    if (!this.ended) this.finish(false);
  }

  private fail(error: GatewayError): void {
    this.ended = true;
    this.emit({ type: 'error', error });
  }

  private start(chunk: JsonObject): void {
    this.started = true;
    const start: Extract<ChatEvent, { type: 'start' }> = {
      type: 'start',
      id: typeof chunk.id === 'string' ? chunk.id : '',
      model: typeof chunk.model === 'string' ? chunk.model : '',
    };
    if (typeof chunk.created === 'number') start.created = chunk.created;
    const extra = others(chunk, chunkMembers);
    if (extra !== undefined) start.extra = extra;
    this.emit(start);
  }

  private pushChoice(choice: JsonObject, position: number, chunk: JsonObject): void {
    const failure = choiceFailure(choice);
    if (failure !== undefined) {
      this.fail(failure);
      return;
    }
    if (!this.started) this.start(chunk);
    const index = typeof choice.index === 'number' ? choice.index : position;
    const state = this.choiceAt(index);
    const delta = isObject(choice.delta) ? choice.delta : undefined;
    let logprobs = choice.logprobs ?? undefined;
    if (delta !== undefined && this.pushDelta(state, delta, logprobs)) logprobs = undefined;
    if (logprobs !== undefined) {
      this.emit({ type: 'delta', choice: index, block: Math.max(0, state.nextBlock - 1), logprobs });
    }
    if (choice.finish_reason !== undefined && choice.finish_reason !== null) {
      state.finish ??= choice.finish_reason;
      state.stopReason ??= choice.stop_reason ?? undefined;
    }
  }

  /** @returns whether the log-probabilities went out with a piece of text. */
  private pushDelta(state: ChoiceState, delta: JsonObject, logprobs: Json | undefined): boolean {
    const { content } = delta;
    let told = false;
    let text = '';
    let thought = '';
    if (typeof content === 'string') text = content;
    else if (Array.isArray(content)) ({ text, thought } = splitContent(content));
    if (thought === '') thought = readThought(delta);
    if (thought !== '') {
      this.flow(state, 'reasoning', thought, logprobs);
      told = true;
    }
    if (text !== '') {
      this.flow(state, 'text', text, told ? undefined : logprobs);
      told = true;
    }
    if (typeof delta.refusal === 'string' && delta.refusal !== '') {
      this.flow(state, 'refusal', delta.refusal, told ? undefined : logprobs);
      told = true;
    }
    if (Array.isArray(delta.tool_calls)) {
      for (const call of delta.tool_calls) if (isObject(call)) this.pushToolCall(state, call);
    }
    if (isObject(delta.function_call)) {
      this.pushToolCall(state, { ...legacyCall, index: legacyIndex, function: delta.function_call });
    }
    if (Array.isArray(delta.annotations)) this.pushAnnotations(state, delta.annotations);
    for (const name of opaqueMembers) {
      const value = delta[name];
      if (value !== undefined && value !== null) this.pushMade(state, name, value);
    }
    return told;
  }

  private choiceAt(index: number): ChoiceState {
    for (const state of this.choices) if (state.index === index) return state;
    const state: ChoiceState = {
      index,
      nextBlock: 0,
      open: -1,
      running: 'text',
      slots: [],
      finish: undefined,
      stopReason: undefined,
    };
    this.choices.push(state);
    return state;
  }

  private flow(state: ChoiceState, kind: Running, text: string, logprobs: Json | undefined): void {
    this.openFlow(state, kind);
    this.emit(
      logprobs === undefined
        ? { type: 'delta', choice: state.index, block: state.open, text }
        : { type: 'delta', choice: state.index, block: state.open, text, logprobs },
    );
  }

  private openFlow(state: ChoiceState, kind: Running): void {
    if (state.open !== -1 && state.running === kind) return;
    this.closeFlow(state);
    state.running = kind;
    state.open = this.openBlock(state, { type: kind, text: '' });
  }

  private closeFlow(state: ChoiceState): void {
    if (state.open === -1) return;
    this.emit({ type: 'close', choice: state.index, block: state.open });
    state.open = -1;
  }

  private openBlock(state: ChoiceState, value: Block): number {
    const block = state.nextBlock++;
    this.emit({ type: 'block', choice: state.index, block, value });
    return block;
  }

  private pushAnnotations(state: ChoiceState, annotations: Json[]): void {
    for (const citation of annotations.flatMap(readAnnotation)) {
      this.openFlow(state, 'text');
      this.emit({ type: 'delta', choice: state.index, block: state.open, citation });
    }
  }

  private pushMade(state: ChoiceState, name: string, value: Json): void {
    this.closeFlow(state);
    for (const made of readMade(name, value)) {
      const block = this.openBlock(state, made);
      this.emit({ type: 'close', choice: state.index, block });
    }
  }

  // Tool calls

  private pushToolCall(state: ChoiceState, call: JsonObject): void {
    const custom = call.type === 'custom' || (call.function === undefined && isObject(call.custom));
    const value = custom ? call.custom : call.function;
    const spec = isObject(value) ? value : {};
    const id = typeof call.id === 'string' ? call.id : '';
    const name = typeof spec.name === 'string' ? spec.name : '';
    const args = custom ? spec.input : spec.arguments;
    const index = typeof call.index === 'number' ? call.index : -1;
    // A fragment of text is taken as it is, except as a whole: see readArguments.
    const input = typeof args === 'string' && name === '' ? args : readArguments(args);
    let slot = findSlot(state.slots, index, id, name, input);
    if (slot === undefined) {
      slot = { index, id, name, block: -1, input: '' };
      state.slots.push(slot);
    }
    if (slot.id === '') slot.id = id;
    if (slot.name === '') slot.name = name;
    slot.input += input;
    let piece = input;
    if (slot.block === -1) {
      if (name === '') return;
      this.closeFlow(state);
      slot.block = this.openBlock(state, startCall(call, slot.id, name, custom));
      piece = slot.input;
    }
    if (piece !== '') this.emit({ type: 'delta', choice: state.index, block: slot.block, input: piece });
  }

  // The end

  private finish(done: boolean): void {
    const whole = this.choices.length > 0 && this.choices.every((state) => state.finish !== undefined);
    if (!whole && !done) return;
    this.ended = true;
    if (this.choices.length === 0) {
      const error = new GatewayError(
        'upstream_invalid',
        'The provider ended its stream without an answer in it.',
      );
      this.emit({ type: 'error', error });
      return;
    }
    for (const state of this.choices) this.finishChoice(state);
    if (this.usage !== undefined) this.emit({ type: 'usage', usage: this.usage });
    this.emit({ type: 'end' });
  }

  private finishChoice(state: ChoiceState): void {
    const { index: choice } = state;
    this.closeFlow(state);
    for (const slot of state.slots)
      if (slot.block !== -1) this.emit({ type: 'close', choice, block: slot.block });
    const called = state.slots.some((slot) => slot.block !== -1);
    const stop = readFinish(state.finish, called);
    if (stop === 'stop' && typeof state.stopReason === 'string') {
      this.emit({ type: 'finish', choice, stop: 'stop_sequence', stopSequence: state.stopReason });
    } else {
      this.emit({ type: 'finish', choice, stop });
    }
  }
}

const callMembers = new Set(['id', 'type', 'index', 'function', 'custom']);

/** What the fragments of the one call before tools are known by. */
const legacyIndex = -2;

function startCall(call: JsonObject, id: string, name: string, custom: boolean): ToolCallBlock {
  const block: ToolCallBlock = { type: 'tool-call', id: id === '' ? randomId('call_') : id, name, input: '' };
  if (custom) block.custom = true;
  const extra = others(call, callMembers);
  if (extra !== undefined) block.extra = extra;
  return takeState(block);
}

/**
 * The call a fragment belongs to; undefined when it begins one. OpenAI counts with `index` and sends id and name
 * once. Others repeat them, leave the index out (Mistral), send 0 for every call, or no id (Gemini).
 */
function findSlot(
  slots: readonly Slot[],
  index: number,
  id: string,
  name: string,
  input: string,
): Slot | undefined {
  if (id !== '') {
    const same = slots.find((slot) => slot.id === id && (index === -1 || slot.index === index));
    if (same !== undefined) return same;
    // A new id with a name is a new call, unless fragments had come before both.
    if (name !== '') return slots.findLast((slot) => slot.index === index && slot.block === -1);
  }
  const last = index === -1 ? slots.at(-1) : slots.findLast((slot) => slot.index === index);
  if (last === undefined || name === '' || last.block === -1) return last;
  // Named without an id: the next call if it is another tool or the last is whole, a repetition otherwise.
  return index === -1 || last.name !== name || (input !== '' && isWhole(last.input)) ? undefined : last;
}

function isWhole(input: string): boolean {
  try {
    JSON.parse(input);
    return true;
  } catch {
    return false;
  }
}
