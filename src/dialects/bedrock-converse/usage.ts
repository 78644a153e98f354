/** Token counts: on this wire `inputTokens` leaves cached tokens out, in the hub `input` includes them. */
import { isObject, type Json } from '../../core/json.ts';
import { count, emptyUsage, type Usage } from '../../core/usage.ts';

/** Counts come twice, under names that end in `Tokens` and in `TokenCount`: the second ones say nothing new. */
export function readUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  const usage = emptyUsage();
  const written = count(value.cacheWriteInputTokens);
  usage.cacheRead = count(value.cacheReadInputTokens);
  // Writes whose lifetime is not told: what the split leaves over counts as five minutes.
  usage.cacheWrite1h = Math.min(hourTokens(value.cacheDetails), written);
  usage.cacheWrite5m = written - usage.cacheWrite1h;
  usage.input = count(value.inputTokens) + usage.cacheRead + written;
  usage.output = count(value.outputTokens);
  return usage;
}

function hourTokens(details: Json | undefined): number {
  let tokens = 0;
  for (const each of Array.isArray(details) ? details : []) {
    if (isObject(each) && each.ttl === '1h') tokens += count(each.inputTokens);
  }
  return tokens;
}
