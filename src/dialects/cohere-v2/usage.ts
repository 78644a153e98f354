/** Token counts of Cohere: what the model read and wrote, and what of it is billed. */
import { isObject, type Json } from '../../core/json.ts';
import { count, emptyUsage, normaliseUsage, type Usage } from '../../core/usage.ts';

/**
 * `tokens` counts all that went through the model, the tokens that Cohere itself adds around a prompt among them
 * (505 for a prompt of 10); those of images stand beside the others. Billed are `billed_units`, so they are kept for
 * the price. https://docs.cohere.com/docs/how-does-cohere-pricing-work
 * @returns undefined when `value` counts nothing.
 */
export function readUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  const tokens = isObject(value.tokens) ? value.tokens : undefined;
  const billed = isObject(value.billed_units) ? value.billed_units : undefined;
  const counted = tokens ?? billed;
  if (counted === undefined) return undefined;
  const usage = emptyUsage();
  usage.input = count(counted.input_tokens) + count(counted.image_tokens);
  usage.output = count(counted.output_tokens);
  usage.reasoning = count(counted.reasoning_tokens);
  usage.cacheRead = Math.min(count(value.cached_tokens), usage.input);
  if (typeof billed?.input_tokens === 'number' || typeof billed?.output_tokens === 'number') {
    usage.billed = { input: count(billed.input_tokens), output: count(billed.output_tokens) };
  }
  return normaliseUsage(usage);
}
