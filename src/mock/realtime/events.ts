/** An answer of a realtime session in the events that tell it. https://platform.openai.com/docs/api-reference/realtime-server-events */
import type { Json, JsonObject } from '../../core/json.ts';
import { countTokens, cutText, type Part, type Plan, type Tokens } from '../plan.ts';

export type ServerEvent = JsonObject & { type: string };

interface Wish {
  newId(prefix: string): string;
  /** Text is spoken, and told beside it. */
  speaks: boolean;
  /** Tokens of audio that were heard. */
  heard: number;
  metadata: Json | undefined;
}

const bytesPerS = 48_000;

/** A token of what is heard for every 100 ms, of what is said for every 50. */
export const audioTokens = {
  heard: (bytes: number): number => Math.ceil((bytes / bytesPerS) * 10),
  saidBytes: (tokens: number): number => (tokens / 20) * bytesPerS,
};

export function sayResponse(plan: Plan, wish: Wish): ServerEvent[] {
  const { newId, metadata } = wish;
  const id = newId('resp_');
  const response: JsonObject = {
    object: 'realtime.response',
    id,
    status: 'in_progress',
    status_details: null,
    output: [],
    metadata: metadata ?? null,
    usage: null,
  };
  const events: ServerEvent[] = [{ type: 'response.created', response }];
  const output: JsonObject[] = [];
  for (const part of plan.parts) {
    const item = sayPart(events, part, plan.pieceLength, wish, {
      response_id: id,
      output_index: output.length,
    });
    output.push(item);
  }
  const status = plan.stop === 'length' ? 'incomplete' : 'completed';
  const details = plan.stop === 'length' ? { type: status, reason: 'max_output_tokens' } : null;
  const usage = plan.usage === undefined ? null : usageOf(plan.usage, wish);
  events.push({
    type: 'response.done',
    response: { ...response, status, status_details: details, output, usage },
  });
  return events;
}

/** @returns the item as it stands when it is done. */
function sayPart(
  events: ServerEvent[],
  part: Part,
  pieceLength: number,
  wish: Wish,
  at: { response_id: string; output_index: number },
): JsonObject {
  const begin = (item: JsonObject): void => {
    events.push({ type: 'response.output_item.added', ...at, item: { ...item, status: 'in_progress' } });
  };
  const end = (item: JsonObject): JsonObject => {
    const done = { ...item, status: 'completed' };
    events.push({ type: 'response.output_item.done', ...at, item: done });
    return done;
  };
  if (part.type === 'tool-call') {
    const item = { id: wish.newId('item_'), object: 'realtime.item', type: 'function_call', name: part.name };
    const calls = { ...at, item_id: item.id, call_id: part.id };
    begin({ ...item, call_id: part.id, arguments: '' });
    for (const delta of cutText(part.input, pieceLength)) {
      events.push({ type: 'response.function_call_arguments.delta', ...calls, delta });
    }
    events.push({ type: 'response.function_call_arguments.done', ...calls, arguments: part.input });
    return end({ ...item, call_id: part.id, arguments: part.input });
  }
  const item = { id: wish.newId('item_'), object: 'realtime.item', type: 'message', role: 'assistant' };
  begin({ ...item, content: [] });
  const words = wish.speaks ? 'transcript' : 'text';
  const content = { type: wish.speaks ? 'output_audio' : 'output_text', [words]: part.text };
  const where = { ...at, item_id: item.id, content_index: 0 };
  events.push({ type: 'response.content_part.added', ...where, part: { ...content, [words]: '' } });
  for (const delta of cutText(part.text, pieceLength)) {
    events.push({
      type: `response.output_${wish.speaks ? 'audio_transcript' : 'text'}.delta`,
      ...where,
      delta,
    });
    if (wish.speaks) events.push({ type: 'response.output_audio.delta', ...where, delta: silence(delta) });
  }
  if (wish.speaks) events.push({ type: 'response.output_audio.done', ...where });
  events.push({
    type: `response.output_${wish.speaks ? 'audio_transcript' : 'text'}.done`,
    ...where,
    [words]: part.text,
  });
  events.push({ type: 'response.content_part.done', ...where, part: content });
  return end({ ...item, content: [content] });
}

/** As long as a text takes to say. */
function silence(text: string): string {
  return Buffer.alloc(audioTokens.saidBytes(spokenTokens(text.length))).toString('base64');
}

function spokenTokens(length: number): number {
  return countTokens(length) * 4;
}

function usageOf({ input, cached, output, reasoning }: Tokens, { speaks, heard }: Wish): JsonObject {
  const spoken = speaks ? spokenTokens(output * 4) : 0;
  return {
    total_tokens: input + heard + output + spoken,
    input_tokens: input + heard,
    output_tokens: output + spoken,
    input_token_details: {
      text_tokens: input,
      audio_tokens: heard,
      image_tokens: 0,
      cached_tokens: cached,
      cached_tokens_details: { text_tokens: cached, audio_tokens: 0, image_tokens: 0 },
    },
    output_token_details: {
      text_tokens: output,
      audio_tokens: spoken,
      ...(reasoning > 0 && { reasoning_tokens: reasoning }),
    },
  };
}
