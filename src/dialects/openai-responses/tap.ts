/** Watches a Responses stream that is relayed as bytes. */
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { Tap } from '../dialect.ts';
import { eventFailure, parseEvent, typeOf } from './read-stream.ts';
import { readAnswerUsage } from './usage.ts';

/** The last word of every stream, and what goes wrong before it. */
export const tapMarkers: readonly string[] = [
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.cancelled',
  '"error"',
  'event: error',
  'event:error',
];

export class ResponsesTap implements Tap {
  usage: Usage | undefined;
  meaningful = false;
  complete = false;
  terminated = false;
  error: GatewayError | undefined;

  push(event: string, data: string): boolean {
    if (this.terminated || data === '' || data === '[DONE]') return true;
    // Content passes unread once an answer has begun.
    if (this.meaningful && event.endsWith('.delta')) return true;
    const value = parseEvent(data);
    if (value instanceof GatewayError) this.error ??= value;
    else this.look(typeOf(event, value), value);
    return true;
  }

  private look(type: string, value: JsonObject): void {
    const failure = eventFailure(type, value);
    if (failure !== undefined) {
      this.error ??= failure;
      return;
    }
    if (type.endsWith('.delta')) this.meaningful ||= value.delta !== '';
    else if (type === 'response.output_item.added' || type === 'response.output_item.done') {
      if (isObject(value.item) && saysSomething(value.item)) this.meaningful = true;
    } else if (type === 'response.completed' || type === 'response.incomplete') {
      if (isObject(value.response)) this.usage = readAnswerUsage(value.response) ?? this.usage;
      this.meaningful = true;
      this.complete = true;
      this.terminated = true;
    }
  }
}

/** Messages and reasoning open empty, and may stay so; other items say something by being there. */
function saysSomething({ type, content, summary }: JsonObject): boolean {
  if (type !== 'message' && type !== 'reasoning') return true;
  const parts = [content, summary].flatMap((list) => (Array.isArray(list) ? list : []));
  return parts.some((part) => isObject(part) && (part.text ?? part.refusal ?? '') !== '');
}
