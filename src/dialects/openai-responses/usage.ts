/** Token counts of OpenAI Responses, to and from the gateway's one convention. */
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { count, emptyUsage, normaliseUsage, type Usage, withSearches, withTier } from '../../core/usage.ts';

const known = new Set([
  'input_tokens',
  'input_tokens_details',
  'output_tokens',
  'output_tokens_details',
  'total_tokens',
]);

/** Reads a `usage` object; undefined when it is none. Input includes what was cached, output the reasoning. */
export function readUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  if (typeof value.input_tokens !== 'number' && typeof value.output_tokens !== 'number') return undefined;
  const inputs = isObject(value.input_tokens_details) ? value.input_tokens_details : {};
  const outputs = isObject(value.output_tokens_details) ? value.output_tokens_details : {};
  const usage = emptyUsage();
  usage.input = count(value.input_tokens);
  usage.output = count(value.output_tokens);
  usage.cacheRead = count(inputs.cached_tokens);
  usage.cacheWrite5m = count(inputs.cache_write_tokens);
  usage.reasoning = count(outputs.reasoning_tokens);
  // A host that leaves reasoning out of the output gives itself away by its total.
  const uncounted = count(value.total_tokens) - usage.input - usage.output;
  if (uncounted > 0 && uncounted === usage.reasoning) usage.output += usage.reasoning;
  return normaliseUsage(usage);
}

/**
 * Usage of a whole answer: its counts, the service tier, and the searches of the web. Those are told by `tool_usage`, by
 * xAI with its counts, or are items of the output; looking at a page that was found is one, too, which nobody charges for.
 * https://developers.openai.com/api/docs/pricing
 */
export function readAnswerUsage(answer: JsonObject): Usage | undefined {
  const usage = withTier(readUsage(answer.usage), answer.service_tier);
  const told = isObject(answer.tool_usage) ? answer.tool_usage.web_search : undefined;
  const details = isObject(answer.usage) ? answer.usage.server_side_tool_usage_details : undefined;
  const searches = [
    isObject(told) ? count(told.num_requests) : 0,
    isObject(details) ? count(details.web_search_calls) : 0,
    countSearches(answer.output),
  ];
  return withSearches(usage, Math.max(...searches));
}

function countSearches(output: Json | undefined): number {
  let searches = 0;
  for (const item of Array.isArray(output) ? output : []) {
    if (!isObject(item) || item.type !== 'web_search_call' || item.status === 'failed') continue;
    if (!isObject(item.action) || item.action.type === 'search') searches++;
  }
  return searches;
}

/** What a host says of usage beside the counts: a price, how often its own tools ran. */
export function readUsageExtra(value: Json | undefined): JsonObject | undefined {
  return isObject(value) ? rest(value, known) : undefined;
}

export function writeUsage(usage: Usage): JsonObject {
  return {
    input_tokens: usage.input,
    input_tokens_details: {
      cached_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
    },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.input + usage.output,
  };
}
