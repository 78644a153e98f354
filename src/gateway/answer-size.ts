/** How long an answer may be: so much is held for it, and where limits do not bear more, the provider is told to stop there. */
import type { Target } from '../config/snapshot.ts';
import type { ChatRequest } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import type { Amounts } from '../governance/leases.ts';
import type { Peek } from './body.ts';
import type { Call } from './call.ts';
import { expectedOutput, mostOutput } from './expected-usage.ts';

export interface AnswerSize {
  readonly target: Target;
  /** Tokens of each answer that are held. */
  readonly output: number;
  /** Those it will probably have, where far more is held. */
  readonly likely?: number;
  /** The provider is to stop there; undefined: the client's word stands. */
  readonly most: number | undefined;
}

/** Where nobody says how long an answer can be, it is told to be no longer, nor than twice what most are. */
const assumedMost = 4096;
/** No answer is longer, as far as anybody knows: where limits bear that many times over, nobody is told to stop. */
const longestKnown = 131_072;
/** Clients ask for far more than they need: so much of it is held at first, where more can be held later. */
const unlearnedStream = 1024;
/** With less it does not begin. */
const leastHeld = 64;
/** Providers refuse to write less. */
const leastBudget = 1024;

export interface Size extends Pick<Peek, 'tokens' | 'maxTokens' | 'answers'> {
  /** It is passed on as it comes: then it can be cut off, and more be held for it meanwhile. */
  readonly cuttable: boolean;
  /** The limits bear it many times over. */
  readonly ample: boolean;
}
/** Whom limits are asked for. */
export type Holder = Pick<Call, 'whenExhausted' | 'bearable' | 'capacity' | 'highOutput' | 'isAmple'>;

/**
 * @param call undefined: nobody limits the answer, the most of it is held.
 * @param bearing what answers of so many tokens need.
 */
export function sizeAnswer(
  asked: Size,
  target: Target,
  call: Holder | undefined,
  bearing: (output: number) => Amounts,
): AnswerSize {
  const high = call?.highOutput(target);
  let expected = expectedOutput(asked, target, high);
  const most = mostOutput(asked, target);
  const size = (output: number, at?: number): AnswerSize => ({ target, output, most: at });
  if (call === undefined || call.whenExhausted === 'refuse') return size(most ?? expected);
  const stream = call.whenExhausted === 'cut' && asked.cuttable;
  if (stream && high === undefined) expected = Math.min(expected, unlearnedStream);
  // What is only expected keeps no call away for good, as more than the whole of a limit would.
  if ((stream || asked.maxTokens === undefined) && expected > leastHeld) {
    const all = longestBorne(expected, asked.answers, call.capacity, bearing);
    expected = Math.min(expected, Math.max(leastHeld, Math.floor(all / 2)));
  }
  // What is streamed is topped up while it runs; what may finish is not bounded at all.
  if (stream || call.whenExhausted !== 'cut') return size(expected);
  if (asked.ample && most !== undefined && most === asked.maxTokens) return size(most);
  if (most === undefined && call.isAmple(bearing(longestKnown)))
    return { ...size(longestKnown), likely: expected };
  const longest = Math.max(expected, most ?? Math.max(assumedMost, 2 * (high ?? 0)));
  const bears = longestBorne(longest, asked.answers, call.bearable, bearing);
  // Half of what is left is for others: so that one call that asks for much keeps nobody else away while it runs.
  const output = Math.min(longest, Math.max(expected, Math.floor(bears / 2)));
  return output < longest || most === undefined ? size(output, output) : size(longest);
}

/** Tokens of each answer that there is room for; up to twice the longest. */
function longestBorne(
  longest: number,
  answers: number,
  { tokens, nanoUsd }: Amounts,
  bearing: (output: number) => Amounts,
): number {
  const none = bearing(0);
  const all = bearing(longest);
  const byTokens = (tokens - none.tokens) / Math.max(1, answers);
  const each = (all.nanoUsd - none.nanoUsd) / longest;
  const byUsd = each > 0 ? (nanoUsd - none.nanoUsd) / each : Infinity;
  return Math.max(0, Math.min(byTokens, byUsd, 2 * longest));
}

/** @throws GatewayError where it is not known beforehand how much an answer may have. */
export function requireMost(peek: Pick<Peek, 'maxTokens'>, target: Target): void {
  if (mostOutput(peek, target) !== undefined) return;
  throw new GatewayError(
    'unsupported',
    `A limit of this key holds the most that a call may need before it begins, and nobody knows how long an answer of ${target.id} may be: say how many tokens it may have at most (max tokens).`,
    { param: 'max_tokens', code: 'max_tokens_required' },
  );
}

/** The request for answers of `most` tokens at most. */
export function withMost(request: ChatRequest, most: number): ChatRequest {
  const { reasoning } = request;
  const capped: ChatRequest = { ...request, maxTokens: most };
  // Thoughts are part of an answer: what is longer than the answer may be is refused.
  if (reasoning?.budgetTokens !== undefined && reasoning.budgetTokens >= most)
    capped.reasoning =
      most > leastBudget
        ? { ...reasoning, budgetTokens: Math.max(leastBudget, most >> 1) }
        : { enabled: false };
  return capped;
}
