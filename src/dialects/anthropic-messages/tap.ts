/** Watches a relayed stream of Anthropic Messages for usage, its finish and errors. */
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { Tap } from '../dialect.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { addPasses, readUsage } from './usage.ts';

export class MessagesTap implements Tap {
  usage: Usage | undefined;
  /** The same without what was done beside the answer: later counts replace it. */
  private counted: Usage | undefined;
  private passes: Json | undefined;
  meaningful = false;
  complete = false;
  terminated = false;
  error: GatewayError | undefined;

  push(event: string, data: string): boolean {
    if (event === 'ping') return true;
    // Content passes unread once an answer has begun.
    if (this.meaningful && (event === 'content_block_delta' || event === 'content_block_stop')) return true;
    let value: Json;
    try {
      value = JSON.parse(data);
    } catch {
      this.error ??= new GatewayError('upstream_invalid', "The provider's stream is not valid JSON.");
      return true;
    }
    if (isObject(value)) this.read(event, value);
    return true;
  }

  private read(event: string, value: { [member: string]: Json | undefined }): void {
    switch (value.type) {
      case 'message_start':
        if (isObject(value.message)) this.usage = this.counted ??= readUsage(value.message.usage);
        return;
      case 'content_block_start':
        // A text block opens empty; other blocks say something by being there.
        if (isObject(value.content_block) && value.content_block.type !== 'text') this.meaningful = true;
        return;
      case 'content_block_delta':
        if (isObject(value.delta) && value.delta.text !== '') this.meaningful = true;
        return;
      case 'message_delta':
        this.counted = readUsage(value.usage, this.counted);
        if (isObject(value.usage) && value.usage.iterations !== undefined) this.passes = value.usage;
        this.usage = addPasses(this.counted, this.passes);
        if (isObject(value.delta) && typeof value.delta.stop_reason === 'string') {
          this.meaningful = true;
          this.complete = true;
        }
        return;
      case 'message_stop':
        this.terminated = this.complete;
        return;
      case 'error':
        this.error ??= classifyErrorPayload(value);
        return;
      default:
        if (event === 'error' || isObject(value.error)) this.error ??= classifyErrorPayload(value);
    }
  }
}
