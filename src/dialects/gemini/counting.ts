/** Counting the tokens of a request. https://ai.google.dev/api/tokens */
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Counting } from '../dialect.ts';
import { pathOf } from './path.ts';

export const counting: Counting = {
  path: (model) => pathOf(model, 'countTokens'),
  /** Either the contents alone, or a whole request with its tools and instruction. */
  requestOf: (body) => {
    const request = body.generateContentRequest ?? body.generate_content_request;
    return isObject(request) ? request : body;
  },
  write: (tokens): JsonObject => ({ totalTokens: tokens }),
};
