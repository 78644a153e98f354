/** Reads a streamed answer of Ollama, line by line: https://docs.ollama.com/api/streaming */
import type { Block, ChatEvent } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { StreamReader } from '../dialect.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { readCreated, readExtra, readLogprobs, readStop, readUsage } from './answer.ts';
import { identify, readCall, readImages } from './message.ts';

export class OllamaStreamReader implements StreamReader {
  private started = false;
  /** `end` or `error` was emitted. */
  private over = false;
  private blocks = 0;
  private calls = 0;
  /** The block that text flows into, the last one opened; undefined when none is open. */
  private flowing: 'text' | 'reasoning' | undefined;

  constructor(private readonly emit: (event: ChatEvent) => void) {}

  push(_name: string, line: string): void {
    if (this.over || line === '') return;
    let value: Json;
    try {
      value = JSON.parse(line);
    } catch {
      this.fail('a line is not valid JSON');
      return;
    }
    if (!isObject(value)) this.fail('a line is not an object');
    else if ((value.error ?? null) !== null) this.finishWith(classifyErrorPayload(value));
    else if (!isObject(value.message)) this.fail('a line has no message');
    else this.read(value, value.message);
  }

  /** The answer ends with a line that says so: without it, it was cut, and nothing is emitted. */
  end(): void {}

  private read(line: JsonObject, message: JsonObject): void {
    this.begin(line);
    const logprobs = readLogprobs(line.logprobs);
    const thought = this.pour('reasoning', message.thinking, logprobs);
    const said = this.pour('text', message.content, thought ? undefined : logprobs);
    if (logprobs !== undefined && !thought && !said) {
      this.emit({ type: 'delta', choice: 0, block: Math.max(0, this.blocks - 1), logprobs });
    }
    for (const block of readImages(message.images)) this.openWhole(block);
    if (Array.isArray(message.tool_calls)) {
      for (const value of message.tool_calls) this.readCall(value, line.created_at);
    }
    if (line.done === true) this.finish(line);
  }

  private begin({ model, created_at: createdAt }: JsonObject): void {
    if (this.started) return;
    this.started = true;
    const start: ChatEvent = { type: 'start', id: '', model: typeof model === 'string' ? model : '' };
    const created = readCreated(createdAt);
    if (created !== undefined) start.created = created;
    this.emit(start);
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

  /** @returns whether there was any text. */
  private pour(kind: 'text' | 'reasoning', text: Json | undefined, logprobs: Json | undefined): boolean {
    if (typeof text !== 'string' || text === '') return false;
    if (this.flowing !== kind) {
      this.open({ type: kind, text: '' });
      this.flowing = kind;
    }
    const delta: ChatEvent = { type: 'delta', choice: 0, block: this.blocks - 1, text };
    if (logprobs !== undefined) delta.logprobs = logprobs;
    this.emit(delta);
    return true;
  }

  private open(value: Block): void {
    this.closeFlow();
    this.emit({ type: 'block', choice: 0, block: this.blocks++, value });
  }

  private closeFlow(): void {
    if (this.flowing === undefined) return;
    this.flowing = undefined;
    this.close();
  }

  private close(): void {
    this.emit({ type: 'close', choice: 0, block: this.blocks - 1 });
  }

  private openWhole(value: Block): void {
    this.open(value);
    this.close();
  }

  /** Calls come whole. */
  private readCall(value: Json, createdAt: Json | undefined): void {
    const read = readCall(value);
    if (read === undefined) return;
    const { input, ...call } = identify(read, this.calls++, createdAt);
    this.open({ ...call, input: '' });
    this.emit({ type: 'delta', choice: 0, block: this.blocks - 1, input });
    this.close();
  }

  private finish(line: JsonObject): void {
    this.closeFlow();
    const stop = readStop(line.done_reason, this.calls > 0);
    const extra = readExtra(line);
    this.emit({ type: 'finish', choice: 0, stop, ...(extra !== undefined && { extra }) });
    const usage = readUsage(line);
    if (usage !== undefined) this.emit({ type: 'usage', usage });
    this.over = true;
    this.emit({ type: 'end' });
  }
}
