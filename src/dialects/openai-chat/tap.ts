/** Watches a Chat Completions stream that is relayed as bytes. */
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { Tap } from '../dialect.ts';
import type { Quirks } from '../quirks.ts';
import { choiceFailure, opaqueMembers } from './answer.ts';
import { chunkUsage, parseChunk, streamFailure } from './read-stream.ts';

/**
 * `prompt_tokens` stands in every usage object, but not in the `"usage":null` of all other chunks; a finish reason is
 * text where it says something. Both spacings that JSON writers use are listed.
 */
export const tapMarkers: readonly string[] = [
  '"prompt_tokens"',
  '"finish_reason":"',
  '"finish_reason": "',
  '"error"',
  // The first chunk of every choice, so that an answer is not taken for complete while one of them goes on.
  '"role"',
  'event: error',
  'event:error',
  '[DONE]',
];

const speaking = [
  'content',
  'text',
  'reasoning_content',
  'reasoning',
  'reasoning_details',
  'refusal',
  'tool_calls',
  'function_call',
  ...opaqueMembers,
];

export class ChatTap implements Tap {
  usage: Usage | undefined;
  meaningful = false;
  complete = false;
  terminated = false;
  error: GatewayError | undefined;
  /** Whether each choice seen so far has finished, by its index. */
  private readonly finished = new Map<number, boolean>();

  constructor(
    private readonly quirks: Quirks,
    private readonly hideUsage: boolean,
  ) {}

  push(event: string, data: string): boolean {
    if (data === '') return true;
    if (data === '[DONE]') {
      this.terminated = true;
      this.complete = true;
      return true;
    }
    const chunk = parseChunk(data);
    if (chunk instanceof GatewayError) {
      this.error ??= chunk;
      return true;
    }
    const failure = streamFailure(event, chunk);
    if (failure !== undefined) this.error ??= failure;
    const choices = Array.isArray(chunk.choices) ? chunk.choices : [];
    for (let i = 0; i < choices.length; i++) {
      const choice = choices[i];
      if (isObject(choice)) this.look(choice, i);
    }
    const usage = chunkUsage(chunk, this.quirks);
    if (usage === undefined) return true;
    this.usage = usage;
    return !(this.hideUsage && Array.isArray(chunk.choices) && choices.length === 0);
  }

  private look(choice: JsonObject, position: number): void {
    const failure = choiceFailure(choice);
    if (failure !== undefined) this.error ??= failure;
    const index = typeof choice.index === 'number' ? choice.index : position;
    if (choice.finish_reason !== undefined && choice.finish_reason !== null && failure === undefined) {
      this.finished.set(index, true);
      this.meaningful = true;
    } else if (!this.finished.has(index)) this.finished.set(index, false);
    this.complete = this.terminated || allTrue(this.finished);
    if (this.meaningful) return;
    // Completions before chat say in the choice itself what chat says in its delta.
    const said = isObject(choice.delta) ? choice.delta : choice;
    for (const name of speaking) {
      const value = said[name];
      if (
        value === undefined ||
        value === null ||
        value === '' ||
        (Array.isArray(value) && value.length === 0)
      )
        continue;
      this.meaningful = true;
      return;
    }
  }
}

function allTrue(flags: ReadonlyMap<number, boolean>): boolean {
  for (const flag of flags.values()) if (!flag) return false;
  return true;
}
