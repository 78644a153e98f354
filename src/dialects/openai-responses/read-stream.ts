/** Reads a streamed answer of OpenAI Responses: https://platform.openai.com/docs/api-reference/responses-streaming */
import type { ChatEvent } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { StreamReader } from '../dialect.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { ItemStream } from './item-stream.ts';
import { ownMark, readAnswerExtra, readFailure, readStop, textOf } from './response.ts';
import { readAnswerUsage } from './usage.ts';

/** An event's type; some hosts name the event only. */
export function typeOf(event: string, { type }: JsonObject): string {
  return typeof type === 'string' ? type : event;
}

/** @returns the event, or the error that it is none. */
export function parseEvent(data: string): JsonObject | GatewayError {
  try {
    const value: Json = JSON.parse(data);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  return new GatewayError('upstream_invalid', 'The provider sent a piece of its stream that is not JSON.');
}

/** The failure an event reports, if it does; some hosts send errors without a type. */
export function eventFailure(type: string, value: JsonObject): GatewayError | undefined {
  if (type === 'error' || (value.error !== undefined && value.error !== null))
    return classifyErrorPayload(value);
  if (type !== 'response.failed' && type !== 'response.cancelled') return undefined;
  return readFailure({
    ...(isObject(value.response) ? value.response : {}),
    status: type.slice('response.'.length),
  });
}

export class ResponsesReader implements StreamReader {
  private readonly items: ItemStream;
  private started = false;
  private over = false;

  constructor(private readonly emit: (event: ChatEvent) => void) {
    this.items = new ItemStream((event) => {
      this.start(undefined);
      emit(event);
    });
  }

  push(event: string, data: string): void {
    if (this.over || data === '' || data === '[DONE]') return;
    const value = parseEvent(data);
    if (value instanceof GatewayError) {
      this.fail(value);
      return;
    }
    const type = typeOf(event, value);
    const failure = eventFailure(type, value);
    if (failure === undefined) this.read(type, value);
    else this.fail(failure);
  }

  /** The last event is the only end there is: without it the answer was cut. */
  end(): void {
    this.over = true;
  }

  get pending(): boolean {
    return this.items.pending;
  }

  private fail(error: GatewayError): void {
    this.over = true;
    this.emit({ type: 'error', error });
  }

  private read(type: string, value: JsonObject): void {
    switch (type) {
      case 'response.output_text.delta':
        this.items.addText(value, 'text');
        return;
      case 'response.refusal.delta':
        this.items.addText(value, 'refusal');
        return;
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        this.items.addInput(value);
        return;
      case 'response.reasoning_summary_text.delta':
        this.items.addReasoning(value, 'summary', value.summary_index);
        return;
      case 'response.reasoning_text.delta':
        this.items.addReasoning(value, 'content', value.content_index);
        return;
      case 'response.output_text.annotation.added':
        this.items.addCitation(value);
        return;
      case 'response.output_item.added':
        if (isObject(value.item)) this.items.begin(value.output_index, value.item);
        return;
      case 'response.output_item.done':
        if (isObject(value.item)) this.items.finish(value.output_index, value.item);
        return;
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        this.start(value.response);
        return;
      case 'response.completed':
      case 'response.incomplete':
        this.finish(type, isObject(value.response) ? value.response : {});
    }
  }

  private start(response: Json | undefined): void {
    if (this.started) return;
    this.started = true;
    const { id, model, created_at: created }: JsonObject = isObject(response) ? response : {};
    const start: ChatEvent = { type: 'start', id: textOf(id), model: textOf(model), extra: ownMark };
    this.emit(typeof created === 'number' ? { ...start, created } : start);
  }

  private finish(type: string, response: JsonObject): void {
    this.start(response);
    this.items.finishAll(Array.isArray(response.output) ? response.output : []);
    this.over = true;
    const status = type.slice('response.'.length);
    const stop = readStop({ ...response, status }, this.items.called);
    this.emit({ type: 'finish', choice: 0, stop, extra: readAnswerExtra({ ...response, status }) });
    const usage = readAnswerUsage(response);
    if (usage !== undefined) this.emit({ type: 'usage', usage });
    this.emit({ type: 'end' });
  }
}
