/** Token counts: on this wire `input_tokens` leaves cached tokens out, in the hub `input` includes them. */
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { count, emptyUsage, sumUsage, type Usage, withSearches, withTier } from '../../core/usage.ts';

const known = new Set([
  'input_tokens',
  'output_tokens',
  'cache_creation_input_tokens',
  'cache_read_input_tokens',
  'cache_creation',
  'output_tokens_details',
]);

/**
 * Counts of a whole answer or of one stream event. Those of `message_delta` are cumulative: they replace `before`, the
 * counts of `message_start`; its input counts stand where the later event leaves them out (or reports all zeros).
 */
export function readUsage(value: Json | undefined, before?: Usage): Usage | undefined {
  if (!isObject(value)) return before;
  const usage = before === undefined ? emptyUsage() : { ...before };
  readInput(usage, value);
  if (typeof value.output_tokens === 'number') usage.output = count(value.output_tokens);
  const details = value.output_tokens_details;
  if (isObject(details)) usage.reasoning = count(details.thinking_tokens);
  if (usage.reasoning > usage.output) usage.reasoning = usage.output;
  const tools = value.server_tool_use;
  if (isObject(tools)) withSearches(usage, count(tools.web_search_requests));
  return withTier(usage, value.service_tier);
}

function readInput(usage: Usage, value: JsonObject): void {
  const { input_tokens: fresh, cache_read_input_tokens: read, cache_creation_input_tokens: write } = value;
  if (count(fresh) + count(read) + count(write) === 0) return;
  const writtenBefore = usage.cacheWrite5m + usage.cacheWrite1h;
  const freshTokens =
    typeof fresh === 'number' ? count(fresh) : usage.input - usage.cacheRead - writtenBefore;
  if (typeof read === 'number') usage.cacheRead = count(read);
  if (isObject(value.cache_creation)) {
    usage.cacheWrite1h = count(value.cache_creation.ephemeral_1h_input_tokens);
    usage.cacheWrite5m = count(value.cache_creation.ephemeral_5m_input_tokens);
  }
  if (typeof write === 'number') {
    // Writes whose lifetime is not told: what the split leaves over counts as five minutes.
    usage.cacheWrite1h = Math.min(usage.cacheWrite1h, count(write));
    usage.cacheWrite5m = count(write) - usage.cacheWrite1h;
  }
  usage.input = freshTokens + usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h;
}

/**
 * Counts with those of what was done beside the answer and paid for like it: condensing the conversation, which the
 * counts themselves leave out. `value` is the wire's usage, or what readUsageExtra has read of it.
 * https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage
 */
export function addPasses(usage: Usage | undefined, value: Json | undefined): Usage | undefined {
  const passes = readPasses(value);
  return usage === undefined || passes.length === 0 ? usage : sumUsage([usage, ...passes]);
}

function readPasses(value: Json | undefined): Usage[] {
  const iterations = isObject(value) && Array.isArray(value.iterations) ? value.iterations : [];
  return iterations.flatMap((each) =>
    isObject(each) && each.type === 'compaction' ? (readUsage(each) ?? []) : [],
  );
}

/** The counts as the wire has them, `extra` telling the passes by themselves. */
function withoutPasses(usage: Usage, extra: Json | undefined): Usage {
  const passes = sumUsage(readPasses(extra));
  const counts = { ...usage };
  for (const name of ['input', 'cacheRead', 'cacheWrite5m', 'cacheWrite1h', 'output', 'reasoning'] as const)
    counts[name] = Math.max(0, usage[name] - passes[name]);
  return counts;
}

/** What the wire says beside counts (`service_tier`, `server_tool_use`, `iterations`…), nulls left out. */
export function readUsageExtra(value: Json | undefined): JsonObject | undefined {
  return isObject(value) ? dropNulls(rest(value, known)) : undefined;
}

export function dropNulls(object: JsonObject | undefined): JsonObject | undefined {
  let kept: JsonObject | undefined;
  for (const name in object) {
    const value = object[name];
    if (value === null || value === undefined) continue;
    kept ??= {};
    kept[name] = value;
  }
  return kept;
}

/** All counts, ready for a whole answer, `message_start` or `message_delta`. */
export function writeUsage(usage: Usage | undefined, extra: Json | undefined): JsonObject {
  const counts = withoutPasses(usage ?? emptyUsage(), extra);
  const written = counts.cacheWrite5m + counts.cacheWrite1h;
  const value: JsonObject = {
    input_tokens: Math.max(0, counts.input - counts.cacheRead - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: counts.cacheRead,
    output_tokens: counts.output,
  };
  if (written > 0) {
    value.cache_creation = {
      ephemeral_5m_input_tokens: counts.cacheWrite5m,
      ephemeral_1h_input_tokens: counts.cacheWrite1h,
    };
  }
  if (counts.reasoning > 0) value.output_tokens_details = { thinking_tokens: counts.reasoning };
  return isObject(extra) ? { ...extra, ...value } : value;
}
