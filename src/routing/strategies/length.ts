/** How long an answer is to be expected. */
import type { Target } from '../../config/snapshot.ts';
import type { Moment } from '../moment.ts';

/** Tokens of an answer, where nothing was learned of the key yet. */
const usualTokens = 500;

/** In tokens, whole. */
export function expectedTokens(target: Target, { ask, sight }: Moment): number {
  const usual = sight.outputTokens(target, ask.key) ?? usualTokens;
  return Math.round(Math.min(usual, ask.maxTokens ?? Infinity, target.maxOutput ?? Infinity));
}
