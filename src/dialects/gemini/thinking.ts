/** How much the model may think: a token budget (Gemini 2.5) or a level (from 3 on). https://ai.google.dev/gemini-api/docs/thinking */
import type { ChatRequest, Effort, ReasoningWish } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { effortOf, nearestEffort } from '../effort.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './read-part.ts';

/** Budgets of the efforts; the least and most a model takes bound them. */
const budgets: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 128,
  low: 2048,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
};

const levels: readonly Effort[] = ['minimal', 'low', 'medium', 'high'];

/** The model decides itself how much it thinks. */
const dynamic = -1;

/**
 * `thinkingConfig` in the words of the model; undefined where nothing is to be said. What cannot be had is pushed to
 * `lost`: thinking that cannot be switched off is asked to be as little as possible.
 */
export function writeThinking(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject | undefined {
  const wish = request.reasoning;
  if (wish === undefined) return undefined;
  if (request.dialect === dialectName && !contradicts(wish, quirks)) return verbatim(wish);
  const off = wish.enabled === false || wish.effort === 'none';
  if (quirks.thinking === 'none') {
    if (!off) lost.push('reasoning');
    return undefined;
  }
  const config: JsonObject = {};
  // Other dialects show thoughts unless told otherwise; this one only where they are asked for.
  if (wish.display === 'omitted') config.includeThoughts = false;
  else if (!off && (wish.display !== undefined || request.dialect !== dialectName))
    config.includeThoughts = true;
  if (quirks.thinking === 'level') writeLevel(wish, off, quirks.efforts ?? levels, config, lost);
  else config.thinkingBudget = budgetOf(wish, off, quirks, lost);
  return config;
}

/** The model takes only the other way to ask, or does not think. Those with levels still take budgets. */
function contradicts(wish: ReasoningWish, quirks: Quirks): boolean {
  return quirks.thinking === 'none' || (quirks.thinking === 'budget' && wish.effort !== undefined);
}

function verbatim(wish: ReasoningWish): JsonObject {
  const config: JsonObject = {};
  if (wish.display !== undefined) config.includeThoughts = wish.display !== 'omitted';
  if (wish.enabled === false) config.thinkingBudget = 0;
  else if (wish.adaptive) config.thinkingBudget = dynamic;
  else if (wish.budgetTokens !== undefined) config.thinkingBudget = wish.budgetTokens;
  if (wish.effort !== undefined) config.thinkingLevel = wish.effort.toUpperCase();
  return config;
}

function writeLevel(
  wish: ReasoningWish,
  off: boolean,
  words: readonly Effort[],
  config: JsonObject,
  lost: string[],
): void {
  const { budgetTokens } = wish;
  if (wish.effort !== undefined && budgetTokens !== undefined) lost.push('reasoning.budgetTokens');
  const effort = wish.effort ?? (budgetTokens === undefined ? undefined : effortOf(budgetTokens));
  if (effort === undefined && !off) return;
  const level = off ? words[0] : nearestEffort(effort ?? 'medium', words);
  if (off || (wish.effort !== undefined && level !== wish.effort)) {
    lost.push(wish.effort === undefined ? 'reasoning' : 'reasoning.effort');
  }
  if (level !== undefined) config.thinkingLevel = level.toUpperCase();
}

function budgetOf(wish: ReasoningWish, off: boolean, quirks: Quirks, lost: string[]): number {
  const [least, most] = quirks.budgetRange ?? [0, budgets.high];
  if (off) {
    if (!quirks.alwaysThinks) return 0;
    lost.push(wish.effort === undefined ? 'reasoning' : 'reasoning.effort');
    return least;
  }
  const { budgetTokens, effort } = wish;
  if (budgetTokens === undefined && effort === undefined) return dynamic;
  const wanted = budgetTokens ?? budgets[effort ?? 'medium'] ?? budgets.medium;
  const budget = Math.min(Math.max(wanted, least), most);
  if (budgetTokens !== undefined && budget !== wanted) lost.push('reasoning.budgetTokens');
  if (budgetTokens !== undefined && effort !== undefined) lost.push('reasoning.effort');
  return budget;
}
