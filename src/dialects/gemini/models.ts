/** Model lists in Gemini's shape. https://ai.google.dev/api/models */
import type { JsonObject } from '../../core/json.ts';
import type { ModelCard } from '../../core/model-card.ts';

export function writeModel({ id, contextLength, maxOutput }: ModelCard): JsonObject {
  return {
    name: `models/${id}`,
    displayName: id,
    ...(contextLength === undefined ? {} : { inputTokenLimit: contextLength }),
    ...(maxOutput === undefined ? {} : { outputTokenLimit: maxOutput }),
    supportedGenerationMethods: ['generateContent', 'streamGenerateContent', 'countTokens'],
  };
}

/** All of them on one page. */
export function writeModels(entries: readonly JsonObject[]): JsonObject {
  return { models: [...entries] };
}
