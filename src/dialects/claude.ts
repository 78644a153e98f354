/** How much Claude may think and how it samples, in the words its models take, whichever API they are called by. */
import type { ChatRequest, ReasoningWish } from '../core/chat.ts';
import type { JsonObject } from '../core/json.ts';
import { effortBudgets, effortOf } from './effort.ts';
import type { Quirks } from './quirks.ts';
import type { Turn } from './turns.ts';

const smallestBudget = 1024;
/** Answer tokens when the client names no limit and the catalogue none either. */
const defaultMaxTokens = 4096;

interface Thinking {
  /** The `thinking` member; undefined leaves it out. */
  thinking?: JsonObject;
  /** The `output_config.effort` member. */
  effort?: string;
  maxTokens: number;
}

/** What else in the request decides whether thinking is allowed. */
interface Circumstances {
  /** The request is in Claude's own words: they are taken as they are where the model knows them. */
  own: boolean;
  /** A tool call is forced: not possible together with a budget. */
  forcedTool: boolean;
  /** The turn to go on from has lost its thinking: a budget then ends in a 400. */
  lostThinking: boolean;
}

/**
 * The wish in the words of the model. Budget: at least 1024 and below `max_tokens`; it is cut to four fifths of a limit
 * that the client or the catalogue gives (which counts thinking and answer together), and added to the limit when
 * nobody gave one. Thinking that cannot be had is left out and `reasoning` is pushed to `lost`.
 */
export function writeThinking(
  request: ChatRequest,
  quirks: Quirks,
  circumstances: Circumstances,
  lost: string[],
): Thinking {
  const wish = request.reasoning;
  const limit = request.maxTokens ?? quirks.defaultMaxTokens;
  const plain = { maxTokens: limit ?? defaultMaxTokens };
  if (wish === undefined) return plain;
  if (circumstances.own && !contradicts(wish, quirks)) return { ...plain, ...verbatim(wish) };
  if (wish.enabled === false || wish.effort === 'none') {
    if (wish.effort !== undefined && wish.effort !== 'none') lost.push('reasoning.effort');
    // Models with a budget do not think unless asked; the older ones do not know the word.
    return quirks.thinking === 'adaptive' ? { ...plain, thinking: { type: 'disabled' } } : plain;
  }
  if (quirks.thinking === 'adaptive') return { ...plain, ...adaptive(wish) };

  // Anthropic's effort without thinking: older models have no word for it.
  const onlyEffort = circumstances.own && wish.enabled === undefined;
  const wanted =
    wish.budgetTokens ??
    effortBudgets[wish.effort ?? (wish.adaptive ? 'high' : 'medium')] ??
    effortBudgets.medium;
  let budget = Math.max(wanted, smallestBudget);
  if (limit !== undefined) budget = Math.min(budget, Math.max(smallestBudget, Math.floor(limit * 0.8)));
  const fits = limit === undefined || budget < limit;
  if (onlyEffort || !fits || circumstances.forcedTool || circumstances.lostThinking) {
    lost.push('reasoning');
    return plain;
  }
  if (budget !== wanted && wish.budgetTokens !== undefined) lost.push('reasoning.budgetTokens');
  else if (budget !== wanted && wish.effort !== undefined) lost.push('reasoning.effort');
  if (wish.display !== undefined) lost.push('reasoning.display');
  return {
    thinking: { type: 'enabled', budget_tokens: budget },
    maxTokens: limit ?? budget + defaultMaxTokens,
  };
}

/** The model takes only the other way to ask. */
function contradicts(wish: ReasoningWish, quirks: Quirks): boolean {
  if (quirks.thinking === 'adaptive') return wish.budgetTokens !== undefined;
  return quirks.thinking === 'budget' && (wish.adaptive === true || wish.effort !== undefined);
}

function verbatim(wish: ReasoningWish): Omit<Thinking, 'maxTokens'> {
  const written: Omit<Thinking, 'maxTokens'> = {};
  if (wish.enabled === false) written.thinking = { type: 'disabled' };
  else if (wish.adaptive) written.thinking = { type: 'adaptive' };
  else if (wish.budgetTokens !== undefined) {
    written.thinking = { type: 'enabled', budget_tokens: wish.budgetTokens };
  }
  if (written.thinking !== undefined && wish.display !== undefined) written.thinking.display = wish.display;
  if (wish.effort !== undefined) written.effort = wish.effort;
  return written;
}

/** Newer models show nothing of their thinking unless it is asked for. */
function adaptive(wish: ReasoningWish): Omit<Thinking, 'maxTokens'> {
  const thinking: JsonObject = {
    type: 'adaptive',
    display: wish.display === 'omitted' ? 'omitted' : 'summarized',
  };
  const effort = wish.effort ?? (wish.budgetTokens === undefined ? undefined : effortOf(wish.budgetTokens));
  if (effort === undefined) return { thinking };
  return { thinking, effort: effort === 'minimal' ? 'low' : effort };
}

/**
 * A sampling parameter as it is allowed; undefined leaves it out. Temperature ends at 1. While thinking it cannot be
 * set, nor top_k, and top_p only near 1. Of temperature and top_p newer models take one at most.
 * https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility
 */
export function fitSampling(
  request: ChatRequest,
  thinking: JsonObject | undefined,
  name: 'temperature' | 'topP' | 'topK',
  value: number,
): number | undefined {
  const thinks = thinking !== undefined && thinking.type !== 'disabled';
  switch (name) {
    case 'temperature':
      return thinks ? undefined : Math.min(1, Math.max(0, value));
    case 'topP':
      if (thinks ? value < 0.95 : request.temperature !== undefined || value === 1) return undefined;
      return value;
    case 'topK':
      return thinks ? undefined : value;
  }
}

/**
 * With a thinking budget the last assistant turn has to begin with its thinking when it calls tools, and an answer
 * cannot be begun for the model.
 * https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks
 */
export function lacksThinking(turns: readonly Turn[]): boolean {
  const last = turns.findLast(({ role }) => role === 'assistant');
  if (last === undefined || last.content[0]?.block.type === 'reasoning') return false;
  return last === turns.at(-1) || last.content.some(({ block }) => block.type === 'tool-call');
}
