/** Efforts and token budgets, two ways to say how much a model may think; nobody has published how they correspond. */
import type { Effort } from '../core/chat.ts';

/** Token budgets of the efforts, for models that take a budget. */
export const effortBudgets: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 2048,
  medium: 10_000,
  high: 16_384,
  xhigh: 32_768,
  max: 32_768,
};

/** Each budget belongs to the effort whose own budget it does not exceed. */
export function effortOf(budgetTokens: number): Effort {
  if (budgetTokens <= 0) return 'none';
  if (budgetTokens <= effortBudgets.low) return 'low';
  return budgetTokens <= effortBudgets.medium ? 'medium' : 'high';
}

/** From the least to the most. */
export const effortLadder: readonly Effort[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

/** The word among `known` that comes nearest, of two equally near the first; never `none`, which is another wish. */
export function nearestEffort(effort: Effort, known: readonly Effort[]): Effort | undefined {
  const wanted = effortLadder.indexOf(effort);
  let best: Effort | undefined;
  for (const word of known) {
    if (word === 'none') continue;
    const distance = Math.abs(effortLadder.indexOf(word) - wanted);
    if (best === undefined || distance < Math.abs(effortLadder.indexOf(best) - wanted)) best = word;
  }
  return best;
}
