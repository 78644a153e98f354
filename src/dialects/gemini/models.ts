/** Model lists in Gemini's shape. https://ai.google.dev/api/models */
import type { JsonObject } from '../../core/json.ts';

export function writeModel(id: string): JsonObject {
  return {
    name: `models/${id}`,
    displayName: id,
    supportedGenerationMethods: ['generateContent', 'streamGenerateContent', 'countTokens'],
  };
}

/** All of them on one page. */
export function writeModels(ids: readonly string[]): JsonObject {
  return { models: ids.map(writeModel) };
}
