/** Usage as realtime events tell it. https://platform.openai.com/docs/guides/realtime-costs */
import { isObject, type Json } from '../../core/json.ts';
import { count, emptyUsage, normaliseUsage, type Usage } from '../../core/usage.ts';

/** Tokens, or seconds of audio (`type: "duration"`); undefined when it is neither. Cached tokens are part of the input. */
export function readUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  const usage = emptyUsage();
  if (typeof value.seconds === 'number') {
    usage.units = { millisecond: count(value.seconds * 1000) };
    return usage;
  }
  if (typeof value.input_tokens !== 'number' && typeof value.output_tokens !== 'number') return undefined;
  const inputs = isObject(value.input_token_details) ? value.input_token_details : {};
  const outputs = isObject(value.output_token_details) ? value.output_token_details : {};
  const cached = isObject(inputs.cached_tokens_details) ? inputs.cached_tokens_details : {};
  usage.input = count(value.input_tokens);
  usage.output = count(value.output_tokens);
  usage.cacheRead = count(inputs.cached_tokens);
  usage.audioInput = Math.min(count(inputs.audio_tokens), usage.input);
  usage.audioOutput = count(outputs.audio_tokens);
  usage.reasoning = count(outputs.reasoning_tokens);
  usage.imageInput = count(inputs.image_tokens);
  usage.cacheReadAudio = count(cached.audio_tokens);
  usage.cacheReadImage = count(cached.image_tokens);
  return normaliseUsage(usage);
}
