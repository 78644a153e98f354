/** Reads a streamed answer of Cohere, event by event: https://docs.cohere.com/docs/streaming */
import type { Block, ChatEvent, ToolCallBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { StreamReader } from '../dialect.ts';
import { others } from '../openai-chat/content.ts';
import { readArguments } from '../openai-chat/read-request.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { failureOf, isAboutText, readCitations, readLogprobs, readStop } from './answer.ts';
import { planBlock } from './content.ts';
import { readUsage } from './usage.ts';

/** The block that text flows into. It stays open until another begins, for its citations may come after it. */
interface Flow {
  block: number;
  kind: 'text' | 'thinking' | 'plan';
  /** Of the content part; undefined for a plan. */
  index: Json | undefined;
  /** What has come of it, which citations count in. */
  text: string;
}

/** A tool call that is being streamed. */
interface Call {
  block: number;
  begun: boolean;
}

const callMembers = new Set(['id', 'type', 'function']);

export class CohereStreamReader implements StreamReader {
  private started = false;
  /** `end` or `error` was emitted. */
  private over = false;
  private blocks = 0;
  private flow: Flow | undefined;
  /** By index; calls are counted apart from content. */
  private readonly calls = new Map<Json | undefined, Call>();
  private called = false;
  private readonly unplaced: JsonObject[] = [];

  constructor(private readonly emit: (event: ChatEvent) => void) {}

  push(name: string, data: string): void {
    if (this.over || data === '') return;
    // The last word comes after `message-end`, which ended the answer.
    if (data === '[DONE]') {
      this.fail('it ended before the answer was finished');
      return;
    }
    let event: Json;
    try {
      event = JSON.parse(data);
    } catch {
      this.fail('an event is not valid JSON');
      return;
    }
    if (!isObject(event)) {
      this.fail('an event is not an object');
      return;
    }
    this.read(event, name);
  }

  /** The answer ends with `message-end`: without it, it was cut, and nothing is emitted. */
  end(): void {}

  private read(event: JsonObject, name: string): void {
    const delta = isObject(event.delta) ? event.delta : {};
    const message = isObject(delta.message) ? delta.message : {};
    switch (event.type) {
      case 'message-start':
        this.begin(event.id);
        return;
      case 'content-start':
      case 'content-delta':
        this.readContent(event, message.content);
        return;
      case 'tool-plan-delta':
        this.pour('plan', undefined, message.tool_plan, undefined);
        return;
      case 'tool-call-start':
        this.startCall(event.index, message.tool_calls);
        return;
      case 'tool-call-delta':
        this.readCallPiece(event.index, message.tool_calls);
        return;
      case 'tool-call-end':
        this.closeCall(event.index);
        return;
      case 'citation-start':
        this.cite(message.citations);
        return;
      case 'message-end':
        this.finish(delta);
        return;
      default:
        this.readOther(event, name);
    }
  }

  /** Events yet to be invented are to be ignored; an error in whatever shape is not. */
  private readOther(event: JsonObject, name: string): void {
    const bare = event.type === undefined && typeof event.message === 'string';
    if (name === 'error' || bare || (event.error ?? null) !== null)
      this.finishWith(classifyErrorPayload(event));
  }

  private begin(id: Json | undefined): void {
    if (this.started) return;
    this.started = true;
    // The wire does not name the model.
    this.emit({ type: 'start', id: typeof id === 'string' ? id : '', model: '' });
  }

  private fail(what: string): void {
    this.finishWith(
      new GatewayError('upstream_invalid', `The provider's stream is not understood: ${what}.`),
    );
  }

  private finishWith(error: GatewayError): void {
    this.over = true;
    this.emit({ type: 'error', error });
  }

  // Content

  private readContent(event: JsonObject, content: Json | undefined): void {
    const { text, thinking } = isObject(content) ? content : ({} as JsonObject);
    const logprobs = readLogprobs(event.logprobs);
    if (typeof thinking === 'string' && thinking !== '')
      this.pour('thinking', event.index, thinking, logprobs);
    else this.pour('text', event.index, text, logprobs);
  }

  private pour(
    kind: Flow['kind'],
    index: Json | undefined,
    text: Json | undefined,
    logprobs: Json | undefined,
  ): void {
    if (typeof text !== 'string' || text === '') {
      if (logprobs === undefined) return;
      this.begin(undefined);
      this.emit({ type: 'delta', choice: 0, block: Math.max(0, this.blocks - 1), logprobs });
      return;
    }
    let { flow } = this;
    if (flow === undefined || flow.kind !== kind || flow.index !== index) {
      this.closeFlow();
      flow = { block: this.open(startOf(kind)), kind, index, text: '' };
      this.flow = flow;
    }
    flow.text += text;
    const delta: ChatEvent = { type: 'delta', choice: 0, block: flow.block, text };
    if (logprobs !== undefined) delta.logprobs = logprobs;
    this.emit(delta);
  }

  private open(value: Block): number {
    this.begin(undefined);
    const block = this.blocks++;
    this.emit({ type: 'block', choice: 0, block, value });
    return block;
  }

  private closeFlow(): void {
    if (this.flow === undefined) return;
    this.emit({ type: 'close', choice: 0, block: this.flow.block });
    this.flow = undefined;
  }

  private cite(value: Json | undefined): void {
    const { flow } = this;
    for (const citation of Array.isArray(value) ? value : [value]) {
      if (!isObject(citation)) continue;
      if (flow?.kind !== 'text' || !isAboutText(citation, flow.index)) {
        this.unplaced.push(citation);
        continue;
      }
      for (const each of readCitations(citation, flow.text)) {
        this.emit({ type: 'delta', choice: 0, block: flow.block, citation: each });
      }
    }
  }

  // Tool calls

  /** The wire calls it `tool_calls`, but it is one. */
  private startCall(index: Json | undefined, value: Json | undefined): void {
    const call = isObject(value) ? value : {};
    const spec = isObject(call.function) ? call.function : {};
    if (typeof spec.name !== 'string') {
      this.fail('a tool call has no name');
      return;
    }
    this.closeFlow();
    this.closeCall(index);
    const id = typeof call.id === 'string' && call.id !== '' ? call.id : randomId('call_');
    const block: ToolCallBlock = { type: 'tool-call', id, name: spec.name, input: '' };
    const extra = others(call, callMembers);
    if (extra !== undefined) block.extra = extra;
    this.calls.set(index, { block: this.open(block), begun: false });
    this.called = true;
    this.addInput(index, spec.arguments);
  }

  private readCallPiece(index: Json | undefined, value: Json | undefined): void {
    if (!this.calls.has(index)) {
      this.fail('a piece belongs to no open tool call');
      return;
    }
    const spec = isObject(value) ? value.function : undefined;
    this.addInput(index, isObject(spec) ? spec.arguments : undefined);
  }

  private addInput(index: Json | undefined, value: Json | undefined): void {
    const call = this.calls.get(index);
    const input = typeof value === 'string' ? value : readArguments(value);
    if (call === undefined || input === '') return;
    call.begun = true;
    this.emit({ type: 'delta', choice: 0, block: call.block, input });
  }

  /** Tools without parameters are called without a piece of arguments. */
  private closeCall(index: Json | undefined): void {
    const call = this.calls.get(index);
    if (call === undefined) return;
    if (!call.begun) this.addInput(index, '{}');
    this.calls.delete(index);
    this.emit({ type: 'close', choice: 0, block: call.block });
  }

  // The end

  private finish(delta: JsonObject): void {
    const failure = failureOf(delta.finish_reason, delta.error);
    if (failure !== undefined) {
      this.finishWith(failure);
      return;
    }
    this.begin(undefined);
    this.closeFlow();
    for (const index of [...this.calls.keys()]) this.closeCall(index);
    const finish: ChatEvent = { type: 'finish', choice: 0, stop: readStop(delta.finish_reason, this.called) };
    if (this.unplaced.length > 0) finish.extra = { citations: this.unplaced };
    this.emit(finish);
    const usage = readUsage(delta.usage);
    if (usage !== undefined) this.emit({ type: 'usage', usage });
    this.over = true;
    this.emit({ type: 'end' });
  }
}

function startOf(kind: Flow['kind']): Block {
  if (kind === 'plan') return planBlock('');
  return kind === 'text' ? { type: 'text', text: '' } : { type: 'reasoning', text: '' };
}
