/** Whose model it is, as far as Bedrock takes more or other members for it. */
import type { Quirks } from '../quirks.ts';

export type Family = 'claude' | 'nova' | 'other';

/** Model ids name their vendor and family, whatever region stands before: `us.anthropic.claude-…`, `amazon.nova-…`. */
export function familyOf(model: string, quirks: Quirks): Family {
  const thinks = quirks.thinking === 'budget' || quirks.thinking === 'adaptive';
  if (thinks || /\bclaude\b/.test(model)) return 'claude';
  return /\bnova\b/.test(model) ? 'nova' : 'other';
}
