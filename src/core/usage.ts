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
  /** What is billed, at the plain rates, where a provider says that it is not what it counts. */
  billed?: { input: number; output: number };
  /** The parts of `input` and of `output` that were images; absent: none, or not told apart. */
  imageInput?: number;
  imageOutput?: number;
  /** The parts of `cacheRead` that were audio and images; absent: none, or not told apart. */
  cacheReadAudio?: number;
  cacheReadImage?: number;
  /** What was used beside tokens, or instead of them. */
  units?: Units;
  /** How often the model searched the web for its answer; absent: never, or nobody says. */
  webSearches?: number;
  /** The service tier that answered, in the provider's word (`flex`), where it is not the usual one. */
  tier?: string;
}

/** What is sold otherwise than by the token, in whole numbers. */
export interface Units {
  /** Images made. */
  image?: number;
  /** Quality and size of each, where the price depends on them: `hd/1024x1792`. */
  imageKind?: string;
  /** Milliseconds of audio heard. */
  millisecond?: number;
  /** Characters spoken. */
  character?: number;
  /** Queries answered over a list of documents. */
  search?: number;
}

/** Nothing was used: neither tokens nor anything else. */
export function usedNothing({ input, output, units, webSearches }: Usage): boolean {
  if (webSearches) return false;
  return input === 0 && output === 0 && (units === undefined || !countedUnits.some((unit) => units[unit]));
}

export const countedUnits = ['image', 'millisecond', 'character', 'search'] as const;

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

/** What providers call the tier that nobody asks for. `auto` is a wish, no answer. */
const usualTiers = new Set(['', 'default', 'auto', 'standard', 'standard_only', 'on_demand']);

/** Notes which service tier answered, in whatever case the provider writes it. */
export function withTier(usage: Usage | undefined, tier: unknown): Usage | undefined {
  if (usage === undefined || typeof tier !== 'string') return usage;
  const name = tier.toLowerCase();
  if (!usualTiers.has(name)) usage.tier = name.slice(0, maxTierChars);
  return usage;
}

const maxTierChars = 40;

/** Notes how often the model searched the web. */
export function withSearches(usage: Usage | undefined, searches: number): Usage | undefined {
  if (usage !== undefined && searches > 0) usage.webSearches = searches;
  return usage;
}

/** What several answers used together. */
export function sumUsage(all: readonly Usage[]): Usage {
  const sum = emptyUsage();
  for (const usage of all) {
    for (const name of tokenCounts) sum[name] += usage[name];
    for (const name of rareCounts) if (usage[name]) sum[name] = (sum[name] ?? 0) + usage[name];
    if (usage.tier !== undefined) sum.tier ??= usage.tier;
    if (usage.units !== undefined) sum.units = sumUnits(sum.units ?? {}, usage.units);
  }
  return sum;
}

/** Counts that few answers have. */
export const rareCounts = [
  'imageInput',
  'imageOutput',
  'cacheReadAudio',
  'cacheReadImage',
  'webSearches',
] as const;

function sumUnits(one: Units, other: Units): Units {
  const sum = { ...one, ...other };
  for (const unit of countedUnits) if (one[unit]) sum[unit] = one[unit] + (other[unit] ?? 0);
  return sum;
}

const tokenCounts = Object.keys(emptyUsage()) as 'input'[];

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
