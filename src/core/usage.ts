/** Tokens of one attempt, in one convention for all dialects; money depends on it. */

/**
 * All counts are whole tokens. `input` is the total: it *includes* cached reads and cache writes.
 * `output` is the total: it includes reasoning. Each dialect converts at its edge.
 */
export interface Usage {
  input: number;
  /** Input served from the provider's prompt cache. */
  cacheRead: number;
  /** Input written to a cache that lives five minutes (or whose lifetime the provider does not say). */
  cacheWrite5m: number;
  /** Input written to a cache that lives one hour. */
  cacheWrite1h: number;
  output: number;
  /** The part of `output` that was reasoning. */
  reasoning: number;
  /** The part of `input` that was audio. */
  audioInput: number;
  /** The part of `output` that was audio. */
  audioOutput: number;
}

export function emptyUsage(): Usage {
  return {
    input: 0,
    cacheRead: 0,
    cacheWrite5m: 0,
    cacheWrite1h: 0,
    output: 0,
    reasoning: 0,
    audioInput: 0,
    audioOutput: 0,
  };
}

/** No call has more: beyond this a provider's count is nonsense, and is not allowed to spoil sums. */
const maxTokens = 1e9;

/** A count from the wire: a whole number ≥ 0, or 0 for anything else (null, absent, negative, text). */
export function count(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.min(Math.floor(value), maxTokens) : 0;
}

/**
 * Makes parts fit their totals: cached ≤ input, reasoning ≤ output. Some hosts report cached tokens beside the
 * prompt (cached > prompt); then the prompt excluded them and the total is the sum.
 */
export function normaliseUsage(usage: Usage): Usage {
  const cached = usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h;
  if (cached > usage.input) usage.input += cached;
  if (usage.reasoning > usage.output) usage.reasoning = usage.output;
  if (usage.audioOutput > usage.output) usage.audioOutput = usage.output;
  return usage;
}
