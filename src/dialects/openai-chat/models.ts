/** Model lists in OpenAI's shape: https://platform.openai.com/docs/api-reference/models */
import type { ChatRequest } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import type { ModelCard } from '../../core/model-card.ts';
import { formatRate, formatUsd, type Price, type Rates } from '../../core/money.ts';

/**
 * What OpenAI's own lists have, and what is known beside it in the words of OpenRouter's, which clients read:
 * https://openrouter.ai/docs/models. Nobody knows when a route's model was made; the shape asks for that all the same.
 */
export function writeModel(card: ModelCard): JsonObject {
  const { id, contextLength, maxOutput, price } = card;
  const inputs = card.reads.map((kind) => (kind === 'document' ? 'file' : kind));
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: card.owner ?? 'sluice',
    ...(contextLength === undefined ? {} : { context_length: contextLength }),
    ...(maxOutput === undefined ? {} : { max_output_tokens: maxOutput }),
    ...(price === undefined ? {} : writePrice(price)),
    input_modalities: inputs,
    supported_parameters: [...card.says].flatMap((name) => words[name] ?? []),
    targets: [...card.targets],
  };
}

export function writeModels(entries: readonly JsonObject[]): JsonObject {
  return { object: 'list', data: [...entries] };
}

const words: Partial<Record<keyof ChatRequest, readonly string[]>> = {
  tools: ['tools'],
  toolChoice: ['tool_choice'],
  parallelTools: ['parallel_tool_calls'],
  maxTokens: ['max_tokens', 'max_completion_tokens'],
  temperature: ['temperature'],
  topP: ['top_p'],
  topK: ['top_k'],
  stop: ['stop'],
  seed: ['seed'],
  presencePenalty: ['presence_penalty'],
  frequencyPenalty: ['frequency_penalty'],
  logitBias: ['logit_bias'],
  n: ['n'],
  logprobs: ['logprobs', 'top_logprobs'],
  reasoning: ['reasoning', 'reasoning_effort'],
  format: ['response_format', 'structured_outputs'],
  user: ['user'],
  metadata: ['metadata'],
  serviceTier: ['service_tier'],
  store: ['store'],
};

/** USD for a token, for requests of a usual length; `pricing_tiers` say what longer ones cost. */
function writePrice({ rates, tiers, perCall, units }: Price): JsonObject {
  // Nothing but images or seconds is sold: a token has no price then, which is not to be free.
  if (units !== undefined && rates.input === 0 && rates.output === 0) return {};
  return {
    pricing: { ...writeRates(rates), request: formatUsd(perCall) },
    ...(tiers.length === 0
      ? {}
      : { pricing_tiers: tiers.map((tier) => ({ above: tier.above, ...writeRates(tier.rates) })) }),
  };
}

function writeRates(rates: Rates): JsonObject {
  return {
    prompt: formatRate(rates.input),
    completion: formatRate(rates.output),
    input_cache_read: formatRate(rates.cacheRead),
    input_cache_write: formatRate(rates.cacheWrite5m),
  };
}
