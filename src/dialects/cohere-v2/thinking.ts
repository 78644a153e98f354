/** How much a model of Cohere may think: https://docs.cohere.com/docs/reasoning */
import type { ChatRequest } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { effortBudgets } from '../effort.ts';
import type { Quirks } from '../quirks.ts';

/** Efforts from here on mean "as much as it takes": the API advises against a bound. */
const unbounded: ReadonlySet<unknown> = new Set(['xhigh', 'max']);
/** Of an output limit this much is left for the answer. */
const answerShare = 0.2;

/**
 * Thinking is on by default where a model can; a budget bounds it. An effort becomes its budget, within the limit of
 * the whole output: https://docs.cohere.com/docs/reasoning
 */
export function writeThinking(
  { reasoning, maxTokens }: ChatRequest,
  quirks: Quirks,
  lost: string[],
): JsonObject | undefined {
  if (reasoning === undefined) return undefined;
  const { enabled, effort, budgetTokens, display } = reasoning;
  if (display !== undefined) lost.push('reasoning.display');
  if (enabled === false || effort === 'none') {
    if (effort !== undefined && effort !== 'none') lost.push('reasoning.effort');
    return quirks.thinking === 'none' ? undefined : { type: 'disabled' };
  }
  if (quirks.thinking === 'none') {
    lost.push('reasoning');
    return undefined;
  }
  const thinking: JsonObject = { type: 'enabled' };
  if (budgetTokens !== undefined) thinking.token_budget = budgetTokens;
  else if (effort !== undefined && !unbounded.has(effort)) {
    const most = maxTokens === undefined ? Number.POSITIVE_INFINITY : maxTokens * (1 - answerShare);
    thinking.token_budget = Math.max(1, Math.floor(Math.min(effortBudgets[effort] ?? most, most)));
  }
  return thinking;
}
